"""Bench files, and the lock on a bench."""

import pytest

from hil.benchfile import WIRING, BenchError, Features, read
from hil.locking import LOCKS, BenchInUse, alone
from rigd.sole import only_one
from tests.hil.suites import ROOT
from tests.rigs import SMALL


def bench(folder, text, rig=SMALL):
    (folder / "rig.yaml").write_text(rig)
    (folder / "bench.yaml").write_text(text)
    return folder / "bench.yaml"


@pytest.mark.parametrize("name", ["simulated", "emulated", "bench-pi"])
def test_the_files_that_come_with_it_can_be_used(name):
    file, config = read(ROOT / "hil" / f"{name}.yaml")
    assert file.features.rail is not None
    assert config.limits.max_um > file.numbers.span_um


def test_every_feature_says_what_to_wire():
    assert set(Features.model_fields) == set(WIRING)


def test_a_plain_rig_is_a_bench_too():
    file, config = read(ROOT / "config" / "simulated.yaml")
    there = {name for name, value in file.features if value is not None}
    assert there == {"rail", "home_switch", "camera", "light", "switches"}
    assert file.bench == config.rig.id


def test_values_are_laid_over_the_rig_and_the_numbers(tmp_path):
    text = "bench: a\nrig: rig.yaml\nset: [settle.fixed_s=0.7]\nnumbers: {homings: 9}\nfeatures: {rail: true, led: {pin: 4}, camera: false}\n"
    file, config = read(bench(tmp_path, text), ["homings=4", "span_um=77.5"])
    assert config.settle.fixed_s == 0.7
    assert (file.numbers.homings, file.numbers.span_um) == (4, 77.5)
    assert file.features.camera is None
    assert file.features.led.pin == 4


def test_on_and_off_need_no_quotes(tmp_path):
    text = "bench: a\nrig: rig.yaml\nfeatures: {power_switch: {off: [a, b], on: [c]}}\n"
    file, _ = read(bench(tmp_path, text))
    assert (file.features.power_switch.off, file.features.power_switch.on) == (("a", "b"), ("c",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bench: a\n", "rig"),
        ("bench: a\nrig: rig.yaml\nfeatures: {lamp: true}\n", "features.lamp"),
        ("bench: a\nrig: rig.yaml\nfeatures: {led: true}\n", "features.led.pin"),
        ("bench: a\nrig: rig.yaml\nnumbers: {homings: 1}\n", "numbers.homings"),
        ("- a\n", "not a mapping"),
        ("a: [\n", "bench.yaml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    with pytest.raises(BenchError, match=words):
        read(bench(tmp_path, text))


def test_a_bench_that_is_not_there(tmp_path):
    with pytest.raises(BenchError, match="No such file"):
        read(tmp_path / "none.yaml")
    with pytest.raises(BenchError, match="name=value"):
        read(bench(tmp_path, "bench: a\nrig: rig.yaml\n"), ["homings"])


def test_one_run_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setenv(LOCKS, str(tmp_path))
    with alone("a", None), alone("b", None), pytest.raises(BenchInUse, match="another run"), alone("a", None):
        pass
    with alone("a", None):
        pass


def test_not_beside_the_daemon(tmp_path, monkeypatch):
    monkeypatch.setenv(LOCKS, str(tmp_path))
    state = tmp_path / "state" / "rig"
    with only_one(state), pytest.raises(BenchInUse, match="stop it"), alone("a", state):
        pass
    with alone("a", state), pytest.raises(OSError, match="serves this rig"), only_one(state):
        pass
