"""What the camera sees of the rail itself: backlash, how well home is found again, the length of a step, the lens's pupil.

All of it rests on pictures taken at counted positions, approached from below: a sweep. A picture taken elsewhere is then placed among
them (`stackcore.along`) to a micrometre or less, and what it was counted as is compared with where it turns out to have been taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rigd.calibration.records import Backlash, HomingRepeat, PupilDistance
from rigd.calibration.ringing import Floats
from rigd.calibration.stand import CalibrationRefused, Gray, Stand, keep

if TYPE_CHECKING:
    from stackcore.along import Place, Sweep

REST_S = 2.0
"""Before each picture, where nobody knows how the rig rings."""
DEFAULT_STEP_UM = 50.0
LEAST_REACH_UM = 300.0
"""Backlash that is looked for where none is declared; else three times what is."""
BACKLASHES = 3.0
OVERLAP = 8
"""Intervals of the sweep that both ways have in common, at least."""
RUNS = 4
"""Ways, up and down by turns: three reversals, of which a steady drift cancels."""
FLOOR_UM = 0.2
"""No backlash is claimed to be known better: microsteps have errors of that kind."""
SPREAD_SIGMAS, SPREAD_UM, SPREAD_SHARE = 4.0, 1.5, 0.03
"""Readings are consistent when they scatter less than the largest of these: so many of their errors, micrometres, this share."""
AGREE_UM, AGREE_SHARE, AGREE_SIGMAS = 3.0, 0.03, 4.0
"""Sharpness and size are consistent when they differ by less than the largest of these."""
HOME_INTERVALS = 6
"""Of the sweep that homings are compared with."""
PUPIL_FLOOR = 0.04
"""Share of the pupil's distance by which registration of frames with other things in focus was seen to be off."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A record and the curves that it rests on, for the report."""

    record: Backlash | HomingRepeat | PupilDistance
    curves: dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Taken:
    """Pictures at counted positions."""

    positions_um: tuple[float, ...]
    pictures: tuple[Gray, ...]


# ------------------------------------------------------------------------------------------------------------------ sweeps


def positions(stand: Stand, centre_um: float, step_um: float, count: int) -> tuple[float, ...]:
    """Whole microsteps, evenly spread round a centre. Raises `CalibrationRefused` where they do not fit between the limits."""
    um = stand.microstep_um
    step = max(1, round(step_um / um))
    first = round(centre_um / um) - step * (count - 1) // 2
    found = tuple((first + k * step) * um for k in range(count))
    low, high = stand.config.limits.min_um, stand.config.limits.max_um
    if found[0] < low or found[-1] > high:
        raise CalibrationRefused(
            f"the sweep from {found[0]:g} to {found[-1]:g} um leaves the rail's limits ({low:g} to {high:g} um): choose another place (--at)"
        )
    return found


async def sweep(
    stand: Stand, at_um: Sequence[float], *, upward: bool, rest_s: float, beyond_um: float
) -> Taken:
    """A picture at each position, all approached from one side; given in ascending order either way."""
    order = list(at_um) if upward else list(reversed(at_um))
    low, high = stand.config.limits.min_um, stand.config.limits.max_um
    start = order[0] - beyond_um if upward else order[0] + beyond_um
    await stand.go(min(max(start, low), high))
    pictures = []
    for position_um in order:
        ended_s = await stand.go(position_um)
        pictures.append(await stand.look(not_before_s=ended_s + rest_s))
        stand.progress.step(f"{'up' if upward else 'down'}, {position_um:.0f} um")
    return Taken(tuple(at_um), tuple(pictures if upward else reversed(pictures)))


def rest_of(stand: Stand) -> float:
    """How long the rig rests before a picture: until a swing has gone down to a hundredth, where that is known."""
    from rigd.calibration.records import CalibrationError, calibration_path, load  # noqa: PLC0415

    try:
        known = load(calibration_path(stand.config)).ring_down(stand.objective or None)
    except (CalibrationError, OSError):
        known = None
    if known is None or known.damping <= 0:
        return max(REST_S, stand.config.settle.fixed_s)
    return min(max(math.log(200) / (2 * math.pi * known.frequency_hz * known.damping), 0.2), 10.0)


