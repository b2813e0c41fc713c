"""A complete session gets its fused picture and depth map: what `stackcore` is asked for, and how its results are recorded.

`stackcore` works in a folder of its own inside the session. What it made is moved beside the frames only when all of it is there, in
steps of which each can be repeated: a manifest that no longer vouches for what is about to be replaced, the files, a manifest that
vouches for them. A kill between any two leaves a session that verifies, and the next start goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rigd.config.model import Finish
from rigd.session import SessionError, survey
from rigd.session.files import sha256_of, sync_folder, to_json, write_atomic
from rigd.session.journal import NAME as JOURNAL
from rigd.session.journal import lock
from rigd.session.store import MANIFEST, load_manifest
from stackcore import catalogue

FUSED = "fused"
WORK = ".finish"
"""Folder of what is being made, inside the session."""
DONE, FAILED, INSTALLING = "done", "failed", "installing"
WHY_LENGTH = 2000
KEPT = (
    "version",
    "frames",
    "used",
    "left_out",
    "warnings",
    "width",
    "height",
    "seconds",
    "cpu_s",
    "peak_rss_mb",
)
"""What the manifest keeps of what `stackcore` said."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What finishing a session came to.

    Attributes:
        outcome: `done` or `failed`.
        files: names of the results, in the session.
        report: what `stackcore` said, with the frames that it left out.
        why: why it failed.
    """

    outcome: str
    files: tuple[str, ...] = ()
    report: Mapping[str, Any] | None = None
    why: str = ""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Frames that are not in the picture, each with its reason."""
        rows = (self.report or {}).get("left_out", [])
        return tuple(f"{row['name']}: {row['reason']}" for row in rows)


def outputs(config: Finish) -> dict[str, str]:
    """The option of `stackcore fuse` for each result, and its file's name."""
    found = {"--output": f"{FUSED}.{config.picture}"}
    if not catalogue.find(config.method).depth:
        return found
    if config.depth:
        found |= {"--depth": "depth.tif", "--confidence": "confidence.tif"}
    if config.depth_picture:
        found["--depth-picture"] = "depth.png"
    if config.mesh != "off":
        found["--mesh"] = f"mesh.{config.mesh}"
    if config.points:
        found["--points"] = "points.ply"
    return found


