"""The genuine lgpio library makes the pulses, on a chip that is not there; skipped where it or a C compiler is missing."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.emulators.stepdir_genuine_jogs import JOGS

EMULATORS = Path(__file__).resolve().parents[1] / "emulators"
ROOT = EMULATORS.parents[1]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    compiler = shutil.which("cc")
    if importlib.util.find_spec("lgpio") is None:
        pytest.skip("lgpio is not installed")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler and Linux")
    folder = tmp_path_factory.mktemp("lgpio")
    shim = folder / "gpiochip.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(shim), str(EMULATORS / "gpiochip.c"), "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"the shim cannot be built here: {built.stderr[:200]}")
    log = folder / "writes"
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"LD_PRELOAD": str(shim), "GPIO_LOG": str(log), "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-m", "tests.emulators.stepdir_genuine"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    writes = np.fromfile(log, dtype=[("at", "f8"), ("bits", "u8"), ("mask", "u8")])
    levels = (writes["bits"] & 1).astype(int)
    rises = writes["at"][np.diff(levels, prepend=0) == 1]
    return json.loads(done.stdout), rises


def test_it_counts_what_went_out(ran):
    said, rises = ran
    assert said["counted"][-1]["pulses"] == len(rises)
    net = 0
    for jog, counted in zip(JOGS, said["counted"], strict=True):
        assert counted["alarm"] is None
        moved = counted["net"] - net
        net = counted["net"]
        assert moved == jog if abs(jog) != 700 else 0 < moved * jog / 700 < 700


def test_no_pulse_goes_out_before_its_time(ran):
    """Late they may be, by anything on a busy machine, but the time line is that of the driver."""
    said, rises = ran
    if said["underruns"]:
        pytest.skip("this machine was too busy for one time line a motion")
    last = np.array(said["last"])
    assert np.median(rises[-len(last) :] - last) > -0.005
