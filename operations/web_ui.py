"""A run's page in Temporal's Web UI."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

from temporalio.client import Client

from clients.temporal.embedded_settings import DevServerSettings
from domain.errors import HoldfastError
from operations.runs.follow import Run


def web_ui_page(client: Client, run: Run, ui: str = "") -> str:
    """Return the run's page in the Web UI. Empty: it is unknown.

    The server's address does not always reveal it.
    """
    address = client.service_client.config.target_host
    if not ui:
        ui = _web_ui_of(address)
    page = f"/namespaces/{client.namespace}/workflows/{quote(run.id, safe='')}/{run.run_id}"
    return ui + page if ui else ""


def _web_ui_of(address: str) -> str:
    if ".tmprl.cloud" in address or ".temporal.io" in address:
        return "https://cloud.temporal.io"
    with contextlib.suppress(HoldfastError):
        embedded = DevServerSettings.load()
        if address == f"{embedded.ip}:{embedded.port}":
            return f"http://{embedded.ip}:{embedded.ui_port}"
    return ""
