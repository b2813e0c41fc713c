"""Bad configs: each is refused with the line, the path, what is wrong and what would be right, all at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from drivers import registry
from drivers.base import CameraCapabilities, CameraOptions, Entry, Options, RailCapabilities, RailOptions
from rigd.config import ConfigError, Problem, examine, format_problems, load


class WorkshopRail(RailOptions):
    """A rail as somebody's own driver would declare it."""

    travel_um: float = 60_000.0
    """How far it goes."""
    speed_um_per_s: float = 1000.0
    """How fast."""
    microsteps: int = 16
    """A full step of 10 um is divided by this."""
    backlash_um: float = 25.0
    """Lost motion."""
    step_pin: int = 20
    """STEP."""
    serial: str = ""
    """Serial number."""
    marks_um: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Positions to remember."""

    def declared(self):
        return RailCapabilities(
            "workshop", 10 / self.microsteps, self.travel_um, self.speed_um_per_s, 1e5, self.backlash_um
        )


class WorkshopCamera(CameraOptions):
    """A camera with a number of pictures to give."""

    pictures: int | None = None
    """None: no end."""
    folder: Path | None = None
    """Where they are."""
    missing: bool = False
    """The folder is not there."""

    def declared(self):
        if self.missing:
            raise FileNotFoundError("no such folder")
        return CameraCapabilities("workshop", 100, 100, ".jpg", 1000, 0.01, max_frames=self.pictures)


class WorkshopLamp(Options):
    """A lamp on a pin."""

    pin: int
    """Which."""


HERE = "tests.unit.test_config_problems"


@pytest.fixture(autouse=True)
def workshop(monkeypatch):
    """A registry of its own, so that these tests do not change with the drivers that come with rigd."""
    options = {
        ("rail", "bench"): WorkshopRail,
        ("camera", "bench"): WorkshopCamera,
        ("light", "lamp"): WorkshopLamp,
    }
    known = tuple(
        Entry(kind, name, f"{HERE}:{cls.__name__}", f"{HERE}:{cls.__name__}", "of the workshop")
        for (kind, name), cls in options.items()
    )
    broken = Entry("camera", "broken", "no_such_module:Options", None, "cannot be loaded")
    later = Entry("rail", "later", f"{HERE}:WorkshopRail", None, "to come", "no part of this release")
    known = (*known, broken, later, Entry("switch", "lamp", f"{HERE}:WorkshopLamp", None, "contact"))
    classes = {cls.__name__: cls for cls in options.values()}

    def options_class(entry):
        module, _, name = entry.options.partition(":")
        if module != HERE:
            raise ImportError(f"No module named {module!r}")
        return classes[name]

    monkeypatch.setattr(
        registry, "entries", lambda kind=None: tuple(e for e in known if kind in (None, e.kind))
    )
    monkeypatch.setattr(registry, "options_class", options_class)


BENCH = "rail: {driver: bench}\ncamera: {driver: bench}\nlimits: {max_um: 60000}\n"
"""A rig with nothing wrong, in three lines; what follows it begins in line 4."""


def problems(tmp_path, text, *overrides):
    path = tmp_path / "rig.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return examine(path, overrides).problems


CASES = [
    # ---- the text itself
    ("", [(None, "", "the file is empty", "examples")]),
    ("# only a comment\n", [(None, "", "the file is empty", "examples")]),
    ("- a\n- b\n", [(1, "", "not a mapping of sections", "rail:")]),
    ("just words", [(1, "", "not a mapping of sections", "rail:")]),
    (b"rail: \xff\xfe\n", [(None, "", "not UTF-8 text (byte 6)", "UTF-8")]),
    ("rail:\n\tdriver: sim\n", [(2, "", "not YAML", "spaces, not with tabs")]),
    ("rail: {driver: sim\ncamera: x\n", [(2, "", "not YAML", "")]),
    ("rail: a: b\n", [(1, "", "not YAML", "indentation")]),
    ("rail: \x00\n", [(1, "", "not YAML: the character U+0000", "remove it")]),
    ("a: 1\n---\nb: 2\n", [(2, "", "not YAML", "")]),
    (BENCH + "rig: &r {id: a}\njog: *r\n", [(5, "", "aliases (*name) are not used here", "")]),
    (BENCH + "rig: {id: !!str a}\n", [(4, "", "tags (tag:yaml.org,2002:str) are not used here", "")]),
    (BENCH + "rig: " + "[" * 60 + "]" * 60 + "\n", [(4, "", "nested too deeply", "")]),
    (BENCH + "limits: {max_um: 1}\n", [(4, "limits", "'limits' is there twice", "first is in line 3")]),
    (BENCH + "jog:\n  speed_um_per_s: 1\n  speed_um_per_s: 2\n", [(6, "jog.speed_um_per_s", "there twice", "line 5")]),
    (BENCH + "? [a, b]\n: 1\n", [(4, "", "a key must be a word", "")]),
    (BENCH + 'rig: {name: "\\ud800"}\n', [(4, "rig.name", "half a character", "")]),
    # ---- sections
    ("rig: {id: a}\n", [
        (1, "rail", "section 'rail' is missing", "add 'rail:'"),
        (1, "camera", "section 'camera' is missing", "add 'camera:'"),
        (1, "limits", "section 'limits' is missing", "max_um"),
    ]),
    (BENCH + "captures: {}\n", [(4, "captures", "unknown section 'captures'", "did you mean 'capture'?")]),
    (BENCH + "step_um: 20\n", [(4, "step_um", "unknown section 'step_um'", "it belongs under 'plan:'")]),
    (BENCH + "wheels: 4\n", [(4, "wheels", "unknown section 'wheels'", "sections are: rig, rail")]),
    (BENCH + "plan: 7\n", [(4, "plan", "7 is not a mapping of keys", "keys here: near_um")]),
    (BENCH + "capture: {checks: [1]}\n", [(4, "capture.checks", "a list is not a mapping", "keys here: evidence")]),
    # ---- keys and values
    (BENCH + "preview:\n  jpeg_qualty: 90\n", [(5, "preview.jpeg_qualty", "unknown key 'jpeg_qualty'", "did you mean 'jpeg_quality'?")]),
    (BENCH + "settle:\n  fixed_ms: 300\n", [(5, "settle.fixed_ms", "unknown key 'fixed_ms'", "did you mean fixed_s: 0.3 (300 ms)?")]),
    (BENCH + "settle: {fixed: 0.3}\n", [(4, "settle.fixed", "unknown key", "did you mean fixed_s, in s?")]),
    (BENCH + "settle: {fixed: 300 ms}\n", [(4, "settle.fixed", "unknown key", "did you mean fixed_s: 0.3 (300 ms)?")]),
    (BENCH + "jog: {speed_mm_per_s: 0.5}\n", [(4, "jog.speed_mm_per_s", "unknown key", "speed_um_per_s: 500 (0.5 mm/s)?")]),
    (BENCH + "jog: {speed_um_per_s: 5, speed_mm_per_s: 1}\n", [
        (4, "jog.speed_mm_per_s", "unknown key", "leave it away, 'speed_um_per_s' is there already"),
    ]),
    (BENCH + "jog: {speed_s: 0.5}\n", [(4, "jog.speed_s", "unknown key", "did you mean 'speed_um_per_s'?")]),
    (BENCH + "limits2: {}\nsettle: {black_level: 3}\n", [
        (4, "limits2", "unknown section", "sections are"),
        (5, "settle.black_level", "unknown key", "'black_level' belongs under 'capture.checks'"),
    ]),
    (BENCH + "settle: {travel_um: 3}\n", [(4, "settle.travel_um", "unknown key", "belongs under 'rail'")]),
    (BENCH + "settle: {qqqq: 3}\n", [(4, "settle.qqqq", "unknown key 'qqqq'", "further keys here: mode, fixed_s")]),
    (BENCH + "settle: {<<: {fixed_s: 1}}\n", [(4, "settle.<<", "unknown key '<<'", "")]),
    (BENCH + "settle: {fixed_s: 300 ms}\n", [(4, "settle.fixed_s", "'300 ms' has a unit", "fixed_s: 0.3, as a plain number in s")]),
    (BENCH + "settle: {fixed_s: 0.3s}\n", [(4, "settle.fixed_s", "'0.3s' has a unit", "fixed_s: 0.3,")]),
    (BENCH + "settle: {fixed_s: 5 mm}\n", [(4, "settle.fixed_s", "'5 mm' is a length, not a time", "number from 0, in s")]),
    (BENCH + "settle: {fixed_s: '0.3'}\n", [(4, "settle.fixed_s", "'0.3' is text", "fixed_s: 0.3, without quotes")]),
    (BENCH + "settle: {fixed_s: soon}\n", [(4, "settle.fixed_s", "'soon' is not possible", "<number from 0, in s>")]),
    (BENCH + "settle: {fixed_s: true}\n", [(4, "settle.fixed_s", "true is not possible", "<number from 0, in s>")]),
    (BENCH + "settle: {fixed_s: }\n", [(4, "settle.fixed_s", "there is no value", "<number from 0, in s>")]),
    (BENCH + "settle: {fixed_s: .nan}\n", [(4, "settle.fixed_s", ".nan is not possible", "number")]),
    (BENCH + "settle: {fixed_s: 1e9999}\n", [(4, "settle.fixed_s", "1e9999 is not possible", "number")]),
    (BENCH + "settle: {fixed_s: -0.1}\n", [(4, "settle.fixed_s", "-0.1 is below 0", "<number from 0, in s>")]),
    (BENCH + "preview: {max_megapixels: 0}\n", [(4, "preview.max_megapixels", "0 is not above 0", "above 0 to 200")]),
    (BENCH + "preview: {jpeg_quality: 101}\n", [(4, "preview.jpeg_quality", "101 is above 100", "from 50 to 100")]),
    (BENCH + "preview: {threads: 2.5}\n", [(4, "preview.threads", "2.5 is not possible", "whole number from 1 to 64")]),
    (BENCH + "preview: {align: of}\n", [(4, "preview.align", "'of' is not possible", "did you mean 'off'?")]),
    (BENCH + "preview: {align: 3}\n", [(4, "preview.align", "3 is not possible", "'off', 'rail' or 'track'")]),
    (BENCH + "service: {home_on_start: yes}\n", [(4, "service.home_on_start", "'yes' is neither true nor false", "home_on_start: true")]),
    (BENCH + "rig: {name: 007}\n", [(4, "rig.name", "007 is not text", 'put it in quotes: name: "007"')]),
    (BENCH + "rig: {id: Big Rig}\n", [(4, "rig.id", "'Big Rig' is not possible", "small letters, digits and dashes")]),
    (BENCH + "plan: {near_um: 10000, far_um: 14000, frames: alll}\n", [(4, "plan.frames", "'alll' is not possible", "did you mean 'all'?")]),
    (BENCH + "plan: {near_um: 10000, far_um: 14000, frames: 1}\n", [(4, "plan.frames", "1 is below 2", "whole number from 2 or 'all'")]),
    (BENCH + "plan: {far_um: 14000, frames: 10}\n", [(4, "plan.near_um", "'near_um' is missing", "<number from 0, in µm>': rail position")]),
    (BENCH + "plan:\n  near_mm: 10\n  far_um: 14000\n  frames: 10\n", [(5, "plan.near_mm", "unknown key", "near_um: 10000 (10 mm)?")]),
    # ---- drivers
    ("rail: {driver: benhc}\ncamera: {driver: bench}\nlimits: {max_um: 9}\n", [
        (1, "rail.driver", "no rail driver 'benhc'", "did you mean 'bench'? There are: bench, later"),
    ]),
    ("rail: {driver: x}\ncamera: {driver: broken}\nlimits: {max_um: 9}\n", [
        (1, "rail.driver", "no rail driver 'x'", "there are: bench, later"),
        (2, "camera.driver", "options of driver 'broken' cannot be loaded", "install"),
    ]),
    ("rail:\ncamera: [bench]\nlimits: {max_um: 9}\n", [
        (1, "rail.driver", "'driver' is missing", "driver: <bench or later>"),
        (2, "camera", "camera is not a mapping of keys", "driver: <bench or broken>"),
    ]),
    ("rail: {driver: bench, travel_mm: 60}\ncamera: {driver: bench}\nlimits: {max_um: 9}\n", [
        (1, "rail.travel_mm", "unknown key 'travel_mm'", "did you mean travel_um: 60000 (60 mm)?"),
    ]),
    ("rail: {driver: bench, serial: 12e5}\ncamera: {driver: bench}\nlimits: {max_um: 9}\n", [
        (1, "rail.serial", "12e5 is not text", 'serial: "12e5"'),
    ]),
    ("rail: {driver: bench, marks_um: [1, -2, x, [3]]}\ncamera: {driver: bench}\nlimits: {max_um: 9}\n", [
        (1, "rail.marks_um.1", "-2 is not possible here", "marks_um: <list of number from 0>"),
        (1, "rail.marks_um.2", "'x' is not possible here", "marks_um: <list of number from 0>"),
        (1, "rail.marks_um.3", "a list is not possible here", "marks_um: <list of number from 0>"),
    ]),
    (BENCH + "light: {driver: lamp}\n", [(4, "light.pin", "'pin' is missing", "add 'pin: <whole number>': which")]),
    (BENCH + "switches: {estop: {driver: lmap, pin: 3}}\n", [(4, "switches.estop.driver", "no switch driver", "did you mean 'lamp'?")]),
    (BENCH + "switches: {estop: {driver: lamp, pin: x}}\n", [(4, "switches.estop.pin", "'x' is not possible", "whole number")]),
    (BENCH + "switches: [estop]\n", [(4, "switches", "not a mapping of switches", "estop:")]),
    # ---- between sections
    (BENCH.replace("max_um: 60000", "max_um: 100, min_um: 500"), [(3, "limits.min_um", "limits the wrong way round", "swap min_um and max_um")]),
    (BENCH.replace("60000", "60001"), [(3, "limits.max_um", "60001 is beyond the rail's travel of 60000", "max_um: 60000 or less")]),
    (BENCH + "jog: {max_distance_um: 70000, speed_um_per_s: 2000}\n", [
        (4, "jog.max_distance_um", "longer than the rail's travel", "6000"),
        (4, "jog.speed_um_per_s", "faster than the rail", "1000 or less"),
    ]),
    (BENCH + "capture: {end: park, park_um: 60001}\n", [(4, "capture.park_um", "outside the limits", "0 to 60000")]),
    (BENCH + "preview: {align: rail}\n", [(4, "preview.align", "needs pupil_to_focus_um", "add pupil_to_focus_um")]),
    (BENCH + "light: {driver: lamp, pin: 20}\n", [(4, "light.pin", "pin 20 is taken by rail.step_pin", "its own pin")]),
    (BENCH.replace("camera: {driver: bench}", "camera: {driver: bench, missing: true}"), [(2, "camera", "the camera cannot be described: no such folder", "")]),
    # ---- the plan
    (BENCH + "plan: {near_um: 14000, far_um: 10000, step_um: 100}\n", [(4, "plan.near_um", "the wrong way round", "swap near_um and far_um")]),
    (BENCH + "plan: {near_um: 14000, far_um: 14000, frames: 9}\n", [(4, "plan.far_um", "the same", "")]),
    (BENCH + "plan: {near_um: 1000}\n", [(4, "plan", "near_um alone", "two of far_um, step_um, frames")]),
    (BENCH + "plan: {near_um: 1000, step_um: 5}\n", [(4, "plan", "near_um and step_um alone", "add far_um or frames")]),
    (BENCH + "plan: {near_um: 1000, far_um: 2000, step_um: 5, frames: 9}\n", [(4, "plan.frames", "all given", "leave one")]),
    (BENCH + "plan:\n  near_um: 1000\n  far_um: 2000\n  step_um: 0.5\n", [(7, "plan.step_um", "0.5 is below one microstep of the rail, 0.625", "step_um: 0.625 or more")]),
    (BENCH + "plan: {near_um: 1000, far_um: 1010, frames: 100}\n", [(4, "plan.frames", "100 frames make a step of 0.101 µm", "at most 17 frames")]),
    (BENCH + "plan: {near_um: 1000, far_um: 2000, frames: 5, overshoot_um: 25}\n", [(4, "plan.overshoot_um", "not more than the rail's backlash of 25", "37.5 or more")]),
    (BENCH + "plan: {near_um: 1000, far_um: 70000, frames: 5}\n", [(4, "plan.far_um", "70000 is outside the limits", "far_um: 0 to 60000")]),
    (BENCH + "plan: {near_um: 1000, step_um: 1000, frames: 70}\n", [(4, "plan.frames", "70 frames of 1000 µm end at 70000", "at most 60 frames")]),
    (BENCH + "plan: {near_um: 100, far_um: 600, step_um: 100, margin_frames: 2}\n", [(4, "plan.margin_frames", "reaches -100", "fewer margin frames")]),
    (BENCH + "plan: {near_um: 50, far_um: 650, step_um: 100}\n", [(4, "plan.near_um", "run-up of 100 µm before the first frame begins at -50", "near_um: 100 or more")]),
    (BENCH + "plan: {near_um: 50, far_um: 59950, step_um: 100, direction: far_to_near}\n", [(4, "plan.far_um", "begins at 60050", "59900 or less")]),
    (BENCH + "plan: {near_um: 1000, step_um: 10, frames: all}\n", [(4, "plan.frames", "known number of frames; 'bench' has no end", "whole number")]),
    (BENCH.replace("camera: {driver: bench}", "camera: {driver: bench, pictures: 30}") + "plan: {near_um: 1000, step_um: 10, frames: 31}\n", [
        (4, "plan.frames", "takes 31 frames, margins included, and the camera has 30", "at most 30"),
    ]),
    (BENCH.replace("camera: {driver: bench}", "camera: {driver: bench, pictures: 30}") + "plan: {near_um: 1000, step_um: 10, frames: all, margin_frames: 1}\n", [
        (4, "plan.margin_frames", "takes 32 frames", "margin_frames: 0"),
    ]),
    (BENCH.replace("camera: {driver: bench}", "camera: {driver: bench, pictures: 1}") + "plan: {near_um: 1000, step_um: 10, frames: all}\n", [
        (4, "plan.frames", "the camera has only 1", "two frames"),
    ]),
    # ---- commanding the rig from elsewhere
    (BENCH + "rig: {id: clients}\n", [(4, "rig.id", "'clients' is where those who command rigs have their topics", "another id")]),
    (BENCH + "remote: {jog_hold_s: 6}\n", [(4, "remote.jog_hold_s", "6 is above jog_hold_max_s 5", "jog_hold_s: 5 or less")]),
    (BENCH + "remote: {jog_hold_max_s: 0.1}\n", [(4, "remote.jog_hold_max_s", "0.1 is below 0.2", "number from 0.2 to 60")]),
    (BENCH + "remote: {lease_lapses: abort}\n", [(4, "remote.lease_lapses", "'abort' is not possible", "'continue', 'pause' or 'stop'")]),
    (BENCH + "mqtt: {}\n", [(4, "mqtt.host", "'host' is missing", "name or address")]),
    (BENCH + "mqtt: {host: b, port: 0}\n", [(4, "mqtt.port", "0 is below 1", "whole number from 1 to 65535")]),
    (BENCH + "mqtt: {host: b, lost: abort}\n", [(4, "mqtt.lost", "'abort' is not possible", "'continue', 'pause' or 'stop'")]),
    (BENCH + "mqtt: {host: b, lost_after_s: 10 s}\n", [(4, "mqtt.lost_after_s", "'10 s' has a unit", "lost_after_s: 10")]),
    (BENCH + "mqtt: {host: b, protocol: 5}\n", [(4, "mqtt.protocol", "5 is not possible", "'auto', '5' or '3.1.1'")]),
    (BENCH + "mqtt: {host: b, password: horse}\n", [(4, "mqtt.password", "unknown key 'password'", "")]),
    (BENCH + "mqtt: {host: b, base: rigd/#}\n", [(4, "mqtt.base", "'rigd/#' is not possible", "")]),
    (BENCH + "mqtt: {host: b, credential: ../x}\n", [(4, "mqtt.credential", "'../x' is not possible", "")]),
    (BENCH + "mqtt: {host: b, credential: x, credentials: rig.yaml}\n", [
        (4, "mqtt.credential", "credentials and credential are both given", "leave one"),
    ]),
    (BENCH + "mqtt:\n  host: b\n  tls: {key: rig.yaml}\n", [(6, "mqtt.tls.key", "a key without its certificate", "add certificate")]),
    (BENCH + "mqtt:\n  host: b\n  credentials: no.txt\n  tls:\n    ca: no.pem\n    certificate: .\n    key: no/at/all\n", [
        (6, "mqtt.credentials", "there is no file", "the config's folder"),
        (8, "mqtt.tls.ca", "there is no file", "the config's folder"),
        (9, "mqtt.tls.certificate", "there is no file", "the config's folder"),
        (10, "mqtt.tls.key", "there is no file", "the config's folder"),
    ]),
    (BENCH + "mqtt: {host: b, base: homeassistant/rigs}\n", [(4, "mqtt.base", "lie in each other", "base: rigd")]),
    (BENCH + "mqtt: {host: b, base: lab}\nhomeassistant: {prefix: lab}\n", [(4, "mqtt.base", "lie in each other", "base: rigd")]),
    (BENCH + "profiles: {fine: {step_um: 5, frames: 30}}\n", [(4, "profiles.fine.frames", "both given", "leave one")]),
    (BENCH + "profiles: {fine: {stepum: 5}}\n", [(4, "profiles.fine.stepum", "unknown key 'stepum'", "did you mean 'step_um'?")]),
    (BENCH + "profiles: [fine]\n", [(4, "profiles", "not a mapping of profiles", "write a name")]),
    (BENCH + "capture: {park_um: 70000}\nprofiles: {away: {end: park}}\n", [
        (5, "profiles.away.end", "capture.park_um 70000 is outside the limits", "park_um: 0 to 60000"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[repr(text)[-60:] for text, _ in CASES])
def test_what_is_wrong_is_said_with_line_and_fix(tmp_path, text, expected):
    found = problems(tmp_path, text)
    assert [(p.line, p.path) for p in found] == [(line, path) for line, path, _, _ in expected], (
        format_problems(found)
    )
    for problem, (_, _, message, fix) in zip(found, expected, strict=True):
        assert message in problem.message
        assert fix in problem.fix


def test_the_bench_has_nothing_wrong(tmp_path):
    assert problems(tmp_path, BENCH) == ()


def test_columns_point_at_keys_and_values(tmp_path):
    found = problems(tmp_path, BENCH + "settle:\n    fixd_s: 3\njog:\n    speed_um_per_s: -5\n")
    assert [(p.line, p.column) for p in found] == [(5, 5), (7, 21)]


def test_everything_wrong_is_said_at_once(tmp_path):
    text = """\
