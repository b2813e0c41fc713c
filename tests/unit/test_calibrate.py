"""`rigd calibrate` on simulated rigs, whose truth is known: ring-downs, backlash, home, steps, pupil, and the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigd.calibration.records import (
    Backlash,
    HomingRepeat,
    PupilDistance,
    RingDown,
    StepScale,
    calibration_path,
    load,
)
from rigd.calibration.settle import lengths
from rigd.calibration.stand import Stand, Still
from rigd.cli.exits import Exit
from rigd.cli.parser import run_command_line
from rigd.config import load as load_config

RIG = """
rig: {id: small, seed: 3}
rail: {driver: sim, travel_um: 20000, start_um: 2500, backlash_um: 200, ring_hz: 15, ring_damping: 0.03}
camera:
  driver: sim
  scene: tilt
  width: 480
  height: 360
  burst_width: 160
  near_um: 5000
  far_um: 9000
  f_number: 4
  pixel_pitch_um: 13
  threads: 1
limits: {max_um: 20000}
plan: {near_um: 5000, far_um: 9000, step_um: 100}
settle: {fixed_s: 0.2}
preview: {threads: 1}
finish: {enabled: false}
"""


class Bench:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = folder / "rig.yaml"
        self.path.write_text(RIG)
        self._capsys = capsys
        self._sets = [f"storage.sessions={folder / 'sessions'}", f"service.state={folder / 'state'}"]

    def run(
        self, what: str, *arguments: str, sets: tuple[str, ...] = (), virtual: bool = True
    ) -> tuple[int, dict[str, Any]]:
        overrides = [part for one in (*self._sets, *sets) for part in ("--set", one)]
        command = ["calibrate", what, "--config", str(self.path), *overrides, "--json", *arguments]
        self._capsys.readouterr()
        code = run_command_line([*command, *(["--virtual-time"] if virtual else [])])
        out = self._capsys.readouterr().out
        return code, json.loads(out)

    @property
    def kept(self):
        return load(calibration_path(load_config(self.path, self._sets)))

    @property
    def folder(self) -> Path:
        return calibration_path(load_config(self.path, self._sets)).parent


@pytest.fixture
def bench(tmp_path, capsys):
    return Bench(tmp_path, capsys)


# ------------------------------------------------------------------------------------------------------------------ settle


@pytest.mark.parametrize("frequency", [9.0, 15.0])
def test_ringing_is_measured_from_camera_frames(bench, frequency: float) -> None:
    code, said = bench.run("settle", sets=(f"rail.ring_hz={frequency}",))
    assert code == Exit.DONE
    assert said["ok"]
    record = bench.kept.ring_down()
    assert isinstance(record, RingDown)
    assert record.frequency_hz == pytest.approx(frequency, abs=0.02)
    assert record.damping == pytest.approx(0.03, abs=0.0006)
    assert record.frequency_hz == pytest.approx(frequency, abs=5 * record.frequency_error_hz)
    assert record.damping == pytest.approx(0.03, abs=3 * record.damping_error)
    assert record.shaping == "trapezoid"
    assert record.source == "camera"
    assert [one.move_um for one in record.amplitudes] == [100, 200, 500, 2000]


def test_amplitudes_are_those_of_the_rig(bench) -> None:
    """Against the oscillator itself: its envelope at the end of the same trapezoid."""
    from drivers.base import Shaping
    from rigd.vibration.amplitude import Drive, ringing_um

    bench.run("settle", "--moves", "50,400", "--repeats", "2")
    record = bench.kept.ring_down()
    for one in record.amplitudes:
        along = ringing_um(15.0, 0.03, Shaping("trapezoid"), Drive(10_000, 200_000), one.move_um)
        assert one.amplitude_um == pytest.approx(0.3 * along, abs=4 * one.error_um)
        assert one.error_um < 0.05 * one.amplitude_um


def test_shaping_is_measured_beside_it(bench) -> None:
    bench.run("settle", "--moves", "100,500", "--repeats", "2", sets=("motion.shaping=zvd",))
    plain, shaped = bench.kept.ring_down(shaping="trapezoid"), bench.kept.ring_down(shaping="zvd")
    assert plain is not None
    assert shaped is not None
    assert shaped.shaping_hz == pytest.approx(15, abs=0.02)
    for before, after in zip(plain.amplitudes, shaped.amplitudes, strict=True):
        assert after.amplitude_um < 0.02 * before.amplitude_um + 3 * after.error_um
    assert bench.kept.ring_down() == plain


@pytest.mark.parametrize("rates", ["[40]", "[120, 40]"])
def test_a_mode_near_the_rate_is_resolved_by_repeated_moves(bench, rates: str) -> None:
    """38 Hz shows as 2 Hz in 40 pictures a second."""
    code, _ = bench.run(
        "settle", sets=("rail.ring_hz=38", f"camera.burst_rates_hz={rates}", "rail.ring_coupling=1")
    )
    assert code == Exit.DONE
    assert bench.kept.ring_down().frequency_hz == pytest.approx(38, abs=0.2)


@pytest.mark.parametrize("frequency", [79, 99, 120])
def test_a_mode_far_above_the_rate_is_refused_or_found(bench, frequency: int) -> None:
    """Seen 40 times a second it looks like 1, 19 or 0 Hz."""
    sets = (f"rail.ring_hz={frequency}", "camera.burst_rates_hz=[40]", "rail.ring_coupling=3")
    code, said = bench.run("settle", "--moves", "30,100", sets=sets)
    if code == Exit.REFUSED:
        assert not said["ok"]
        assert bench.kept.ring_down() is None
    else:
        assert bench.kept.ring_down().frequency_hz == pytest.approx(frequency, abs=1)


def test_a_rig_that_hardly_rings_says_so(bench) -> None:
    code, said = bench.run(
        "settle", "--moves", "100", sets=("rail.acceleration_um_per_s2=300", "rail.homing_speed_um_per_s=500")
    )
    assert code == Exit.REFUSED
    assert "nothing rings" in said["error"]


def test_a_camera_without_bursts_is_refused_and_told_what_can_stand_in(bench) -> None:
    code, said = bench.run("settle", sets=("camera.burst_rates_hz=[]",))
    assert code == Exit.REFUSED
    assert "--accelerometer" in said["error"]
    assert "--stills" in said["error"]


@pytest.mark.parametrize("frequency", [9.0, 15.0, 22.0])
def test_single_pictures_after_equal_moves_make_a_ring_down(bench, frequency: float) -> None:
    """Of a sensor that runs freely at ten pictures a second: 22 Hz would be taken for 2 if the moments were its own."""
    sets = ("camera.burst_rates_hz=[]", f"rail.ring_hz={frequency}", "camera.frame_period_s=0.1")
    code, _ = bench.run("settle", "--stills", "--moves", "50,100", sets=sets)
    assert code == Exit.DONE
    record = bench.kept.ring_down(shaping="trapezoid")
    assert record.frequency_hz == pytest.approx(frequency, abs=0.02)
    assert record.damping == pytest.approx(0.03, abs=0.002)
    assert [one.move_um for one in record.amplitudes] == [50, 100]


def test_single_pictures_of_moments_that_are_not_told_are_no_ring_down(bench, monkeypatch) -> None:
    """A camera whose lag changes by tens of milliseconds from picture to picture."""
    random = np.random.default_rng(1)
    still = Stand.still

    async def late(self, not_before_s: float):
        seen = await still(self, not_before_s)
        off_s = float(random.uniform(0, 0.1))
        return Still(seen.start_s - off_s, seen.end_s - off_s, seen.image)

    monkeypatch.setattr(Stand, "still", late)
    code, _ = bench.run("settle", "--stills", "--moves", "100", sets=("camera.burst_rates_hz=[]",))
    assert code == Exit.REFUSED
    assert bench.kept.ring_down() is None


def test_where_nothing_is_to_be_seen_another_place_is_asked_for(bench) -> None:
    code, said = bench.run("settle", "--moves", "100", sets=("light.driver=sim", "light.broken=true"))
    assert code == Exit.REFUSED
    assert "--at" in said["error"]


def test_an_unknown_rate_is_refused(bench) -> None:
    code, said = bench.run("settle", "--rates", "50")
    assert code == Exit.REFUSED
    assert "120, 40" in said["error"]


# --------------------------------------------------------------------------------------------------------- the rail itself


def test_backlash_is_measured_by_camera(bench) -> None:
    code, _ = bench.run("backlash")
    assert code == Exit.DONE
    found = bench.kept.backlash
    assert isinstance(found, Backlash)
    assert found.backlash_um == pytest.approx(200, abs=2)
    assert found.backlash_um == pytest.approx(200, abs=4 * found.error_um)
    assert found.error_um < 1
    assert len(found.readings_um) == 3


@pytest.mark.parametrize(
    ("backlash", "more"),
    [(0, ()), (25, ()), (120, ("camera.pupil_to_focus_um=null",)), (120, ("camera.burst_rates_hz=[]",))],
    ids=["none", "small", "telecentric", "stills"],
)
def test_backlash_of_other_rails_and_cameras(bench, backlash: int, more: tuple[str, ...]) -> None:
    code, _ = bench.run("backlash", sets=(f"rail.backlash_um={backlash}", *more))
    assert code == Exit.DONE
    assert bench.kept.backlash.backlash_um == pytest.approx(backlash, abs=2)


def test_a_backlash_that_is_not_the_same_each_time_is_refused(bench) -> None:
    code, said = bench.run(
        "backlash", sets=("rail.faults.lose_steps=40", "rail.faults.lose_steps_at_move=60")
    )
    assert code == Exit.REFUSED
    assert "not the same each time" in said["error"]
    assert bench.kept.backlash is None


def test_a_backlash_larger_than_what_is_looked_for_is_refused(bench) -> None:
    code, said = bench.run("backlash", "--most", "60", sets=("rail.backlash_um=450",))
    assert code == Exit.REFUSED
    assert "--most" in said["error"]


def test_home_is_found_again(bench) -> None:
    code, _ = bench.run("homing", "--homings", "4")
    assert code == Exit.DONE
    found = bench.kept.homing
    assert isinstance(found, HomingRepeat)
    assert found.spread_um < 1
    assert found.homings == len(found.camera_um) == 4
    assert found.camera_um[0] == 0


def test_a_stand_that_grows_shows_in_the_count_and_not_in_the_picture(bench) -> None:
    """The switch moves with the carriage's scale: homing follows it, which is what homing is for."""
    drift = ("rail.thermal_drift_um_per_hour=1800", "rail.thermal_time_constant_s=1e6")
    bench.run("homing", "--homings", "4", sets=drift)
    found = bench.kept.homing
    assert len(found.counted_um) == 4
    assert all(abs(met) > 2 for met in found.counted_um)
    assert found.worst_um < 0.5 * sum(abs(met) for met in found.counted_um)