def step_of(stand: Stand, step_um: float | None) -> float:
    """The step of sweeps: half the plan's, whose step goes by the depth of field."""
    if step_um is not None:
        return step_um
    plan = stand.plan
    return DEFAULT_STEP_UM if plan is None else plan.step_um / 2


def compared(taken: Taken) -> Sweep:
    """Pictures that others can be placed among. Raises `CalibrationRefused` when they show nothing to go by."""
    from stackcore.along import Sweep  # noqa: PLC0415  (Numba is loaded here)

    try:
        return Sweep(taken.positions_um, taken.pictures)
    except ValueError as error:
        raise CalibrationRefused(f"the pictures cannot be compared: {error}") from error


# ---------------------------------------------------------------------------------------------------------------- backlash


async def backlash(
    stand: Stand,
    centre_um: float,
    *,
    step_um: float | None = None,
    most_um: float | None = None,
    runs: int = RUNS,
) -> Measured:
    """Lost motion at a reversal: the same places, counted on the way up and on the way down.

    Args:
        stand: the rig, homed.
        centre_um: where something is in focus.
        step_um: between two pictures; None: half the plan's.
        most_um: the largest backlash that is looked for; None: three times what the rail declares, 300 um at least.
        runs: ways up and down, at least 3.

    Raises:
        CalibrationRefused: the pictures do not show it, or not consistently.
    """
    step = step_of(stand, step_um)
    reach_um = max(BACKLASHES * stand.backlash_um, LEAST_REACH_UM) if most_um is None else most_um
    at_um = positions(stand, centre_um, step, math.ceil(reach_um / step) + OVERLAP + 1)
    stand.progress.expect(len(at_um) * runs)
    rest_s = rest_of(stand)
    taken = [
        await sweep(stand, at_um, upward=run % 2 == 0, rest_s=rest_s, beyond_um=reach_um)
        for run in range(runs)
    ]
    readings, errors, pairs = [], [], []
    for number in range(runs - 1):
        up, down = (number, number + 1) if number % 2 == 0 else (number + 1, number)
        value, error, pair = lost_between(taken[up], taken[down], reach_um)
        readings.append(value)
        errors.append(error)
        pairs.append(pair)
    folder = stand.evidence("backlash")
    curves = _curves(taken, pairs)
    keep(folder, curves, {"readings_um": readings, "errors_um": errors, "step_um": step, "runs": runs})
    record = judged(readings, errors, measured=stand.utc(), position_um=centre_um, evidence=folder.name)
    return Measured(record, curves)


def lost_between(up: Taken, down: Taken, reach_um: float) -> tuple[float, float, Floats]:
    """Backlash, its error and the single pictures' own readings (n, 4) from one way up and one way down.

    Raises `CalibrationRefused` when too few pictures can be placed, or when sharpness and size contradict each other.
    """
    reference = compared(up)
    interval = up.positions_um[1] - up.positions_um[0]
    places = [reference.place(picture) for picture in down.pictures]
    counted = np.array(down.positions_um)
    sharp = np.array([place.sharpness_um for place in places]) - counted
    size = np.array([place.size_um for place in places]) - counted
    # The place of a picture taken beyond the sweep is not known, and at its ends not well.
    ends = np.array(up.positions_um)[[0, -1]] + [interval / 2, -interval / 2]
    by_sharpness = _averaged(sharp, [place.sharpness_error_um for place in places], counted, ends)
    by_size = _averaged(size, [place.size_error_um for place in places], counted, ends)
    single = np.stack([counted, sharp, size, np.array([p.best_error_um for p in places])], axis=1)
    if by_sharpness is None and by_size is None:
        raise CalibrationRefused(
            "pictures taken on the way down are not found among those taken on the way up: there is too little in focus there "
            f"(--at), or the backlash is more than {reach_um:g} um (--most)"
        )
    if by_sharpness is not None and by_size is not None:
        apart = abs(by_sharpness[0] - by_size[0])
        allowed = max(
            AGREE_UM,
            AGREE_SHARE * abs(by_sharpness[0]),
            AGREE_SIGMAS * math.hypot(by_sharpness[1], by_size[1]),
        )
        if apart > allowed:
            raise CalibrationRefused(
                f"the pictures contradict each other: by their sharpness the rail loses {by_sharpness[0]:.1f} um at a reversal, by the "
                f"size of things {by_size[0]:.1f} um. Something moved, or refocused, during the sweep"
            )
    value, error = min((one for one in (by_sharpness, by_size) if one is not None), key=lambda one: one[1])
    return value, error, single


