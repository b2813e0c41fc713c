"""Runs `stackcore` on complete sessions, one at a time, so that it disturbs nothing.

It is a process of its own at the lowest priority, with a limit on its memory; it stands still (SIGSTOP) while a stack is taken and
while the processor is hot or throttled, and is ended when the daemon ends. Whatever becomes of it, the session stays complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from rigd import finish
from rigd.config.model import Finish
from rigd.health import Health
from rigd.session import JournalInUse

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often the machine is looked at while something is being fused."""
COOLER_C = 5.0
"""It goes on when the processor is so much below the temperature at which it stopped."""
END_S = 10.0
"""A process that was asked to end gets so long before it is killed."""
AGAIN_S = 60.0
"""A session that somebody else works on is looked at again after so long: they may have been stopped."""
NICE = 19
LEAST_MEMORY_MB = 300.0
MEMORY_SHARE = 0.75
_SAID = 4000

T = TypeVar("T")

Hold = Callable[[], str]
"""Why nothing may be computed now, or an empty text."""


class Hot:
    """Whether the processor is too hot or held back, with some slack between stopping and going on.

    Args:
        limit_c: hotter than this is too hot.
    """

    def __init__(self, limit_c: float) -> None:
        self._limit_c = limit_c
        self._too_hot = False

    def why(self, health: Health) -> str:
        """Why it must wait, or nothing. What the machine cannot tell holds nothing up."""
        if health.throttling is not None and health.throttling.now:
            return "the processor is throttled"
        if health.temperature_c is None:
            return ""
        limit_c = self._limit_c - COOLER_C if self._too_hot else self._limit_c
        self._too_hot = health.temperature_c > limit_c
        return f"the processor is at {health.temperature_c:.0f} °C" if self._too_hot else ""


