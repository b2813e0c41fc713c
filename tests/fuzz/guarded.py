"""A simulated rig on a broker, in a process of its own, with somebody beside it who sees what really happens.

`python -m tests.fuzz.guarded FOLDER PORT [OVERRIDE...]`. Orders come on stdin, one line each: `report` gives a `Report` as a line of
JSON; an object is a message that is handed to the MQTT adapter as if the broker had sent it. The end of stdin ends the rig.
"""

from __future__ import annotations

import asyncio
import base64
import ctypes
import gc
import json
import logging
import os
import sys
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drivers.clock import SystemClock
from drivers.sim.truth import WORLD, ExposureLog, TrueExposure
from rigd.app import warm_up
from rigd.config import RigConfig
from rigd.link.endpoint import Received
from rigd.machine.state import Mode
from rigd.remote.ledger import KEPT as KEPT_COMMANDS
from rigd.remote.ledger import Ledger
from rigd.remote.settings import LiveSettings
from rigd.serving import kept_in
from tests.remote import PREFIX, Bench, Diary, bench, quick_rig

LOOK_S = 0.004
MIN_UM, MAX_UM = 0.0, 15_000.0
"""The soft limits; the rail itself goes farther."""
NEAR_ENOUGH_UM = 2.0
"""A microstep, and what the motor's own error makes of it."""
LASH_UM = 20.0
"""The simulated rail's backlash: how far the carriage may lag behind the screw."""
RIG = (
    *(
        f"limits.max_um={MAX_UM:g}",
        "jog.max_distance_um=3000",
        "jog.speed_um_per_s=20000",
        "plan.step_um=200",
    ),
    *("rail.acceleration_um_per_s2=2000000", "rail.pull_off_um=100"),
)
"""In a hurry."""
KEPT = 256
"""Exposures of which the simulator keeps the truth: this process is to need no more memory with time."""


@dataclass
class Report:
    """What was seen since the start."""

    wrong: list[str] = field(default_factory=list)
    """What must not happen, and did."""
    warnings: dict[str, int] = field(default_factory=dict)
    """Of the log, by their wording."""
    acts: dict[str, int] = field(default_factory=dict)
    """Commands that the machine took."""
    modes: dict[str, int] = field(default_factory=dict)
    """How often each was entered."""
    motions: int = 0
    travelled_um: float = 0.0
    exposures: int = 0
    stored: int = 0
    looks: int = 0
    """How often the carriage was looked at."""
    losses: int = 0
    rss_kb: int = 0
    objects: int = 0
    """Those that can hold others."""
    blocks: int = 0
    """Of memory, in Python's hands."""
    tasks: int = 0
    threads: int = 0
    descriptors: int = 0
    ledger: int = 0
    ledger_bytes: int = 0
    retained: int = 0
    """Messages that the switchboard keeps."""
    waiting: int = 0
    """Messages that wait to be sent."""


class Watched(ExposureLog):
    """The log of what was really exposed, with a look at each entry."""

    def __init__(self, guard: Guard) -> None:
        super().__init__(KEPT)
        self._guard = guard

    def add(self, sequence: int, exposure: TrueExposure) -> None:
        self._guard.exposed(exposure)
        super().add(sequence, exposure)


