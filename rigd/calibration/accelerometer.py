"""An accelerometer's record in place of the camera: comma-separated columns of time and acceleration, as loggers of the ADXL345 write it.

    time,x,y,z            seconds; accelerations in g, or in what the header says (`accelerometer_units`)

The sensor sits on the camera, its wires loose. One record is one move: it is kept still, moved, and let ring. What follows the
motion is fitted as a picture's track would be; an acceleration a at ω is a shift of a/ω².
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rigd.calibration import ringdown
from rigd.calibration.accelerometer_units import G_M_PER_S2, Columns, columns_of, is_header
from rigd.calibration.records import Amplitude, RingDown
from rigd.calibration.ringdown import Fit, RingDownError
from rigd.calibration.ringing import Floats, Track
from rigd.calibration.stand import CalibrationRefused

__all__ = ["G_M_PER_S2", "Recorded", "end_of_motion_s", "parse", "read", "ring_down", "to_um", "track_of"]

UM_PER_M = 1e6
LEAST_SAMPLES = 64
SMOOTH_S = 0.02
"""Over this the size of the acceleration is averaged where the end of the motion is looked for."""
FILTER_SHARE = 0.45
"""Of the sample rate: what the sensor's own filter lets through, at half its output rate, and a little less."""
SURELY_OVER_S = 0.1
"""Where the end of the motion was only looked for, so much after it is left out of the fit: the motion may not be quite over."""
END_OFF_S = 0.05
"""And by so much it may be off, which shows in what the amplitude was then."""
LONGEST_S = 4.0
JUMP = 20.0
"""A pause in the samples this many times as long as usual is a gap."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One record: times (n,) in seconds, accelerations (n, 3) in m/s², with gravity in them."""

    times_s: Floats
    m_per_s2: Floats


