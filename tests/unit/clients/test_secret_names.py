"""Which secrets plans may name (listed variables, files in one folder), and how paths that hold a secret are kept."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from clients.secrets.kept_out import kept_out_of_logs, without_secrets
from clients.secrets.paths import HIDDEN
from clients.secrets.values import _MOST_LEARNED, LARGEST_FILE, Secrets
from domain.errors import ErrorCode, HoldfastError


def refusal(secrets: Secrets, reference: str) -> str:
    with pytest.raises(HoldfastError) as raised:
        secrets.resolve(reference)
    assert raised.value.code is ErrorCode.SECRET_MISSING
    return str(raised.value)


@pytest.mark.parametrize("listed", ["*", "SHOP_*,AWS_*", "SHOP_*", "", None])
@pytest.mark.parametrize(
    "name", ["HOLDFAST_DATABASE_URL", "TEMPORAL_API_KEY", "HOLDFAST_SECRETS", "HOLDFAST_SECRETS_FOLDER", "temporal_x"]
)
def test_no_list_lets_a_plan_name_the_workers_own_settings(name: str, listed: str | None) -> None:
    environ = {name: "v4lue"} | ({} if listed is None else {"HOLDFAST_SECRETS": listed})
    assert "may not name" in refusal(Secrets(environ), f"${{env:{name}}}")


def test_without_a_list_only_holdfast_secret_variables_may_be_named() -> None:
    """A list replaces this default."""
    environ = {"HOLDFAST_SECRET_A": "one", "AWS_SECRET_ACCESS_KEY": "two", "SHOP_TOKEN": "three"}
    assert Secrets(environ).resolve("${env:HOLDFAST_SECRET_A}") == "one"
    refusal(Secrets(environ), "${env:AWS_SECRET_ACCESS_KEY}")
    listed = Secrets(environ | {"HOLDFAST_SECRETS": "CHECKOUT_TOKEN, SHOP_*"})
    assert listed.resolve("${env:SHOP_TOKEN}") == "three"
    refusal(listed, "${env:HOLDFAST_SECRET_A}")


def test_a_refusal_does_not_reveal_which_variables_exist() -> None:
    """The message is the same whether the variable is set or not."""
    reference = "${env:AWS_SECRET_ACCESS_KEY}"
    assert refusal(Secrets({}), reference) == refusal(Secrets({"AWS_SECRET_ACCESS_KEY": "x"}), reference)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Mount a secret as Kubernetes does: links to links, with the data in a folder of its own."""
    mounted = tmp_path / "secrets"
    data = mounted / "..2026_11_29"
    data.mkdir(parents=True)
    (data / "shop-token").write_text("from-a-file\n")
    (data / "large").write_bytes(b"x" * (LARGEST_FILE + 1))
    (data / "binary").write_bytes(b"\xff\xfe")
    (mounted / "..data").symlink_to(data.name)
    for name in ("shop-token", "large", "binary"):
        (mounted / name).symlink_to(f"..data/{name}")
    (tmp_path / "outside").write_text("0utside")
    (mounted / "leads-out").symlink_to("../outside")
    (mounted / "a-folder").mkdir()
    os.mkfifo(mounted / "a-pipe")
    return mounted


def test_a_file_is_read_as_kubernetes_mounts_it(folder: Path) -> None:
    """Through its links and without the end of its line. From then on its value is kept out of everything stored."""
    secrets = Secrets({"HOLDFAST_SECRETS_FOLDER": str(folder)})
    assert secrets.resolve("Bearer ${file:shop-token}") == "Bearer from-a-file"
    assert secrets.redact("a from-a-file b") == "a [redacted] b"


@pytest.mark.parametrize("name", ["leads-out", "large", "binary", "a-folder", "a-pipe", "missing"])
def test_only_text_files_in_the_folder_are_read(folder: Path, name: str) -> None:
    """Every refusal uses the same words: plans must not find out what is there."""
    words = refusal(Secrets({"HOLDFAST_SECRETS_FOLDER": str(folder)}), f"${{file:{name}}}")
    assert words.replace(name, "x") == refusal(Secrets({}), "${file:nothing}").replace("nothing", "x")
    assert "0utside" not in words


@pytest.mark.parametrize("text", ["${file:../outside}", "${file:/etc/passwd}", "${file:..data}", "${file:a/b}"])
def test_a_path_in_place_of_a_file_name_is_not_followed(folder: Path, text: str) -> None:
    """It is not a reference at all, and stays as it is."""
    assert Secrets({"HOLDFAST_SECRETS_FOLDER": str(folder)}).resolve(text) == text


