"""What a Pi 5 does to frames behind one's back, and the file that takes it away. Runs in the camera process.

libcamera's pipeline for the Pi 5 averages over frames (temporal denoise) and can merge several of them (HDR). Neither is a control: both
are keys of the pipeline's configuration file, `disable_tdn` and `disable_hdr`. The file of another board is refused by libcamera,
and unknown keys are not looked at.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any

VARIABLE = "LIBCAMERA_RPI_CONFIG_FILE"
PLAIN = {"disable_tdn": True, "disable_hdr": True}
PI_5 = re.compile(r"Raspberry Pi (5|500|Compute Module 5)\b")
MODEL = Path("/proc/device-tree/model")


def has_pisp() -> bool:
    """Whether frames pass the pipeline of a Pi 5. picamera2 knows; what was released before it does not say."""
    with contextlib.suppress(ImportError):
        from picamera2 import platform  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

        return bool(platform.get_platform().name == "PISP")
    try:
        return PI_5.search(MODEL.read_text(errors="replace")) is not None
    except OSError:
        return False


def without_averaging(text: str) -> str:
    """A pipeline configuration with its other keys as they are, as far as they can be read.

    Args:
        text: the file that would be used, JSON with comments after #; may be empty.
    """
    try:
        bare = re.sub(r"(?m)^\s*#.*$|\s#[^\"\n]*$", "", text)
        found: dict[str, Any] = json.loads(re.sub(r",(\s*[}\]])", r"\1", bare))
        handler: dict[str, Any] = found["pipeline_handler"]
        if found["target"] != "pisp":
            handler = {}
    except (ValueError, KeyError, TypeError):
        handler = {}
    return json.dumps({"version": 1.0, "target": "pisp", "pipeline_handler": {**handler, **PLAIN}}, indent=4)


def make_plain() -> None:
    """Have libcamera read such a file. To be called before the first camera is looked for."""
    before = os.environ.get(VARIABLE, "")
    text = ""
    if before:
        with contextlib.suppress(OSError):
            text = Path(before).read_text(errors="replace")
    # In memory: it is gone with this process, however that ends.
    descriptor = os.memfd_create("pipeline.yaml", 0)
    os.write(descriptor, without_averaging(text).encode())
    os.environ[VARIABLE] = f"/proc/self/fd/{descriptor}"
