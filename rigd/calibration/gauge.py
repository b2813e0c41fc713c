"""Length of a step against a known height: a gauge block, a feeler gauge, a step of any kind whose height somebody has measured.

A ruler shows lengths across the picture, and a rail moves along the axis, so it is a height that is compared: the rail goes through the
gauge, each block of the picture has its own position of best focus, and two planes are looked for among them. What the rail counted
between them, against what they are known to be apart, is the length of its step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rigd.calibration.records import StepScale
from rigd.calibration.ringing import Floats
from rigd.calibration.stand import CalibrationRefused, Stand, keep
from rigd.calibration.sweeps import rest_of, step_of, sweep

Region = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the picture's width and height."""

BLOCKS_DOWN, BLOCK_PX = 24, (8, 32)
"""About so many blocks down the picture, of at least and at most so many pixels."""
STANDS_OUT = 1.6
"""A block counts when its largest sharpness is this many times its median one."""
LEAST_BLOCKS = 6
"""In each plane."""
OUTLIER = 3.0
WORTH_UM = 10.0
"""Planes nearer to each other than this tell nothing of a step."""
APART_SIGMAS = 6.0
"""Planes that are found by themselves are apart by this many of their own scatters."""
MARGIN_STEPS = 4
WORTH_READINGS = 20.0
"""A way that is read on a ruler is so many times its error at least."""
MOST_OFF = 40.0
"""Beyond every mistake with gears and microsteps: then it is the units."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane through best-focus positions."""

    at_um: float
    """At the middle of its region."""
    error_um: float
    blocks: int


@dataclass(frozen=True, slots=True)
class Gauged:
    """The record, and what it rests on."""

    record: StepScale
    near: Plane
    far: Plane
    curves: dict[str, Floats]


def plane_in(
    focus_um: Floats, clear: Floats, region: Region, covered: tuple[float, float] = (1.0, 1.0)
) -> Plane:
    """The plane of the blocks in a region, at its middle. Raises `CalibrationRefused` for too few of them.

    Args:
        focus_um: (h, w), best focus of each block, nan where it has none.
        clear: (h, w), how much it stands out.
        region: as shares.
        covered: share of the picture's width and height that the blocks cover, from its left and top.
    """
    rows, columns = focus_um.shape
    x, y = np.meshgrid(
        (np.arange(columns) + 0.5) / columns * covered[0], (np.arange(rows) + 0.5) / rows * covered[1]
    )
    left, top, right, bottom = region
    inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    good = inside & np.isfinite(focus_um) & (clear >= STANDS_OUT)
    if np.count_nonzero(good) < LEAST_BLOCKS:
        raise CalibrationRefused(
            f"only {np.count_nonzero(good)} blocks of the picture come into focus in the region {_text(region)}: at least "
            f"{LEAST_BLOCKS} are needed. Is there texture, and does the sweep go through it?"
        )
    u, v, z = x[good] - (left + right) / 2, y[good] - (top + bottom) / 2, focus_um[good]
    columns_ = np.stack([np.ones_like(u), u, v], axis=1)
    weights = np.ones_like(z)
    found = np.array([np.median(z), 0.0, 0.0])
    for _ in range(10):
        root = np.sqrt(weights)
        found, *_ = np.linalg.lstsq(columns_ * root[:, None], z * root, rcond=None)
        left_um = z - columns_ @ found
        spread = 1.4826 * float(np.median(np.abs(left_um))) + 1e-6
        weights = 1 / (1 + (left_um / (OUTLIER * spread)) ** 2) ** 2
    normal = (columns_ * weights[:, None]).T @ columns_
    error = spread * math.sqrt(float(np.linalg.pinv(normal)[0, 0]))
    return Plane(float(found[0]), error, int(np.count_nonzero(good)))


def two_planes(focus_um: Floats, clear: Floats) -> tuple[Plane, Plane]:
    """Two level planes, found by themselves: the near one and the far one. Raises `CalibrationRefused` where there are not two."""
    z = np.sort(focus_um[np.isfinite(focus_um) & (clear >= STANDS_OUT)])
    if len(z) < 2 * LEAST_BLOCKS:
        raise CalibrationRefused(
            f"only {len(z)} blocks of the picture come into focus on the way: choose another place or more texture"
        )
    # The split that leaves the least scatter on both sides.
    best, at = math.inf, LEAST_BLOCKS
    for k in range(LEAST_BLOCKS, len(z) - LEAST_BLOCKS + 1):
        cost = float(np.abs(z[:k] - np.median(z[:k])).sum() + np.abs(z[k:] - np.median(z[k:])).sum())
        if cost < best:
            best, at = cost, k
    planes = []
    scatters = []
    for part in (z[:at], z[at:]):
        middle = float(np.median(part))
        scatter = 1.4826 * float(np.median(np.abs(part - middle))) + 1e-6
        near = part[np.abs(part - middle) <= OUTLIER * scatter]
        planes.append(Plane(float(near.mean()), scatter / math.sqrt(len(near)), len(near)))
        scatters.append(scatter)
    if planes[1].at_um - planes[0].at_um < APART_SIGMAS * max(scatters):
        raise CalibrationRefused(
            "two level planes are not to be told apart in the picture: name them with --from and --to LEFT,TOP,RIGHT,BOTTOM, as shares of it"
        )
    return planes[0], planes[1]


