"""An accelerometer that is read while the rail moves: by a command that prints its record, as a logger of the ADXL345 does.

Any program will do that prints lines of time and three accelerations (see `accelerometer`) until it is told to stop: it is started
before each move, and ended by SIGTERM once the rig has rung. Its clock need not be the rig's.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Sequence

from rigd.calibration.accelerometer import Recorded, parse
from rigd.calibration.stand import CalibrationRefused, Stand

STILL_S = 1.0
"""Recorded before the move."""
RINGS_S = 3.0
"""Recorded after it."""
END_S = 3.0
"""How long a logger may take to end after SIGTERM."""
MOST_BYTES = 64_000_000
TOLD = 400
"""Characters of what a command complained of that are repeated."""


async def record_moves(
    stand: Stand,
    command: str,
    moves_um: Sequence[float],
    *,
    position_um: float,
    upward: bool,
    rings_s: float = RINGS_S,
) -> list[tuple[Recorded, float | None, float]]:
    """A record of each move, all ending at one place: for `accelerometer.ring_down`. Raises `CalibrationRefused`."""
    words = shlex.split(command)
    if not words:
        raise CalibrationRefused("the accelerometer's command is empty")
    stand.progress.expect(len(moves_um))
    beyond_um = max(2 * stand.backlash_um, 5 * stand.microstep_um)
    found: list[tuple[Recorded, float | None, float]] = []
    for move_um in moves_um:
        start_um = position_um - move_um if upward else position_um + move_um
        await stand.approach(start_um, upward=upward, beyond_um=beyond_um)
        await stand.rest(rings_s)
        text = await _during(stand, words, position_um, rings_s)
        found.append((parse(text, f"what {words[0]} printed"), None, move_um))
        stand.progress.step(f"move of {move_um:g} um")
    return found


async def _during(stand: Stand, words: Sequence[str], to_um: float, rings_s: float) -> str:
    """What the command prints while the rail moves."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=MOST_BYTES
        )
    except OSError as error:
        raise CalibrationRefused(f"the accelerometer's command cannot be run: {error}") from error
    reading = asyncio.create_task(process.communicate())
    try:
        await stand.rest(STILL_S)
        await stand.go(to_um)
        await stand.rest(rings_s)
    finally:
        await _end(process, reading)
    out, complaints = reading.result()
    if not out:
        said = complaints.decode(errors="replace").strip()[-TOLD:]
        raise CalibrationRefused(f"{words[0]} printed nothing" + (f": {said}" if said else ""))
    return out.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process, reading: asyncio.Task[tuple[bytes, bytes]]) -> None:
    """SIGTERM, and SIGKILL for one that does not heed it; what it has printed is read to the end either way."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    done, _ = await asyncio.wait({reading}, timeout=END_S)
    if not done:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.wait({reading})