def read(path: Path) -> Recorded:
    """Read a record. Raises `CalibrationRefused`, naming the line, or OSError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CalibrationRefused(f"{path} is no text: {error.reason}") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> Recorded:
    """A record from its text. Raises `CalibrationRefused`, naming the line."""
    rows: list[list[float]] = []
    columns = Columns()
    lines = text.splitlines()
    if lines and not text.endswith("\n") and len(lines) > LEAST_SAMPLES:
        lines.pop()  # whoever wrote it was stopped in the middle of a line
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        fields = [field.strip() for field in re.split(r"[,;\t]", stripped.lstrip("# "))]
        if not rows and is_header(fields):
            try:
                columns = columns_of(fields)
            except ValueError as error:
                raise CalibrationRefused(f"{name}, line {number}: {error}") from error
            continue
        if stripped and not stripped.startswith("#"):
            rows.append(_row(fields, columns, f"{name}, line {number}"))
    if len(rows) < LEAST_SAMPLES:
        raise CalibrationRefused(f"{name}: {len(rows)} samples, at least {LEAST_SAMPLES} are needed")
    table = np.array(rows)
    gaps = np.diff(table[:, 0])
    if (gaps <= 0).any():
        at = int(np.argmax(gaps <= 0)) + 1
        raise CalibrationRefused(
            f"{name}: time goes back or stands still at sample {at + 1} ({table[at, 0]:g})"
        )
    usual = float(np.median(gaps))
    if gaps.max() > JUMP * usual:
        at = int(gaps.argmax())
        raise CalibrationRefused(
            f"{name}: samples are missing between times {table[at, 0]:g} and {table[at + 1, 0]:g}"
        )
    try:
        seconds = columns.seconds(usual)
        m_per_s2 = columns.m_per_s2(table[:, 1:4])
    except ValueError as error:
        raise CalibrationRefused(f"{name}: {error}") from error
    return Recorded((table[:, 0] - table[0, 0]) * seconds, m_per_s2)


def _row(fields: Sequence[str], columns: Columns, where: str) -> list[float]:
    if len(fields) <= max(columns.places):
        raise CalibrationRefused(f"{where}: time, x, y, z are needed, not {len(fields)} values")
    try:
        values = [float(fields[place]) for place in columns.places]
    except ValueError as error:
        raise CalibrationRefused(f"{where}: {error}") from error
    if not all(math.isfinite(value) for value in values):
        raise CalibrationRefused(f"{where}: a value is not finite")
    return values


def end_of_motion_s(record: Recorded) -> float:
    """When the motion ended, as far as the record tells: after the largest acceleration. An end that is known is better."""
    still = record.m_per_s2 - np.median(record.m_per_s2, axis=0)
    size = np.sqrt((still**2).sum(axis=1))
    width = max(1, round(SMOOTH_S / float(np.median(np.diff(record.times_s)))))
    smooth = np.convolve(size, np.ones(width) / width, mode="same")
    return float(record.times_s[int(smooth.argmax())])


def track_of(record: Recorded, ended_s: float | None, move_um: float) -> Track:
    """What follows the end of the motion (None: looked for), in m/s². Raises `CalibrationRefused` where there is too little of it."""
    begins_s = ended_s
    if ended_s is None or begins_s is None:
        ended_s = end_of_motion_s(record)
        begins_s = ended_s + SURELY_OVER_S
    after = (record.times_s >= begins_s) & (record.times_s <= ended_s + LONGEST_S)
    if np.count_nonzero(after) < LEAST_SAMPLES:
        raise CalibrationRefused(
            f"only {np.count_nonzero(after)} samples follow the end of the motion at {ended_s:g} s: let it ring for some seconds"
        )
    times, values = record.times_s[after] - ended_s, record.m_per_s2[after]
    # Twice differenced, a smooth swing is gone and noise is left, √6 times as large.
    noise = np.maximum(1.4826 * np.median(np.abs(np.diff(values, 2, axis=0)), axis=0) / math.sqrt(6), 1e-4)
    rate_hz = 1 / float(np.median(np.diff(times)))
    return Track(times, times, values, noise, move_um, rate_hz)


def to_um(frequency_hz: float) -> float:
    """Micrometres of shift for each m/s² at a frequency."""
    return UM_PER_M / (2 * math.pi * frequency_hz) ** 2


def ring_down(
    records: Sequence[tuple[Recorded, float | None, float]],
    *,
    objective: str,
    measured: str,
    evidence: str = "",
) -> tuple[RingDown, Fit, tuple[Track, ...]]:
    """Frequency, damping and amplitudes from records.

    Args:
        records: each with the end of its motion (None: looked for) and the length of its move.
        objective: name of what was on the camera.
        measured: when, for the record.
        evidence: folder of the evidence.

    Raises:
        CalibrationRefused: nothing of it is to be had.
    """
    tracks = [track_of(record, ended_s, move_um) for record, ended_s, move_um in records]
    sure_hz = FILTER_SHARE * min(track.rate_hz for track in tracks)
    try:
        found = ringdown.fit(tracks, pictures=False, sure_hz=sure_hz)
    except RingDownError as error:
        raise CalibrationRefused(f"the accelerometer's record: {error}") from error
    first = found.modes[0]
    um = to_um(first.frequency_hz)
    guessed = any(ended_s is None for _, ended_s, _ in records)
    decay_per_s = 2 * math.pi * first.frequency_hz * first.damping
    off = math.expm1(decay_per_s * END_OFF_S) if guessed else 0.0
    amplitudes = []
    for move_um in sorted({swing.move_um for swing in found.swings}):
        alike = [swing for swing in found.swings if swing.move_um == move_um]
        values = np.array([swing.shift for swing in alike])
        claimed = float(np.mean([swing.shift_error for swing in alike])) / math.sqrt(len(alike))
        scatter = float(values.std(ddof=1)) / math.sqrt(len(alike)) if len(alike) > 1 else 0.0
        amplitudes.append(
            Amplitude(
                move_um=move_um,
                amplitude_um=float(values.mean()) * um,
                error_um=math.hypot(max(claimed, scatter), off * float(values.mean())) * um,
            )
        )
    result = RingDown(
        objective=objective,
        measured=measured,
        source="accelerometer",
        frequency_hz=first.frequency_hz,
        frequency_error_hz=first.frequency_error_hz,
        damping=first.damping,
        damping_error=first.damping_error,
        amplitudes=tuple(amplitudes),
        px_um=0.0,
        shaping="",
        rates_hz=found.rates_hz,
        residual=found.misfit,
        evidence=evidence,
    )
    return result, found, tuple(tracks)
