"""A session on disk: manifest, journal, frames, results.

```
sessions/20261121T180311Z-ring/
  session.json     what was to be done, with what, and (once finished) what came of it, with the sha256 of every file
  journal.jsonl    what happened, as it happened
  frames/0001.jpg  the pictures, as the camera gave them
  preview.jpg  depth.tif  confidence.tif  coverage.json
```

A frame counts when its journal line is on disk, and by then its file is. A session is finished when `session.json` has a
result.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import rigd
from drivers.clock import Clock
from rigd.plan import Plan
from rigd.session.files import remove_parts, sha256_of, sync_folder, to_json, write_atomic
from rigd.session.journal import NAME as JOURNAL
from rigd.session.journal import DamagedJournal, Journal, lock, read

FORMAT = 1
"""Of `session.json` and the journal. A reader refuses a newer one."""
MANIFEST = "session.json"
FRAMES = "frames"


class SessionError(OSError):
    """A session that cannot be used; says which and why."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """An accepted frame and its evidence, as the journal keeps it. Times on the daemon's monotonic clock."""

    frame: int
    """Index into the plan, from 0."""
    file: str
    bytes: int
    sha256: str
    position: int
    """Microsteps reached."""
    position_um: float
    asked_um: float
    moved_s: float
    settled_s: float
    start_s: float
    end_s: float
    data_s: float
    """When its data were here."""
    sequence: int
    retry: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    settle: Mapping[str, Any] = field(default_factory=dict)
    """How long it was to settle and why: `settle_s` as asked, `code`, `why`, `move_um`, and where it was computed `amplitude_um` and
    `blur_um`; `taken_twice` where this is the second picture, taken when the rig was surely still. What it really got is `start_s` less `moved_s`."""


