"""The section `panel`: buttons and a status LED, each with a driver of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from drivers.base import Positive
from rigd.config.devices import driver_section
from rigd.config.driver import DriverConfig
from rigd.config.explain import Homes, suggestion, validate
from rigd.config.problems import Problem
from rigd.config.section import Section
from rigd.config.source import Source

Role = Literal["stop", "pause", "start", "near", "far", "home", "jog_near", "jog_far"]
ROLES: tuple[Role, ...] = get_args(Role)
"""What a button can be for; the order in which they are looked at."""


class PanelOptions(Section):
    """What of a panel is no driver."""

    step_um: Positive | None = None
    """Longest step of a stack that the start button begins, where neither `plan` nor the settings give a step or a number of frames."""
    hold_s: Annotated[float, Field(ge=0.5, le=20)] = 2.0
    """The stop button, held so long, ends the stack for good, and takes the rig back from whoever holds its lease."""


class Panel(PanelOptions):
    """Buttons and a status LED at the rig."""

    buttons: dict[Role, DriverConfig] = Field(default_factory=dict)
    """Contacts by what they are for."""
    led: DriverConfig | None = None
    """Shows what the rig does. Left away: nothing shows it."""

    def devices(self) -> Iterator[tuple[str, DriverConfig]]:
        """Its drivers, by the dotted path of their section."""
        for role, button in self.buttons.items():
            yield f"panel.buttons.{role}", button
        if self.led is not None:
            yield "panel.led", self.led


def panel_section(source: Source, data: Any, folder: Path | None, homes: Homes) -> Panel | None:
    """The section, checked; what is wrong goes to `source.problems`, and then the answer is None."""
    if not isinstance(data, Mapping):
        source.problems.append(
            Problem.at(
                source.value_place(("panel",)),
                "panel",
                "not a mapping of keys",
                "write 'buttons:' and 'led:' below it",
            )
        )
        return None
    before = len(source.problems)
    buttons = _buttons(source, data.get("buttons") or {}, folder, homes)
    led = None
    if data.get("led") is not None:
        led = driver_section(source, ("panel", "led"), "light", data["led"], folder=folder, homes=homes)
    plain = {key: value for key, value in data.items() if key not in {"buttons", "led"}}
    options = validate(PanelOptions, plain, source, ("panel",), homes)
    if len(source.problems) > before or not isinstance(options, PanelOptions):
        return None
    return Panel(**options.model_dump(), buttons=buttons, led=led)


def _buttons(source: Source, data: Any, folder: Path | None, homes: Homes) -> dict[Role, DriverConfig]:
    path = ("panel", "buttons")
    if not isinstance(data, Mapping):
        fix = "write 'start:' with 'driver: ...' below it"
        source.problems.append(
            Problem.at(source.value_place(path), "panel.buttons", "not a mapping of buttons", fix)
        )
        return {}
    found: dict[Role, DriverConfig] = {}
    for role, section in data.items():
        if role not in ROLES:
            close = suggestion(str(role), [one for one in ROLES if one not in data])
            fix = f"did you mean '{close}'?" if close else f"there are: {', '.join(ROLES)}"
            place = source.key_place((*path, role))
            source.problems.append(
                Problem.at(place, f"panel.buttons.{role}", f"no button '{role}' is known", fix)
            )
            continue
        given = {} if section is None else section
        button = driver_section(source, (*path, role), "switch", given, folder=folder, homes=homes)
        if button is not None:
            found[role] = button
    return found
