"""A private nginx: one worker, with its own port, configuration and folder. It is ended by its process id."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MISSING = "apt-get install -y --no-install-recommends nginx-light wrk"
"""Command that installs nginx and wrk on Debian."""

_CONFIGURATION = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200 "{body}"; }} }}
}}
"""
_BODY = "a small answer, as of a service that has little to say. " * 4
_PATIENCE = 10.0


def program_path(program: str) -> str | None:
    """Return the path of a program. Debian installs nginx in a folder that only root has in its path."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


@contextmanager
def nginx() -> Iterator[str]:
    """Run nginx, and yield its address when it answers."""
    program = program_path("nginx")
    assert program is not None, f"no nginx here: {MISSING}"
    with tempfile.TemporaryDirectory(prefix="holdfast-nginx-") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, body=_BODY))
        running = subprocess.Popen([program, "-p", folder, "-c", str(configuration)])  # noqa: S603
        try:
            _wait_until_answering(port, running)
            yield f"http://127.0.0.1:{port}/answer"
        finally:
            running.terminate()
            running.wait()


def _wait_until_answering(port: int, running: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if running.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