class Guard(logging.Handler):
    """Sees through the simulator what the rig really does, and hears everything that it logs."""

    def __init__(self, rig: Bench) -> None:
        super().__init__()
        self.seen = Report()
        self._rig = rig
        self._rail: Any = rig.rig.parts.rail
        assert rig.rig.parts.context is not None
        self._world = rig.rig.parts.context.shared[WORLD]
        self._world.exposures = Watched(self)
        self._warnings: Counter[str] = Counter()
        self._acts: Counter[str] = Counter()
        self._modes: Counter[str] = Counter()
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look_on, daemon=True)
        self._guard_motions()
        self._looking.start()

    def wrong(self, what: str) -> None:
        """Something that must not happen."""
        if len(self.seen.wrong) < 20:
            self.seen.wrong.append(what)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
            self.wrong(f"logged: {record.getMessage()[:500]} {trace}")
        elif record.levelno >= logging.WARNING:
            self._warnings[str(record.msg)] += 1

    def unheard(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nobody took."""
        self.wrong(f"the loop: {context.get('message')} {context.get('exception')!r}")

    def exposed(self, exposure: TrueExposure) -> None:
        self.seen.exposures += 1
        if exposure.moving:
            self.wrong(f"exposed while the rail moved: {exposure}")

    def close(self) -> None:
        self._over.set()
        self._looking.join()
        super().close()

    # ------------------------------------------------------------------------------------------------------------ motions

    def _guard_motions(self) -> None:
        """A motion of the screw goes one way: it stays inside when its end does."""
        rail = self._rail
        move, jog = rail.start_move, rail.start_jog

        def start_move(target: int, speed_um_per_s: float | None = None) -> None:
            move(target, speed_um_per_s)
            self._begun(f"a move to {target}")

        def start_jog(distance: int, speed_um_per_s: float) -> None:
            homed = rail._status.position is not None
            jog(distance, speed_um_per_s)
            if homed:
                self._begun(f"a jog by {distance}")
            elif abs(distance) * rail.capabilities.microstep_um > 3000:
                self.wrong(f"a jog by {distance} microsteps before home is known")

        rail.start_move, rail.start_jog = start_move, start_jog

    def _begun(self, what: str) -> None:
        leg = self._world._legs[-1]
        self.seen.motions += 1
        self.seen.travelled_um += abs(leg.profile.distance_um)
        end_um = leg.origin_um + leg.profile.distance_um - self._rail._zero_um
        if not MIN_UM - NEAR_ENOUGH_UM <= end_um <= MAX_UM + NEAR_ENOUGH_UM:
            self.wrong(f"{what} ends at {end_um:.1f} um")

    def _look_on(self) -> None:
        while not self._over.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        """Where the carriage really is, whatever anybody says."""
        if not self._knows_home():
            return
        zero_um = self._rail._zero_um
        truth = self._world.truth_at(self._rig.clock.now())
        if not self._knows_home() or self._rail._zero_um != zero_um:
            return  # home was being looked for meanwhile
        self.seen.looks += 1
        at_um, screw_um = truth.position_um - truth.ring_um - zero_um, truth.screw_um - zero_um
        inside = MIN_UM - NEAR_ENOUGH_UM <= at_um <= MAX_UM + NEAR_ENOUGH_UM + LASH_UM
        if not inside or not MIN_UM - NEAR_ENOUGH_UM <= screw_um <= MAX_UM + NEAR_ENOUGH_UM:
            self.wrong(f"the carriage is at {at_um:.1f} um, the screw at {screw_um:.1f} um")

    def _knows_home(self) -> bool:
        return self._rig.state.homed and self._rail._status.position is not None

    # ------------------------------------------------------------------------------------------------------------- report

    def report(self) -> Report:
        """Everything, as of now."""
        seen, rig = self.seen, self._rig
        self._count(rig.diary)
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        reach = rig.reach
        adapter: Any = reach.mqtt
        ledger: Any = reach.desk._ledger
        seen.acts, seen.modes, seen.warnings = dict(self._acts), dict(self._modes), dict(self._warnings)
        seen.losses = adapter.losses
        seen.objects, seen.blocks = len(gc.get_objects()), sys.getallocatedblocks()
        seen.tasks = len(asyncio.all_tasks())
        seen.threads = threading.active_count()
        seen.descriptors = len([*Path("/proc/self/fd").iterdir()])
        seen.ledger = len(ledger)
        seen.ledger_bytes = sum(path.stat().st_size for path in (ledger.path, ledger._old) if path.exists())
        seen.retained = len(reach.switchboard.retained)
        seen.waiting = adapter._link.waiting
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        seen.rss_kb = pages * os.sysconf("SC_PAGE_SIZE") // 1024
        return seen

    def _count(self, diary: Diary) -> None:
        """And forget: this process is to need no more memory with time."""
        self._acts.update(type(act.event).__name__ for act in diary.acts)
        self._modes.update(str(mode) for mode in diary.modes)
        self.seen.stored += len(diary.stored)
        for entries in (diary.acts, diary.modes, diary.stored, diary.closed):
            entries.clear()


def hand(rig: Bench, order: dict[str, Any]) -> None:
    """A message, straight to the adapter."""

    def raw(key: str) -> bytes | None:
        return None if order[key] is None else base64.b64decode(order[key])

    response = raw("response_topic")
    adapter: Any = rig.reach.mqtt
    adapter._received(
        Received(
            PREFIX + order["topic"],
            raw("payload") or b"",
            order["qos"],
            retain=order["retain"],
            dup=order["dup"],
            response_topic=None if response is None else response.decode("utf-8", "surrogatepass"),
            correlation=raw("correlation"),
        )
    )


async def remember_much(config: RigConfig) -> None:
    """As after a busy week: the ledger is full from the start, of answers as long as they are."""
    report = LiveSettings(config, kept_in(config)).report().model_dump(mode="json")
    async with Ledger(kept_in(config), SystemClock()) as ledger:
        for number in range(KEPT_COMMANDS):
            entry = ledger.begin(f"old-{number}", "settings", f"{number:032}")
            ledger.answer(entry, {"status": "ok", "data": {**report, "changed": ["near_um"]}, "error": None})


async def serve(folder: Path, port: int, overrides: list[str]) -> None:
    """Until stdin ends."""
    warm_up()
    await remember_much(quick_rig(folder, port, *RIG, *overrides))
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with bench(folder, port, *RIG, *overrides, clock=SystemClock()) as rig:
        guard = Guard(rig)
        logging.getLogger().addHandler(guard)
        loop.set_exception_handler(guard.unheard)
        await rig.online()
        await rig.reached(Mode.UNHOMED)
        print(json.dumps({"ready": rig.rig.config.rig.id}), flush=True)
        while line := await reader.readline():
            if line == b"report\n":
                print(json.dumps(asdict(guard.report())), flush=True)
            else:
                hand(rig, json.loads(line))
        guard.close()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    print(json.dumps({"left": [repr(task) for task in left], "wrong": guard.seen.wrong}), flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d %(name)s %(levelname)s %(message)s")
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