def test_the_length_of_a_step_is_measured_against_a_known_height(bench) -> None:
    """The tilt's depth runs straight from top to bottom: between two strips it is known, and named 2 % larger here."""
    sets = ("camera.pupil_to_focus_um=null", "camera.burst_width=320")
    true_um = 4000 * 0.6
    regions = ("--from", "0.1,0.7,0.9,0.9", "--to", "0.1,0.1,0.9,0.3")
    code, _ = bench.run("scale", "--known", str(true_um * 1.02), *regions, sets=sets)
    assert code == Exit.DONE
    found = bench.kept.step_scale
    assert isinstance(found, StepScale)
    assert found.factor == pytest.approx(1.02, abs=0.01)
    assert found.factor == pytest.approx(1.02, abs=4 * found.error)


def test_the_length_of_a_step_is_told_by_a_ruler(bench) -> None:
    code, said = bench.run("scale", "--counted", "50000", "--known", "50200", virtual=False)
    assert code == Exit.DONE
    found = bench.kept.step_scale
    assert found.factor == pytest.approx(1.004)
    assert found.error == pytest.approx(0.0028, abs=1e-4)
    assert "as read on a ruler" in Path(said["report"]).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("counted", "known", "words"), [("500", "520", "2828 um or more"), ("50000", "50", "in micrometres")]
)
def test_a_ruler_that_tells_nothing_is_refused(bench, counted: str, known: str, words: str) -> None:
    code, said = bench.run("scale", "--counted", counted, "--known", known, virtual=False)
    assert code == Exit.REFUSED
    assert words in said["error"]
    assert bench.kept.step_scale is None