class Finisher:
    """Finishes sessions.

    Args:
        health: reads the machine's state; blocking, called on a thread.
        busy: why the rig must not be disturbed now, or nothing; on the loop.
        quiet: what `stackcore` says about its progress is not shown.
        look_s: how often both are asked.
        command: what is run for a session.
        tell: told when it has to wait, and when it goes on.
    """

    def __init__(
        self,
        health: Callable[[], Health],
        busy: Hold = lambda: "",
        *,
        quiet: bool = True,
        look_s: float = LOOK_S,
        command: Callable[[Path, Finish], list[str]] = finish.arguments,
        tell: Callable[[str], None] = log.info,
    ) -> None:
        self._health = health
        self._busy = busy
        self._quiet = quiet
        self._look_s = look_s
        self._command = command
        self._tell = tell
        self._look = asyncio.Event()
        self.held = ""
        """Why nothing is computed at the moment."""

    def look(self) -> None:
        """Something changed: ask now. On the loop."""
        self._look.set()

    async def finish(self, session: Path, config: Finish) -> finish.Finished:
        """Finish one session, waiting for as long as the machine must not be loaded.

        A failure is recorded in the session and told, not raised. Cancelled, or killed, nothing is recorded: it can be done again.

        Raises:
            SessionError: it is not a session that can be finished.
            JournalInUse: somebody else works on it.
            OSError: the session cannot be written.
        """
        async with _working(session) as held:
            if held.recovered is not None:
                return held.recovered
            hot = Hot(config.max_temperature_c)
            while await self._hold(hot):
                await self._next_look()
            code, output, said = await self._run(session, config, hot, held.lock)
            report = finish.report_of(output)
            if code == 0 and report.get("ok"):
                missing = finish.missing(session, config)
                if not missing:
                    return await _apart(lambda: finish.record(session, config, report))
                why = f"stackcore made no {', '.join(missing)}"
            else:
                why = str(report.get("error") or said.strip() or _ending(code))
            return await _apart(lambda: finish.record_failure(session, config, why))

    async def _run(self, session: Path, config: Finish, hot: Hot, shared: int) -> tuple[int, bytes, str]:
        """Run the process to its end: exit code, standard output, and the end of what it said."""
        command = self._command(session, config) + (["--quiet"] if self._quiet else [])
        health = await asyncio.to_thread(self._health)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE if self._quiet else None,
            env={
                **os.environ,
                "TMPDIR": str(session / finish.WORK),
            },  # on disk, and gone with the rest: /tmp may be memory
            pass_fds=(shared,),  # the session's lock: kept by the process, too, should this one be killed
            process_group=0,  # Ctrl-C is for this process to deal with; one that stands still wakes and ends when this one dies
        )
        ended = asyncio.create_task(process.communicate())
        try:
            _humble(process.pid, memory_bytes(config, health))
            await self._watch(process, ended, hot)
            output, said = ended.result()
        finally:
            await _end(process, ended)
        assert process.returncode is not None
        return process.returncode, output, (said or b"")[-_SAID:].decode("utf-8", "replace")

    async def _watch(
        self, process: asyncio.subprocess.Process, ended: asyncio.Task[tuple[bytes, bytes]], hot: Hot
    ) -> None:
        """Let the process run or stand still as the machine allows, until it has ended."""
        standing = False
        while not ended.done():
            wanted = bool(await self._hold(hot))
            if wanted != standing and not ended.done():
                _signal(process, signal.SIGSTOP if wanted else signal.SIGCONT)
                standing = wanted
            await self._next_look(ended)

    async def _hold(self, hot: Hot) -> str:
        """Why it must wait, or nothing; told when that changes."""
        why = self._busy() or hot.why(await asyncio.to_thread(self._health)) or self._busy()
        if why != self.held:
            self._tell(f"fusing waits: {why}" if why else "fusing goes on")
        self.held = why
        return why

    async def _next_look(self, *others: asyncio.Task[tuple[bytes, bytes]]) -> None:
        asked = asyncio.create_task(self._look.wait())
        try:
            await asyncio.wait({asked, *others}, timeout=self._look_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
        self._look.clear()


@contextlib.asynccontextmanager
async def _working(session: Path) -> AsyncIterator[finish.Held]:
    """`finish.working`, with its disk work on threads."""
    with_it = contextlib.ExitStack()
    try:
        yield await _apart(lambda: with_it.enter_context(finish.working(session)))
    finally:
        await _apart(with_it.close)


async def _apart(work: Callable[[], T]) -> T:
    """Run what waits for the disk on a thread: the loop has a rail to look after. To its end, also when cancelled meanwhile."""
    done = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        while not done.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({done})
        raise


async def serve(
    finisher: Finisher,
    root: Path,
    more: asyncio.Event,
    tell: Callable[[Path, finish.Finished], None] = lambda _session, _done: None,
) -> None:
    """Finish what is pending, and again whenever `more` is set. Until cancelled; one session's failure is not the next one's.

    Args:
        finisher: does the work.
        root: folder of all sessions.
        more: set when there may be something new.
        tell: told of each session that was fused or could not be.
    """
    skipped: set[Path] = set()
    while True:
        more.clear()
        in_use = False
        waiting = await asyncio.to_thread(finish.pending, root)
        for session in waiting:
            if session in skipped:
                continue
            try:
                done = await finisher.finish(session, finish.config_of(session))
            except JournalInUse as error:
                log.info("%s", error)
                in_use = True
                continue
            except OSError as error:
                skipped.add(session)  # until the next start
                log.warning("%s could not be finished: %s", session.name, error)
                continue
            tell(session, done)
            if done.outcome == finish.DONE:
                log.info("%s is finished: %s", session.name, ", ".join(done.files))
            else:
                log.warning(
                    "%s could not be fused: %s; again with: rigd finish %s", session.name, done.why, session
                )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(more.wait(), AGAIN_S if in_use else None)


def memory_bytes(config: Finish, health: Health) -> int | None:
    """The limit for the process; None when nothing is known."""
    if config.memory_mb is not None:
        return round(config.memory_mb * 1e6)
    if health.memory_available_bytes is None:
        return None
    return round(max(LEAST_MEMORY_MB * 1e6, MEMORY_SHARE * health.memory_available_bytes))


def _humble(pid: int, limit: int | None) -> None:
    """Lowest priority, and a limit on memory. What the system does not allow (a service's filter) is done without."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PGRP, pid, NICE)  # of the group: of its threads, too, where it has any by now
    if limit is not None and hasattr(resource, "prlimit"):
        # Of data, not of addresses: compilers and thread pools reserve far more addresses than they ever use.
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(
            "800", encoding="ascii"
        )  # rather this one than the daemon


async def _end(process: asyncio.subprocess.Process, ended: asyncio.Task[tuple[bytes, bytes]]) -> None:
    """See that the process is gone, however this one leaves."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        _signal(process, signal.SIGCONT)
    while not ended.done():
        try:
            done, _ = await asyncio.wait({ended}, timeout=END_S)
        except (
            asyncio.CancelledError
        ):  # told for the second time: no more patience, and the first one is on its way up
            done = set()
        if not done:
            _signal(process, signal.SIGKILL)
    if not ended.cancelled():
        ended.exception()  # seen


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _ending(code: int) -> str:
    if code < 0:
        return f"stackcore was ended by {signal.Signals(-code).name}"
    return f"stackcore ended with {code}"
