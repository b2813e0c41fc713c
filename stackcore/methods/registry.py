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
    method = class_of(name)
    try:
        return cast("Method", method(setting, **values))
    except (
        ValueError
    ) as error:  # what only the method itself can tell, of options together or of the frames' size
        raise BadOption(name, ", ".join(values) or "-", str(error)) from error
    except ImportError as error:
        raise _missing(name, error) from error


def class_of(name: str) -> Any:
    """The method's class. Raises as `make` does."""
    entry = find(name)
    module, _, attribute = entry.target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise _missing(name, error) from error


def _missing(name: str, error: ImportError) -> ImportError:
    """The error as a user can use it; one of this library's own modules stays what it is."""
    library = (error.name or "").partition(".")[0]
    if library == "stackcore":
        return error
    if not library:
        return MissingLibrary(f"method {name!r}: {error}")
    extra = find(name).extra
    fix = f"pip install 'rigd[{extra}]'" if extra else f"pip install {library}"
    return MissingLibrary(
        f"method {name!r} needs a library that is not installed ({error}): {fix}", name=error.name
    )
