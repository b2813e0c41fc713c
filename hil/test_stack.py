"""The long run: a stack of many frames by the whole daemon, and nothing lost, nothing grown."""

import asyncio
import itertools
import shutil
from pathlib import Path

import pytest

from hil.figures import Plot, curve
from hil.rigs import Stopwatch
from rigd.control.notices import Accepted, Closed, Rejected
from rigd.session import verify

STATUS = Path("/proc/self/status")


def memory_mb() -> float:
    """Resident memory of this process."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@pytest.mark.needs("rail", "home_switch", "camera")
def test_soak(bench_rig, tmp_path, file, figure):
    """Every frame on disk and whole, memory that does not grow, home where it was."""
    frames = file.numbers.soak_frames
    config = bench_rig.stack(frames, tmp_path)
    seen, memory, ends_s, rejected = [], [], [], []

    async def body(rig, _):
        closed = []

        def note(notice):
            if isinstance(notice, Accepted):
                seen.append(notice.record)
                ends_s.append(asyncio.get_running_loop().time())
                memory.append(memory_mb())
            elif isinstance(notice, Rejected):
                rejected.append(notice.reason)
            elif isinstance(notice, Closed):
                closed.append(notice)

        rig.controller.listen(note)
        await rig.home()
        session = await rig.start("soak", rig.plan().plan)
        state = await rig.ended()
        rig.raise_fault(state)
        return session.path, closed, rig.controller.hands.camera.restarts, state

    watch = Stopwatch()
    path, closed, restarts, state = bench_rig.with_rig(body, config)
    assert closed, f"the stack paused: {state.mode}; rejected: {rejected[-3:]}"
    assert closed[0].outcome == "complete"
    inspection = verify(path)
    assert inspection.whole, inspection.problems
    assert len({record.frame for record in seen}) == frames
    shutil.rmtree(path)  # gigabytes on a real bench; kept when something was wrong
    tenth = max(1, frames // 10)
    cycles_s = [b - a for a, b in itertools.pairwise(ends_s)]
    took_s = watch.seconds
    grown = Plot("memory", "frame", "MB", (curve("resident", range(1, len(memory) + 1), memory),))
    figure(
        "soak_cycle",
        (ends_s[-1] - ends_s[0]) / max(1, len(cycles_s)),
        "s",
        samples=tuple(cycles_s),
        better="lower",
        note=f"From frame to frame, over {frames} frames; the run took {took_s:.0f} s of this machine's time.",
    )
    figure(
        "soak_memory",
        memory[-1] - memory[tenth - 1],
        "MB",
        limit=file.tolerances.soak_memory_mb,
        better="lower",
        note="Growth from a tenth of the run to its end.",
        plots=(grown,),
    )
    figure(
        "soak_camera_restarts",
        float(restarts),
        better="lower",
        note="A camera that hung was closed and opened again so often.",
    )
    if closed[0].home_error is not None:
        figure(
            "soak_home_error",
            abs(closed[0].home_error) * bench_rig.parts.rail.capabilities.microstep_um,
            "µm",
            limit=file.tolerances.homing_um,
            better="lower",
            note="By how much home was off at the end.",
        )
    figure(
        "soak_retakes",
        len(rejected) / frames,
        limit=file.tolerances.soak_retakes,
        better="lower",
        note="; ".join(sorted(set(rejected))) or "No picture was refused.",
    )
