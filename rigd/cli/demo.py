"""`rigd demo`: a simulated stack, end to end, and how good its preview is against the scene's own truth."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rigd.app import Rig
from rigd.cli.capture import capture_with, clock_for, finished_after, report
from rigd.cli.exits import Exit
from rigd.cli.failures import Stopped
from rigd.config import demo_path, load
from rigd.preview import DEPTH, PREVIEW, viewpoint_um
from rigd.session import Session
from rigd.virtualtime import run

BORDER_PX = 24
"""Left out of the comparison: at the edges a scaled frame has nothing to show."""


@dataclass(frozen=True, slots=True)
class Quality:
    """A result held against the truth."""

    psnr_db: float
    depth_error_um: float
    """Median of the absolute error where the depth is known."""
    depth_known: float
    """Share of pixels with a depth."""


def demo(options: argparse.Namespace) -> int:
    """`rigd demo`."""
    overrides = [f"storage.sessions={options.out}", f"camera.scene={options.scene}"]
    config = load(demo_path(), overrides)
    clock = clock_for(config, virtual=options.virtual_time)
    truths: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]] = []
    steps: list[float] = []

    async def begin(rig: Rig) -> Session:
        planned = rig.plan().plan
        await rig.home()
        camera = rig.parts.camera
        # Seen from where the preview is seen from.
        distance_um = config.preview.pupil_to_focus_um
        assert distance_um is not None
        truth = camera.truth(viewpoint_um(planned, distance_um))  # type: ignore[attr-defined]
        truths.append((truth.picture, truth.depth_um))
        steps.append(planned.step_um)
        return await rig.start(f"demo-{options.scene}", planned)

    if not options.json:
        print("rigd demo: a simulated rig photographs a stack. Nothing real moves.", flush=True)
    outcome = run(capture_with(config, clock, begin, quiet=options.json), clock)
    quality = against_truth(
        outcome.session, *truths[0]
    )  # of the preview, before its depth map gives way to the final one
    outcome.finished = finished_after(outcome, config, quiet=options.json)
    step_um = steps[0]
    extra = {
        "psnr_db": round(quality.psnr_db, 2),
        "depth_error_um": round(quality.depth_error_um, 2),
        "depth_error_steps": round(quality.depth_error_um / step_um, 4),
        "depth_known": round(quality.depth_known, 4),
    }
    report(outcome, as_json=options.json, extra=extra)
    if not options.json:
        print(
            f"  against the scene's truth: preview PSNR {quality.psnr_db:.1f} dB; depth error (median) "
            f"{quality.depth_error_um:.1f} um = {quality.depth_error_um / step_um:.3f} steps, known for {quality.depth_known:.0%}"
        )
    return Exit.DONE


def against_truth(
    session: Path, picture: npt.NDArray[np.uint8], depth_um: npt.NDArray[np.float32]
) -> Quality:
    """Hold preview and depth map of a session against the scene's own. Raises `Stopped` when they are not of one size."""
    import tifffile

    from stackcore.imageio import decode

    preview = decode((session / PREVIEW).read_bytes(), ".jpg")
    depth = tifffile.imread(session / DEPTH)
    if preview.shape != picture.shape:
        raise Stopped(Exit.INTERNAL, f"the preview is {preview.shape}, the truth {picture.shape}")
    inside = (slice(BORDER_PX, -BORDER_PX), slice(BORDER_PX, -BORDER_PX))
    error = preview[inside].astype(np.float64) - picture[inside]
    off = np.abs(depth[inside] - depth_um[inside])
    known = np.isfinite(off)
    return Quality(
        psnr_db=float(10 * np.log10(255**2 / np.mean(error**2))),
        depth_error_um=float(np.median(off[known])),
        depth_known=float(known.mean()),
    )