def arguments(session: Path, config: Finish) -> list[str]:
    """The command that fuses a session into its working folder."""
    work = session / WORK
    command = [sys.executable, "-m", "stackcore", "fuse", str(session), "--json"]
    for option, name in outputs(config).items():
        command += [option, str(work / name)]
    command += ["--method", config.method, "--threads", str(config.threads)]
    for name, value in config.options.items():
        command += ["--option", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    if config.picture == "jpg":
        command += ["--quality", str(config.jpeg_quality)]
    if config.slab_frames is not None:
        command += ["--slab", str(config.slab_frames)]
    if config.um_per_px is not None:
        command += ["--um-per-px", f"{config.um_per_px:.9g}"]
    flags = {
        "--no-align": not config.align,
        "--no-even": not config.even,
        "--orthographic": config.orthographic,
    }
    return command + [flag for flag, on in flags.items() if on]


def config_of(session: Path) -> Finish:
    """What a session's own config wants done. Raises `SessionError`."""
    section = load_manifest(session)["config"].get("finish", {})
    try:
        return Finish.model_validate_json(json.dumps(section))
    except ValueError as error:
        raise SessionError(
            session,
            f"its `finish:` cannot be read by this version of rigd ({error}); give another with --config",
        ) from error


def pending(root: Path) -> list[Path]:
    """Complete sessions that want to be finished and are not, oldest first. One that failed is not tried again by itself."""
    found = []
    for seen in survey(root):
        if seen.outcome != "complete":
            continue
        try:
            manifest = load_manifest(seen.path)
        except SessionError:  # it went away just now
            continue
        # A session from before there was a `finish:` is left as it is.
        wanted = manifest["config"].get("finish", {}).get("enabled", False)
        if wanted and manifest.get("finish", {}).get("state") not in {DONE, FAILED}:
            found.append(seen.path)
    return found


def check_finishable(session: Path) -> dict[str, Any]:
    """The manifest of a session that can be finished. Raises `SessionError`."""
    manifest = load_manifest(session)
    if manifest["result"] is None:
        raise SessionError(session, f"not complete yet; first: rigd resume {session}")
    if not manifest["result"].get("frames"):
        raise SessionError(session, "has no frames to fuse")
    return manifest


@dataclass(frozen=True, slots=True)
class Held:
    """A session that is being worked on.

    Attributes:
        lock: descriptor of its lock, to be shared with whoever works there.
        recovered: what an earlier run had computed and not put into its place; it is there now.
    """

    lock: int
    recovered: Finished | None


@contextmanager
def working(session: Path) -> Iterator[Held]:
    """Hold a session's lock and an empty working folder.

    Raises `SessionError`, `JournalInUse` when somebody else works on it, OSError.
    """
    check_finishable(session)
    descriptor = lock(session / JOURNAL)
    try:
        manifest = load_manifest(session)  # as whoever had the lock until now left it
        recovered = None
        if manifest.get("finish", {}).get("state") == INSTALLING:
            recovered = _install(session, manifest)
        work = session / WORK
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield Held(descriptor, recovered)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        os.close(descriptor)


def missing(session: Path, config: Finish) -> list[str]:
    """Results that are not in the working folder."""
    return [name for name in outputs(config).values() if not (session / WORK / name).is_file()]


def record(session: Path, config: Finish, report: Mapping[str, Any]) -> Finished:
    """Move the results into the session and have its manifest vouch for them. Raises OSError, and it can be done again.

    Args:
        session: its folder; its lock is held.
        config: what was asked for.
        report: what `stackcore` said on standard output.
    """
    work = session / WORK
    digests = {name: sha256_of(work / name) for name in outputs(config).values()}
    sync_folder(work)
    manifest = load_manifest(session)
    manifest["finish"] = {
        "state": INSTALLING,
        "utc": _now(),
        "method": config.method,
        "files": digests,
        "report": {key: report[key] for key in KEPT if key in report},
    }
    manifest["files"] = {
        name: digest for name, digest in manifest.get("files", {}).items() if name not in digests
    }
    write_atomic(session / MANIFEST, to_json(manifest))
    done = _install(session, manifest)
    assert done is not None
    return done


def record_failure(session: Path, config: Finish, why: str) -> Finished:
    """Write down that finishing failed; the session itself is as complete as it was. Raises OSError."""
    manifest = load_manifest(session)
    manifest["finish"] = {
        "state": FAILED,
        "utc": _now(),
        "method": config.method,
        "why": why[-WHY_LENGTH:],
    }
    write_atomic(session / MANIFEST, to_json(manifest))
    return Finished(FAILED, why=why)


def _install(session: Path, manifest: dict[str, Any]) -> Finished | None:
    """From `installing` to `done`: rename what is not in place yet, then vouch for it. None when what was made is gone."""
    said = manifest["finish"]
    for name, digest in said["files"].items():
        made = session / WORK / name
        if made.exists():
            made.replace(session / name)
        elif not (session / name).exists() or sha256_of(session / name) != digest:
            # Neither here nor there: somebody tidied up. What was made is made again.
            del manifest["finish"]
            write_atomic(session / MANIFEST, to_json(manifest))
            return None
    sync_folder(session)
    manifest["finish"] = {**said, "state": DONE}
    manifest["files"] = {**manifest["files"], **said["files"]}
    write_atomic(session / MANIFEST, to_json(manifest))
    return Finished(DONE, tuple(said["files"]), said["report"])


def report_of(output: bytes) -> dict[str, Any]:
    """What `stackcore --json` said, or nothing when it said nothing that can be read."""
    try:
        found = json.loads(output)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _now() -> str:
    return datetime.now(UTC).isoformat()
