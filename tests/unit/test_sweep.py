"""Sweeps: where tiles are sharpest, and what comes of it on the simulated rig, whose truth is known."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from drivers.clock import VirtualClock
from rigd.app import Refused, open_rig
from rigd.cli.exits import Exit
from rigd.cli.parser import run_command_line
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.sweep import NothingSharp, Range, energies_of, find_ends, sweep
from rigd.virtualtime import run
from tests.rigs import SMALL, small_rig

SHAPE = (20, 30)


def curves(tops_um, positions_um, *, noise=0.02, width_um=80.0, seed=1):
    """Tile energies of a surface whose tiles are sharpest at `tops_um`, NaN for those without detail."""
    rng = np.random.default_rng(seed)
    found = []
    for place_um in positions_um:
        sharp = np.exp(-0.5 * ((place_um - tops_um) / width_um) ** 2)
        energy = 100 + 20_000 * np.nan_to_num(sharp)
        found.append((energy * (1 + noise * rng.normal(size=energy.shape))).astype(np.float32))
    return found


def slope(low_um, high_um):
    return np.linspace(low_um, high_um, SHAPE[1])[np.newaxis, :] * np.ones((SHAPE[0], 1))


def test_the_ends_of_a_slope():
    places = [float(one) for one in range(0, 4001, 100)]
    found = find_ends(places, curves(slope(1234.0, 2771.0), places))
    assert found.near_um == pytest.approx(1234, abs=20)
    assert found.far_um == pytest.approx(2771, abs=20)
    assert (found.open_near, found.open_far) == (False, False)
    assert found.tiles == 600
    assert 1234 < found.best_um < 2771


def test_most_of_the_picture_decides_about_the_best_focus():
    tops = slope(2000.0, 2000.0)
    tops[:3] = 1000.0
    places = [float(one) for one in range(0, 4001, 100)]
    found = find_ends(places, curves(tops, places))
    assert found.best_um == pytest.approx(2000, abs=10)
    assert found.near_um == pytest.approx(1000, abs=20)


def test_one_tile_alone_is_no_end():
    tops = slope(1500.0, 2500.0)
    tops[5, 5] = 400.0
    tops[15, 20] = 3600.0
    places = [float(one) for one in range(0, 4001, 100)]
    found = find_ends(places, curves(tops, places))
    assert found.near_um == pytest.approx(1500, abs=20)
    assert found.far_um == pytest.approx(2500, abs=20)


def test_a_subject_that_goes_on_is_said_to():
    places = [float(one) for one in range(0, 4001, 100)]
    found = find_ends(places, curves(slope(-800.0, 2500.0), places))
    assert (found.open_near, found.open_far) == (True, False)
    found = find_ends(places, curves(slope(800.0, 4500.0), places))
    assert (found.open_near, found.open_far) == (False, True)


def test_tiles_without_detail_say_nothing():
    tops = slope(1500.0, 2500.0)
    tops[:10] = np.nan
    places = [float(one) for one in range(0, 4001, 100)]
    assert find_ends(places, curves(tops, places)).tiles == 300


@pytest.mark.parametrize("seed", range(4))
def test_noise_has_no_ends(seed):
    places = [float(one) for one in range(0, 2000, 100)]
    rng = np.random.default_rng(seed)
    for energies in (
        [rng.gamma(3, 100, SHAPE).astype(np.float32) for _ in places],
        [np.full(SHAPE, 100, np.float32) for _ in places],
        [rng.normal(500, 20, SHAPE).astype(np.float32) for _ in places],
    ):
        with pytest.raises(NothingSharp, match="put on the light"):
            find_ends(places, energies)


def test_too_few_pictures_and_pictures_out_of_order_are_refused():
    places = [float(one) for one in range(0, 500, 100)]
    energies = curves(slope(100.0, 300.0), places)
    with pytest.raises(ValueError, match="five or more"):
        find_ends(places[:4], energies[:4])
    with pytest.raises(ValueError, match="rising"):
        find_ends(places[::-1], energies)


def test_energies_are_those_of_tiles():
    picture = np.full((480, 640), 100, np.uint8)
    picture[200:220, 300:320] = np.random.default_rng(1).integers(0, 255, (20, 20))
    energies = energies_of(picture)
    assert energies.shape == (48, 64)
    row, column = np.unravel_index(int(energies.argmax()), energies.shape)
    assert (20 <= row < 22, 30 <= column < 32) == (True, True)
    assert energies[0, 0] == 0


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (Range(0, 1000, 0), "above 0"),
        (Range(1000, 1000, 10), "goes up"),
        (Range(0, 1000, float("nan")), "cannot be"),
        (Range(0, 1000, 900), "are possible"),
        (Range(0, 1000, 0.01), "are possible"),
    ],
)
def test_ranges_that_cannot_be(where, words):
    with pytest.raises(ValueError, match=words):
        where.positions_um()


def test_a_range_reaches_both_ends():
    assert Range(100, 400, 90).positions_um() == [100, 175, 250, 325, 400]


# ---------------------------------------------------------------------------------------------------- on the simulator


@pytest.mark.parametrize("scene", ["ring", "insect", "tilt"])
def test_near_and_far_are_found_within_a_step_of_the_truth(tmp_path, scene):
    overrides = [
        f"camera.scene={scene}",
        "camera.width=640",
        "camera.height=480",
        "camera.pixel_pitch_um=9.8",
        "camera.near_um=5000",
        "camera.far_um=8000",
    ]
    config = small_rig(tmp_path, *overrides)
    clock = VirtualClock()

    async def go():
        async with open_rig(config, clock) as rig:
            await rig.home()
            return await sweep(rig, Range(3500, 9500, 200))

    seen = run(go(), clock)
    found = seen.found()
    assert found.near_um == pytest.approx(5000, abs=200)
    assert found.far_um == pytest.approx(8000, abs=200)
    assert 5000 < found.best_um < 8000
    assert len(seen.positions_um) == len(seen.curve()) == 31
    assert max(seen.curve()) == 1
    assert not config.storage.sessions.exists()


def test_a_sweep_can_be_stopped(tmp_path):
    config = small_rig(tmp_path)
    clock = VirtualClock()
    counted = []

    async def stop_the_next_move(rig):
        await rig.controller.reached(Mode.MOVING)
        await rig.command(ev.Stop("the test says so"))

    async def go():
        async with open_rig(config, clock) as rig, asyncio.TaskGroup() as tasks:
            await rig.home()

            def tell(done, _of, _seen):
                counted.append(done)
                if done == 3:
                    tasks.create_task(stop_the_next_move(rig))

            with pytest.raises(Refused, match="stopped on its way to 3300"):
                await sweep(rig, Range(3000, 6000, 100), tell)
            assert rig.state.mode is Mode.IDLE

    run(go(), clock)
    assert counted == [1, 2, 3]


def test_the_command_proposes_and_takes_nothing(tmp_path, capsys):
    path = tmp_path / "rig.yaml"
    path.write_text(SMALL)
    arguments = [
        "sweep",
        "--config",
        str(path),
        "--virtual-time",
        "--from",
        "4mm",
        "--to",
        "7mm",
        "--step",
        "100um",
    ]
    for name, value in (("width", 640), ("height", 480), ("pixel_pitch_um", 9.8)):
        arguments += ["--set", f"camera.{name}={value}"]
    assert run_command_line([*arguments, "--json"]) == Exit.DONE
    found = json.loads(capsys.readouterr().out)
    assert found["found"]["near_um"] == pytest.approx(5000, abs=100)
    assert found["found"]["far_um"] == pytest.approx(6100, abs=100)
    assert len(found["positions_um"]) == len(found["focus"]) == 31
    assert run_command_line(arguments) == Exit.DONE
    said = capsys.readouterr().out
    assert "a proposal, which nothing takes over" in said
    assert "--set plan.near_um=" in said
    assert path.read_text() == SMALL


def test_ways_outside_the_limits_are_refused(tmp_path, capsys):
    path = tmp_path / "rig.yaml"
    path.write_text(SMALL)
    base = ["sweep", "--config", str(path), "--virtual-time"]
    assert run_command_line([*base, "--to", "21mm"]) == Exit.USAGE
    assert run_command_line([*base, "--from", "7mm", "--to", "6mm"]) == Exit.USAGE
    assert run_command_line([*base, "--from", "7mm", "--to", "8mm", "--step", "900"]) == Exit.USAGE
    assert "within the limits" in capsys.readouterr().err
