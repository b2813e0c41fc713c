"""The stand-in for picamera2 has the genuine one's signatures: tests over it say something about the other."""

import json
import os
import subprocess
import sys

import pytest

from tests.emulators.picamera2_fake import (
    GENUINE_PYTHON,
    LIBCAMERA,
    STAND_IN,
    FakePi,
    genuine_version,
    needs_genuine,
)

SHOWN = """
import inspect, json
from picamera2 import CompletedRequest, Picamera2
methods = {Picamera2: %r, CompletedRequest: %r}
def shown(method):
    return [(p.name, p.kind.name, repr(p.default)) for p in inspect.signature(method).parameters.values()]
print(json.dumps({f"{c.__name__}.{n}": shown(getattr(c, n)) for c, names in methods.items() for n in names}))
"""
CALLED = (
    [
        "__init__",
        "create_still_configuration",
        "create_video_configuration",
        "configure",
        "camera_configuration",
        "set_controls",
        "start",
        "stop",
        "close",
        "capture_request",
    ],
    ["get_metadata", "save", "save_dng", "make_array", "release"],
)


def signatures(python, pi, *paths):
    environment = os.environ | {
        "FAKE_LIBCAMERA": str(pi.folder),
        "PYTHONPATH": os.pathsep.join(str(path) for path in (LIBCAMERA, *paths)),
    }
    done = subprocess.run(
        [python, "-c", SHOWN % CALLED], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@needs_genuine
def test_the_stand_in_takes_what_the_genuine_one_takes(tmp_path):
    pi = FakePi(tmp_path / "pi")
    stand_in, genuine = signatures(sys.executable, pi, STAND_IN), signatures(GENUINE_PYTHON, pi)
    assert genuine_version()
    assert stand_in.keys() == genuine.keys()
    for method, parameters in genuine.items():
        assert stand_in[method] == parameters, method


@pytest.mark.skipif(genuine_version() is not None, reason="the genuine one is there and compared with")
def test_without_the_genuine_one_the_stand_in_at_least_is_whole(tmp_path):
    shown = signatures(sys.executable, FakePi(tmp_path / "pi"), STAND_IN)
    assert shown["Picamera2.capture_request"][-1][0] == "flush"
