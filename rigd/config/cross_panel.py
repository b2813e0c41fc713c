"""What the panel must agree on with the rest of a config."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rigd.config.model import Service
from rigd.config.parts import Parts
from rigd.config.problems import Problem

Check = Callable[[Parts], Iterator[Problem]]


def start_knows_a_step(parts: Parts) -> Iterator[Problem]:
    """The start button can begin a stack, also when nobody has set a step from elsewhere."""
    panel = parts.panel
    if panel is None or "start" not in panel.buttons:
        return
    if panel.step_um is None and (parts.plan is None or parts.plan.step_um is parts.plan.frames is None):
        message = "the start button knows no step before one is set over MQTT or by rigctl"
        yield parts.problem("panel.buttons.start", message, "add step_um: <number, in µm> to 'panel:'")


def marks_know_where_home_is(parts: Parts) -> Iterator[Problem]:
    """Near and far are positions from home, which somebody at the panel can find."""
    panel, service = parts.panel, parts.sections.get("service")
    if panel is None or "home" in panel.buttons or not isinstance(service, Service) or service.home_on_start:
        return
    for role in ("near", "far", "start"):
        if role in panel.buttons:
            message = f"the button {role} needs a known position, and the panel has no button that finds home"
            fix = "add home: to 'panel.buttons:', or service.home_on_start: true"
            yield parts.problem(f"panel.buttons.{role}", message, fix)
            return


CHECKS: tuple[Check, ...] = ()
ADVICE: tuple[Check, ...] = (start_knows_a_step, marks_know_where_home_is)
