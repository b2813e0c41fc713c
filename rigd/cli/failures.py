"""What can go wrong, as a message with a next step, and an exit code."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable

from rigd.cli.exits import Exit
from rigd.output import forget_output

log = logging.getLogger(__name__)


class Stopped(Exception):
    """A command that ends early, in order: with this code and message."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


def explained(run: Callable[[], int], *, json_wanted: bool = False) -> int:
    """Run a command; what it raises is said on standard error (and as JSON where that is wanted) and becomes an exit code."""
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        forget_output()
        return Exit.DONE
    except KeyboardInterrupt:
        return _said(Exit.INTERRUPTED, "interrupted", json_wanted)
    except Exception as error:
        code, message = _explain(error)
        if code is Exit.INTERNAL:
            log.exception("internal error")
        return _said(code, message, json_wanted)
    else:
        return code


def _said(code: Exit, message: str, json_wanted: bool) -> Exit:
    with contextlib.suppress(OSError):
        print(f"rigd: {message}", file=sys.stderr)
    if json_wanted:
        print(json.dumps({"ok": False, "exit": code.value, "kind": code.name.lower(), "error": message}))
    return code


def _explain(error: Exception) -> tuple[Exit, str]:
    """Imports only what a failing command has imported already."""
    from drivers.base import DriverError
    from rigd.app import Refused, RigFault
    from rigd.client import RigError
    from rigd.config import ConfigError
    from rigd.link.credentials import CredentialsError
    from rigd.plan import PlanError
    from rigd.session import DamagedJournal, JournalInUse, SessionError
    from rigd.session.files import explained
    from rigd.sole import AnotherDaemon

    match error:
        case Stopped():
            code, message = error.code, str(error)
        case ConfigError():
            code, message = Exit.CONFIG, f"the config is wrong:\n{error}"
        case PlanError():
            code, message = (
                Exit.PLAN,
                "the plan is refused:\n" + "\n".join(f"  - {why}" for why in error.reasons),
            )
        case SessionError() | DamagedJournal() | JournalInUse():
            code, message = Exit.SESSION, str(error)
        case RigFault():
            kinds = {"storage": Exit.STORAGE, "internal": Exit.INTERNAL}
            code, message = kinds.get(error.code, Exit.HARDWARE), str(error)
        case CredentialsError():
            code, message = Exit.BROKER, str(error)
        case DriverError() | Refused() | RigError():
            code, message = Exit.HARDWARE, str(error)
        case AnotherDaemon():
            code, message = Exit.HARDWARE, str(error)
        case OSError():
            code, message = Exit.STORAGE, explained(error)
        case _:
            code, message = Exit.INTERNAL, f"internal error: {error!r}; run again with -vv and report it"
    return code, message
