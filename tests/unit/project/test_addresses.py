"""Addresses come from the plan and the settings: no code of the product names a host to call."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FOLDERS = ["activities", "cli", "clients", "domain", "operations", "reports", "workflows"]
SOURCES = [
    ROOT / "starter.py",
    ROOT / "worker.py",
    *(path for name in FOLDERS for path in sorted((ROOT / name).rglob("*.py"))),
]

HOST = re.compile(r"https?://[\w.-]|\blocalhost\b|\b\d{1,3}(\.\d{1,3}){3}\b|::1|\b[\w-]+\.(internal|example|local)\b")

THIS_MACHINE = {"127.0.0.1", "localhost", "::1"}
"""Hosts that a plan may reach by default. Nothing is called just because of this."""

NOT_CALLED = {
    "clients/temporal/connection.py": {"127.0.0.1:7233"},  # The default of a setting.
    "cli/plan_template.py": {"http://127.0.0.1:1"},  # A placeholder that is validated but never written.
    "clients/telemetry/trace_settings.py": {"http://localhost:4318"},  # OpenTelemetry's own default.
    "operations/web_ui.py": {"https://cloud.temporal.io"},  # A page for people.
    "reports/forms/as_json.py": {
        "https://holdfast.invalid/report.schema.json",
        "https://json-schema.org/draft/2020-12/schema",
    },
    "domain/addresses.py": {"localhost.localdomain", "ip6-localhost"},  # Other names of this machine.
    "domain/plans/lenient.py": {"http://unreadable.invalid"},  # Replaces an address that a damaged plan lacks.
    "domain/plans/schema.py": {
        "https://holdfast.invalid/plan.schema.json",
        "https://json-schema.org/draft/2020-12/schema",
    },  # Names of schemas.
}
"""Literals that contain a host but are never called, by file."""


def literals(path: Path) -> list[str]:
    """Return the texts in the code of a file, without docstrings and without sentences for people."""
    tree = ast.parse(path.read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [str(literal.value) for literal in texts if id(literal) not in prose and " " not in str(literal.value)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_host_is_written_in_the_code(path: Path) -> None:
    """Apart from the listed literals, which nothing calls."""
    allowed = THIS_MACHINE | NOT_CALLED.get(str(path.relative_to(ROOT)), set())
    assert {text for text in literals(path) if HOST.search(text)} <= allowed


def test_a_host_in_the_code_is_found(tmp_path: Path) -> None:
    """The check itself can fail."""
    path = tmp_path / "x.py"
    path.write_text('"""See http://a."""\nA = f"http://scheduler:8103/{B}"\nC = "see http://a"\nD = "10.0.0.1:80"\n')
    assert {text for text in literals(path) if HOST.search(text)} == {"http://scheduler:8103/", "10.0.0.1:80"}
