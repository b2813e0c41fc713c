"""A sweep commanded by the Python client and by rigctl, on a whole simulated rig on the real clock."""

from __future__ import annotations

import asyncio
import json

import pytest

from drivers.clock import SystemClock
from rigd.app import open_rig, warm_up
from rigd.client import ActionFailed, CommandRefused, connect
from rigd.ctl.parser import make_parser
from rigd.ctl.sweeping import sweep
from rigd.serving import reachable
from tests.rigs import SMALL, small_rig

LIMIT_S = 120.0
LARGE = ("camera.width=640", "camera.height=480", "camera.pixel_pitch_um=9.8", "settle.fixed_s=0.01")


def swept(folder, body):
    """Open the rig, let `body` command it through a client and over its socket."""
    socket = folder / "s"
    config = small_rig(folder, f"remote.socket={socket}", *LARGE, text=SMALL)
    warm_up()

    async def main():
        clock = SystemClock()
        opened, limit = open_rig(config, clock), asyncio.timeout(LIMIT_S)
        async with limit, opened as rig, reachable(rig, clock), connect(f"unix:{socket}") as client:
            await body(client, f"unix:{socket}")

    asyncio.run(main())


def test_a_sweep_finds_the_subject_and_tells_its_progress(tmp_path, capsys):
    async def body(rig, url):
        with pytest.raises(CommandRefused, match="home known"):
            await rig.sweep(4000, 7000, 100)
        await rig.home()
        heard = []
        found = await rig.sweep(4000, 7000, 250, on_progress=heard.append)
        assert found.near_um == pytest.approx(5000, abs=250)
        assert found.far_um == pytest.approx(6100, abs=250)
        assert len(found.positions_um) == 13
        pictures = [one.picture for one in heard]
        assert pictures == sorted(set(pictures))
        assert set(pictures) <= set(range(1, 14))
        assert len(pictures) > 6, "states that come one after the other are heard"
        assert rig.settings_now.near_um == 5000, "as the config says"
        where = ["--url", url, "--json", "sweep", "--from", "4mm", "--to", "7mm", "--step", "250um"]
        assert await sweep(make_parser().parse_args(where)) == 0
        assert json.loads(capsys.readouterr().out)["far_um"] == pytest.approx(6100, abs=250)

    swept(tmp_path, body)


def test_a_sweep_that_is_stopped_says_so_and_one_that_is_dropped_stops(tmp_path):
    async def body(rig, _url):
        await rig.home()
        begun = asyncio.Event()
        sweeping = asyncio.create_task(rig.sweep(4000, 7000, 10, on_progress=lambda _: begun.set()))
        await begun.wait()
        await rig.stop()
        with pytest.raises(ActionFailed) as failed:
            await sweeping
        assert failed.value.code == "interrupted"
        begun.clear()
        sweeping = asyncio.create_task(rig.sweep(4000, 7000, 10, on_progress=lambda _: begun.set()))
        await begun.wait()
        sweeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sweeping
        await rig.goto(4500)
        assert rig.state.mode in {"idle", "moving"}

    swept(tmp_path, body)
