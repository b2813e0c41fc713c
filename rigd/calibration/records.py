"""What calibration found, as it is kept: one file a rig, whole or not there, each record with its date and evidence.

Lengths are micrometres on the subject or along the rail; errors are one standard deviation. Evidence is the name of a folder
beside the file, with the raw tracks that a record was made from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rigd.config import RigConfig
from rigd.session.files import to_json, write_atomic

NAME = "calibration.json"
"""File name, in the folder for what outlives a restart."""
FOLDER = "calibration"
"""Folder of the evidence, beside it."""
FORMAT = 1
"""Version of the file. A file of a later one is refused rather than read wrongly and written back without what it knew."""
KEPT = 100
"""Ring-downs that are kept; the oldest are forgotten beyond."""

Source = Literal["camera", "accelerometer"]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
T = TypeVar("T")


class CalibrationError(Exception):
    """The file of calibrations cannot be used; `path` is which."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class Record(BaseModel):
    """The base of all records: frozen, with no key that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Amplitude(Record):
    """How far the image swings when a move of one length ends."""

    move_um: Positive
    """Length of the move."""
    amplitude_um: NonNegative
    """Largest shift of the image from rest, on the subject, at the moment the motion ends."""
    error_um: NonNegative


class Mode(Record):
    """A second way in which the rig rings."""

    frequency_hz: Positive
    frequency_error_hz: NonNegative
    damping: NonNegative
    damping_error: NonNegative
    share: NonNegative
    """Its amplitude over that of the first at the end of motion, at most over all moves."""


class RingDown(Record):
    """How the image swings after a move."""

    objective: str
    """Name of the objective it was measured with; a heavier one swings slower."""
    measured: str
    """When: UTC, ISO 8601."""
    source: Source
    frequency_hz: Positive
    """Natural (undamped) frequency."""
    frequency_error_hz: NonNegative
    damping: NonNegative
    """Damping ratio."""
    damping_error: NonNegative
    amplitudes: tuple[Amplitude, ...]
    """By length of the move, shortest first."""
    px_um: NonNegative
    """Micrometres on the subject that one pixel of a still sees, as assumed; 0 for an accelerometer."""
    shaping: str
    """Kind of shaping the moves had, as `drivers.base.Shaping.kind` has it; empty where the rail does not say."""
    shaping_hz: NonNegative = 0.0
    """Frequency that the shaping was made for; 0: none."""
    second: Mode | None = None
    rates_hz: tuple[float, ...] = ()
    """Sample rates it was seen at; two tell a frequency from its alias."""
    residual: NonNegative = 0.0
    """Misfit over noise: 1 where the damped cosine explains all but the noise."""
    evidence: str = ""


class Backlash(Record):
    """Lost motion at a reversal."""

    measured: str
    backlash_um: NonNegative
    error_um: NonNegative
    readings_um: tuple[float, ...]
    """Each pair of approaches by itself."""
    spread_um: NonNegative
    """Standard deviation of the readings."""
    position_um: NonNegative
    """Where on the rail."""
    evidence: str = ""


class HomingRepeat(Record):
    """How well the rig finds home again."""

    measured: str
    homings: Annotated[int, Field(ge=2)]
    spread_um: NonNegative
    """Standard deviation of where home was found, by camera where it was looked at, else by count."""
    error_um: NonNegative
    worst_um: NonNegative
    """Farthest two of them."""
    camera_um: tuple[float, ...]
    """Where the picture says that the same counted position lay, less the first; empty without a camera."""
    counted_um: tuple[float, ...]
    """Where the count says that the switch was met, for each homing that had a count before it."""
    evidence: str = ""


class StepScale(Record):
    """Length of a step against a known height."""

    measured: str
    factor: Positive
    """True micrometres that the rail moves for each that is counted."""
    error: NonNegative
    known_um: Positive
    """Height of the gauge."""
    counted_um: Positive
    """What the rail counted over it."""
    evidence: str = ""


class PupilDistance(Record):
    """Entrance pupil to the plane in focus: how much a step of the rail changes the size of the image."""

    objective: str
    measured: str
    pupil_to_focus_um: Positive | None
    """None: telecentric within the error, the image keeps its size."""
    error_um: NonNegative
    """Of the distance; 0 where there is none."""
    per_um: float
    """Its inverse, 1/um, which is what is measured."""
    per_um_error: NonNegative
    position_um: NonNegative
    """Rail position at which it holds."""
    evidence: str = ""


class Calibration(Record):
    """All that is known of one rig by measurement."""

    format: int = FORMAT
    ring_downs: tuple[RingDown, ...] = ()
    """Oldest first."""
    backlash: Backlash | None = None
    homing: HomingRepeat | None = None
    step_scale: StepScale | None = None
    pupil_distances: tuple[PupilDistance, ...] = ()
    """One for each objective."""

    def ring_down(self, objective: str | None = None, shaping: str | None = None) -> RingDown | None:
        """The newest, of this objective and with this kind of shaping where they are named."""
        for one in reversed(self.ring_downs):
            if objective in {None, one.objective} and shaping in {None, one.shaping}:
                return one
        return None

    def pupil_distance(self, objective: str) -> PupilDistance | None:
        """Of an objective."""
        return next((one for one in self.pupil_distances if one.objective == objective), None)

    def having(self, record: Record) -> Calibration:
        """This and one more record; what it renews is dropped. Raises `TypeError` for what is no record of a rig."""
        match record:
            case RingDown():
                return self.model_copy(update={"ring_downs": (*self.ring_downs, record)[-KEPT:]})
            case Backlash():
                return self.model_copy(update={"backlash": record})
            case HomingRepeat():
                return self.model_copy(update={"homing": record})
            case StepScale():
                return self.model_copy(update={"step_scale": record})
            case PupilDistance():
                others = (one for one in self.pupil_distances if one.objective != record.objective)
                return self.model_copy(update={"pupil_distances": (*others, record)})
            case _:
                raise TypeError(f"{type(record).__name__} is no record of a rig")


def calibration_path(config: RigConfig) -> Path:
    """Where a rig's calibrations are kept."""
    return config.service.state / config.rig.id / NAME


def load(path: Path) -> Calibration:
    """What is kept; nothing where there is no file yet.

    Raises:
        CalibrationError: it is damaged, or of a later version of rigd.
        OSError: it cannot be read.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Calibration()
    try:
        data = json.loads(text)
        version = data["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise CalibrationError(path, f"damaged ({error}); {_way_out(path)}") from error
    if not isinstance(version, int) or version > FORMAT:
        raise CalibrationError(
            path,
            f"of format {version}, this rigd knows up to {FORMAT}: use the newer rigd, or {_way_out(path)}",
        )
    try:
        return Calibration.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CalibrationError(path, f"damaged ({where}: {first['msg']}); {_way_out(path)}") from error


def store(path: Path, calibration: Calibration) -> None:
    """Keep it; at every moment the old file or the whole new one is there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, to_json(calibration.model_dump(mode="json")))


def _way_out(path: Path) -> str:
    return f"move {path.name} away and calibrate again"