def scale_of(near: Plane, far: Plane, known_um: float) -> tuple[float, float, float]:
    """Counted height, true micrometres for each that is counted, and its error. Raises `CalibrationRefused`."""
    counted_um = abs(far.at_um - near.at_um)
    if counted_um < WORTH_UM:
        raise CalibrationRefused(
            f"the two planes are only {counted_um:.1f} um apart: that tells nothing of a step"
        )
    factor = known_um / counted_um
    return counted_um, factor, factor * math.hypot(near.error_um, far.error_um) / counted_um


def read_off(known_um: float, counted_um: float, *, reading_um: float, measured: str) -> StepScale:
    """The length of a step by a way read on a ruler beside the rail. Raises `CalibrationRefused` for one too short to tell.

    Args:
        known_um: the way as it was read.
        counted_um: as the rail counted it.
        reading_um: error of a reading, of which there is one at each end.
        measured: when, for the record.
    """
    error_um = math.sqrt(2) * reading_um
    if counted_um < WORTH_READINGS * error_um:
        raise CalibrationRefused(
            f"{counted_um:g} um tell nothing where each end is read to {reading_um:g} um: go {WORTH_READINGS * error_um:.0f} um or more"
        )
    factor = known_um / counted_um
    if not 1 / MOST_OFF < factor < MOST_OFF:
        raise CalibrationRefused(
            f"{known_um:g} um read for {counted_um:g} um counted is {factor:.3g} times as much: are both in micrometres, "
            "and screw pitch, gear and microsteps in the config right?"
        )
    return StepScale(
        measured=measured,
        factor=factor,
        error=error_um / counted_um,
        known_um=known_um,
        counted_um=counted_um,
    )


async def measure(
    stand: Stand,
    known_um: float,
    *,
    regions: tuple[Region, Region] | None,
    near_um: float,
    far_um: float,
    step_um: float | None = None,
) -> Gauged:
    """Go through a gauge.

    Args:
        stand: the rig, homed.
        known_um: height of the gauge, as somebody measured it.
        regions: where its two planes are seen; None: they are level, and found by themselves.
        near_um: rail position at which the nearer of them comes into focus, or less.
        far_um: the farther, or more.
        step_um: between two pictures; None: half the plan's.

    Raises:
        CalibrationRefused: the planes are not found.
    """
    from stackcore.along import best_focus, sharpness  # noqa: PLC0415  (Numba is loaded here)

    step = max(1, round(step_of(stand, step_um) / stand.microstep_um)) * stand.microstep_um
    at_um = _through(stand, near_um, far_um, step)
    stand.progress.expect(len(at_um))
    beyond_um = max(2 * stand.backlash_um, 5 * stand.microstep_um)
    taken = await sweep(stand, at_um, upward=True, rest_s=rest_of(stand), beyond_um=beyond_um)
    height, width = taken.pictures[0].shape
    block_px = int(np.clip(round(height / BLOCKS_DOWN), *BLOCK_PX))
    energies = np.stack([sharpness(picture, block_px) for picture in taken.pictures])
    covered = (energies.shape[2] * block_px / width, energies.shape[1] * block_px / height)
    focus_um, clear = best_focus(np.array(at_um), energies)
    if regions is None:
        near, far = two_planes(focus_um, clear)
    else:
        near, far = (plane_in(focus_um, clear, region, covered) for region in regions)
    counted_um, factor, error = scale_of(near, far, known_um)
    folder = stand.evidence("scale")
    curves = {"focus_um": focus_um, "stands_out": clear}
    keep(
        folder, curves, {"known_um": known_um, "counted_um": counted_um, "regions": regions, "step_um": step}
    )
    record = StepScale(
        measured=stand.utc(),
        factor=factor,
        error=error,
        known_um=known_um,
        counted_um=counted_um,
        evidence=folder.name,
    )
    return Gauged(record, near, far, curves)


def _through(stand: Stand, near_um: float, far_um: float, step: float) -> Sequence[float]:
    """Positions through both planes and a little beyond, within the limits."""
    low, high = stand.config.limits.min_um, stand.config.limits.max_um
    first = max(near_um - MARGIN_STEPS * step, low)
    last = min(far_um + MARGIN_STEPS * step, high)
    start = math.ceil(first / stand.microstep_um) * stand.microstep_um
    count = int((last - start) / step) + 1
    if count < 5:
        raise CalibrationRefused(
            f"from {near_um:g} to {far_um:g} um there are only {count} steps of {step:g} um: at least 5 are needed"
        )
    return [start + k * step for k in range(count)]


def _text(region: Region) -> str:
    return ",".join(f"{value:g}" for value in region)
