"""The sections that name a driver: the driver is looked up, and its options are checked by its own declaration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from drivers import registry
from drivers.base import Entry, Options, UnknownDriver
from rigd.config.driver import DriverConfig
from rigd.config.explain import Homes, suggestion, validate
from rigd.config.problems import Problem
from rigd.config.source import Keys, Source, dotted

Model = TypeVar("Model", bound=BaseModel)

KIND_OF_SECTION = {name: name for name in ("rail", "motor", "camera", "shutter", "light")}
"""The section of a single driver, and the kind of driver it takes. `switches` is a mapping of drivers of kind `switch`."""


def driver_section(
    source: Source, at: Keys, kind: str, data: Any, *, folder: Path | None, homes: Homes
) -> DriverConfig | None:
    """One `{driver: NAME, option: value, ...}`. What is wrong goes to `source.problems`, and then the answer is None.

    Args:
        source: where the section comes from.
        at: its path.
        kind: which kind of driver it takes.
        data: its plain data.
        folder: what relative paths among the options are relative to; None leaves them as they are.
        homes: which sections know a key, for keys that stand in the wrong one.
    """
    if not isinstance(data, Mapping):
        message = f"{dotted(at)} is not a mapping of keys"
        source.problems.append(
            Problem.at(source.value_place(at), dotted(at), message, f"add 'driver: <{_names(kind)}>'")
        )
        return None
    entry = _entry(source, at, kind, data)
    if entry is None:
        return None
    try:
        declaration = registry.options_class(entry)
    except (ImportError, AttributeError) as error:
        place = source.value_place((*at, "driver"))
        message = f"the options of driver '{entry.name}' cannot be loaded: {error}"
        source.problems.append(Problem.at(place, dotted((*at, "driver")), message, "install it again"))
        return None
    options = validate(
        declaration, {key: value for key, value in data.items() if key != "driver"}, source, at, homes
    )
    if options is None:
        return None
    assert isinstance(options, Options)
    return DriverConfig(kind=kind, driver=entry.name, options=with_paths(source, at, options, folder))


def _entry(source: Source, at: Keys, kind: str, data: Mapping[str, Any]) -> Entry | None:
    path = (*at, "driver")
    if data.get("driver") is None:
        message = "'driver' is missing"
        source.problems.append(
            Problem.at(source.key_place(path), dotted(path), message, f"add 'driver: <{_names(kind)}>'")
        )
        return None
    name = str(data["driver"])
    try:
        return registry.find(kind, name)
    except UnknownDriver as error:
        close = suggestion(name, error.known)
        fix = (
            f"did you mean '{close}'? There are: {', '.join(error.known)}"
            if close
            else f"there are: {', '.join(error.known)}"
        )
        message = f"no {kind} driver '{name}'"
    except (ImportError, AttributeError) as error:
        message, fix = f"a driver package cannot be loaded: {error}", "install it again or remove it"
    source.problems.append(Problem.at(source.value_place(path), dotted(path), message, fix))
    return None


def _names(kind: str) -> str:
    return " or ".join(dict.fromkeys(entry.name for entry in registry.entries(kind))) or "none there are"


def with_paths(source: Source, at: Keys, section: Model, folder: Path | None) -> Model:
    """Relative paths made absolute: from the config's folder, or from the current one where `--set` gave them.

    Without a folder they stay relative; `~` is the user's folder either way.
    """
    changed: dict[str, Path] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if not isinstance(value, Path):
            continue
        path = expand_user(value)
        if not path.is_absolute() and folder is not None:
            path = (Path() if (*at, name) in source.overridden else folder) / path
            path = Path(os.path.abspath(path))  # noqa: PTH100  (`resolve` would follow links that a person chose)
        if path != value:
            changed[name] = path
    return section.model_copy(update=changed) if changed else section


def expand_user(path: Path) -> Path:
    """`~` as the user's folder, where that is known."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def known_options(kind: str, data: Any) -> tuple[str, ...]:
    """The options of the driver that a section names; nothing when it names none that can be had."""
    name = data.get("driver") if isinstance(data, Mapping) else None
    try:
        return tuple(registry.options_class(registry.find(kind, str(name))).model_fields)
    except (UnknownDriver, ImportError, AttributeError):
        return ()
