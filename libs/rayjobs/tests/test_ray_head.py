"""The head's command line and environment. That a head starts, runs jobs and stops is tried by the trainer's tests."""

import stat
from pathlib import Path

import pytest

from kyara_rayjobs.head import HeadPorts, head_command, head_is_ready, ray_environment

PORTS = HeadPorts(head=1, dashboard=2, client=3, agent=4)


def test_a_folder_too_long_for_ray_s_sockets_is_refused() -> None:
    head_command(PORTS, Path("/tmp/short"), 2)
    with pytest.raises(ValueError, match="longer than 40 characters"):
        head_command(PORTS, Path("/tmp") / ("x" * 40), 2)


def test_every_port_is_given_so_that_two_heads_can_share_a_machine() -> None:
    given = " ".join(head_command(PORTS, Path("/tmp/short"), 2))
    for port in ("--port=1", "--dashboard-port=2", "--ray-client-server-port=3", "--dashboard-agent-listen-port=4"):
        assert port in given


def test_the_token_is_written_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    token = tmp_path / "token"
    environment = ray_environment(token)
    first = token.read_text()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(first) == 64
    assert ray_environment(token) == environment
    assert token.read_text() == first


def test_threads_of_runs_side_by_side_do_not_wait_busily_unless_somebody_wants_them_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert ray_environment(tmp_path / "token")["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert ray_environment(tmp_path / "token")["OMP_WAIT_POLICY"] == "ACTIVE"


def test_a_head_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    assert not head_is_ready("http://127.0.0.1:1", "http://127.0.0.1:1", ray_environment(tmp_path / "token"))
