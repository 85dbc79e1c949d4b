"""How a cluster is found and logged in to, and the errors when that fails, against a stand-in for its API."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import certifi
import pytest
from kubernetes.aio.config import incluster_config

from clients.kubernetes.connection import Cluster
from clients.kubernetes.workloads import Workloads
from domain.errors import ErrorCode, HoldfastError
from tests.support.clients.cluster import TOKEN, StandIn


async def test_a_cluster_with_nobody_listening_is_unreachable(tmp_path: Path) -> None:
    api = StandIn()
    api.url = "http://127.0.0.1:9"
    cluster = Cluster({"KUBECONFIG": str(api.kubeconfig(tmp_path))})
    with pytest.raises(HoldfastError) as raised:
        await Workloads(cluster, "shop").names()
    await cluster.aclose()
    assert raised.value.code is ErrorCode.PEER_UNREACHABLE
    assert "127.0.0.1:9" in str(raised.value)


@pytest.mark.parametrize(
    ("scheme", "said"), [("https:", "is not trusted"), ("nothing:", "the cluster's address is not valid")]
)
async def test_an_unusable_address_is_not_tried_again(api: StandIn, tmp_path: Path, scheme: str, said: str) -> None:
    """A failed TLS handshake, or a missing address, does not mend itself."""
    api.url = api.url.replace("http:", scheme)
    cluster = Cluster({"KUBECONFIG": str(api.kubeconfig(tmp_path))})
    with pytest.raises(HoldfastError) as raised:
        await Workloads(cluster, "shop").names()
    await cluster.aclose()
    assert raised.value.code is ErrorCode.PEER_REJECTED
    assert said in str(raised.value)


async def test_an_expired_token_is_renewed(api: StandIn, tmp_path: Path) -> None:
    """Login programs issue tokens that live for minutes; a worker lives for weeks."""
    file = tmp_path / "token"
    file.write_text("old")
    code = (
        "import json, pathlib; print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': "
        f"'ExecCredential', 'status': {{'token': pathlib.Path({str(file)!r}).read_text()}}}}))"
    )
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": ["-c", code]}
    cluster = Cluster({"KUBECONFIG": str(api.kubeconfig(tmp_path, exec=login))})
    api.roll_out("cart")
    api.tokens = {"old"}
    await Workloads(cluster, "shop").names()
    file.write_text("new")
    api.tokens = {"new"}
    assert await Workloads(cluster, "shop").names() == ["cart"]
    await cluster.aclose()
    assert [token for _, token in api.seen] == ["old", "old", "new"]


async def test_opening_the_connection_counts_towards_the_time_of_a_call(api: StandIn, cluster: Cluster) -> None:
    """A login program may ask somebody who is not there, and the library itself would wait for ever."""
    async with cluster._opening:
        with pytest.raises(HoldfastError) as raised:
            await Workloads(cluster, "shop").look("cart", within=0.05)
    assert raised.value.code is ErrorCode.PEER_TIMEOUT
    assert not api.seen


async def failing(environ: dict[str, str]) -> str:
    """Return the worker's error when its settings are unusable."""
    cluster = Cluster(environ)
    with pytest.raises(HoldfastError) as raised:
        await Workloads(cluster, "shop").names()
    await cluster.aclose()
    assert raised.value.code is ErrorCode.VALIDATION_ERROR
    assert raised.value.__cause__ is None
    return str(raised.value)


async def test_the_error_without_any_cluster_names_where_it_looked(tmp_path: Path) -> None:
    message = await failing({"HOME": str(tmp_path)})
    assert f"{tmp_path}/.kube/config" in message
    assert "set KUBECONFIG" in message
    assert "nowhere.yaml" in await failing({"KUBECONFIG": f"{tmp_path}/nowhere.yaml", "HOME": str(tmp_path)})


async def test_a_named_kubeconfig_takes_precedence_over_the_pods_own_account(api: StandIn, tmp_path: Path) -> None:
    """Setting it means a different cluster than the one that the worker happens to run in."""
    api.roll_out("cart")
    environ = {"KUBECONFIG": f"/nowhere:{api.kubeconfig(tmp_path)}", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    cluster = Cluster(environ)
    assert await Workloads(cluster, "shop").names() == ["cart"]
    await cluster.aclose()


async def test_the_users_own_kubeconfig_is_the_last_resort(api: StandIn, tmp_path: Path) -> None:
    api.roll_out("cart")
    (tmp_path / ".kube").mkdir()
    api.kubeconfig(tmp_path).rename(tmp_path / ".kube" / "config")
    cluster = Cluster({"HOME": str(tmp_path)})
    assert await Workloads(cluster, "shop").names() == ["cart"]
    await cluster.aclose()


async def test_a_worker_in_a_pod_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address comes from the environment, token and authority from mounted files.

    Without the files, the error mentions the service account.
    """
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443", "HOME": str(tmp_path)}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert "service account" in await failing(environ)
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", certifi.where())
    cluster = Cluster(environ)
    await cluster._imported()
    apis = await cluster._connected()
    await cluster.aclose()
    assert apis.client.configuration.host == "https://10.0.0.1:443"
    assert apis.client.configuration.api_key["BearerToken"].endswith(TOKEN)


@pytest.mark.parametrize(
    "broken",
    [
        {"users": [{"name": "worker", "token": TOKEN}]},
        {"contexts": [{"name": "here", "context": {"cluster": TOKEN, "user": "worker"}}]},
        {"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1", "certificate-authority-data": "!"}}]},
        f"{{token: {TOKEN}, [",
        "",
    ],
)
async def test_a_broken_kubeconfig_is_not_quoted(
    api: StandIn, tmp_path: Path, broken: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The library identifies a place in the file by its content, and messages stay in the history for ever."""
    path = api.kubeconfig(tmp_path)
    if isinstance(broken, str):
        path.write_text(broken)
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | broken))
    message = await failing({"KUBECONFIG": str(path)})
    assert str(path) in message
    assert TOKEN not in message + caplog.text


async def test_the_output_of_a_login_program_is_not_logged(
    api: StandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may quote the secrets that it was given."""
    code = f"import sys; sys.exit({TOKEN!r})"
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": ["-c", code]}
    cluster = Cluster({"KUBECONFIG": str(api.kubeconfig(tmp_path, exec=login))})
    with pytest.raises(HoldfastError) as raised:
        await Workloads(cluster, "shop").names()
    await cluster.aclose()
    assert raised.value.code is ErrorCode.PEER_REJECTED
    assert TOKEN not in str(raised.value) + caplog.text
