"""What is done about a camera that hangs: a new process, a reset of its USB port, and power off and on. Each step ends in time."""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import signal
import subprocess
import time

from drivers.clock import Interrupt
from drivers.gphoto2 import messages as m
from drivers.gphoto2.child import Died, GivenUp, Hangs
from drivers.gphoto2.choosing import Absent, candidates
from drivers.gphoto2.options import Gphoto2Options
from drivers.gphoto2.session import Said, Session

log = logging.getLogger(__name__)

RESET_LIMIT_S = 5.0
LOOK_AGAIN_S = 0.5
WATCH_S = 0.05


class Step(enum.Enum):
    """One thing to do before the camera is opened again."""

    NONE = "a new process"
    RESET = "a USB reset"
    POWER = "a power cycle"


def steps(trouble: int, options: Gphoto2Options) -> tuple[Step, ...]:
    """What to try, in order, after so many failures in a row.

    The first failure is answered by a reset, the next by a power cycle where there is a command for it.
    """
    ladder = [Step.NONE, Step.RESET] + ([Step.POWER] if options.power_cycle else [])
    return tuple(ladder[min(trouble, len(ladder) - 1) :])


def carry_out(step: Step, options: Gphoto2Options, interrupt: Interrupt) -> None:
    """Do it. What fails is logged: opening the camera shows whether it helped. Raises `GivenUp`."""
    if step is Step.RESET:
        _reset(options, interrupt)
    elif step is Step.POWER:
        _power_cycle(options, interrupt)


def present(options: Gphoto2Options, interrupt: Interrupt | None = None) -> bool:
    """Whether such a camera is on the bus. Raises `GivenUp` where there is an interrupt."""
    session = Session(options, interrupt or Interrupt(), "")
    try:
        return bool(candidates(session.detect(), options))
    except (Absent, Said, Hangs, Died):
        return False
    finally:
        session.child.kill()


def _reset(options: Gphoto2Options, interrupt: Interrupt) -> None:
    session = Session(options, interrupt, options.model or "camera")
    try:
        for model, port in candidates(session.detect(), options):
            log.warning("resetting the USB port of %s (%s)", model, port)
            session.ask(m.Reset(port), m.Done, "resetting its USB port", RESET_LIMIT_S)
    except (Absent, Said, Hangs, Died) as error:
        log.warning("the USB reset did not go well: %s", error)
    finally:
        session.child.kill()


def _power_cycle(options: Gphoto2Options, interrupt: Interrupt) -> None:
    assert options.power_cycle is not None
    log.warning("switching the camera off and on: %s", " ".join(options.power_cycle))
    limit_s = options.power_cycle_timeout_s
    try:
        process = subprocess.Popen(  # noqa: S603  (the command is the owner's)
            options.power_cycle, stdin=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        log.error("the power cycle cannot be begun: %s", error)  # noqa: TRY400  (the reason is the system's)
        return
    until_s = time.monotonic() + limit_s
    try:
        while process.poll() is None and time.monotonic() < until_s:
            _pause(interrupt, WATCH_S)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(1.0)
    if process.returncode != 0:
        log.error("the power cycle ended with %s", process.returncode)
    until_s = time.monotonic() + limit_s
    while not present(options, interrupt) and time.monotonic() < until_s:
        _pause(interrupt, LOOK_AGAIN_S)


def _pause(interrupt: Interrupt, seconds: float) -> None:
    if interrupt.wait(seconds):
        raise GivenUp
