"""`rigd demo`: a simulated stack, end to end, and how good its preview is against the scene's own truth."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rigd.app import Rig
from rigd.cli.capture import capture_with, clock_for, finished_after, report
from rigd.cli.exits import Exit
from rigd.cli.failures import Stopped
from rigd.cli.progress import say
from rigd.cli.service import with_broker
from rigd.client import connect
from rigd.config import RigConfig, demo_path, load
from rigd.local import socket_path
from rigd.preview import DEPTH, PREVIEW, viewpoint_um
from rigd.serving import reachable
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
    overrides = [
        f"storage.sessions={options.out}",
        f"service.state={options.out / '.state'}",
        f"camera.scene={options.scene}",
    ]
    config = load(demo_path(), overrides)
    clock = clock_for(config, virtual=options.virtual_time)
    truths: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]] = []
    steps: list[float] = []

    async def begin(rig: Rig) -> Session:
        planned = rig.plan().plan
        camera = rig.parts.camera
        # Seen from where the preview is seen from.
        distance_um = config.preview.pupil_to_focus_um
        assert distance_um is not None
        truth = camera.truth(viewpoint_um(planned, distance_um))  # type: ignore[attr-defined]
        truths.append((truth.picture, truth.depth_um))
        steps.append(planned.step_um)
        name = f"demo-{options.scene}"
        if options.virtual_time:  # which networks do not keep
            await rig.home()
            return await rig.start(name, planned)
        return await _begin_from_afar(rig, name)

    if not options.json:
        print("rigd demo: a simulated rig photographs a stack. Nothing real moves.", flush=True)
    if options.virtual_time:
        outcome = run(capture_with(config, clock, begin, quiet=options.json), clock)
    else:
        with _broker_if_any(config) as config:

            def around(rig: Rig) -> AbstractAsyncContextManager[object]:
                return reachable(rig, clock)

            outcome = run(capture_with(config, clock, begin, quiet=options.json, around=around), clock)
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


@contextmanager
def _broker_if_any(config: RigConfig) -> Iterator[RigConfig]:
    """The rig on a broker of its own; on its Unix socket where there is no broker to start."""
    with ExitStack() as leaving:
        try:
            config = leaving.enter_context(with_broker(config))
        except Stopped as error:
            say(f"{error}\n  going on without: commands go over a Unix socket")
        yield config


async def _begin_from_afar(rig: Rig, name: str) -> Session:
    """Home and start as anybody would who is not in this process: by messages."""
    mqtt = rig.config.mqtt
    if mqtt is not None:
        url = f"mqtt://{mqtt.host}:{mqtt.port}/{rig.config.rig.id}"
    else:
        url = f"unix:{socket_path(rig.config.rig.id, None, rig.config.service.state, os.environ)}"
    async with connect(url) as remote:
        await remote.home()
        await remote.start(name)
    pipeline = rig.controller.hands.pipeline
    if pipeline is None:  # over already
        raise Stopped(Exit.HARDWARE, "the stack ended as soon as it had begun")
    return pipeline.session


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
