"""Looking at sessions from outside: which there are, which are unfinished, and whether each is what it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigd.plan import Plan
from rigd.session.files import PART
from rigd.session.journal import NAME as JOURNAL
from rigd.session.journal import DamagedJournal
from rigd.session.store import MANIFEST, SessionError, file_problem, frame_records, load_manifest


@dataclass(frozen=True, slots=True)
class Overview:
    """One session, in a line."""

    path: Path
    name: str
    created: str
    outcome: str
    """`complete`, `aborted`, `unfinished`, or `damaged`."""
    frames: int
    planned: int
    why: str = ""
    rig: str = ""
    """Id of the rig that took it; empty: its manifest does not say."""

    @property
    def unfinished(self) -> bool:
        """Whether it can be resumed."""
        return self.outcome == "unfinished"

    def is_of(self, rig: str) -> bool:
        """Whether that rig took it, as far as is known: several rigs may share a folder."""
        return self.rig in {"", rig}


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a verification found."""

    overview: Overview
    problems: tuple[str, ...]
    files: int
    """How many files were hashed."""

    @property
    def whole(self) -> bool:
        """Whether everything that was stored is there, unchanged."""
        return not self.problems


def overview(path: Path) -> Overview:
    """A session in a line. Never raises for a damaged one: it says so."""
    try:
        manifest = load_manifest(path)
        records = frame_records(path)
        planned = len(manifest["plan"]["positions"])
    except (SessionError, DamagedJournal, OSError, KeyError, TypeError) as error:
        return Overview(path, path.name, "", "damaged", 0, 0, str(error))
    result = manifest["result"]
    outcome = "unfinished" if result is None else str(result["outcome"])
    return Overview(
        path, manifest["name"], manifest["created"], outcome, len(records), planned, rig=rig_of(manifest)
    )


def rig_of(manifest: dict[str, Any]) -> str:
    """Id of the rig that took a session, by its manifest; empty: it does not say."""
    section = manifest["config"].get("rig")
    name = section.get("id") if isinstance(section, dict) else None
    return name if isinstance(name, str) else ""


def survey(root: Path) -> tuple[Overview, ...]:
    """All sessions below a folder, oldest first."""
    if not root.is_dir():
        return ()
    # What has neither manifest nor journal is no session: lost+found, a folder of somebody else's.
    return tuple(
        overview(path)
        for path in sorted(root.iterdir())
        if any((path / name).exists() for name in (MANIFEST, JOURNAL))
    )


def verify(path: Path) -> Inspection:
    """Hash every file of a session and hold it against journal and manifest."""
    seen = overview(path)
    if seen.outcome == "damaged":
        return Inspection(seen, (seen.why,), 0)
    manifest = load_manifest(path)
    expected = {record.file: record.sha256 for record in frame_records(path).values()}
    problems = []
    if manifest["result"] is not None:
        listed = dict(manifest.get("files", {}))
        problems += [
            f"{name} differs between journal and manifest"
            for name in expected
            if listed.get(name) != expected[name]
        ]
        expected = {**listed, **expected}
        problems += _strangers(path, set(expected))
        if seen.outcome == "complete" and seen.frames != Plan.from_dict(manifest["plan"]).frames:
            problems.append(f"complete with {seen.frames} of {seen.planned} frames")
    problems += [
        why for name, digest in expected.items() if (why := file_problem(path, name, digest)) is not None
    ]
    return Inspection(seen, tuple(problems), len(expected))


def _strangers(path: Path, known: set[str]) -> list[str]:
    """Frames in the folder that no record speaks of."""
    frames = (
        str(file.relative_to(path))
        for file in sorted((path / "frames").glob("*"))
        if not file.name.endswith(PART)
    )
    return [f"{name} is in no record" for name in frames if name not in known]
