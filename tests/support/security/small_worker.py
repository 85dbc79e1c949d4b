"""The real worker in a process that cannot have much more memory than it begins with."""

from __future__ import annotations

import resource
import sys

import worker
from operations.processes.worker_process import finished, serve

ADDRESS_SPACE = 4 << 30
"""Bytes. Temporal's core maps much that it never touches: an idle worker has 1 to 2 GB of it."""

DATA = 1 << 30
"""Bytes of memory that is really its own."""


def main() -> int:
    """Serve until asked to end."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_DATA, (DATA, DATA))
    return finished(serve(worker.EVERYTHING))


if __name__ == "__main__":
    sys.exit(main())
