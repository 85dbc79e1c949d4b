"""The real worker in a process that cannot get much more memory than it begins with."""

from __future__ import annotations

import resource
import sys

import worker
from operations.processes.worker_process import run_to_exit_code, serve

ADDRESS_SPACE = 4 << 30
"""Bytes. Temporal's core maps much that it never touches: 1 to 2 GB in an idle worker."""

DATA = 1 << 30
"""Bytes of memory that really belong to the process."""


def main() -> int:
    """Serve until asked to end."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_DATA, (DATA, DATA))
    return run_to_exit_code(serve(worker.EVERYTHING))


if __name__ == "__main__":
    sys.exit(main())
