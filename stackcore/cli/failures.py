"""What can go wrong, as a message with a fix, and an exit code."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable

from stackcore.catalogue import BadOption, UnknownMethod
from stackcore.cli.exits import Exit
from stackcore.cli.words import say

log = logging.getLogger(__name__)


class Stopped(Exception):
    """A command that ends early, in order: with this code and message."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


def flush_output() -> None:
    """Say what is to be said before the process ends, to whoever is still there."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()


def _forget_output() -> None:
    """Whoever read our output has gone; Python would complain again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def explained(run: Callable[[], int], *, json_wanted: bool = False) -> int:
    """Run a command; what it raises is said on standard error (and as JSON where that is wanted) and becomes an exit code."""
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return Exit.DONE
    except KeyboardInterrupt:
        return said(Exit.INTERRUPTED, "interrupted; nothing is half-written", json_wanted)
    except Exception as error:
        code, message = explain(error)
        if code is Exit.INTERNAL:
            log.exception("internal error")
        return said(code, message, json_wanted)
    else:
        return code


def said(code: Exit, message: str, json_wanted: bool) -> Exit:
    """Say how a command ended; the code."""
    say(message)
    if json_wanted:
        print(json.dumps({"ok": False, "exit": code.value, "kind": code.name.lower(), "error": message}))
    return code


def explain(error: Exception) -> tuple[Exit, str]:
    """The code and the message of an error."""
    match error:
        case Stopped():
            return error.code, str(error)
        case UnknownMethod() | BadOption():
            return Exit.USAGE, str(error)
        case MemoryError():
            return Exit.MEMORY, "not enough memory; use fewer --threads, smaller frames, or --method argmax"
        case ImportError() if _known(error, "stackcore.methods.registry", "MissingLibrary"):
            return Exit.LIBRARY, str(error)
        case OSError():
            return Exit.STORAGE, _os_words(error)
        case _ if _known(error, "stackcore.methods._focus_volume", "TooManyFrames"):
            return Exit.MEMORY, str(error)
        case _ if _known(error, "stackcore.alignment", "BadAlignment"):
            return Exit.INPUT, str(error)
        case _ if _known(error, "stackcore.files", "StackError"):
            return _of_stack(error)
        case _:
            return Exit.INTERNAL, f"internal error: {error!r}; run again with -vv and report it"


def _known(error: Exception, module: str, name: str) -> bool:
    """Whether an error is of a class that may not even be imported: what is not imported has raised nothing."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(error, kind)


def _of_stack(error: Exception) -> tuple[Exit, str]:
    """Frames that cannot be used; or, beneath, a disk that cannot be written."""
    storage = getattr(error, "writing", False) and isinstance(error.__cause__, OSError | None)
    return (Exit.STORAGE if storage else Exit.INPUT), str(error)


def _os_words(error: OSError) -> str:
    if error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
