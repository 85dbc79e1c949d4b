"""The ports of a Temporal server, as /proc shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.temporal.listening_ports import ports_of_servers_at

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def line(port: int, state: str, inode: int) -> str:
    return (
        f"   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1 0 100\n"
    )


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two servers and another program, each with sockets."""
    (tmp_path / "net").mkdir()
    sockets = [(7233, "0A", 1), (8233, "0A", 2), (40000, "01", 3), (7244, "0A", 4), (9000, "0A", 5)]
    (tmp_path / "net" / "tcp").write_text(HEAD + "".join(line(*socket) for socket in sockets))
    for pid, name, inodes in ((10, "temporal", (1, 2, 3)), (11, "temporal-server", (4,)), (12, "ssh", (5,))):
        (tmp_path / str(pid) / "fd").mkdir(parents=True)
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
        for inode in inodes:
            (tmp_path / str(pid) / "fd" / str(inode)).symlink_to(f"socket:[{inode}]")
    monkeypatch.setattr("clients.temporal.listening_ports._PROCESSES", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("ports", "found"),
    [({7233}, {7233, 8233}), ({8233, 7244}, {7233, 8233, 7244}), ({9000}, set()), ({40000}, set()), (set(), set())],
)
@pytest.mark.usefixtures("processes")
def test_all_ports_of_the_servers_at_these_ports_are_found(ports: set[int], found: set[int]) -> None:
    """Only listening ones, and none of other programs."""
    assert ports_of_servers_at(ports) == found


def test_a_file_that_a_server_closes_meanwhile_hides_no_port(processes: Path) -> None:
    (processes / "10" / "fd" / "0").touch()  # No link can be read there, as of a file that is gone by then.
    assert ports_of_servers_at({7233}) == {7233, 8233}
