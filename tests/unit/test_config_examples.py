"""The example rigs, round trips, the hash, what an import costs, and configs made of noise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from rigd.config import (
    ConfigError,
    DriverConfig,
    RigConfig,
    config_hash,
    demo_path,
    examine,
    format_problems,
    from_dict,
    load,
    resolved_yaml,
    to_dict,
)

ROOT = Path(__file__).parents[2]
EXAMPLES = [*sorted((ROOT / "config").glob("*.yaml")), demo_path()]
SIMULATED = ROOT / "config" / "simulated.yaml"
FOR_A_PI = [path for path in EXAMPLES if path.name.startswith("pi-")]
HEAVY = ("numpy", "numba", "cv2", "scipy", "simplejpeg", "tifffile", "asyncio")


def ids(paths):
    return [path.name for path in paths]


@pytest.mark.parametrize("path", EXAMPLES, ids=ids(EXAMPLES))
def test_examples_have_nothing_wrong(path):
    report = examine(path)
    assert report.config is not None, format_problems(report.problems)
    expected = {"camera.folder"} if path.name == "replay.yaml" else set()
    if path in FOR_A_PI:
        assert all("cannot drive it yet" in warning.message for warning in report.warnings)
    else:
        assert {warning.path for warning in report.warnings} == expected


def test_there_are_examples_for_a_pi():
    assert len(FOR_A_PI) == 4


def test_the_demo_takes_forty_frames_or_more_of_a_ring():
    config = load(demo_path())
    assert config.plan is not None
    assert config.plan.far_um is not None
    assert config.plan.step_um is not None
    frames = (
        -(-(config.plan.far_um - config.plan.near_um) // config.plan.step_um)
        + 1
        + 2 * config.plan.margin_frames
    )
    assert frames >= 40
    assert config.camera.options.model_dump()["scene"] == "ring"


# ------------------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("path", EXAMPLES, ids=ids(EXAMPLES))
def test_a_resolved_rig_loads_again_to_an_equal_one(path, tmp_path):
    config = load(path)
    again = tmp_path / "resolved.yaml"
    again.write_text(resolved_yaml(config), encoding="utf-8")
    assert load(again) == config
    assert resolved_yaml(load(again)) == resolved_yaml(config)
    assert config_hash(load(again)) == config_hash(config)


@pytest.mark.parametrize("path", EXAMPLES, ids=ids(EXAMPLES))
def test_a_resolved_rig_is_complete(path):
    """Nothing is left to defaults: each section of the resolved YAML has every field of its model."""
    config = load(path)
    for name, section in yaml.safe_load(resolved_yaml(config)).items():
        model = getattr(config, name)
        if isinstance(model, DriverConfig):
            assert section.keys() == {"driver"} | type(model.options).model_fields.keys()
        elif not isinstance(model, dict):
            assert section.keys() == type(model).model_fields.keys()


@pytest.mark.parametrize("path", EXAMPLES, ids=ids(EXAMPLES))
def test_a_manifest_gives_the_rig_back(path):
    config = load(path)
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config


def test_a_rig_with_a_broker_and_profiles_comes_back_too(tmp_path):
    profiles = ("profiles.fine.step_um=20", "profiles.fine.end=stay", "profiles.quick.frames=10")
    config = load(SIMULATED, ["mqtt.host=broker.local", "mqtt.credential=broker", *profiles])
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    path = tmp_path / "resolved.yaml"
    path.write_text(resolved_yaml(config))
    assert load(path) == config
    assert config_hash(config) != config_hash(load(SIMULATED))


def test_a_bad_manifest_is_refused_with_its_name():
    data = to_dict(load(SIMULATED))
    data["rail"]["travel_mm"] = 5
    with pytest.raises(ConfigError) as caught:
        from_dict(data, file="sessions/x/session.json")
    (problem,) = caught.value.problems
    assert (problem.file, problem.path) == ("sessions/x/session.json", "rail.travel_mm")
    with pytest.raises(ConfigError, match="not a mapping"):
        from_dict([])


def test_the_hash_tells_rigs_apart_and_not_files(tmp_path):
    plain = tmp_path / "a.yaml"
    plain.write_text("rail: {driver: sim}\ncamera: {driver: sim}\nlimits: {max_um: 60000}\n")
    reordered = tmp_path / "b.yaml"
    reordered.write_text(
        "# a bench\nlimits:\n  max_um: 6.0e4\n  min_um: 0\ncamera: {driver: sim}\nrail: {driver: sim, travel_um: 60000}\n"
    )
    assert config_hash(load(plain)) == config_hash(load(reordered))
    assert config_hash(load(plain)) != config_hash(load(plain, ["camera.exposure_s=0.021"]))
    assert len(config_hash(load(plain))) == 64


def test_the_hash_is_the_same_in_another_process():
    code = (
        f"import pathlib, rigd.config as c; print(c.config_hash(c.load(pathlib.Path({str(demo_path())!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == config_hash(load(demo_path()))


def test_a_rig_is_frozen():
    config = load(SIMULATED)
    with pytest.raises(ValueError, match="frozen"):
        config.limits.max_um = 5.0
    with pytest.raises(ValueError, match="frozen"):
        config.rail.options.travel_um = 5.0


# ------------------------------------------------------------------------------------------------------------ import


def test_checking_a_config_imports_nothing_heavy():
    code = (
        "import sys, pathlib, rigd.config as c\n"
        f"for path in {[str(path) for path in EXAMPLES]!r}: c.resolved_yaml(c.load(pathlib.Path(path)))\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------------------------------------------------- noise

WORDS = [
    "rail",
    "camera",
    "limits",
    "plan",
    "driver",
    "sim",
    "near_um",
    "far_um",
    "step_um",
    "frames",
    "all",
    "max_um",
    "faults",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
    st.sampled_from(["50 mm", "0.3s", "1e999", "~", "~/x", "off", "5 parsec"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=12,
)


def shake(data):
    """The simulated bench with some of its values exchanged."""
    keys = st.sampled_from([(section, key) for section, inner in data.items() for key in inner])
    return st.dictionaries(keys, VALUES, max_size=6)


BENCH = yaml.safe_load(SIMULATED.read_text(encoding="utf-8"))


def assert_examined(path):
    report = examine(path, ["limits.min_um=1"])
    assert (report.config is None) == bool(report.problems)
    format_problems(report.problems + report.warnings).encode()
    if report.config is None:
        with pytest.raises(ConfigError):
            load(path, ["limits.min_um=1"])
    else:
        assert isinstance(report.config, RigConfig)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(
        st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))
    )
)
@example(raw=b"? \n: - &a [*a]\n")
@example(raw=b"%YAML 9.9\n---\na: 1\n")
@example(raw=b"a: 2026-11-31\n")
@example(raw=b"a: " + b"9" * 5000)
@example(raw=b"[" * 3000)
@example(raw=b"=: 1\n<<: 2\n")
@example(raw="\ufeffrail: {}\n".encode())
def test_random_bytes_never_break_it(raw, tmp_path):
    path = tmp_path / "noise.yaml"
    path.write_bytes(raw)
    assert_examined(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=shake(BENCH), extra=st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=2))
def test_random_values_never_break_it(changes, extra, tmp_path):
    data = {section: dict(inner) for section, inner in BENCH.items()}
    for (section, key), value in changes.items():
        data[section][key] = value
    path = tmp_path / "noise.yaml"
    path.write_text(yaml.safe_dump(data | extra, allow_unicode=True), encoding="utf-8", errors="replace")
    assert_examined(path)


@settings(max_examples=60, deadline=None)
@given(
    override=st.one_of(
        st.text(max_size=30),
        st.builds("{}.{}={}".format, st.sampled_from(WORDS), st.sampled_from(WORDS), st.text(max_size=12)),
    )
)
def test_random_overrides_never_break_it(override):
    report = examine(SIMULATED, [override])
    assert (report.config is None) == bool(report.problems)
    format_problems(report.problems).encode()


@pytest.mark.parametrize(
    ("plan", "problems", "warnings"),
    [
        ("near_um: 1000, step_um: 50, frames: all", [], []),
        ("near_um: 1000, step_um: 60, frames: all", ["plan.step_um"], []),
        ("near_um: 1000, step_um: 50, frames: 3", [], []),
        ("near_um: 1050, step_um: 100, frames: 2", [], ["plan.near_um", "plan.step_um"]),
    ],
)
def test_a_plan_beside_the_photographs_of_a_replay(tmp_path, plan, problems, warnings):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for number in range(4):
        Image.new("RGB", (16, 12)).save(photographs / f"{number}.jpg")
    path = tmp_path / "rig.yaml"
    path.write_text(
        "rail: {driver: sim}\n"
        "camera: {driver: replay, folder: photographs, first_um: 1000, step_um: 50}\n"
        f"limits: {{max_um: 60000}}\nplan: {{{plan}}}\n"
    )
    report = examine(path)
    assert [one.path for one in report.problems] == problems
    if not problems:
        assert [one.path for one in report.warnings] == warnings