def _averaged(
    values: Floats, errors: Sequence[float], counted: Floats, ends: Floats
) -> tuple[float, float] | None:
    """The median of single readings and its error; None with too few of them."""
    claimed = np.asarray(errors, np.float64)
    inside = np.isfinite(values) & np.isfinite(claimed)
    inside &= (counted + np.where(inside, values, 0) >= ends[0]) & (
        counted + np.where(inside, values, 0) <= ends[1]
    )
    if np.count_nonzero(inside) < 4:
        return None
    good = values[inside]
    middle = float(np.median(good))
    spread = 1.4826 * float(np.median(np.abs(good - middle)))
    near = np.abs(good - middle) <= 3 * spread + 1e-6
    mean = float(good[near].mean())
    scatter = float(good[near].std(ddof=1)) if np.count_nonzero(near) > 1 else spread
    # Pictures share what they are compared with, so that half of their errors is common to neighbours.
    count = max(1.0, np.count_nonzero(near) / 2)
    return mean, math.hypot(max(scatter, float(np.median(claimed[inside]))) / math.sqrt(count), FLOOR_UM)


def judged(
    readings: Sequence[float],
    errors: Sequence[float],
    *,
    measured: str,
    position_um: float,
    evidence: str = "",
) -> Backlash:
    """One backlash from the readings of several reversals. Raises `CalibrationRefused` when they do not agree."""
    values, claimed = np.asarray(readings, np.float64), float(np.median(errors))
    listed = ", ".join(f"{value:.1f}" for value in values)
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    # Reversals are up-down and down-up by turns: what drifts steadily has the other sign in each.
    means = (values[1:] + values[:-1]) / 2 if len(values) > 1 else values
    value = float(means.mean())
    allowed = max(SPREAD_SIGMAS * claimed, SPREAD_UM, SPREAD_SHARE * abs(value))
    if spread > allowed:
        raise CalibrationRefused(
            f"the backlash is not the same each time: {listed} um, where {claimed:.1f} um of error were to be expected. Look for lost "
            "steps, a loose nut or coupling, a slipping carriage, or a drift of the stand; then measure again"
        )
    error = max(spread, claimed) / math.sqrt(len(values))
    if value < -max(3 * error, 1.0):
        raise CalibrationRefused(
            f"the pictures say that the rail goes {-value:.1f} um too far at a reversal, which no rail does: positions must grow toward "
            "the subject; or something moved"
        )
    return Backlash(
        measured=measured,
        backlash_um=max(0.0, value),
        error_um=max(error, FLOOR_UM),
        readings_um=tuple(float(reading) for reading in values),
        spread_um=spread,
        position_um=position_um,
        evidence=evidence,
    )


def _curves(taken: Sequence[Taken], pairs: Sequence[Floats]) -> dict[str, Floats]:
    """For evidence and report: sharpness of the whole picture on each way, and the single readings of each reversal."""
    from stackcore.along import sharpness  # noqa: PLC0415

    curves = {}
    for number, way in enumerate(taken):
        energy = [float(sharpness(picture).mean()) for picture in way.pictures]
        curves[f"way_{number}"] = np.stack([np.array(way.positions_um), np.array(energy)], axis=1)
    for number, pair in enumerate(pairs):
        curves[f"reversal_{number}"] = pair
    return curves


# ------------------------------------------------------------------------------------------------------------------ homing


