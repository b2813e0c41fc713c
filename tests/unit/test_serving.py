"""A rig with its ways in: what is there without a broker, and what a wrong one does."""

from __future__ import annotations

import asyncio

import pytest

from drivers.clock import SystemClock
from rigd.app import open_rig
from rigd.local import SocketError
from rigd.serving import Reach, reachable
from tests.rigs import small_rig


def reached(config) -> Reach:
    async def main() -> Reach:
        clock = SystemClock()
        async with open_rig(config, clock) as rig, reachable(rig, clock) as reach:
            return reach

    return asyncio.run(main())


@pytest.fixture(autouse=True)
def nobody_elses_folder(monkeypatch):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


def test_a_socket_path_nobody_chose_may_be_too_long(tmp_path, caplog):
    deep = tmp_path / ("deep" * 20) / ("deeper" * 10)
    assert reached(small_rig(tmp_path, f"service.state={deep}")).socket is None
    assert "no socket for rigctl" in caplog.text


def test_one_that_was_chosen_may_not(tmp_path):
    deep = tmp_path / ("deep" * 30) / "rig.sock"
    with pytest.raises(SocketError, match="107 bytes"):
        reached(small_rig(tmp_path, f"remote.socket={deep}"))


def test_a_rig_that_does_not_want_a_socket_has_none(tmp_path):
    config = small_rig(tmp_path, "remote.local=false")
    assert reached(config).socket is None
    assert not list((tmp_path / "state").glob("*.sock"))


def test_everything_retained_is_said_before_anybody_listens(tmp_path):
    reach = reached(small_rig(tmp_path, f"remote.socket={tmp_path / 's'}"))
    assert {"birth", "info", "settings", "state"} <= set(reach.switchboard.retained)
