"""Why a plan is as it is, in plain words, one sentence or two for each thing that was decided."""

from __future__ import annotations

from dataclasses import dataclass

from rigd.optics import CONVENTION_WORDS, OpticsError, Setup, perspective
from rigd.plan.costs import Prediction
from rigd.plan.model import Plan

EXACT_UM = 0.0005
"""What is rounded by less is not rounded, to the digits that are shown."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was decided."""

    about: str
    """`optics`, `depth_of_field`, `step`, `ends`, `rounding`, `approach`, `perspective`, `motion`, `settle`, `time`, `disk`."""
    text: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, as far as it explains the plan."""

    share: float
    """Of the depth of field, where the step comes from it."""
    step_from_optics: bool
    step_um: float | None = None
    frames: int | None = None
    overshoot_given: bool = False
    backlash_um: float = 0.0
    depth_um: float | None = None
    """Depth of field where the longest step begins."""
    follows_depth: bool = False
    """Whether each step goes by the depth of field where it is."""
    pupil_source: str = ""
    """Who says where the entrance pupil is, where it is known."""


def explain(plan: Plan, taken: Prediction, setup: Setup | None, wish: Wish) -> tuple[Reason, ...]:
    """All of it, from the optics to the disk."""
    optics = () if setup is None else (_optics(setup), _depth(setup))
    return (
        *optics,
        _step(plan, setup, wish),
        _ends(plan),
        _rounding(plan),
        _approach(plan, wish),
        *_perspective(plan, setup, wish),
        _time(plan, taken),
        _disk(plan, taken),
    )


def overlap(plan: Plan, depth_um: float) -> float:
    """Of the depth of field, the share that the next frame shows too; negative for a gap. Where steps vary, at the longest."""
    return 1 - plan.step_um / depth_um


def _optics(setup: Setup) -> Reason:
    if setup.f_number is not None:
        aperture = (
            f"f/{setup.f_number:g} on the lens is f/{setup.effective_f_number:.3g} at {setup.magnification:.3g}x "
            f"({setup.light_loss_stops:.1f} stops less light, {setup.exposure_factor:.3g} times the exposure that a hand-held meter gives); NA {setup.subject_na:.3g}"
        )
    else:
        aperture = f"NA {setup.subject_na:g} at {setup.magnification:.3g}x is f/{setup.effective_f_number:.3g} effective"
    pixel = (
        ""
        if setup.pitch_um is None
        else f"; a pixel of {setup.pitch_um:.3g} um shows {setup.object_px_um:.3g} um of the subject"
    )
    return Reason("optics", f"{aperture}{pixel}.")


def _depth(setup: Setup) -> Reason:
    named = setup.named_convention
    others = ", ".join(
        f"{name} {_length(value)}" for name, value in setup.depths_of_field_um().items() if name != named
    )
    circle = f" with a blur circle of {setup.blur_circle_um:g} um" if named == "classic" else ""
    return Reason(
        "depth_of_field",
        f"The depth of field is {_length(setup.depth_of_field_um)} ({CONVENTION_WORDS[named]}{circle}, wavelength {setup.wavelength_um:g} um). "
        f"By other conventions: {others or 'none that are known'}.",
    )


def _step(plan: Plan, setup: Setup | None, wish: Wish) -> Reason:
    if wish.follows_depth and setup is not None and wish.depth_um is not None:
        why = (
            f"Each step was to be at most {wish.share:g} of the depth of field where it is, which grows from "
            f"{_length(setup.depth_of_field_um)} at near to {_length(wish.depth_um)} at the last step"
        )
    elif wish.step_from_optics and setup is not None:
        why = (
            f"At most {wish.share:g} of the depth of field, {_length(setup.step_um(wish.share))}, was wanted"
        )
    elif wish.frames is not None and wish.step_um is not None:
        why = f"{wish.frames} frames, {wish.step_um:.4g} um apart, were asked for"
    elif wish.frames is not None:
        why = f"{wish.frames} frames from near to far were asked for"
    else:
        why = f"A step of at most {wish.step_um:.4g} um was asked for"
    depth_um = plan.um(plan.far) - plan.um(plan.near)
    steps = plan.frames - 2 * plan.margin_frames - 1
    margin = (
        f"; {_counted(plan.margin_frames, 'more frame')} beyond each end, in case the ends were marked a little short, make {plan.frames} in all"
        if plan.margin_frames
        else ""
    )
    return Reason(
        "step",
        f"{why}. The {depth_um:.5g} um from near to far are {_cut(plan, steps, wish)}: {steps + 1} frames{margin}.{_overlapping(plan, wish)}",
    )


def _cut(plan: Plan, steps: int, wish: Wish) -> str:
    if plan.even:
        return f"{steps} equal steps of {plan.step_um:.4g} um" if steps > 1 else "one step"
    made = f"{plan.shortest_step_um:.4g} to {plan.step_um:.4g} um"
    where = "growing with it" if wish.follows_depth else "equal between the places where they change"
    return f"{steps} steps of {made}, {where}"


def _overlapping(plan: Plan, wish: Wish) -> str:
    if wish.depth_um is None:
        return ""
    share = overlap(plan, wish.depth_um)
    if share >= 0:
        return f" Neighbouring frames overlap by {100 * share:.0f} % of the depth of field."
    gap = _length(plan.step_um - wish.depth_um)
    return f" Between neighbouring frames lie gaps of {gap}, sharp in none of them."


def _length(um: float) -> str:
    return f"{um:.4g} um" if um < 9999.5 else f"{um / 1000:.4g} mm"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _ends(plan: Plan) -> Reason:
    return Reason(
        "ends",
        f"Near, {plan.um(plan.near):.6g} um, and far, {plan.um(plan.far):.6g} um, are both reached, each to its nearest microstep.",
    )


def _rounding(plan: Plan) -> Reason:
    if plan.rounding_um < EXACT_UM:
        how = "every position falls on one"
    else:
        how = f"each position is rounded to one by itself, at most {plan.rounding_um:.3g} um off, so that errors do not add up"
    return Reason("rounding", f"The rail moves in microsteps of {plan.microstep_um:.4g} um; {how}.")


def _approach(plan: Plan, wish: Wish) -> Reason:
    way = "away from home" if plan.near_first else "toward home"
    backlash = (
        f"so that the backlash of {wish.backlash_um:.4g} um is always taken up"
        if wish.backlash_um
        else "always from the same side"
    )
    source = (
        "as asked"
        if wish.overshoot_given
        else "one and a half times the backlash, or the first step where that is more"
    )
    return Reason(
        "approach",
        f"Every frame is approached {way}, {backlash}; before the first the rail backs off by {plan.um(plan.overshoot):.4g} um ({source}).",
    )


def _perspective(plan: Plan, setup: Setup | None, wish: Wish) -> tuple[Reason, ...]:
    if setup is None or not wish.pupil_source:
        return ()
    if setup.pupil_to_focus_um is None:
        return (
            Reason("perspective", f"The picture keeps its size as the rail moves ({wish.pupil_source})."),
        )
    distance_um = setup.pupil_to_focus_um
    whole_um = abs(plan.asked_um[-1] - plan.asked_um[0])
    try:
        each, whole = (
            perspective.scale_after(move_um, distance_um) - 1 for move_um in (plan.step_um, whole_um)
        )
    except OpticsError:
        return ()  # warned of
    return (
        Reason(
            "perspective",
            f"The entrance pupil is {distance_um / 1000:.4g} mm from the plane in focus ({wish.pupil_source}): what is there changes its size "
            f"by {100 * each:.2g} % from frame to frame, by {100 * whole:.2g} % over the stack.",
        ),
    )


def _time(plan: Plan, taken: Prediction) -> Reason:
    parts = (
        (taken.motion_s, "motion"),
        (taken.settle_s, "waiting for stillness"),
        (taken.exposure_s, "exposure"),
        (taken.waiting_s, "waiting for the camera"),
    )
    shares = ", ".join(f"{seconds:.1f} s {what}" for seconds, what in parts)
    return Reason(
        "time",
        f"It takes about {taken.seconds:.0f} s, {taken.seconds / plan.frames:.2g} s a frame: {shares}.",
    )


def _disk(plan: Plan, taken: Prediction) -> Reason:
    each = taken.frames_bytes / plan.frames / 1e6
    return Reason(
        "disk",
        f"It stores about {taken.bytes / 1e6:.1f} MB: {plan.frames} frames of {each:.2g} MB with their records, "
        f"and {taken.results_bytes / 1e6:.1f} MB of preview, depth map and fused picture.",
    )
