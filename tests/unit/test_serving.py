"""A rig with its ways in: what is there without a broker, and what a wrong one does."""

from __future__ import annotations

import asyncio
import json

import pytest

from drivers.clock import SystemClock
from rigd.app import open_rig
from rigd.daemon import live
from rigd.local import SocketError
from rigd.remote.bus import Incoming
from rigd.serving import Reach, kept_in, reachable
from rigd.sole import AnotherDaemon, only_one
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
    with pytest.raises(SocketError, match="107 bytes") as wrong:
        reached(small_rig(tmp_path, f"remote.socket={deep}"))
    assert "Errno" not in str(wrong.value)


def test_a_rig_that_does_not_want_a_socket_has_none(tmp_path):
    config = small_rig(tmp_path, "remote.local=false")
    assert reached(config).socket is None
    assert not list((tmp_path / "state").glob("*.sock"))


def test_everything_retained_is_said_before_anybody_listens(tmp_path):
    reach = reached(small_rig(tmp_path, f"remote.socket={tmp_path / 's'}"))
    assert {"birth", "info", "settings", "state"} <= set(reach.switchboard.retained)


def test_rigs_that_are_started_in_the_same_place_share_nothing(tmp_path):
    one, two = (small_rig(tmp_path, f"rig.id={name}", "remote.local=false") for name in ("one", "two"))

    async def main() -> list[str]:
        clock = SystemClock()
        async with open_rig(one, clock) as rig, reachable(rig, clock) as reach:
            reach.desk.take(Incoming("set/step_um", b"77", "test", lambda _: None))
        async with open_rig(two, clock) as rig, reachable(rig, clock) as reach:
            return list(json.loads(reach.switchboard.retained["settings"].payload)["changed"])

    assert asyncio.run(main()) == []
    assert (kept_in(one) / "settings.jsonl").exists()


def test_a_second_daemon_touches_nothing(tmp_path, monkeypatch):
    config = small_rig(tmp_path, "remote.local=false")
    monkeypatch.setattr("rigd.daemon.open_rig", lambda *_, **__: pytest.fail("its parts were opened"))
    with only_one(kept_in(config)), pytest.raises(AnotherDaemon, match="serves this rig already"):
        asyncio.run(live(config))
    with only_one(kept_in(config)):
        pass  # and it was let go of
