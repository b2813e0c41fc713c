"""What can go wrong, as one line with the next thing to do, and an exit code."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass

from rigd.ctl.exits import Exit
from rigd.ctl.words import readable
from rigd.output import forget_output

log = logging.getLogger(__name__)

EXITS = {
    "malformed": Exit.USAGE,
    "oversized": Exit.USAGE,
    "unknown_verb": Exit.USAGE,
    "unknown_setting": Exit.USAGE,
    "invalid_params": Exit.USAGE,
    "out_of_limits": Exit.USAGE,
    "plan_refused": Exit.PLAN,
    "hardware": Exit.HARDWARE,
    "session": Exit.SESSION,
    "storage": Exit.STORAGE,
    "interrupted": Exit.STOPPED,
    "internal": Exit.INTERNAL,
}
"""By the code that the rig gives; the others are `REFUSED`."""
NEXT = {
    "leased": "wait, or take the lease: rigctl lease take NAME --force, and give its token as RIGD_LEASE",
    "no_lease": "take a new one: rigctl lease take NAME",
    "not_allowed": "ask for a user that may, and name its credentials with --credentials",
    "out_of_limits": "rigctl status shows the limits",
    "unknown_setting": "rigctl settings shows all settings",
    "unknown_verb": "rigctl and rigd may be of different age; rigctl status shows its version",
    "expired": "give it again; when that helps nothing, look at the clocks",
    "session": "rigctl sessions lists them",
    "busy": "give it again",
    "internal": "the rig's log has more; please report it",
}


LET_IN = (
    "user and password come from a file that --credentials or RIGD_CREDENTIALS names, "
    "certificates from --ca, --cert and --key (mqtts://); look whether they are those of this broker"
)
REACH = "name the rig with --url or RIGD_URL; where that is right, see whether rigd and its broker run there"


@dataclass(frozen=True, slots=True)
class Failure:
    """What is said of an error."""

    exit: Exit
    message: str
    code: str | None = None
    """As the rig gave it."""
    field: str | None = None
    next_step: str = ""

    def line(self) -> str:
        """In one line."""
        words = " ".join(self.message.split())
        field = self.field if self.field and self.field not in words else None
        named = ", ".join(word for word in (self.code, field) if word)
        return (
            words + (f" [{named}]" if named else "") + (f"; next: {self.next_step}" if self.next_step else "")
        )

    def data(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "ok": False,
            "exit": self.exit.value,
            "kind": self.exit.name.lower(),
            "error": self.message,
            "code": self.code,
            "field": self.field,
            "next": self.next_step or None,
        }


class Stopped(Exception):
    """A command that ends early, in order."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def explained(run: Callable[[], int], *, json_wanted: bool = False) -> int:
    """Run a command; what it raises is said on standard error (and as JSON where that is wanted) and becomes an exit code."""
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        forget_output()
        return Exit.DONE
    except KeyboardInterrupt:
        words = "interrupted; the rig goes on with what it does (rigctl stop stops it)"
        return _said(Failure(Exit.INTERRUPTED, words), json_wanted)
    except Exception as error:
        failure = explain(error)
        if failure.exit is Exit.INTERNAL and failure.code is None:
            log.exception("internal error")
        return _said(failure, json_wanted)
    else:
        return code


def explain(error: Exception) -> Failure:
    """What an error means to whoever typed the command. Imports only what a failing command has imported already."""
    from rigd.client import errors

    match error:
        case Stopped():
            return error.failure
        case errors.CommandRefused() | errors.ActionFailed():
            code = str(error.code)
            return Failure(EXITS.get(code, Exit.REFUSED), str(error), code, error.field, NEXT.get(code, ""))
        case errors.BadAddress():
            return Failure(Exit.USAGE, str(error))
        case errors.BadCredentials():
            return Failure(Exit.CONFIG, str(error))
        case errors.NoSuchRig() if error.rigs:
            return Failure(Exit.UNREACHABLE, str(error), next_step="choose with --rig NAME, or --url")
        case errors.NoSuchRig():
            return Failure(Exit.UNREACHABLE, str(error), next_step="rigctl rigs shows those that there are")
        case errors.RigOffline():
            return Failure(Exit.UNREACHABLE, str(error), next_step="is it switched on, and does rigd run?")
        case errors.NotLetIn():
            return Failure(Exit.CONFIG, str(error), next_step=LET_IN)
        case errors.NotReachable():
            return Failure(Exit.UNREACHABLE, str(error), next_step=REACH)
        case errors.RigError():
            return Failure(Exit.UNREACHABLE, str(error))
        case OSError():
            return Failure(Exit.INTERNAL, str(error))
        case _:
            return Failure(Exit.INTERNAL, f"internal error: {error!r}; run again with -vv and report it")


def _said(failure: Failure, json_wanted: bool) -> Exit:
    with contextlib.suppress(OSError):
        print(f"rigctl: {readable(failure.line())}", file=sys.stderr)
    if json_wanted:
        print(json.dumps(failure.data()))
    return failure.exit