def test_a_traceback_in_the_log_has_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors of libraries quote the input that they failed at."""
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    secrets = Secrets({})
    try:
        with kept_out_of_logs(secrets):
            secrets.learn("t0ken-of-a-login")
            try:
                raise ValueError("cannot send Bearer t0ken-of-a-login")  # noqa: TRY301
            except ValueError:
                logging.getLogger("holdfast").exception("failed with %s", "t0ken-of-a-login")
    finally:
        logging.getLogger().removeHandler(handler)
    printed = capsys.readouterr().err
    assert "cannot send Bearer [redacted]" in printed
    assert "t0ken" not in printed


SECRET = "p4th/s3cret &=ü+x"  # noqa: S105 - the point of the test


@pytest.mark.parametrize(
    "spelling",
    [
        "p4th/s3cret &=ü+x",
        "p4th%2Fs3cret%20%26%3D%C3%BC%2Bx",
        "p4th%2fs3cret%20%26%3d%c3%bc%2bx",
        "p4th%2Fs3cret%20&=%C3%BC+x",
        "p4th/s3cret%20&=%C3%BC+x",
        "p4th%252Fs3cret%2520%2526%253D%25C3%25BC%252Bx",
        "cDR0aC9zM2NyZXQgJj3DvCt4",
        "703474682f73336372657420263dc3bc2b78",
    ],
)
def test_a_path_is_kept_without_its_secret_and_restored_exactly(spelling: str) -> None:
    """Byte for byte, because a rule acts on nothing else."""
    secrets = Secrets({"HOLDFAST_SECRET_P": SECRET})
    secrets.know("${env:HOLDFAST_SECRET_P}")
    path = f"/a%20b/${{env:HOME}}/{spelling}/x"
    kept = secrets.kept_path(path)
    assert spelling not in kept
    assert "HOLDFAST_SECRET_P" in kept
    assert secrets.path_on_the_wire(kept) == path


def test_a_path_with_a_login_token_makes_no_rule() -> None:
    """The token has no name by which it could be put back, and an odd spelling would reveal something of the value."""
    secrets = Secrets({"HOLDFAST_SECRET_P": SECRET})
    secrets.know("${env:HOLDFAST_SECRET_P}")
    secrets.learn("t0ken-of-a-login")
    for path in ("/x/t0ken-of-a-login", "/x/%704th/s3cret &=ü+x"):
        kept = secrets.kept_path(path)
        assert kept == f"/x/{HIDDEN}"
        with pytest.raises(HoldfastError) as raised:
            secrets.path_on_the_wire(kept)
        assert raised.value.code is ErrorCode.RULES_REJECTED


def test_a_recorded_path_cannot_ask_for_a_secret() -> None:
    """Text in a recorded path that looks like a reference is part of the path."""
    secrets = Secrets({"HOLDFAST_SECRET_P": SECRET})
    for path in ("/x/${env:HOLDFAST_SECRET_P}", "/x/${hidden}", "/x/${literal}y"):
        assert secrets.path_on_the_wire(secrets.kept_path(path)) == path


def test_a_variable_that_is_also_a_token_keeps_its_name_when_tokens_are_forgotten() -> None:
    secrets = Secrets({"HOLDFAST_SECRET_P": "s3cret-of-both"})
    secrets.know("${env:HOLDFAST_SECRET_P}")
    secrets.learn("s3cret-of-both")
    for number in range(_MOST_LEARNED):
        secrets.learn(f"t0ken-{number}")
    assert "HOLDFAST_SECRET_P" in secrets.kept_path("/x/s3cret-of-both")
    assert "s3cret-of-both" not in secrets.redact("it says s3cret-of-both")


class Named(NamedTuple):
    name: str
    detail: str


def test_sentences_are_redacted_in_every_kind_of_tuple() -> None:
    secrets = Secrets({"HOLDFAST_SECRET_P": "s3cret"})
    secrets.know("${env:HOLDFAST_SECRET_P}")
    cleaned = without_secrets([Named("s3cret", "it is s3cret"), ("s3cret", "it is s3cret")], secrets)
    assert [tuple(row) for row in cleaned] == [("s3cret", "it is [redacted]")] * 2
    assert isinstance(cleaned[0], Named)
