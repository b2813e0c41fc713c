"""A config read whole and checked whole: everything that is wrong with it is said at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rigd.config import library
from rigd.config.cross import cross_check
from rigd.config.devices import KIND_OF_SECTION, driver_section, known_options, with_paths
from rigd.config.driver import DriverConfig
from rigd.config.explain import Homes, suggestion, validate
from rigd.config.model import (
    Capture,
    Checks,
    Finish,
    Jog,
    Limits,
    Preview,
    Rig,
    RigConfig,
    Service,
    Storage,
)
from rigd.config.optics import Objective, Optics, RailProfile
from rigd.config.panel import panel_section
from rigd.config.parts import Parts
from rigd.config.plan import PlanSection
from rigd.config.problems import ConfigError, Problem, in_file_order
from rigd.config.railmodel import with_model
from rigd.config.remote import HomeAssistant, Mqtt, Profile, Remote
from rigd.config.section import Section
from rigd.config.settle import Motion, Settle
from rigd.config.source import Source, read_file, read_override
from rigd.optics import OpticsError

PLAIN_SECTIONS: Mapping[str, type[Section]] = {
    "rig": Rig,
    "limits": Limits,
    "jog": Jog,
    "optics": Optics,
    "plan": PlanSection,
    "motion": Motion,
    "settle": Settle,
    "capture": Capture,
    "preview": Preview,
    "finish": Finish,
    "storage": Storage,
    "service": Service,
    "remote": Remote,
    "mqtt": Mqtt,
    "homeassistant": HomeAssistant,
}
NAMED_SECTIONS: Mapping[str, type[Section]] = {
    "objectives": Objective,
    "rails": RailProfile,
    "profiles": Profile,
}
"""Mappings from a name to a section each."""
_EXAMPLES = {
    "objectives": "'ten: {magnification: 10, na: 0.25}'",
    "rails": "'mine: {screw_pitch_um: 2000}'",
    "profiles": "'fine: {step_um: 20}'",
}
_LEFT_AWAY_WHEN_EMPTY = {"plan", "motor", "shutter", "light", "panel", "mqtt"}
_STARTS = {
    "rail": "add 'rail:' with 'driver: sim' below it, or another driver of docs/config.md",
    "camera": "add 'camera:' with 'driver: sim' below it, or another driver of docs/config.md",
    "limits": "add 'limits:' with 'max_um: <highest position, from home>' below it",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What came of reading a config."""

    problems: tuple[Problem, ...]
    """Everything that is wrong, in the order of the file."""
    config: RigConfig | None
    """The resolved rig, when nothing is wrong."""
    warnings: tuple[Problem, ...] = ()
    """What is allowed and worth knowing."""


def load(path: Path, overrides: Sequence[str] = ()) -> RigConfig:
    """Read and check a config.

    Args:
        path: the YAML file.
        overrides: `section.key=value` strings laid over it, in this order.

    Returns:
        The rig, resolved: every default filled in, paths in driver options absolute.

    Raises:
        ConfigError: the file cannot be read or used; it carries every problem there is.
    """
    report = examine(path, overrides)
    if report.config is None:
        raise ConfigError(report.problems)
    return report.config


def examine(path: Path, overrides: Sequence[str] = ()) -> Report:
    """As `load`, with the problems and warnings as a report instead of an error. Raises nothing for a bad config."""
    source = read_file(path)
    if isinstance(source.data, dict):
        for text in overrides:
            read_override(source, text)
    if not isinstance(source.data, dict):
        return Report(in_file_order(source.problems), None)
    # A key that was not understood leaves its section in doubt: the sections are still checked, for all else they say.
    parts = _sections(source, path.parent)
    problems, warnings = cross_check(parts)
    source.problems.extend(problems)
    config = assemble(parts) if not source.problems else None
    return Report(in_file_order(source.problems), config, in_file_order(warnings))


def from_dict(data: Mapping[str, Any], file: str = "session.json") -> RigConfig:
    """The rig that `render.to_dict` was given; relative paths stay as they are, and no section is weighed against another.

    Raises:
        ConfigError: `data` is not such a rig, or a driver that it names is gone; `file` is named in the problems.
    """
    source = Source(file, data)
    if not isinstance(data, Mapping):
        raise ConfigError(
            [Problem(file, "", None, None, "not a mapping of sections", "take it from a session's manifest")]
        )
    parts = _sections(source, None)
    if source.problems:
        raise ConfigError(source.problems)
    return assemble(parts)


def assemble(parts: Parts) -> RigConfig:
    """The sections, all of them checked, as one rig."""
    return RigConfig(**{name: value for name, value in parts.sections.items() if value is not None})


