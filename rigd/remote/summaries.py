"""The digest of each session that was left, kept by the broker; of the newest ones only, so that it does not fill up."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from rigd.messages import topics
from rigd.messages.reports import Summary
from rigd.remote.bus import Outgoing, Switchboard
from rigd.session.files import sha256
from rigd.session.journal import NAME as JOURNAL
from rigd.session.journal import read
from rigd.session.store import MANIFEST, load_manifest
from rigd.session.survey import rig_of
from rigd.workers import Worker

log = logging.getLogger(__name__)

KEPT = 20
"""So many sessions are retained, the newest."""


def digest(path: Path) -> Summary:
    """The digest of a session on disk. Blocking.

    Raises:
        OSError: it cannot be read (`SessionError`, `DamagedJournal`).
        ValueError, KeyError, TypeError: it is not what rigd writes.
    """
    manifest = load_manifest(path)
    entries = read(path / JOURNAL).entries
    result: dict[str, Any] = manifest["result"] or _unfinished(entries)
    microsteps = result.get("home_error_microsteps")
    files = manifest.get("files")
    return Summary(
        session=path.name,
        name=manifest["name"],
        outcome=result["outcome"],
        why=result.get("why") or "",
        created=manifest["created"],
        finished=result.get("finished"),
        frames=len({entry["frame"] for entry in entries if entry["event"] == "frame"}),
        planned=len(manifest["plan"]["positions"]),
        rejected=sum(entry["event"] == "rejected" for entry in entries),
        coverage=result.get("coverage") or "",
        home_error_um=None if microsteps is None else microsteps * manifest["plan"]["microstep_um"],
        files=len(files) if isinstance(files, dict) else 0,
        manifest_sha256=sha256((path / MANIFEST).read_bytes()),
    )


def _digest_of(path: Path, rig: str) -> Summary | None:
    return digest(path) if _is_of(path, rig) else None


def _unfinished(entries: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """A session without a result can be gone on with, whatever cut it off."""
    whys = [entry.get("why", "") for entry in entries if entry["event"] == "suspended"]
    return {"outcome": "suspended", "why": whys[-1] if whys else ""}


def sessions_on_disk(root: Path, rig: str, most: int) -> list[str]:
    """Names of the newest sessions of a rig below a folder that others may share, oldest first. Blocking."""
    if not root.is_dir():
        return []
    names = sorted((path.name for path in root.iterdir() if (path / MANIFEST).is_file()), reverse=True)
    return [*itertools.islice((name for name in names if _is_of(root / name, rig)), most)][::-1]


def _is_of(path: Path, rig: str) -> bool:
    """Whether that rig took it, as far as its manifest can be read."""
    try:
        return rig_of(load_manifest(path)) in {"", rig}
    except OSError:
        return True  # that it cannot be read is told of when its digest is made


class Summaries:
    """Publishes `session/<id>/summary`.

    Args:
        switchboard: where they go.
        clock: of its thread.
        root: the folder of the sessions.
        rig: whose they are; of others in the same folder nothing is said.
        is_open: whether a session is being taken; it has no summary then.
    """

    def __init__(
        self, switchboard: Switchboard, clock: Clock, root: Path, rig: str, is_open: Callable[[str], bool]
    ) -> None:
        self._switchboard = switchboard
        self._clock = clock
        self._root = root
        self._rig = rig
        self._is_open = is_open
        self._kept: list[str] = []
        self._jobs: asyncio.Queue[str] = asyncio.Queue()

    def left(self, session: str) -> None:
        """A session was left, or its manifest is another one: read and publish it."""
        self._jobs.put_nowait(session)

    def opened(self, session: str) -> None:
        """A session is being taken: what was said of it when it was left does not hold any more."""
        if session in self._kept:
            self._clear(session)

    async def serve(self) -> None:
        """Publish until cancelled; those of before this start first."""
        worker = Worker("summaries", self._clock)
        try:
            await self._begin(worker)
            while True:
                session = await self._jobs.get()
                await self._publish(session, worker)
                self._jobs.task_done()
        finally:
            worker.close()

    async def drained(self) -> None:
        """Wait until everything that was asked for is published."""
        await self._jobs.join()

    async def _begin(self, worker: Worker) -> None:
        """A broker may be a new one, or still hold what was cut off before it could be cleared."""
        try:
            names = await worker.run(sessions_on_disk, self._root, self._rig, 2 * KEPT)
        except OSError as error:
            log.warning("the sessions cannot be listed: %s", error)
            return
        for name in names[:-KEPT]:
            self._switchboard.publish(Outgoing(topics.session_summary(name), b"", retain=True))
        for name in names[-KEPT:]:
            if name not in self._kept:
                await self._publish(name, worker)

    async def _publish(self, session: str, worker: Worker) -> None:
        try:
            summary = await worker.run(_digest_of, self._root / session, self._rig)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("no summary of %s: %s", session, error)
            return
        if summary is None or self._is_open(session):
            return
        self._switchboard.publish(Outgoing.of(topics.session_summary(session), summary, retain=True))
        self._kept = [*(name for name in self._kept if name != session), session]
        while len(self._kept) > KEPT:
            self._clear(self._kept[0])

    def _clear(self, session: str) -> None:
        self._kept.remove(session)
        self._switchboard.publish(Outgoing(topics.session_summary(session), b"", retain=True))
