"""The lenses, objectives and rails that come with the package."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any

import yaml

from rigd.config.optics import Objective, Optics, RailProfile
from rigd.optics import OpticsError, scale


@functools.cache
def _library() -> dict[str, dict[str, Any]]:
    text = resources.files("rigd.config").joinpath("library.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return found


@functools.cache
def objectives() -> Mapping[str, Objective]:
    """Lenses and objectives by name."""
    return {name: Objective.model_validate(one) for name, one in _library()["objectives"].items()}


@functools.cache
def rails() -> Mapping[str, RailProfile]:
    """Rails by name."""
    return {name: RailProfile.model_validate(one) for name, one in _library()["rails"].items()}


_TAKEN_OVER = ("f_number", "na", "pupil_ratio", "focal_length_mm", "refractive_index")


def filled(optics: Optics, own: Mapping[str, Objective]) -> Optics:
    """The section with what its objective says filled in, and with its magnification where it follows from the rest.

    Raises:
        OpticsError: no such objective, or a magnification that cannot be.
    """
    found = _objective(optics, own)
    given = {name for name in ("f_number", "na") if getattr(optics, name) is not None}
    values = {
        name: getattr(found, name)
        for name in _TAKEN_OVER
        if getattr(optics, name) is None and not (given and name in {"f_number", "na"})
    }
    optics = optics.model_copy(update=values)
    if optics.magnification is not None:
        return optics
    return optics.model_copy(update={"magnification": _magnification(optics, found)})


def _objective(optics: Optics, own: Mapping[str, Objective]) -> Objective:
    if optics.objective is None:
        return Objective()
    found = own.get(optics.objective) or objectives().get(optics.objective)
    if found is None:
        known = ", ".join(own) or "none"
        raise OpticsError(
            f"no objective '{optics.objective}'; the config's own: {known}; `rigd optics list` shows the others"
        )
    return found


def _magnification(optics: Optics, found: Objective) -> float | None:
    if optics.focal_length_mm is not None and optics.extension_mm is not None:
        return scale.magnification_of_extension(optics.focal_length_mm, optics.extension_mm)
    if optics.focal_length_mm is not None and optics.subject_mm is not None:
        return scale.magnification_of_distance(optics.focal_length_mm, optics.subject_mm)
    if found.magnification is not None and found.tube_mm is not None and optics.tube_mm is not None:
        return scale.magnification_on_tube(found.magnification, found.tube_mm, optics.tube_mm)
    return found.magnification
