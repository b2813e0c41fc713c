"""The bench file: which rig stands on the bench, what is wired for measuring, how often and how well.

A plain config of a rig will do too: then only what the config itself names is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rigd.config import RigConfig, load

Pin = Annotated[int, Field(ge=0, le=27)]
"""GPIO number as the SoC counts."""
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class BenchError(Exception):
    """The bench file cannot be used."""


class Model(BaseModel):
    """The base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Plain(Model):
    """A feature that is there, with nothing to say about it."""


class OnPin(Model):
    """A feature on a pin of the bench."""

    pin: Pin


class LoopBack(Model):
    """The rail's STEP line, read back through 1 kOhm."""

    step_in: Pin
    """Input that sees every step pulse."""
    pulses: Literal["rising", "falling"] = "rising"
    """The edge that makes a step."""


class Presser(Model):
    """An output that presses a switch: through an opto-coupler whose transistor lies in series with a switch that is closed at rest.

    The bench holds the output at rest from its first test to its last. Let go of, it presses: the rig stands.
    """

    pin: Pin
    pressed: Literal["high", "low"] = "low"
    """Level that presses: low for the opto-coupler in series, high for one in parallel to a switch that is open at rest."""


class Led(OnPin):
    """An LED that the camera sees, on an output through its resistor."""

    active_low: bool = False


class SyncContact(OnPin):
    """The camera's sync contact, on an input of the bench: in parallel to the driver's own input if that has one."""

    closes_to: Literal["ground", "supply"] = "ground"


class PowerSwitch(Model):
    """Commands that switch the camera's supply, or the word `simulated`."""

    off: tuple[str, ...] | None = None
    on: tuple[str, ...] | None = None
    start_s: NonNegative = 5.0
    """From power on until the camera can be opened."""


class Accelerometer(Model):
    """An accelerometer on what the rail carries."""

    record: tuple[str, ...] | None = None
    """Command that writes time and three accelerations to its standard output, for as many seconds as its last argument says. None: simulated."""


class Features(Model):
    """What the bench has. Left away, or null: it is not there, and tests that need it say what to wire."""

    rail: Plain | None = None
    """The rail is built up and free to move over the span."""
    home_switch: Plain | None = None
    """Homing meets a switch, and the rail tells by how much it was off."""
    camera: Plain | None = None
    """The camera takes pictures."""
    subject: Plain | None = None
    """Something flat, fixed and rich in texture stands in focus at `numbers.subject_um`."""
    burst: Plain | None = None
    """The camera gives fast small frames."""
    light: Plain | None = None
    switches: Plain | None = None
    pins: Plain | None = None
    """This machine has pins."""
    pin_loop: tuple[Pin, Pin] | None = None
    """An output and an input, joined through 1 kOhm: whether the times of edges are what they seem."""
    loopback: LoopBack | None = None
    limit_drive: Presser | None = None
    """Presses the rail's far switch."""
    estop_drive: Presser | None = None
    """Presses the contact `estop` of the rig's `switches:`."""
    led: Led | None = None
    sync_contact: SyncContact | None = None
    power_switch: PowerSwitch | None = None
    accelerometer: Accelerometer | None = None


class Numbers(Model):
    """How often, how far, how long."""

    span_um: Positive = 5000.0
    """How far from home the tests may go."""
    subject_um: NonNegative | None = None
    """Rail position with the subject in focus; left away: the near end of the rig's plan."""
    homings: Annotated[int, Field(ge=3)] = 10
    random_moves: Count = 100
    pulse_moves: Count = 3
    """Moves whose pulses are looked at, for each of three speeds."""
    presses: Count = 10
    """Of limit and emergency stop."""
    led_frames: Annotated[int, Field(ge=12)] = 60
    stale_tries: Count = 20
    triggers: Count = 20
    backlash_ways: Annotated[int, Field(ge=3)] = 4
    """Ways up and down through the subject."""
    sweep_step_um: Positive | None = None
    """Between two pictures of a sweep; left away: half the plan's step."""
    ring_moves_um: tuple[Positive, ...] = (20.0, 100.0)
    """Lengths of the moves after which the ringing is watched."""
    ring_repeats: Count = 3
    shaken_s: Positive = 4.0
    """How long an accelerometer records after a move."""
    lag_frames: Annotated[int, Field(ge=2)] = 12
    preview_frames: Annotated[int, Field(ge=4)] = 12
    soak_frames: Annotated[int, Field(ge=10)] = 1000
    hang_timeout_s: Positive = 10.0
    """A camera that gives no picture for so long, beyond its exposure, hangs."""