def _sections(source: Source, folder: Path | None) -> Parts:
    """Every section by itself; those that are wrong are left out, and what is wrong is in `source.problems`."""
    homes = _homes(source.data)
    sections: dict[str, Any] = {}
    for name, data in source.data.items():
        if data is None and name in _LEFT_AWAY_WHEN_EMPTY:
            continue
        if name in RigConfig.model_fields:
            sections[name] = _section(source, name, {} if data is None else data, folder, homes)
        else:
            source.problems.append(_unknown_section(source, name, homes))
    for name, section in sections.items():
        if isinstance(section, Storage | Service | Remote):
            sections[name] = with_paths(source, (name,), section, None)
        elif isinstance(section, Mqtt):
            sections[name] = _with_files(source, section, folder)
    _fill_optics(source, sections)
    for name, fix in _STARTS.items():
        if name not in source.data:
            source.problems.append(Problem(source.file, name, 1, 1, f"section '{name}' is missing", fix))
    defaults = {
        name: model()
        for name, model in PLAIN_SECTIONS.items()
        if name not in {"limits", "plan", "mqtt", *sections}
    }
    return _with_scale(Parts(source, {**defaults, **sections}))


def _with_scale(parts: Parts) -> Parts:
    """The size of a pixel on the subject filled in for the results, where the optics tell it."""
    finish, setup = parts.finish, parts.setup
    if finish is None or finish.um_per_px is not None or setup is None or setup.object_px_um is None:
        return parts
    filled = finish.model_copy(update={"um_per_px": float(f"{setup.object_px_um:.9g}")})
    return Parts(parts.source, {**parts.sections, "finish": filled})


def _section(source: Source, name: str, data: Any, folder: Path | None, homes: Homes) -> Any:
    """One section; None where it is wrong."""
    if name in PLAIN_SECTIONS:
        return validate(PLAIN_SECTIONS[name], data, source, (name,), homes)
    if name in NAMED_SECTIONS:
        return _named(source, name, data, homes)
    if name == "switches":
        return _switches(source, data, folder, homes)
    if name == "panel":
        return panel_section(source, data, folder, homes)
    if name == "rail":
        data = with_model(source, data)
    return driver_section(source, (name,), KIND_OF_SECTION[name], data, folder=folder, homes=homes)


def _fill_optics(source: Source, sections: dict[str, Any]) -> None:
    """What the named objective says, and the magnification that follows from lens data."""
    optics, own = sections.get("optics"), sections.get("objectives", {})
    if not isinstance(optics, Optics) or own is None:
        return
    try:
        sections["optics"] = library.filled(optics, own)
    except OpticsError as error:
        keys = ("objective",) if str(error).startswith("no objective") else ("focal_length_mm",)
        source.problems.append(
            Problem.at(
                source.value_place(("optics", *keys)), f"optics.{keys[0]}", str(error), "see docs/optics.md"
            )
        )


def _with_files(source: Source, mqtt: Mqtt, folder: Path | None) -> Mqtt:
    """Files of the broker's section, from the config's folder."""
    tls = with_paths(source, ("mqtt", "tls"), mqtt.tls, folder) if mqtt.tls is not None else None
    return with_paths(source, ("mqtt",), mqtt.model_copy(update={"tls": tls}), folder)


def _homes(data: Mapping[str, Any]) -> Homes:
    """For each key of each section, also of the drivers that are named, the sections that know it."""
    homes: dict[str, list[str]] = {}
    plain: dict[str, type[Section]] = {**PLAIN_SECTIONS, "capture.checks": Checks}
    for name, model in plain.items():
        for key in model.model_fields:
            homes.setdefault(key, []).append(name)
    for name, kind in KIND_OF_SECTION.items():
        for key in known_options(kind, data.get(name)):
            homes.setdefault(key, []).append(name)
    return homes


def _switches(source: Source, data: Any, folder: Path | None, homes: Homes) -> dict[str, DriverConfig] | None:
    if not isinstance(data, Mapping):
        place = source.value_place(("switches",))
        source.problems.append(
            Problem.at(
                place, "switches", "not a mapping of switches", "write 'estop:' with 'driver: ...' below it"
            )
        )
        return None
    found = {
        name: driver_section(
            source, ("switches", name), "switch", {} if one is None else one, folder=folder, homes=homes
        )
        for name, one in data.items()
    }
    good = {name: one for name, one in found.items() if one is not None}
    return good if len(good) == len(found) else None


def _named(source: Source, section: str, data: Any, homes: Homes) -> dict[str, BaseModel] | None:
    if not isinstance(data, Mapping):
        place = source.value_place((section,))
        fix = f"write a name with keys below it: {_EXAMPLES[section]}"
        source.problems.append(Problem.at(place, section, f"not a mapping of {section}", fix))
        return None
    model = NAMED_SECTIONS[section]
    found = {
        str(name): validate(model, {} if one is None else one, source, (section, name), homes)
        for name, one in data.items()
    }
    good = {name: one for name, one in found.items() if one is not None}
    return good if len(good) == len(found) else None


def _unknown_section(source: Source, name: str, homes: Homes) -> Problem:
    close = suggestion(name, [section for section in RigConfig.model_fields if section not in source.data])
    if homes.get(name):
        or_homes = " or ".join(f"'{home}:'" for home in homes[name])
        fix = f"it belongs under {or_homes}"
    elif close is not None:
        fix = f"did you mean '{close}'?"
    else:
        fix = f"sections are: {', '.join(RigConfig.model_fields)}"
    return Problem.at(source.key_place((name,)), name, f"unknown section '{name}'", fix)
