"""A session's beginning, as it is told, and its end, as it is written."""

from __future__ import annotations

from collections.abc import Sequence

from rigd.control.notices import Opened
from rigd.control.pipeline import Pipeline
from rigd.preview import Results
from rigd.session import Session
from rigd.workers import Worker


def opened(session: Session) -> Opened:
    """The notice that a session is open."""
    manifest = session.manifest
    return Opened(
        session.id,
        manifest["name"],
        session.path,
        session.plan.frames,
        len(session.frames),
        manifest["created"],
    )


async def complete(
    pipeline: Pipeline,
    store: Worker,
    outcome: str,
    why: str,
    *,
    home_error: int | None = None,
    warnings: Sequence[str] = (),
) -> Results | None:
    """Write the results and finish the session. Raises OSError, and the session can be resumed."""
    results = await pipeline.finish()
    summary = {
        "why": why,
        "home_error_microsteps": home_error,
        "coverage": results.text if results else "",
        "warnings": list(warnings),
    }
    await store.run(pipeline.session.finish, outcome, summary)
    return results
