"""Real photographs through the whole daemon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import tifffile

from rigd.config import load
from rigd.session import verify
from tests.rigs import capture

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
STACKS = {"pcb-switch": 10, "fibre-end-rpi": 12, "micro-scorpion-rpi": 14}


@pytest.mark.parametrize(("stack", "frames"), STACKS.items())
def test_a_real_stack_becomes_a_verified_session(tmp_path, stack, frames):
    folder = DATA / stack
    if not folder.is_dir():
        pytest.skip(f"the real stacks lie beside the checkout, in {DATA}; they are not here")
    config = load(Path("config/replay.yaml"), [f"camera.folder={folder}", f"storage.sessions={tmp_path}"])
    ran = capture(config)
    found = verify(ran.path)
    assert found.whole, found.problems
    assert (found.overview.outcome, found.overview.frames) == ("complete", frames)
    stored = sorted((ran.path / "frames").iterdir())
    originals = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".jpg")
    assert [path.read_bytes() for path in stored] == [path.read_bytes() for path in originals]
    preview = simplejpeg.decode_jpeg((ran.path / "preview.jpg").read_bytes())
    depth = tifffile.imread(ran.path / "depth.tif")
    assert depth.shape == preview.shape[:2]
    assert np.isfinite(depth).mean() > 0.05, "no depth anywhere"
    assert detail(preview) > max(
        detail(
            simplejpeg.decode_jpeg(path.read_bytes(), min_height=preview.shape[0], min_width=preview.shape[1])
        )
        for path in stored
    )


def detail(picture):
    """Share of pixels with visible detail: a merged stack has it in more places than any one frame."""
    gray = picture.mean(axis=2)
    return (np.abs(np.diff(gray, axis=0)) > 6).mean()
