"""What there is to know about a plan before it is taken: allowed, and perhaps not wanted.

Each check is one function of `Facts` that yields what it has to say; where it lacks a fact it says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rigd.optics import OpticsError, Setup, perspective
from rigd.plan.costs import Prediction
from rigd.plan.model import Plan

BROAD_AIRY_PX = 2.0
"""An Airy disc that is wider blurs neighbouring pixels into one."""
UNEVEN_STEP = 0.2
"""A step that is off by more than this share of itself is visibly uneven."""
ZOOM_A_FRAME = 0.025
"""Change of size from frame to frame. Registration was proven on real stacks of 0.4 to 2.2 %."""
ZOOM_A_STACK = 0.28
"""From the first frame to the last: registration takes a larger one for another subject (`stackcore.registration.placing`, e^0.25)."""
UNALIGNED_PX = 1.0
"""Frames that lie on each other as they are may not be farther apart at their edges."""
NEARLY_FULL = 0.8
"""Of what the disk has to give."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to know."""

    code: str
    """Short and stable, for programs."""
    message: str
    """What, with numbers."""
    fix: str
    """What to do about it, if it is not wanted."""

    def __str__(self) -> str:
        return f"{self.message}: {self.fix}"


@dataclass(frozen=True, slots=True)
class Facts:
    """A plan and what is known around it. None: not known."""

    plan: Plan
    prediction: Prediction
    setup: Setup | None = None
    depth_um: float | None = None
    """Depth of field where the longest step begins."""
    microstep_error_um: float | None = None
    """How far a microstep may be from its place."""
    backlash_um: float = 0.0
    transfer_s: float = 0.0
    recycle_s: float = 0.0
    """Of a flash."""
    overhead_s: float = 0.0
    """Of the camera before each exposure; a flash charges meanwhile."""
    pause_s: float = 0.0
    """From an exposure's end to the next one's begin by motion and settle alone, as long as the longest."""
    registered: bool = True
    """Whether pictures are laid on each other by what is seen in them."""
    by_rail: bool = False
    """Whether the preview undoes the change of size by the rail's geometry."""
    free_bytes: int | None = None


def advise(facts: Facts) -> tuple[Advice, ...]:
    """Everything there is to say, the optics first."""
    return tuple(advice for check in CHECKS for advice in check(facts))


def diffraction_beside_the_pixel(facts: Facts) -> Iterator[Advice]:
    """The Airy disc is broader than what the sensor, or the blur circle, could show."""
    setup = facts.setup
    if setup is None:
        return
    airy = f"the Airy disc at f/{setup.effective_f_number:.3g} effective is {setup.airy_um:.3g} um across on the sensor"
    if setup.airy_px is not None and setup.airy_px > BROAD_AIRY_PX:
        worse = f"{airy}, {setup.airy_px:.2g} pixels: diffraction, not the sensor, limits the detail"
        yield Advice("diffraction_pixel", worse, _wider(setup))
    elif setup.blur_circle_um is not None and setup.airy_um > setup.blur_circle_um:
        yield Advice(
            "diffraction_blur_circle",
            f"{airy}, more than the blur circle of {setup.blur_circle_um:g} um",
            _wider(setup),
        )


def _wider(setup: Setup) -> str:
    if setup.f_number is None or setup.best_f_number is None:
        return "only an objective of larger NA shows more"
    if setup.best_f_number >= setup.f_number:
        return f"a wider aperture shows more, and takes more frames; f/{setup.best_f_number:.3g} is where diffraction and blur circle weigh alike"
    return f"f/{setup.best_f_number:.3g} on the lens is where diffraction and blur circle weigh alike"


def step_beyond_the_depth(facts: Facts) -> Iterator[Advice]:
    """Depths that no frame shows sharp."""
    plan, depth_um = facts.plan, facts.depth_um
    if depth_um is None or plan.step_um <= depth_um * (1 + 1e-6):
        return
    yield Advice(
        "step_beyond_depth",
        f"the step of {plan.step_um:.4g} um is longer than the depth of field of {depth_um:.4g} um: between frames lie gaps of {plan.step_um - depth_um:.4g} um that none shows sharp",
        f"a step of {0.8 * depth_um:.4g} um overlaps by a fifth",
    )


def microstep_error_beside_the_step(facts: Facts) -> Iterator[Advice]:
    """Steps that the motor makes uneven."""
    error_um, step_um = facts.microstep_error_um, facts.plan.shortest_step_um
    if error_um is not None and error_um > UNEVEN_STEP * step_um:
        yield Advice(
            "microstep_error",
            f"a microstep may be {error_um:.2g} um from its place, {100 * error_um / step_um:.0f} % of a step of {step_um:.4g} um: steps will be uneven",
            "a finer screw or a gear helps, more microsteps do not",
        )


