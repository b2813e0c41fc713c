"""The rig on the bench, its parts made anew for each test, and what tests do with them again and again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.base import Camera, DriverError, Exposure
from drivers.clock import Clock, SystemClock
from hil.benchfile import BenchFile, PowerSwitch, Presser
from hil.emulated import emulated
from hil.pins import LgpioPins, Pins
from hil.shaken import Accelerometer, CommandedAccelerometer, SimulatedAccelerometer
from hil.simulated import SimulatedPins, SimulatedSupply
from rigd.app import Rig, open_rig
from rigd.config import RigConfig
from rigd.config.model import PlanSection
from rigd.parts import Parts, make_parts
from rigd.virtualtime import run
from tests.contract.bench import Bench, RealBench, VirtualBench
from tests.contract.cameras import CameraRig
from tests.contract.parts import PartRig
from tests.contract.rails import RailRig

T = TypeVar("T")
SIMULATED = {"sim", "replay"}
LOOK_S = 0.01
"""How often a running verb is looked at."""
STACK_UM = 2000.0
"""A stack reaches so far at most, unless its frames need more."""
AROUND_UM = 1000.0
"""So far beyond the subject its pictures may be taken."""
NEAR_HOME_UM = 600.0
"""Far enough from home for any approach."""
LEAST_STEP_UM = 5.0
"""Half of the least step of a stack on a real rail, whose microstep is only known when it is open."""
COMMAND_S = 60.0
"""A command that switches a supply may take so long."""


class Supply(Protocol):
    """The camera's supply."""

    def off(self) -> None:
        """Take the power away."""

    def on(self) -> None:
        """Give it back."""


class CommandedSupply:
    """A supply that commands switch. Raises `subprocess.SubprocessError` when one fails."""

    def __init__(self, switch: PowerSwitch) -> None:
        assert switch.off
        assert switch.on
        self._off, self._on = switch.off, switch.on

    def off(self) -> None:
        """Run the command for off."""
        subprocess.run(self._off, check=True, timeout=COMMAND_S)

    def on(self) -> None:
        """Run the command for on."""
        subprocess.run(self._on, check=True, timeout=COMMAND_S)