rig:
  id: Bench One
rail:
  driver: bench
  travel_mm: 50
  backlash_um: 25 um
camera:
  driver: replai
limits:
  min_um: 9000
  max_um: 900
plan:
  near_um: 2000
  far_um: 1000
  step_um: 0.1
settle:
  fixed_s: 0.3s
capture:
  checks:
    max_retry: 3
extra: 1
"""
    found = problems(tmp_path, text, "preview.align=rail", "jog.speed=5")
    assert [(p.line, p.path) for p in found] == [
        (2, "rig.id"),
        (5, "rail.travel_mm"),
        (6, "rail.backlash_um"),
        (8, "camera.driver"),
        (10, "limits.min_um"),
        (13, "plan.near_um"),
        (17, "settle.fixed_s"),
        (20, "capture.checks.max_retry"),
        (21, "extra"),
        (None, "jog.speed"),
        (None, "preview.align"),
    ]
    assert all(p.fix for p in found)


def test_load_raises_with_all_of_it(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text(BENCH + "settle: {fixed_ms: 3}\njog: {speed_um_per_s: 0}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert len(caught.value.problems) == 2
    assert str(caught.value) == format_problems(caught.value.problems)
    assert str(caught.value).splitlines()[0] == (
        f"{path}:4:10: settle.fixed_ms: unknown key 'fixed_ms'; did you mean fixed_s: 0.003 (3 ms)?"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "this is a folder"),
        (lambda path: path.write_bytes(b"#" * 1_000_001), "larger than"),
        (lambda path: path.symlink_to(path), "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_had_is_one_problem(tmp_path, make, message):
    path = tmp_path / "rig.yaml"
    make(path)
    (problem,) = examine(path, ["rig.id=x"]).problems
    assert message in problem.message
    assert (problem.file, problem.path, problem.line) == (str(path), "", None)


def test_a_path_that_is_no_path():
    (problem,) = examine(Path("a\0b")).problems
    assert "cannot be read" in problem.message


# ------------------------------------------------------------------------------------------------------------ --set


@pytest.mark.parametrize(
    ("override", "path", "message", "fix"),
    [
        ("settle.fixed_ms=300", "settle.fixed_ms", "unknown key", "fixed_s: 0.3 (300 ms)"),
        ("settle.fixed_s=300 ms", "settle.fixed_s", "has a unit", "fixed_s: 0.3"),
        ("limits.max_um=1e6", "limits.max_um", "beyond the rail's travel", "60000 or less"),
        ("zzzz.at=1", "zzzz", "unknown section 'zzzz'", "sections are"),
        ("limits.max_um", "", "not of the form", "rail.travel_um=50000"),
        (".=1", "", "not of the form", "rail.travel_um=50000"),
        ("limits.max_um.more=1", "limits.max_um.more", "limits.max_um is a single value", "docs/config.md"),
        ("rig.name=[", "rig.name", "not YAML", "brackets"),
        ("rig.name=\udcff", "rig.name", "not text", ""),
    ],
)
def test_overrides_are_checked_as_the_file_is(tmp_path, override, path, message, fix):
    found = problems(tmp_path, BENCH, override)
    if override.endswith("\udcff"):
        assert found == ()
        return
    (problem,) = found
    assert (problem.path, problem.line, problem.file) == (path, None, f"--set {override}")
    assert message in problem.message
    assert fix in problem.fix


def test_overrides_make_sections_and_the_last_one_counts(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text(BENCH)
    changes = [
        "capture.checks.max_retries=5",
        "rig.id=one",
        "rig.id=two",
        "light={driver: lamp, pin: 4}",
        "rail.travel_um=7e4",
    ]
    config = load(path, changes)
    assert (config.capture.checks.max_retries, config.rig.id) == (5, "two")
    assert config.light.options.pin == 4
    assert config.rail.options.travel_um == 70_000


def test_an_override_takes_a_problem_of_the_file_away(tmp_path):
    assert problems(tmp_path, BENCH + "settle: {fixed_s: soon}\n", "settle.fixed_s=0.2") == ()
    assert problems(tmp_path, BENCH + "light: {driver: lamp}\n", "light=null") == ()


# ------------------------------------------------------------------------------------------------- scalars and paths


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e3", 1000.0),
        ("1_000", 1000.0),
        ("017", 17.0),
        ("+5", 5.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1.5E+2", 150.0),
    ],
)
def test_numbers_are_read_as_people_write_them(tmp_path, written, value):
    path = tmp_path / "rig.yaml"
    path.write_text(BENCH + f"settle: {{fixed_s: {written}}}\n")
    assert load(path).settle.fixed_s == value


def test_off_is_a_word(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text(BENCH + "preview: {align: off}\n")
    assert load(path).preview.align == "off"


def test_paths_start_from_the_config_and_those_of_the_command_line_from_here(tmp_path, monkeypatch):
    (tmp_path / "rigs").mkdir()
    path = tmp_path / "rigs" / "rig.yaml"
    path.write_text("rail: {driver: bench}\ncamera: {driver: bench, folder: photos}\nlimits: {max_um: 9}\n")
    monkeypatch.chdir(tmp_path)
    assert load(path).camera.options.folder == tmp_path / "rigs" / "photos"
    assert load(path, ["camera.folder=photos"]).camera.options.folder == tmp_path / "photos"
    assert load(path, ["storage.sessions=stacks"]).storage.sessions == Path("stacks")


def test_tilde_is_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "rig.yaml"
    path.write_text(
        "rail: {driver: bench}\ncamera: {driver: bench, folder: ~/p}\nlimits: {max_um: 9}\nstorage: {sessions: ~/s}\n"
    )
    config = load(path)
    assert config.camera.options.folder == tmp_path / "p"
    assert config.storage.sessions == tmp_path / "s"


def test_files_of_the_broker_are_found_from_the_config_and_the_rest_from_here(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    for file in (tmp_path / "broker.txt", tmp_path / "ca.pem", elsewhere / "ca.pem", home / "rig.pem"):
        file.write_text("")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(home))
    path = tmp_path / "rig.yaml"
    path.write_text(
        BENCH
        + "mqtt: {host: b, credentials: broker.txt, tls: {ca: ca.pem, certificate: ~/rig.pem}}\n"
        + "service: {state: state}\nremote: {socket: ~/rigd.sock}\n"
    )
    config = load(path)
    assert config.mqtt.credentials == tmp_path / "broker.txt"
    assert (config.mqtt.tls.ca, config.mqtt.tls.certificate) == (tmp_path / "ca.pem", home / "rig.pem")
    assert (config.service.state, config.remote.socket) == (Path("state"), home / "rigd.sock")
    # What is given by hand is found from where that is.
    assert load(path, ["mqtt.tls.ca=ca.pem"]).mqtt.tls.ca == elsewhere / "ca.pem"
    assert load(path, ["service.state=~/state"]).service.state == home / "state"


# ---------------------------------------------------------------------------------------------------------- warnings


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (
            BENCH.replace("rail: {driver: bench}", "rail: {driver: later}"),
            "rail.driver",
            "driver 'later': no part of this release",
        ),
        (BENCH + "settle: {fixed_s: 0}\n", "settle.fixed_s", "the moment motion ends"),
        (
            BENCH + "plan: {near_um: 1000, far_um: 2000, step_um: 1}\n",
            "plan.step_um",
            "near the error of a microstep, ±0.4 µm",
        ),
        (
            BENCH + "plan: {near_um: 1000, far_um: 2000, step_um: 10, overshoot_um: 30}\n",
            "plan.overshoot_um",
            "barely more",
        ),
        (BENCH + "mqtt: {host: broker.lab, credential: x}\n", "mqtt.host", "goes to broker.lab unencrypted"),
        (
            BENCH + "mqtt: {host: 192.168.1.2, credential: x}\n",
            "mqtt.host",
            "goes to 192.168.1.2 unencrypted",
        ),
        (BENCH + "mqtt: {host: b, port: 1883, tls: {}}\n", "mqtt.port", "the port without encryption"),
        (BENCH + "mqtt: {host: b, port: 8883}\n", "mqtt.port", "the port with encryption"),
    ],
)
def test_warnings_do_not_refuse(tmp_path, text, path, message):
    file = tmp_path / "rig.yaml"
    file.write_text(text)
    report = examine(file)
    assert report.config is not None
    (warning,) = report.warnings
    assert warning.path == path
    assert message in warning.message


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "LocalHost.", "127.3.2.1"])
def test_a_password_that_stays_on_the_machine_needs_no_encryption(tmp_path, host):
    path = tmp_path / "rig.yaml"
    path.write_text(BENCH + f"mqtt: {{host: '{host}', credential: x}}\n")
    assert examine(path).warnings == ()


@pytest.mark.parametrize(("mode", "warned"), [(0o600, []), (0o640, []), (0o644, ["credentials", "tls.key"])])
def test_secrets_that_everybody_can_read_are_warned_of(tmp_path, mode, warned):
    for name in ("broker.txt", "rig.key", "rig.pem"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    path = tmp_path / "rig.yaml"
    path.write_text(
        BENCH + "mqtt: {host: b, credentials: broker.txt, tls: {certificate: rig.pem, key: rig.key}}\n"
    )
    report = examine(path)
    assert report.problems == ()
    assert [warning.path for warning in report.warnings] == [f"mqtt.{name}" for name in warned]
    assert all(f"chmod 600 {tmp_path}" in warning.fix for warning in report.warnings)


def test_a_problem_is_one_line():
    assert str(Problem("x.yaml", "a.b", 3, 7, "wrong", "right")) == "x.yaml:3:7: a.b: wrong; right"
    assert str(Problem("x.yaml", "", None, None, "wrong")) == "x.yaml: wrong"
