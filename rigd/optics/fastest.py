"""The quickest way to photograph a depth: how wide an aperture, how many frames.

On a rail a frame costs an overhead t_o (move, settle, transfer) and an exposure kappa N_eff^2; its classic depth of field goes with N_eff. Over n N_eff = const the time
n (t_o + kappa N_eff^2) is least where exposure equals overhead. Beyond N_eff = c / (2 lambda) diffraction blurs by more than the blur circle: there the aperture ends.

With a lens that is focused instead of moved: Hasinoff and Kutulakos, "Light-Efficient Photography" (IEEE PAMI 33, 2011), sections 4 and 5. In sensor space a depth of field is an interval
[alpha, beta] with alpha = v D / (D + c) and beta = v D / (D - c), for a sensor at v behind an aperture of diameter D; a photo takes L / D^2.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from rigd.optics.depth import classic_um
from rigd.optics.diffraction import best_effective
from rigd.optics.scale import OpticsError, positive


@dataclass(frozen=True, slots=True)
class RailTask:
    """A depth to photograph on a rail."""

    depth_um: float
    magnification: float
    blur_circle_um: float
    overhead_s: float
    """Of each frame, beside its exposure."""
    exposure_s: float
    """As metered at `metered_effective`."""
    metered_effective: float
    share: float = 0.8
    """Of the depth of field, that a step may be."""
    widest_effective: float = 0.0
    """The lens opens no wider; 0: as wide as is wanted."""
    wavelength_um: float = 0.55


@dataclass(frozen=True, slots=True)
class RailSet:
    """An aperture and a number of frames, and what they take."""

    effective_f_number: float
    frames: int
    step_um: float
    exposure_s: float
    seconds: float
    limited_by: str
    """`overhead`: exposure about equals overhead; `diffraction` or `lens`: the aperture goes no further."""


def fastest_on_rail(task: RailTask) -> RailSet:
    """The quickest aperture and number of frames that keep every depth within the blur circle. Raises `OpticsError`."""
    positive(
        depth_um=task.depth_um,
        magnification=task.magnification,
        blur_circle_um=task.blur_circle_um,
        exposure_s=task.exposure_s,
        metered_effective=task.metered_effective,
        share=task.share,
    )
    if not (math.isfinite(task.overhead_s) and task.overhead_s >= 0):
        raise OpticsError(f"overhead_s is {task.overhead_s:g}: it must be 0 or more")
    widest, narrowest = task.widest_effective, best_effective(task.blur_circle_um, task.wavelength_um)
    if widest > narrowest:
        raise OpticsError(
            f"diffraction at the lens's widest, f/{widest:.3g} effective, is more than a blur circle of {task.blur_circle_um:g} um allows "
            f"(f/{narrowest:.3g}): grant {2 * task.wavelength_um * widest:.3g} um"
        )
    if task.overhead_s == 0 and widest <= 0:
        raise OpticsError(
            "frames that cost no overhead make the widest aperture the quickest: say how wide the lens opens"
        )
    least = frames_at(task, narrowest)
    frames = _least(lambda count: _seconds(task, count), least)
    effective = max(_effective(task, frames), widest)
    balanced = math.sqrt(task.overhead_s / _kappa(task))
    limited_by = "lens" if balanced <= widest else "diffraction" if balanced >= narrowest else "overhead"
    return RailSet(
        effective_f_number=effective,
        frames=frames,
        step_um=task.depth_um / (frames - 1),
        exposure_s=_kappa(task) * effective**2,
        seconds=_seconds(task, frames),
        limited_by=limited_by,
    )


def frames_at(task: RailTask, effective: float) -> int:
    """How many frames the depth takes at this effective f-number, both ends included."""
    step_um = task.share * classic_um(task.blur_circle_um, effective, task.magnification)
    return max(2, math.ceil(task.depth_um / step_um - 1e-9) + 1)


def _kappa(task: RailTask) -> float:
    """Exposure at an effective f-number of 1."""
    return task.exposure_s / task.metered_effective**2


def _effective(task: RailTask, frames: int) -> float:
    """The widest aperture at which so many frames are enough."""
    dof_um = task.depth_um / (frames - 1) / task.share
    return dof_um * task.magnification**2 / (2 * task.blur_circle_um)


def _seconds(task: RailTask, frames: int) -> float:
    effective = max(_effective(task, frames), task.widest_effective)
    return frames * (task.overhead_s + _kappa(task) * effective**2)


def _least(cost: Callable[[int], float], start: int) -> int:
    """The number from `start` on with the least cost, which falls and then rises."""
    span = 1
    while cost(start + span) < cost(start + span - 1):
        span *= 2
    low, high = start, start + span
    while low < high:
        middle = (low + high) // 2
        if cost(middle + 1) < cost(middle):
            low = middle + 1
        else:
            high = middle
    return low


@dataclass(frozen=True, slots=True)
class FocusTask:
    """A depth to photograph by focusing, as an interval of sensor positions behind the lens, in one unit of length throughout."""

    alpha: float
    """Sensor position at which the farthest plane is in focus."""
    beta: float
    """And that for the nearest: more than `alpha`."""
    blur_circle: float
    widest: float
    """Largest diameter of the aperture."""
    light: float
    """L: a photo through an aperture of diameter D takes L / D^2 seconds."""
    overhead_s: float = 0.0
    """Of each photo."""


@dataclass(frozen=True, slots=True)
class FocusSet:
    """Photos of one aperture, and where the sensor is for each."""

    diameter: float
    photos: int
    sensor: tuple[float, ...]
    seconds: float


def fastest_by_focus(task: FocusTask) -> FocusSet:
    """The quickest set of photos that together have the depth of field of one. Raises `OpticsError`.

    n photos of equal aperture D_n = c coth(ln(beta / alpha) / 2n) abut; no n of them do it quicker. More photos than the widest aperture needs only cost overhead.
    """
    positive(
        alpha=task.alpha, beta=task.beta, blur_circle=task.blur_circle, widest=task.widest, light=task.light
    )
    if task.beta <= task.alpha:
        raise OpticsError(f"beta ({task.beta:g}) must be more than alpha ({task.alpha:g})")
    if task.widest <= task.blur_circle:
        raise OpticsError(
            f"widest ({task.widest:g}) must be more than the blur circle ({task.blur_circle:g})"
        )
    depth = math.log(task.beta / task.alpha)
    most = max(1, math.ceil(depth / _reach(task.widest, task.blur_circle) - 1e-12))
    diameters = (_diameter(task, depth, photos) for photos in range(1, most + 1))
    times = [photos * (task.overhead_s + task.light / d**2) for photos, d in enumerate(diameters, start=1)]
    photos = times.index(min(times)) + 1
    # Photos of equal aperture abut where ln(sensor) is cut in equal parts; the sensor is at 2 alpha beta / (alpha + beta) of each part.
    ratio = math.exp(depth / photos)
    edges = [task.alpha * ratio**index for index in range(photos + 1)]
    sensor = tuple(2 * low * high / (low + high) for low, high in itertools.pairwise(edges))
    return FocusSet(_diameter(task, depth, photos), photos, sensor, times[photos - 1])


def _reach(diameter: float, blur_circle: float) -> float:
    """ln(beta / alpha) of one photo."""
    return math.log((diameter + blur_circle) / (diameter - blur_circle))


def _diameter(task: FocusTask, depth: float, photos: int) -> float:
    """The widest aperture at which so many photos cover a depth of so much ln(sensor)."""
    return min(task.blur_circle / math.tanh(depth / (2 * photos)), task.widest)
