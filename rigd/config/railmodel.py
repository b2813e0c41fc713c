"""A rail by name: what its profile says becomes options of its driver, each in the driver's own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rigd.config import library
from rigd.config.devices import known_options
from rigd.config.explain import suggestion
from rigd.config.problems import Problem
from rigd.config.source import Source

KEY = "model"
"""The key of `rail:` that names a profile."""


def with_model(source: Source, data: Any) -> Any:
    """The section `rail:` with what the rail it names says filled in; a name that there is not goes to `source.problems`."""
    if not isinstance(data, Mapping) or data.get(KEY) is None:
        return data
    own = source.data.get("rails")
    own = own if isinstance(own, Mapping) else {}
    name, shipped = str(data[KEY]), library.rails()
    left = {key: value for key, value in data.items() if key != KEY}
    if name in own:
        profile = dict(own[name]) if isinstance(own[name], Mapping) else {}
    elif name in shipped:
        profile = shipped[name].model_dump(exclude_none=True)
    else:
        known = [*own, *shipped]
        close = suggestion(name, known)
        fix = f"did you mean '{close}'?" if close else f"there are: {', '.join(known)}"
        source.problems.append(
            Problem.at(source.value_place(("rail", KEY)), f"rail.{KEY}", f"no rail '{name}'", fix)
        )
        return left
    said = {key: value for key, value in profile.items() if _is_number(value)}
    options = set(known_options("rail", left))
    return {**{key: value for key, value in _in_words_of(options, said).items() if key in options}, **left}


def _in_words_of(options: set[str], said: Mapping[str, float]) -> dict[str, float]:
    """The same, also as the options that motion controllers count in."""
    found = dict(said)
    if {"steps_per_mm"} & options and {"screw_pitch_um", "full_steps_per_rev", "microsteps"} <= said.keys():
        found["steps_per_mm"] = (
            said["full_steps_per_rev"] * said["microsteps"] * 1000 / said["screw_pitch_um"]
        )
    if "max_speed_um_per_s" in said:
        found["max_rate_mm_per_min"] = said["max_speed_um_per_s"] * 60 / 1000
    if "acceleration_um_per_s2" in said:
        found["acceleration_mm_per_s2"] = said["acceleration_um_per_s2"] / 1000
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