class BenchRig:
    """The parts of the rig, closed, on a clock of their own: a virtual one where every part is simulated or emulated.

    Args:
        file: the bench.
        config: its rig.
        real_pins: of this machine, where the bench has some.
    """

    def __init__(self, file: BenchFile, config: RigConfig, real_pins: Pins | None) -> None:
        self.file = file
        self.config = config
        self.simulated = simulated(file, config)
        self.bench: Bench = VirtualBench() if self.simulated else RealBench()
        assert self.simulated == (not isinstance(self.bench.clock, SystemClock))
        self._real_pins = real_pins
        self._around = ExitStack()
        pins_of = self._around.enter_context(self.surroundings(self.bench.clock))
        self.parts = make_parts(config, self.bench.clock)
        self.pins = pins_of(self.parts)

    @contextmanager
    def surroundings(self, clock: Clock) -> Iterator[Callable[[Parts], Pins]]:
        """What stands around the rig's drivers on this clock; gives the bench's pins as they are wired to parts made in it."""
        if self.file.pins == "emulated":
            with emulated(self.file.features, self.config, clock) as pins_of:
                yield pins_of
        elif self.file.pins == "simulated":
            yield lambda parts: SimulatedPins(self.file.features, parts)
        else:
            yield lambda _: self._real_pins if self._real_pins is not None else NoPins()

    def close(self) -> None:
        """Every part, then what is around them."""
        with self._around:
            parts = self.parts
            for part in (parts.rail, parts.camera, parts.light, *parts.switches.values()):
                if part is not None:
                    self._around.callback(part.close)

    @property
    def clock(self):
        return self.bench.clock

    @property
    def span_um(self) -> float:
        """How far from home the suite may go."""
        return min(self.file.numbers.span_um, self.config.limits.max_um)

    @property
    def subject_um(self) -> float:
        """A position that the camera has a sharp picture of."""
        plan, given = self.config.plan, self.file.numbers.subject_um
        return given if given is not None else plan.near_um if plan is not None else 0.0

    @property
    def supply(self) -> Supply:
        """What switches the camera's power."""
        switch = self.file.features.power_switch
        assert switch is not None
        if switch.off and switch.on:
            return CommandedSupply(switch)
        assert self.parts.context is not None
        return SimulatedSupply(self.parts.context)

    @property
    def accelerometer(self) -> Accelerometer:
        """What feels how the camera is shaken."""
        feature = self.file.features.accelerometer
        assert feature is not None
        if feature.record is not None:
            return CommandedAccelerometer(feature.record)
        assert self.parts.context is not None
        return SimulatedAccelerometer(self.parts.context)

    def rail_rig(self) -> RailRig:
        """The rail, closed."""
        truth = getattr(self.parts.rail, "true_microsteps", None)
        return RailRig(
            self.bench,
            self.parts.rail,
            span_um=self.span_um,
            true_microsteps=truth,
            tells_home_error=self.file.features.home_switch is not None,
        )

    def camera_rig(self) -> CameraRig:
        """The camera, closed."""
        fresh = getattr(self.config.camera.options, "mode", "fresh") == "fresh"
        encloses = self.config.shutter is not None or self.config.camera.driver == "gphoto2"
        return CameraRig(
            self.bench,
            self.parts.camera,
            position_um=self.subject_um,
            proves_freshness=fresh,
            encloses=encloses,
        )

    def part_rig(self, part: Any) -> PartRig:
        """A small part, closed."""
        return PartRig(self.bench, part)

    @contextmanager
    def lit(self) -> Iterator[None]:
        """With the light on, where there is one."""
        light = self.parts.light
        if light is None:
            yield
            return
        self.bench.run(light.open)
        try:
            self.bench.run(light.on)
            yield
        finally:
            light.close()

    def stack(self, frames: int, folder: Path, *, near_home: bool = False) -> RigConfig:
        """The rig with a stack of so many frames about the subject, homed again at its end.

        Args:
            frames: of it; at least two microsteps lie between two.
            folder: for the session of a simulated rig; a real one's is large and goes where the rig's sessions go.
            near_home: not about the subject, and not homed again: quicker, where the pictures do not matter.
        """
        declared = self.parts.rail.capabilities if self.simulated else None
        microstep_um = declared.microstep_um if declared else LEAST_STEP_UM
        step_um = max(2 * microstep_um, min(STACK_UM, self.span_um / 2) / frames)
        near_um = self.subject_um - step_um * (frames - 1) / 2
        if near_home:
            step_um = min(step_um, NEAR_HOME_UM / 4)
            near_um = self.config.limits.min_um + min(NEAR_HOME_UM, self.span_um / 2)
        near_um = max(self.config.limits.min_um, near_um)
        plan = PlanSection(near_um=near_um, step_um=step_um, frames=frames)
        capture = self.config.capture.model_copy(update={"rehome_at_end": not near_home, "end": "stay"})
        finish = self.config.finish.model_copy(update={"enabled": False})
        changed = {"plan": plan, "capture": capture, "finish": finish}
        return self.kept_in(folder).model_copy(update=changed)

    def within_span(self, folder: Path) -> RigConfig:
        """As `kept_in`, for measurements that go wherever the rig's limits let them: no farther than the tests may."""
        config = self.kept_in(folder)
        top_um = min(config.limits.max_um, max(self.span_um, self.subject_um + AROUND_UM))
        return config.model_copy(update={"limits": config.limits.model_copy(update={"max_um": top_um})})

    def kept_in(self, folder: Path) -> RigConfig:
        """The rig with all that it writes in a folder, where it is simulated; a real one writes where it always does."""
        if not self.simulated:
            return self.config
        storage = self.config.storage.model_copy(update={"sessions": folder / "sessions"})
        service = self.config.service.model_copy(update={"state": folder / "state"})
        return self.config.model_copy(update={"storage": storage, "service": service})

    def with_rig(
        self,
        body: Callable[[Rig, Pins], Awaitable[T]],
        config: RigConfig | None = None,
        clock: Clock | None = None,
    ) -> T:
        """The whole rig opened as the daemon does, and the bench's pins; by default on a clock of the bench's kind."""
        if clock is None:
            clock = VirtualBench().clock if self.simulated else SystemClock()

        with self.surroundings(clock) as pins_of:

            async def main() -> T:
                async with open_rig(config or self.config, clock) as rig:
                    return await body(rig, pins_of(rig.parts))

            return run(main(), clock)