class Tolerances(Model):
    """What a figure may be at most; null: anything. A figure beyond it is a failed test, and is in the report all the same."""

    homing_um: Positive | None = 20.0
    """Farthest two of all homings, by switch and by camera."""
    lost_steps: NonNegative | None = 0.0
    """Microsteps lost in the random moves, beyond what homing repeats to."""
    backlash_um: Positive | None = 300.0
    backlash_spread_um: Positive | None = 10.0
    """Standard deviation of its readings."""
    step_jitter_us: Positive | None = 400.0
    """99th percentile of how far a pulse comes from its even place between its neighbours."""
    step_rate_error: Positive | None = 0.02
    """Of the highest rate, against what was asked for."""
    limit_latency_ms: Positive | None = 20.0
    estop_latency_ms: Positive | None = 100.0
    trigger_latency_s: Positive | None = 2.0
    timestamp_error_ms: Positive | None = 5.0
    """By how much the exposure may truly begin before the camera says it does."""
    exposure_error: Positive | None = 0.1
    """Of the exposure time, against what the camera says."""
    ring_error_hz: Positive | None = 0.2
    """Standard error of the frequency."""
    loop_lag_ms: Positive | None = 50.0
    """99th percentile, while a stack is taken."""
    preview_share: Positive | None = 1.0
    """Time to merge a frame, as a share of the time that the rig takes for one."""
    pin_clock_ms: Positive | None = 2.0
    recover_s: Positive = 60.0
    """From power on to a good picture."""
    soak_memory_mb: Positive | None = 50.0
    """Growth from a tenth of the soak to its end."""
    soak_retakes: NonNegative | None = 0.01
    """Share of frames that were taken more than once."""


class BenchFile(Model):
    """One bench."""

    bench: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """Its name."""
    rig: Path
    """The rig's config, beside this file if relative."""
    set: tuple[str, ...] = ()
    """Values laid over it, as `rigd --set`."""
    camera_from: Path | None = None
    """Another rig's config whose camera stands on this bench: a simulated one cannot be named beside a rail that is none."""
    pins: Literal["lgpio", "simulated", "emulated"] = "lgpio"
    """`lgpio`: this machine's. `simulated`: worked out from the simulators' truth. `emulated`: mock pins with a carriage on them, for a `stepdir` rail."""
    chip: Annotated[int, Field(ge=0)] = 0
    """Number of the gpiochip: 0; 4 on some kernels of a Pi 5."""
    features: Features = Features()
    numbers: Numbers = Numbers()
    tolerances: Tolerances = Tolerances()


def read(path: Path, numbers: Sequence[str] = ()) -> tuple[BenchFile, RigConfig]:
    """A bench file, or a rig's config as one, and the rig.

    Args:
        path: the file.
        numbers: `name=value`, laid over its numbers.

    Raises:
        BenchError: it cannot be read or used.
        ConfigError: the rig's config cannot.
    """
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise BenchError(f"{path}: {error}") from error
    if not isinstance(data, dict):
        raise BenchError(f"{path}: not a mapping of sections")
    if "bench" not in data:
        config = load(path)
        data = {"bench": config.rig.id, "rig": path.name, "features": features_of(config)}
    found = dict(data.get("numbers") or {})
    for text in numbers:
        name, equals, value = text.partition("=")
        if not equals:
            raise BenchError(f"{text!r}: write name=value")
        found[name.strip()] = yaml.safe_load(value)
    switch = (data.get("features") or {}).get("power_switch")
    if isinstance(switch, dict):
        # YAML takes a bare on and off for true and false.
        data["features"]["power_switch"] = {
            {True: "on", False: "off"}.get(key, key): value for key, value in switch.items()
        }
    features = {
        name: {} if one is True else one
        for name, one in (data.get("features") or {}).items()
        if one is not False
    }
    try:
        bench = BenchFile.model_validate({**data, "features": features, "numbers": found})
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise BenchError(f"{path}: " + "; ".join(lines)) from error
    config = load(path.parent / bench.rig, bench.set)
    if bench.camera_from is not None:
        config = config.model_copy(update={"camera": load(path.parent / bench.camera_from).camera})
    return bench, config


def features_of(config: RigConfig) -> dict[str, Any]:
    """What a rig's config says is there, with nothing wired for measuring."""
    found: dict[str, Any] = {"rail": True, "home_switch": True, "camera": True}
    if config.light is not None:
        found["light"] = True
    if config.switches:
        found["switches"] = True
    return found


WIRING = {
    "rail": "a rail that is free to move over numbers.span_um",
    "home_switch": "the home switch",
    "camera": "the camera",
    "subject": "something flat, fixed and rich in texture, in focus at numbers.subject_um",
    "burst": "a camera whose driver gives bursts (picamera2), looking at a textured subject",
    "light": "a `light:` in the rig's config",
    "switches": "`switches:` in the rig's config",
    "pins": "a Raspberry Pi's pins (lgpio)",
    "pin_loop": "1 kOhm from a free output to a free input; name them `pin_loop: [out, in]`",
    "loopback": "1 kOhm from STEP to a free input; name it `loopback: {step_in: PIN}`",
    "limit_drive": "an opto-coupler in series with the far switch, on a free output: `limit_drive: {pin: PIN}`",
    "estop_drive": "an opto-coupler in series with the e-stop's second contact, on a free output: `estop_drive: {pin: PIN}`",
    "led": "an LED with 330 Ohm on a free output, in the camera's view; name it `led: {pin: PIN}`",
    "sync_contact": "the camera's sync socket through an opto-coupler to a free input: `sync_contact: {pin: PIN}`",
    "power_switch": "a switched supply for the camera: `power_switch: {off: [command], on: [command]}`",
    "accelerometer": "an accelerometer on the camera, and a command that records it: `accelerometer: {record: [command]}`",
}
"""What to wire, or to write, for a feature."""