async def homing(stand: Stand, centre_um: float, *, homings: int, step_um: float | None = None) -> Measured:
    """How well home is found again: the same counted position, looked at after each homing. Raises `CalibrationRefused`."""
    step = step_of(stand, step_um)
    beyond_um = max(2 * stand.backlash_um, 5 * stand.microstep_um, step)
    at_um = positions(stand, centre_um, step, HOME_INTERVALS + 1)
    centre_um = at_um[HOME_INTERVALS // 2]
    stand.progress.expect(len(at_um) + homings)
    rest_s = rest_of(stand)
    reference = compared(await sweep(stand, at_um, upward=True, rest_s=rest_s, beyond_um=beyond_um))
    low, high = stand.config.limits.min_um, stand.config.limits.max_um
    places: list[Place] = []
    counted = []
    for number in range(homings):
        # From another place each time, as it is met in use.
        await stand.go(low + (high - low) * (0.15 + 0.7 * ((number * 0.618) % 1.0)))
        await stand.rig.home()
        met = stand.rig.controller.hands.rail.home_error
        if met is not None:
            counted.append(met * stand.microstep_um)
        ended_s = await stand.approach(centre_um, upward=True, beyond_um=beyond_um)
        places.append(reference.place(await stand.look(not_before_s=ended_s + rest_s)))
        stand.progress.step(f"homing {number + 1} of {homings}")
    seen = np.array([place.best_um for place in places]) - centre_um
    errors = np.array([place.best_error_um for place in places])
    if not np.isfinite(seen).all():
        raise CalibrationRefused(
            f"after {np.count_nonzero(~np.isfinite(seen))} of {homings} homings the picture was not found within {HOME_INTERVALS // 2 * step:g} um "
            "of where it was: home is found very differently each time, or there is too little in focus (--at, --step)"
        )
    folder = stand.evidence("homing")
    curves = {"camera_um": seen, "errors_um": errors, "counted_um": np.array(counted)}
    keep(folder, curves, {"homings": homings, "position_um": centre_um})
    spread = float(seen.std(ddof=1))
    record = HomingRepeat(
        measured=stand.utc(),
        homings=homings,
        spread_um=spread,
        error_um=max(spread / math.sqrt(2 * (homings - 1)), float(np.median(errors)) / math.sqrt(homings)),
        worst_um=float(np.ptp(seen)),
        camera_um=tuple(float(value) for value in seen - seen[0]),
        counted_um=tuple(float(value) for value in counted),
        evidence=folder.name,
    )
    return Measured(record, curves)


# ------------------------------------------------------------------------------------------------------------------- pupil


async def pupil(stand: Stand, at_um: Sequence[float]) -> Measured:
    """Entrance pupil to the plane in focus, from how things grow along a sweep. Raises `CalibrationRefused`."""
    from stackcore.registration import Registrar, calibrate  # noqa: PLC0415  (Numba is loaded here)

    stand.progress.expect(len(at_um))
    beyond_um = max(2 * stand.backlash_um, 5 * stand.microstep_um)
    taken = await sweep(stand, at_um, upward=True, rest_s=rest_of(stand), beyond_um=beyond_um)
    registrar, found, matrices = Registrar(gains=False), [], []
    for number, picture in enumerate(taken.pictures):
        lies = registrar.add(np.clip(np.rint(picture * 256), 0, 65535).astype(np.uint16), number)
        if lies.found:
            found.append(number)
            matrices.append(lies.matrix)
    if len(found) < max(4, len(at_um) // 2):
        raise CalibrationRefused(
            f"only {len(found)} of {len(at_um)} pictures of the sweep could be registered: choose a place with more texture"
        )
    law = calibrate(found, matrices)
    interval = (at_um[-1] - at_um[0]) / (len(at_um) - 1)
    middle = len(at_um) // 2
    # 1 / zoom is linear in the place; from the first frame's D to that of the middle one.
    per_um = -law.shrink_per_step / interval / (1 + law.shrink_per_step * middle)
    scatter = law.scatter / interval / (float(np.std(found)) * math.sqrt(len(found)) + 1e-12)
    error = math.hypot(scatter, PUPIL_FLOOR * abs(per_um))
    telecentric = abs(per_um) < 3 * scatter or per_um <= 0
    if per_um < -3 * scatter and per_um < -1e-7:
        raise CalibrationRefused(
            "things become smaller as the rail's position grows: positions must grow toward the subject"
        )
    folder = stand.evidence("pupil")
    zoom = np.array([float(np.hypot(m[0, 0], m[1, 0])) for m in matrices])
    curves = {"positions_um": np.array(at_um)[found], "zoom": zoom}
    keep(folder, curves, {"per_um": per_um, "scatter": law.scatter})
    record = PupilDistance(
        objective=stand.objective,
        measured=stand.utc(),
        pupil_to_focus_um=None if telecentric else 1 / per_um,
        error_um=0.0 if telecentric else error / per_um**2,
        per_um=0.0 if telecentric else per_um,
        per_um_error=error,
        position_um=at_um[middle],
        evidence=folder.name,
    )
    return Measured(record, curves)