def test_planes_that_are_not_there_are_refused(bench) -> None:
    code, said = bench.run("scale", "--known", "1000")
    assert code == Exit.REFUSED
    assert "--from" in said["error"]


def test_the_pupil_is_found(bench) -> None:
    code, _ = bench.run("pupil")
    assert code == Exit.DONE
    found = bench.kept.pupil_distance("")
    assert isinstance(found, PupilDistance)
    assert found.pupil_to_focus_um == pytest.approx(100_000, abs=3 * found.error_um)
    assert found.error_um < 6000


def test_a_telecentric_lens_has_none(bench) -> None:
    bench.run("pupil", sets=("camera.pupil_to_focus_um=null",))
    assert bench.kept.pupil_distance("").pupil_to_focus_um is None


# ------------------------------------------------------------------------------------------------------------- all, report


def test_everything_at_once_and_its_report(bench) -> None:
    sets = (
        "optics.magnification=1",
        "optics.f_number=4",
        "optics.sensor_width_mm=6.24",
        "optics.blur_circle_um=20",
    )
    code, said = bench.run("all", sets=(*sets, "motion.shaping=zvd"))
    assert code == Exit.DONE
    assert [one["kind"] for one in said["measured"]] == [
        "RingDown",
        "RingDown",
        "Backlash",
        "HomingRepeat",
        "PupilDistance",
    ]
    page = Path(said["report"]).read_text(encoding="utf-8")
    for words in (
        "Ring-down", "Settle against move length", "Before and after shaping", "Backlash", "Home", "Entrance pupil",
        "Depth of field against aperture",
    ):  # fmt: skip
        assert words in page
    assert page.count("<svg") >= 9
    assert "evidence is not there" not in page
    for one in said["measured"]:
        assert (bench.folder / "calibration" / one["evidence"] / "tracks.npz").is_file()


