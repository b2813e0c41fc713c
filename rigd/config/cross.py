"""What sections must agree on: limits with the rail, jog and park with both, the drivers with each other.

Each check is one function of `Parts` that yields what it objects to; a check whose sections are missing or wrong says nothing.
Checks of the plan are in `cross_span` and `cross_plan`, of the optics in `cross_optics`, of the ways to command the rig in `cross_remote` and `cross_panel`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from drivers import registry
from drivers.base import Entry
from rigd.config import cross_optics, cross_panel, cross_plan, cross_remote, cross_settle, cross_span
from rigd.config.model import Finish
from rigd.config.parts import Parts
from rigd.config.problems import Problem
from rigd.config.units import plain_number as number
from stackcore import catalogue

Check = Callable[[Parts], Iterator[Problem]]


def cross_check(parts: Parts) -> tuple[list[Problem], list[Problem]]:
    """All problems and all warnings between sections that are right by themselves."""
    rooms = (cross_span, cross_plan, cross_optics, cross_remote, cross_panel, cross_settle)
    checks = (*CHECKS, *(check for room in rooms for check in room.CHECKS))
    advice = (*ADVICE, *(check for room in rooms for check in room.ADVICE))
    problems = [problem for check in checks for problem in check(parts)]
    return problems, [problem for check in advice for problem in check(parts)]


def declared_at_all(parts: Parts) -> Iterator[Problem]:
    """Every driver can say what it is."""
    yield from parts.undeclared


def limits_ordered(parts: Parts) -> Iterator[Problem]:
    """The lower limit lies below the upper one."""
    limits = parts.limits
    if limits is not None and limits.min_um >= limits.max_um:
        message = f"limits the wrong way round: min_um {number(limits.min_um)} is not below max_um {number(limits.max_um)}"
        yield parts.problem("limits.min_um", message, "swap min_um and max_um")


def limits_on_the_rail(parts: Parts) -> Iterator[Problem]:
    """The rail reaches both limits."""
    limits, rail = parts.limits, parts.rail_is
    if limits is not None and rail is not None and limits.max_um > rail.travel_um:
        message = f"{number(limits.max_um)} is beyond the rail's travel of {number(rail.travel_um)} µm"
        yield parts.problem("limits.max_um", message, f"max_um: {number(rail.travel_um)} or less")


def park_within_limits(parts: Parts) -> Iterator[Problem]:
    """The rail may park where it is told to."""
    limits, capture = parts.limits, parts.capture
    if limits is None or capture is None or capture.end != "park" or limits.min_um >= limits.max_um:
        return
    if not limits.min_um <= capture.park_um <= limits.max_um:
        message = f"park_um {number(capture.park_um)} is outside the limits"
        fix = f"park_um: {number(limits.min_um)} to {number(limits.max_um)}"
        yield parts.problem("capture.park_um", message, fix)


def jog_on_the_rail(parts: Parts) -> Iterator[Problem]:
    """A jog before homing is short and slow beside what the rail can do."""
    jog, rail = parts.jog, parts.rail_is
    if jog is None or rail is None:
        return
    if jog.max_distance_um > rail.travel_um:
        message = (
            f"{number(jog.max_distance_um)} is longer than the rail's travel of {number(rail.travel_um)} µm"
        )
        yield parts.problem(
            "jog.max_distance_um", message, f"max_distance_um: {number(rail.travel_um / 10)} or so"
        )
    if jog.speed_um_per_s > rail.max_speed_um_per_s:
        message = (
            f"{number(jog.speed_um_per_s)} is faster than the rail, {number(rail.max_speed_um_per_s)} µm/s"
        )
        yield parts.problem(
            "jog.speed_um_per_s", message, f"speed_um_per_s: {number(rail.max_speed_um_per_s)} or less"
        )


def align_knows_the_pupil(parts: Parts) -> Iterator[Problem]:
    """Scaling by rail perspective needs the distance it depends on."""
    preview = parts.preview
    if preview is not None and preview.align == "rail" and preview.pupil_to_focus_um is None:
        message = "align: rail needs pupil_to_focus_um"
        fix = "add pupil_to_focus_um: <entrance pupil to focal plane, in µm>, or use align: track"
        yield parts.problem("preview.align", message, fix)


def finish_knows_its_options(parts: Parts) -> Iterator[Problem]:
    """The fusion method has the options that are set."""
    finish = parts.finish
    if finish is None:
        return
    entry = catalogue.find(finish.method)
    for name, value in finish.options.items():
        try:
            entry.values({name: value})
        except catalogue.BadOption as error:
            yield parts.problem(f"finish.options.{name}", error.why, f"finish.method is {finish.method}")


def finish_has_a_surface(parts: Parts) -> Iterator[Problem]:
    """A surface is made of depth, which not every method knows."""
    finish = parts.finish
    if finish is None or catalogue.find(finish.method).depth:
        return
    for name in _surfaces(finish):
        fix = f"use method: {_with_depth()}"
        yield parts.problem(f"finish.{name}", f"method {finish.method} knows no depth", fix)


def finish_can_be_orthographic(parts: Parts) -> Iterator[Problem]:
    """The orthographic view follows the depth, and the zoom that registration found."""
    finish = parts.finish
    if finish is None or not finish.orthographic:
        return
    if not finish.align:
        message = "the view from infinity goes by how frames were registered"
        yield parts.problem("finish.orthographic", message, "leave align: true, or take it away")
    if not catalogue.find(finish.method).depth:
        fix = f"use method: {_with_depth()}"
        yield parts.problem("finish.orthographic", f"method {finish.method} knows no depth", fix)


def finish_has_a_scale(parts: Parts) -> Iterator[Problem]:
    """A surface needs the size of a pixel to have a scale."""
    finish = parts.finish
    if finish is None or finish.um_per_px is not None:
        return
    for name in _surfaces(finish):
        fix = "add um_per_px: <size of a pixel on the subject>"
        yield parts.problem(
            f"finish.{name}", "the surface's width and height have no scale without um_per_px", fix
        )


def _with_depth() -> str:
    return " or ".join(name for name, entry in catalogue.METHODS.items() if entry.depth)


def _surfaces(finish: Finish) -> list[str]:
    return [name for name, on in (("mesh", finish.mesh != "off"), ("points", finish.points)) if on]


def simulated_together(parts: Parts) -> Iterator[Problem]:
    """The simulated camera looks at the world in which the simulated rail moves."""
    rail, camera = parts.device("rail"), parts.device("camera")
    if rail is not None and camera is not None and camera.driver == "sim" and rail.driver != "sim":
        message = f"the simulated camera cannot see a '{rail.driver}' rail"
        yield parts.problem(
            "camera.driver", message, "use the simulated rail with it, or the camera 'replay'"
        )


def pins_used_once(parts: Parts) -> Iterator[Problem]:
    """No two outputs or inputs on one GPIO pin."""
    taken: dict[int, str] = {}
    for section, device in parts.devices().items():
        for name in type(device.options).model_fields:
            pin = getattr(device.options, name)
            if not (name == "pin" or name.endswith("_pin")) or not isinstance(pin, int):
                continue
            path = f"{section}.{name}"
            if pin in taken:
                yield parts.problem(path, f"pin {pin} is taken by {taken[pin]}", "give each its own pin")
            else:
                taken[pin] = path


def ports_used_once(parts: Parts) -> Iterator[Problem]:
    """No two parts on one serial port."""
    taken: dict[str, str] = {}
    for section, device in parts.devices().items():
        port = getattr(device.options, "port", None)
        if not isinstance(port, str):
            continue
        if port in taken:
            message = f"{port} is taken by {taken[port]}"
            yield parts.problem(f"{section}.port", message, "give each its own port")
        taken.setdefault(port, f"{section}.port")


def release_fires_the_camera(parts: Parts) -> Iterator[Problem]:
    """The camera of a rig with a wired release lets itself be fired by one."""
    shutter, camera = parts.device("shutter"), parts.device("camera")
    if shutter is None or camera is None or getattr(camera.options, "can_be_fired", False):
        return
    message = f"the camera driver '{camera.driver}' fires its camera itself, and needs no release"
    able = (entry.name for entry in registry.entries("camera") if _can_be_fired(entry))
    yield parts.problem("shutter", message, f"take the section away, or use the camera {' or '.join(able)}")


def _can_be_fired(entry: Entry) -> bool:
    try:
        return bool(getattr(registry.options_class(entry), "can_be_fired", False))
    except (ImportError, AttributeError):
        return False


def microsteps_agree(parts: Parts) -> Iterator[Problem]:
    """The motor driver makes the microsteps that the rail counts."""
    rail, motor = parts.device("rail"), parts.device("motor")
    counted = getattr(rail.options, "microsteps", None) if rail is not None else None
    made = getattr(motor.options, "microsteps", None) if motor is not None else None
    if counted is not None and made is not None and counted != made:
        message = f"{made} microsteps per full step, where the rail counts {counted}"
        yield parts.problem("motor.microsteps", message, f"microsteps: {counted}")


def drivers_to_come(parts: Parts) -> Iterator[Problem]:
    """Drivers that are checked and cannot be opened yet."""
    for section, device in parts.devices().items():
        entry = registry.find(device.kind, device.driver)
        if entry.target is None:
            reason = entry.why_not or "this release cannot drive it yet"
            yield parts.problem(f"{section}.driver", f"driver '{entry.name}': {reason}", "")


def folders_there(parts: Parts) -> Iterator[Problem]:
    """A folder of photographs that is not there yet; it may come with `--set`, or from another machine."""
    for section, device in parts.devices().items():
        folder = getattr(device.options, "folder", None)
        if isinstance(folder, Path) and not folder.is_dir():
            fix = f"give another with --set {section}.folder=..."
            yield parts.problem(f"{section}.folder", f"there is no folder {folder}", fix)


def settle_at_all(parts: Parts) -> Iterator[Problem]:
    """A rig that does not wait rings into its exposures; photographs of a replay do not ring."""
    settle, camera = parts.settle, parts.device("camera")
    if (
        settle is not None
        and settle.mode == "fixed"
        and settle.fixed_s == 0
        and not (camera is not None and camera.driver == "replay")
    ):
        yield parts.problem(
            "settle.fixed_s", "exposures begin the moment motion ends", "0.3 is a start for most rigs"
        )


CHECKS: tuple[Check, ...] = (
    declared_at_all,
    limits_ordered,
    limits_on_the_rail,
    park_within_limits,
    jog_on_the_rail,
    align_knows_the_pupil,
    finish_knows_its_options,
    finish_has_a_surface,
    finish_can_be_orthographic,
    simulated_together,
    release_fires_the_camera,
    microsteps_agree,
    pins_used_once,
    ports_used_once,
)
ADVICE: tuple[Check, ...] = (
    drivers_to_come,
    folders_there,
    settle_at_all,
    finish_has_a_scale,
)