class Session:
    """A session that is being written. Made by `create` or, for one that was cut off, by `reopen`."""

    def __init__(self, path: Path, manifest: dict[str, Any], journal: Journal) -> None:
        self.path = path
        self.manifest = manifest
        self.plan = Plan.from_dict(manifest["plan"])
        self.frames: dict[int, FrameRecord] = {}
        self._journal = journal

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    def accept(self, record: FrameRecord, payload: bytes) -> None:
        """Store a frame: the file first, then the line that makes it count. Raises OSError, and the frame does not count."""
        write_atomic(self.path / record.file, payload)
        self._journal.write("frame", **asdict(record))
        self.frames[record.frame] = record

    def note(self, event: str, **data: Any) -> None:
        """One line in the journal."""
        self._journal.write(event, **data)

    def add_result(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """A file beside the frames: preview, depth map, coverage."""
        write_atomic(self.path / name, data, durable=durable)

    def finish(self, outcome: str, summary: dict[str, Any]) -> None:
        """Close the journal and write the manifest's last version, with the hash of every file."""
        self._journal.write("finished", outcome=outcome)
        finished = self._journal_time()
        self.close()
        hashes = {record.file: record.sha256 for record in self.frames.values()}
        files = (path for path in sorted(self.path.rglob("*")) if path.is_file() and path.name != MANIFEST)
        names = {str(path.relative_to(self.path)): path for path in files}
        digests = {name: hashes.get(name) or sha256_of(path) for name, path in names.items()}
        self.manifest = {
            **self.manifest,
            "result": {"outcome": outcome, "finished": finished, "frames": len(self.frames), **summary},
            "files": digests,
        }
        write_atomic(self.path / MANIFEST, to_json(self.manifest))

    def close(self) -> None:
        """Let go of the journal; the session stays as it is on disk. Idempotent."""
        self._journal.close()

    def _journal_time(self) -> str:
        return str(read(self.path / JOURNAL).entries[-1]["utc"])


def create(
    root: Path, name: str, plan: Plan, *, config: dict[str, Any], config_hash: str, clock: Clock
) -> Session:
    """Make a new session below `root`. Raises OSError when the disk will not have it, and leaves nothing behind."""
    now = clock.utc()
    root.mkdir(parents=True, exist_ok=True)
    path = _new_folder(root, f"{now:%Y%m%dT%H%M%SZ}-{slug(name)}")
    manifest = {
        "format": FORMAT,
        "id": path.name,
        "name": name,
        "created": now.isoformat(),
        "plan": plan.to_dict(),
        "config": config,
        "config_hash": config_hash,
        "versions": versions(),
        "result": None,
    }
    journal = None
    try:
        (path / FRAMES).mkdir()
        journal = Journal(path / JOURNAL, clock)
        journal.write("begun", frames=plan.frames)
        write_atomic(path / MANIFEST, to_json(manifest))
        sync_folder(root)
    except OSError:
        if journal is not None:
            journal.close()
        shutil.rmtree(path, ignore_errors=True)
        raise
    return Session(path, manifest, journal)


def check_resumable(path: Path) -> dict[str, Any]:
    """The manifest of a session that can be resumed. Changes nothing.

    Raises `SessionError` when it is finished or not a session, `DamagedJournal` when its journal is damaged, `JournalInUse` when it
    is being captured or resumed elsewhere.
    """
    manifest = load_manifest(path)
    if manifest["result"] is not None:
        raise SessionError(
            path, f"finished already ({manifest['result']['outcome']}); there is nothing to resume"
        )
    frame_records(path)
    os.close(lock(path / JOURNAL))
    return manifest


def reopen(path: Path, clock: Clock) -> Session:
    """Open an unfinished session to go on with it.

    What was being written when it was cut off is removed; a frame whose file is missing or damaged does not count any more.
    Raises as `check_resumable` does.
    """
    manifest = check_resumable(path)
    session = Session(path, manifest, Journal(path / JOURNAL, clock))  # from here on nobody else writes it
    try:
        (path / FRAMES).mkdir(exist_ok=True)
        removed = remove_parts(path)
        lost = []
        for frame, record in frame_records(path).items():
            if file_problem(path, record.file, record.sha256) is None:
                session.frames[frame] = record
            else:
                lost.append(frame)
        session.note(
            "reopened", kept=len(session.frames), lost=lost, removed=list(removed), rigd=rigd.__version__
        )
    except OSError:
        session.close()
        raise
    return session


def load_manifest(path: Path) -> dict[str, Any]:
    """A session's manifest. Raises `SessionError` when there is none that this version can read."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise SessionError(path, f"no {MANIFEST}: not a session, or one that never began") from error
    except (OSError, ValueError) as error:
        raise SessionError(path, f"{MANIFEST} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or "plan" not in manifest or "result" not in manifest:
        raise SessionError(path, f"{MANIFEST} is not a session's manifest")
    if not isinstance(manifest.get("format"), int) or manifest["format"] > FORMAT:
        raise SessionError(
            path, f"written by a newer rigd (format {manifest.get('format')}); update rigd to read it"
        )
    try:
        _check(manifest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SessionError(path, f"{MANIFEST} is damaged: {error!r}") from error
    return manifest


def _check(manifest: dict[str, Any]) -> None:
    """Raise what comes when a manifest does not hold what it should."""
    plan = Plan.from_dict(manifest["plan"])
    if not all(isinstance(position, int) for position in plan.positions) or len(plan.asked_um) != plan.frames:
        raise ValueError("plan.positions are not whole microsteps, one for each position asked")
    for key in ("name", "created", "config_hash"):
        if not isinstance(manifest[key], str):
            raise TypeError(f"{key} is not a text")
    if not isinstance(manifest["config"], dict):
        raise TypeError("config is not a mapping")
    if manifest["result"] is not None and not isinstance(manifest["result"]["outcome"], str):
        raise TypeError("result.outcome is not a text")


def frame_records(path: Path) -> dict[int, FrameRecord]:
    """The accepted frames by index, from the journal; a frame that was taken again counts as it was taken last.

    Raises `SessionError` when there is no journal, `DamagedJournal` when it is not this session's.
    """
    try:
        entries = read(path / JOURNAL).entries
    except FileNotFoundError as error:
        why = f"its {JOURNAL} is gone; the pictures may still be in {FRAMES}/: keep a copy of the folder"
        raise SessionError(path, why) from error
    if not entries or entries[0].get("event") != "begun":
        raise DamagedJournal(path / JOURNAL, 1, "does not begin as a session's journal does")
    found: dict[int, FrameRecord] = {}
    for number, entry in enumerate(entries, start=1):
        if entry.get("event") != "frame":
            continue
        try:
            record = FrameRecord(
                **{key: entry[key] for key in FrameRecord.__dataclass_fields__ if key in entry}
            )
        except TypeError as error:
            raise DamagedJournal(path / JOURNAL, number, str(error)) from error
        if Path(record.file).parent != Path(FRAMES) or not 0 <= record.frame < entries[0]["frames"]:
            raise DamagedJournal(path / JOURNAL, number, f"{record.file} is no frame of this session")
        found[record.frame] = record
    return found


def file_problem(path: Path, name: str, digest: str) -> str | None:
    """What is wrong with a file of a session, or None."""
    file = path / name
    if not file.is_file():
        return f"{name} is missing"
    if sha256_of(file) != digest:
        return f"{name} is not the file that was stored (sha256 differs)"
    return None


def frame_name(frame: int, suffix: str) -> str:
    """Where a frame is stored, relative to the session."""
    return f"{FRAMES}/{frame + 1:04d}{suffix}"


def slug(name: str) -> str:
    """A name for a folder: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "stack"


def versions() -> dict[str, str]:
    """What made a session: rigd, Python and the libraries that pictures pass through."""
    found = {"rigd": rigd.__version__, "python": platform.python_version(), "machine": platform.machine()}
    for package in ("numpy", "numba", "opencv-python-headless", "simplejpeg"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "system"
    return found


def _new_folder(root: Path, name: str) -> Path:
    for number in range(1, 10_000):
        path = root / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise SessionError(root / name, "no free folder name left for a session")
