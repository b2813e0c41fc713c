"""What a plan takes: time and bytes, and what they are made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from rigd.plan.model import Plan, PlanError


@dataclass(frozen=True, slots=True)
class Costs:
    """What one frame costs, for the prediction."""

    move_time_s: Callable[[int], float]
    """Duration of a move over so many microsteps."""
    settle_s: Callable[[int], float]
    """The wait after a move over so many microsteps."""
    exposure_s: float
    camera_overhead_s: float = 0.0
    transfer_s: float = 0.0
    recycle_s: float = 0.0
    """Of a flash, from the end of an exposure; it charges while the rail moves and settles."""
    frame_bytes: int = 0
    fixed_bytes: int = 0
    """Preview, depth map and journal."""
    results_bytes: int = 0
    """The fused picture and what is made with it."""
    once_s: float = 0.0
    """Of the whole stack: pictures that are taken twice, to be held against each other."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Time and bytes of a plan, and what they are made of."""

    seconds: float
    motion_s: float
    settle_s: float
    exposure_s: float
    waiting_s: float
    """For the camera: overhead, and transfers or flashes that take longer than the next move and settle."""
    bytes: int
    frames_bytes: int = 0
    """Of `bytes`, the frames."""
    results_bytes: int = 0
    """Of `bytes`, what is made of them: preview, depth map, fused picture."""
    longest_pause_s: float = 0.0
    """The longest move and settle between two frames."""


def predict(plan: Plan, costs: Costs, start: int | None = None) -> Prediction:
    """How long a plan takes and how much it stores.

    The next move starts when the shutter has closed, so a transfer costs time only where it is longer than the move and
    settle that follow. A flash charges meanwhile, too, and through the camera's own overhead. `start` is where the rail stands now (default: at the approach).
    """
    stops = (plan.approach, *plan.positions)
    moves = [costs.move_time_s(b - a) for a, b in itertools.pairwise(stops)]
    lead_in = 0.0 if start is None or start == plan.approach else costs.move_time_s(plan.approach - start)
    settles = [costs.settle_s(b - a) for a, b in itertools.pairwise(stops)]
    pauses = [move + settle for move, settle in zip(moves, settles, strict=True)]
    stalls = sum(
        stall_s(pause, costs.camera_overhead_s, costs.transfer_s, costs.recycle_s) for pause in pauses[1:]
    )
    motion_s = lead_in + sum(moves)
    settle_s = sum(settles)
    exposure_s = plan.frames * costs.exposure_s
    waiting_s = plan.frames * costs.camera_overhead_s + stalls + costs.transfer_s + costs.once_s
    return Prediction(
        seconds=motion_s + settle_s + exposure_s + waiting_s,
        motion_s=motion_s,
        settle_s=settle_s,
        exposure_s=exposure_s,
        waiting_s=waiting_s,
        bytes=plan.frames * costs.frame_bytes + costs.fixed_bytes + costs.results_bytes,
        frames_bytes=plan.frames * costs.frame_bytes,
        results_bytes=costs.fixed_bytes + costs.results_bytes,
        longest_pause_s=max(pauses[1:], default=0.0),
    )


def stall_s(pause_s: float, overhead_s: float, transfer_s: float, recycle_s: float) -> float:
    """What move and settle (`pause_s`) do not hide of a frame's transfer, and these and the camera's overhead not of a flash's recycling."""
    return max(0.0, transfer_s - pause_s, recycle_s - overhead_s - pause_s)


def check_resources(
    plan: Plan, prediction: Prediction, *, free_bytes: int | None, max_frames: int | None
) -> None:
    """Raise `PlanError` when the disk or the camera cannot hold the plan."""
    reasons = []
    if max_frames is not None and plan.frames > max_frames:
        reasons.append(
            f"the camera has {max_frames} frames left and the plan takes {plan.frames}: "
            f"take a longer step, fewer margin frames, or make room on the card"
        )
    if free_bytes is not None and prediction.bytes > free_bytes:
        reasons.append(
            f"the plan stores about {prediction.bytes / 1e6:.1f} MB and the disk has {max(0, free_bytes) / 1e6:.1f} MB to give: "
            f"delete old sessions or set storage.sessions to a larger disk"
        )
    if reasons:
        raise PlanError(*reasons)