def rounding_beside_the_step(facts: Facts) -> Iterator[Advice]:
    """Steps that whole microsteps make uneven."""
    plan = facts.plan
    if plan.rounding_um > UNEVEN_STEP * plan.shortest_step_um:
        yield Advice(
            "rounding",
            f"rounding to microsteps of {plan.microstep_um:.4g} um moves frames by up to {plan.rounding_um:.3g} um, at a step of {plan.shortest_step_um:.4g} um",
            "steps of whole microsteps are even; more microsteps per full step round less",
        )


def backlash_beside_the_step(facts: Facts) -> Iterator[Advice]:
    """Lost motion that is longer than a step."""
    step_um = facts.plan.shortest_step_um
    if facts.backlash_um >= step_um:
        yield Advice(
            "backlash",
            f"the rail's backlash of {facts.backlash_um:.4g} um is {facts.backlash_um / step_um:.2g} steps",
            "every frame is approached from the same side, so it cancels; measure it (`rigd calibrate backlash`), what is declared too small shows in the first frames",
        )


def perspective_beside_registration(facts: Facts) -> Iterator[Advice]:
    """A rail so close to the subject that frames differ much in size."""
    plan, setup = facts.plan, facts.setup
    if setup is None or setup.pupil_to_focus_um is None:
        return
    distance_um = setup.pupil_to_focus_um
    whole_um = abs(plan.asked_um[-1] - plan.asked_um[0])
    try:
        zoom_step = perspective.scale_after(plan.step_um, distance_um) - 1
        zoom_all = perspective.scale_after(whole_um, distance_um) - 1
    except OpticsError as error:
        yield Advice("perspective", str(error), "check pupil_to_focus_um, near and far")
        return
    if zoom_step > ZOOM_A_FRAME:
        message = f"the size changes by {100 * zoom_step:.2g} % from frame to frame, more than registration was proven on"
        yield Advice("perspective_step", message, "a shorter step, or a lens with a longer working distance")
    if zoom_all > ZOOM_A_STACK:
        message = f"the size changes by {100 * zoom_all:.2g} % from the first frame to the last, more than registration follows"
        yield Advice(
            "perspective_stack", message, "take the depth in two stacks, or refocus the lens instead"
        )
    if setup.width_px is not None and not facts.registered and not facts.by_rail:
        shift_px = perspective.edge_shift_px(setup.width_px, whole_um, distance_um)
        if shift_px > UNALIGNED_PX:
            message = f"frames are up to {shift_px:.3g} px apart at their edges, and nothing lays them on each other"
            yield Advice("perspective_unaligned", message, "finish.align: true, or preview.align: rail")


def pace_of_flash_and_card(facts: Facts) -> Iterator[Advice]:
    """What the rig waits for, other than motion and settle."""
    between = facts.plan.frames - 1
    hidden_s = facts.pause_s + facts.overhead_s
    for code, seconds, hides_s, what, fix in (
        ("flash_recycle", facts.recycle_s, hidden_s, "the flash takes", "less flash power charges sooner"),
        (
            "card_speed",
            facts.transfer_s,
            facts.pause_s,
            "a picture's transfer takes",
            "a faster card or smaller pictures take less",
        ),
    ):
        if seconds > hides_s:
            other = (
                "move and settle" if hides_s == facts.pause_s else "move, settle and the camera's own delay"
            )
            message = (
                f"{what} {seconds:.2g} s, longer than {other} ({hides_s:.2g} s): it sets the pace, "
                f"{(seconds - hides_s) * between:.3g} s of the stack"
            )
            yield Advice(code, message, fix)


def disk_nearly_full(facts: Facts) -> Iterator[Advice]:
    """Little is left when the stack is taken."""
    if facts.free_bytes is None or facts.prediction.bytes <= NEARLY_FULL * facts.free_bytes:
        return
    message = f"the stack takes about {facts.prediction.bytes / 1e6:.0f} MB of the {max(0, facts.free_bytes) / 1e6:.0f} MB that the disk has to give"
    yield Advice("disk", message, "delete old sessions, or set storage.sessions to a larger disk")


CHECKS: tuple[Callable[[Facts], Iterator[Advice]], ...] = (
    diffraction_beside_the_pixel,
    step_beyond_the_depth,
    microstep_error_beside_the_step,
    rounding_beside_the_step,
    backlash_beside_the_step,
    perspective_beside_registration,
    pace_of_flash_and_card,
    disk_nearly_full,
)