class NoPins:
    """A machine whose pins nobody asked for."""

    def watch(self, pin: int, pull: str = "off") -> Any:
        raise AssertionError(f"GPIO{pin}: this bench declares no pins")

    def drive(self, pin: int, level: int) -> tuple[float, float]:
        raise AssertionError(f"GPIO{pin}: this bench declares no pins")

    def close(self) -> None:
        """Nothing is held."""


def simulated(file: BenchFile, config: RigConfig) -> bool:
    """Whether nothing of the rig is real."""
    if file.pins == "emulated":
        return True
    parts = [
        config.rail,
        config.motor,
        config.camera,
        config.shutter,
        config.light,
        *config.switches.values(),
    ]
    return {part.driver for part in parts if part is not None} <= SIMULATED


def rest_level(presser: Presser) -> int:
    """The level at which a presser does not press."""
    return int(presser.pressed == "low")


def real_pins(file: BenchFile) -> Pins | None:
    """The pins of this machine, with every presser at rest; None where the bench has no real pins."""
    features = file.features
    if file.pins != "lgpio" or features.pins is None:
        return None
    pins = LgpioPins(file.chip)
    for presser in (features.limit_drive, features.estop_drive):
        if presser is not None:
            pins.drive(presser.pin, rest_level(presser))
    return pins


def exposed(bench: Bench, camera: Camera, limit_s: float, position_um: float = 0.0) -> Exposure:
    """One exposure, given up after `limit_s`. Raises `CameraTimeout` or another `DriverError`."""
    gives_up_s = bench.clock.now() + limit_s
    running = bench.start(lambda: camera.expose(bench.clock.now(), position_um))
    while not running.done and bench.clock.now() < gives_up_s:
        bench.pass_time(LOOK_S)
    if not running.done:
        camera.cancel()
    return bench.finish(running)


def picture(payload: bytes, suffix: str) -> NDArray[np.uint8] | None:
    """Gray (H, W) of a frame's data; None where nothing here decodes it."""
    if suffix == ".dng":
        return None
    return cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_GRAYSCALE)


def settle(rig: BenchRig) -> None:
    """Wait as the rig's config says that it settles."""
    rig.bench.pass_time(rig.config.settle.fixed_s)


class Stopwatch:
    """Real seconds, for what the machine itself does, whatever clock the bench is on."""

    def __init__(self) -> None:
        self._begun_s = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun_s


def broken_rail(rig: BenchRig) -> str | None:
    """Why the rail is of no use; None: it opens and homes."""
    rail = rig.parts.rail
    try:
        rail.open()
        rail.start_home()
        gives_up_s = rig.clock.now() + 180.0
        while (status := rail.poll()).moving:
            if rig.clock.now() > gives_up_s:
                rail.stop()
                return "homing does not end"
            rig.bench.pass_time(LOOK_S)
    except DriverError as error:
        return str(error)
    else:
        return None if status.homed else status.alarm or "homing ended and the position is not known"
    finally:
        rail.close()


def broken_camera(rig: BenchRig) -> str | None:
    """Why the camera is of no use; None: it opens and gives a picture."""
    camera = rig.parts.camera
    try:
        with rig.lit():
            rig.bench.run(camera.open)
            limit_s = camera.capabilities.exposure_s + rig.file.numbers.hang_timeout_s
            exposure = exposed(rig.bench, camera, limit_s, rig.subject_um)
            data = rig.bench.run(lambda: camera.fetch(exposure))
            return None if data.payload else "an empty picture"
    except DriverError as error:
        return str(error)
    finally:
        camera.close()


PROBES = {"rail": broken_rail, "camera": broken_camera}
"""What is looked at after a test has failed that needs it."""