def test_a_report_of_nothing_and_of_what_has_lost_its_evidence(bench) -> None:
    code, said = _report(bench)
    assert code == Exit.DONE
    assert "Not measured yet" in Path(said["report"]).read_text(encoding="utf-8")
    bench.run("backlash")
    for path in (bench.folder / "calibration").rglob("tracks.npz"):
        path.unlink()
    _, said = _report(bench)
    assert "The evidence is not there any more" in Path(said["report"]).read_text(encoding="utf-8")


def _report(bench: Bench) -> tuple[int, dict[str, Any]]:
    return bench.run("report", virtual=False)


def test_a_damaged_file_is_not_overwritten(bench) -> None:
    bench.folder.mkdir(parents=True)
    (bench.folder / "calibration.json").write_text("{")
    code, said = bench.run("backlash")
    assert code == Exit.CONFIG
    assert "calibrate again" in said["error"]
    assert (bench.folder / "calibration.json").read_text() == "{"


def test_moves_are_whole_microsteps_each_once() -> None:
    class Stand:
        microstep_um = 0.625
        plan = None

    assert lengths(Stand(), 0.5, ()) == (0.625, 1.25, 2.5, 10.0)  # type: ignore[arg-type]
    assert lengths(Stand(), None, (100, 100.1, 7)) == (6.875, 100.0)  # type: ignore[arg-type]


def test_what_is_to_be_stopped_moves_no_more(tmp_path) -> None:
    from rigd.calibration.stand import Stand
    from tests.rigs import small_rig, with_rig

    class StopIt(Exception):
        pass

    def stop() -> None:
        raise StopIt

    async def body(rig, _seen) -> None:
        await rig.home()
        stand = Stand(rig, rig._clock)
        await stand.go(1000.0)
        stand.check = stop
        for verb in (stand.go(2000.0), stand.rest(1.0), stand.look()):
            with pytest.raises(StopIt):
                await verb
        assert stand.position_um == 1000.0

    with_rig(small_rig(tmp_path), body)
