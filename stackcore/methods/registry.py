"""From a method's name to the method. Its module is imported here and not before: some need libraries that others do not."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

from stackcore.catalogue import METHODS, BadOption, UnknownMethod, find
from stackcore.methods import Method, Setting

NAMES: Mapping[str, str] = {name: entry.summary for name, entry in METHODS.items()}
"""Every method with one line about it."""

__all__ = ["NAMES", "BadOption", "MissingLibrary", "UnknownMethod", "class_of", "make"]


class MissingLibrary(ImportError):
    """A method's own library is not installed."""


def make(name: str, setting: Setting, **options: object) -> Method:
    """A method, ready for its first frame.

    Args:
        name: one of `NAMES`.
        setting: what it is made for.
        options: as `stackcore.catalogue` declares them; text is read as the option's kind.

    Raises:
        UnknownMethod: there is none of this name.
        BadOption: an option that the method does not have, or a value that is not allowed.
        MissingLibrary: a library that it needs is not installed.
    """
    values = find(name).values(options)
    return cast("Method", class_of(name)(setting, **values))


def class_of(name: str) -> Any:
    """The method's class. Raises as `make` does."""
    entry = find(name)
    module, _, attribute = entry.target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "stackcore":
            raise
        fix = f"pip install 'rigd[{entry.extra}]'" if entry.extra else f"pip install {error.name}"
        raise MissingLibrary(
            f"method {name!r} needs {error.name}, which is not installed: {fix}", name=error.name
        ) from error
