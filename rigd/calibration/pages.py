"""The report of a rig's calibrations: what is kept in its file, with the evidence beside it, as one page to look at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drivers.base import CameraCapabilities, CameraOptions, RailCapabilities, RailOptions, Shaping
from rigd.calibration import ringing
from rigd.calibration.pages_optics import depth_of_field
from rigd.calibration.pages_rail import backlash, homing, pupils, step_scale
from rigd.calibration.records import FOLDER, Calibration, RingDown
from rigd.calibration.ringing import Track
from rigd.calibration.stand import kept
from rigd.charts import Axis, Chart, Mark, Series
from rigd.config import RigConfig
from rigd.optics import OpticsError, Setup
from rigd.reports import Fact, Section, Table, page
from rigd.vibration.model import Vibration

SHOWN_S = 1.5
"""Of a ring-down: later there is little to be seen."""
CURVE_POINTS = 900
KINDS = {
    "": "as the rail's controller moves",
    "trapezoid": "trapezoid, unshaped",
    "quintic": "quintic",
    "zv": "ZV",
    "zvd": "ZVD",
    "mzv": "MZV",
    "ei": "EI",
}
SETTLE_KINDS = ("trapezoid", "quintic", "zv", "zvd", "ei")
MOVES = 160
"""Lengths of moves at which the settle is computed for its chart."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a report is made of."""

    config: RigConfig
    calibration: Calibration
    folder: Path
    """Where the calibrations are kept, with the evidence below."""
    written: str
    """When the report is written, UTC."""

    @property
    def rail(self) -> RailCapabilities | None:
        """As its options declare it."""
        options = self.config.rail.options
        return options.declared() if isinstance(options, RailOptions) else None

    @property
    def camera(self) -> CameraCapabilities | None:
        """As its options declare it; None where only the opened camera can tell."""
        options = self.config.camera.options
        return options.declared() if isinstance(options, CameraOptions) else None

    @property
    def setup(self) -> Setup | None:
        """Lens, sensor and light; None where too little is known of them."""
        width = None if self.camera is None else self.camera.width
        try:
            return self.config.optics.setup(width, self.config.preview.pupil_to_focus_um)
        except OpticsError:
            return None

    def evidence(self, name: str) -> Path:
        """The folder of one measurement."""
        return self.folder / FOLDER / name


def report(known: Known) -> str:
    """The whole page."""
    calibration = known.calibration
    sections: list[Section] = []
    newest = calibration.ring_down()
    if newest is not None:
        sections += [*_ring_down(known, newest)]
    else:
        sections.append(Section("Ring-down", words=("Not measured yet: rigd calibrate settle",)))
    if calibration.backlash is not None:
        sections.append(backlash(calibration.backlash, known.evidence(calibration.backlash.evidence)))
    if calibration.homing is not None:
        sections.append(homing(calibration.homing, known.evidence(calibration.homing.evidence)))
    if calibration.step_scale is not None:
        sections.append(step_scale(calibration.step_scale, known.evidence(calibration.step_scale.evidence)))
    if calibration.pupil_distances:
        sections.append(
            pupils(
                calibration.pupil_distances,
                [known.evidence(one.evidence) for one in calibration.pupil_distances],
            )
        )
    sections.append(depth_of_field(known.setup))
    name = known.config.rig.name or known.config.rig.id
    return page(f"Calibration of {name}", f"{known.config.rig.id}, written {known.written}", sections)


def tracks_of(folder: Path) -> list[Track]:
    """The tracks that a ring-down was made from. Raises OSError, KeyError or ValueError when they are not there or damaged."""
    arrays, notes = kept(folder)
    return [
        Track(
            arrays[f"starts_s_{number}"],
            arrays[f"ends_s_{number}"],
            arrays[f"values_px_{number}"],
            arrays[f"noise_px_{number}"],
            float(move_um),
            float(rate_hz),
        )
        for number, (move_um, rate_hz) in enumerate(zip(notes["moves_um"], notes["rates_hz"], strict=True))
    ]


# --------------------------------------------------------------------------------------------------------------- ring-down


def _ring_down(known: Known, newest: RingDown) -> Iterator[Section]:
    """Of the newest measurement, and of the newest one with unshaped moves where that is another."""
    plain = _newest(known.calibration, newest, {"", "trapezoid"}) or newest
    shaped = _newest(known.calibration, newest, set(KINDS) - {"", "trapezoid"})
    if shaped is not None and shaped.measured < plain.measured:
        shaped = None
    words = [
        f"After a move the image swings {plain.frequency_hz:.3f} times a second, and loses "
        f"{1 - math.exp(-2 * math.pi * plain.damping / math.sqrt(1 - plain.damping**2)):.1%} of its swing each time. Measured "
        f"{plain.measured} by {plain.source}"
        + (f" with {plain.objective}" if plain.objective else "")
        + f", moves {KINDS.get(plain.shaping, plain.shaping)}."
    ]
    if plain.second is not None:
        words.append(
            f"A second mode of {plain.second.frequency_hz:.2f} Hz (damping {plain.second.damping:.4f}) has up to "
            f"{plain.second.share:.0%} of the amplitude of the first."
        )
    problems = []
    if plain.residual > 4:
        problems.append(
            f"What is left is {plain.residual:.1f} times the noise: the swing is not quite that of one or two springs. Look for a "
            "loose clamp, a cable that touches, or backlash in the mount."
        )
    facts = (
        Fact(f"{plain.frequency_hz:.3f} Hz", f"frequency, ± {plain.frequency_error_hz:.3f}"),
        Fact(f"{plain.damping:.4f}", f"damping ratio, ± {plain.damping_error:.4f}"),
        Fact(
            f"{math.log(2) / (2 * math.pi * plain.frequency_hz * plain.damping):.3f} s",
            "half of the swing is gone after",
        ),
        Fact(", ".join(f"{rate:g}" for rate in plain.rates_hz), "pictures or samples a second"),
    )
    chart = _fit_chart(known, plain)
    yield Section(
        "Ring-down",
        facts,
        tuple(words) + (() if chart else ("The evidence is not there any more.",)),
        tuple(problems),
        () if chart is None else (chart,),
        (_amplitudes(plain),),
    )
    settle = _settle_chart(known, plain)
    yield Section(
        "Settle against move length", words=_settle_words(known), charts=() if settle is None else (settle,)
    )
    if shaped is not None:
        yield _before_after(known, plain, shaped)


def _newest(calibration: Calibration, like: RingDown, kinds: set[str]) -> RingDown | None:
    for one in reversed(calibration.ring_downs):
        if one.objective == like.objective and one.shaping in kinds:
            return one
    return None


def _fit_chart(known: Known, record: RingDown) -> Chart | None:
    """The largest swing that was seen, and the damped cosine through it, along the direction in which it swings most."""
    found = _largest(known, record)
    if found is None:
        return None
    track, um = found
    exponents = _exponents(record)
    solved = ringing.solve(track, exponents)
    along = _direction(solved.phasors[0][:2] if record.source == "camera" else solved.phasors[0])
    waves = track.waves(exponents).T
    rest = track.values - (waves @ solved.phasors).real
    base = track.still @ (track.still.T @ rest)
    channels = len(along)
    seen = ((track.values - base)[:, :channels] @ along) * um
    until_s = min(SHOWN_S, float(track.middle_s[-1]))
    times = np.linspace(0.0, until_s, CURVE_POINTS)
    curve = ((np.exp(np.multiply.outer(times, exponents)) @ solved.phasors).real[:, :channels] @ along) * um
    shown = track.middle_s <= until_s
    left = (solved.residual * track.noise)[:, :channels] @ along * um
    return Chart(
        f"After a move of {track.move_um:g} um, {track.rate_hz:g} pictures a second",
        Axis("after the end of the motion, s", low=0.0),
        Axis("shift of the image, um on the subject"),
        (
            Series("fit", times.tolist(), curve.tolist(), colour=0),
            Series("seen", track.middle_s[shown].tolist(), seen[shown].tolist(), "points", colour=1),
            Series("seen less fit", track.middle_s[shown].tolist(), left[shown].tolist(), "points", colour=5),
        ),
        note=f"Root mean square of what the fit leaves: {float(np.sqrt(np.mean(left**2))):.2g} um.",
    )


def _exponents(record: RingDown) -> ringing.Complexes:
    frequencies, dampings = [record.frequency_hz], [record.damping]
    if record.second is not None:
        frequencies.append(record.second.frequency_hz)
        dampings.append(record.second.damping)
    return ringing.exponent(frequencies, dampings)


def _direction(phasors: ringing.Complexes) -> ringing.Floats:
    """Unit vector along which a swing is largest."""
    spread = (phasors[:, None] * phasors.conj()[None, :]).real
    values, vectors = np.linalg.eigh(spread)
    along = vectors[:, int(np.argmax(values))]
    return np.asarray(along * (1 if along[np.argmax(np.abs(along))] > 0 else -1), np.float64)


def _largest(known: Known, record: RingDown) -> tuple[Track, float] | None:
    """The track with the largest swing, and micrometres in one of its units; None where the evidence is gone."""
    try:
        tracks = tracks_of(known.evidence(record.evidence))
        _, notes = kept(known.evidence(record.evidence))
    except (OSError, KeyError, ValueError):
        return None
    um = float(notes["um_per_unit"])
    exponents = ringing.exponent([record.frequency_hz], [record.damping])
    sizes = [ringing.largest(ringing.solve(track, exponents).phasors[0]) for track in tracks]
    return tracks[int(np.argmax(sizes))], um


def _amplitudes(record: RingDown) -> Table:
    rows = tuple(
        (f"{one.move_um:g}", f"{one.amplitude_um:.3g}", f"{one.error_um:.2g}") for one in record.amplitudes
    )
    return Table(("move, um", "swing at the end of the motion, um", "±"), rows)


# ------------------------------------------------------------------------------------------------------------------ settle


def _settle_chart(known: Known, plain: RingDown) -> Chart | None:
    """The wait that keeps motion blur below what is allowed, after moves of all lengths and in all shapes that the rail has."""
    rail, camera = known.rail, known.camera
    if rail is None or camera is None or not plain.amplitudes:
        return None
    settle = known.config.settle
    settle = settle if settle.mode != "fixed" else settle.model_copy(update={"mode": "measured"})
    shapes = plain.shaping == "trapezoid"
    vibration = Vibration(
        known.config, known.calibration, rail, camera, Shaping("trapezoid") if shapes else None
    )
    lengths = np.geomspace(
        max(rail.microstep_um, plain.amplitudes[0].move_um / 4), plain.amplitudes[-1].move_um * 2, MOVES
    )
    series = []
    for kind in SETTLE_KINDS if shapes else ("trapezoid",):
        shaping = Shaping(kind, plain.frequency_hz, plain.damping, known.config.motion.quintic_periods)  # type: ignore[arg-type]
        waits = [vibration.wait_alone(settle, shaping, float(length)) for length in lengths]
        if any(wait.code == "fallback" for wait in waits):
            return None
        series.append(Series(KINDS[kind], lengths.tolist(), [wait.settle_s for wait in waits]))
    marks = [Mark(f"settle.fixed_s, {known.config.settle.fixed_s:g} s", y=known.config.settle.fixed_s)]
    step_um = known.config.plan.step_um if known.config.plan is not None else None
    if step_um is not None:
        marks.append(Mark("step of the plan", x=step_um))
    return Chart(
        f"Wait for a motion blur below {settle.blur_px:g} px, {settle.confidence:.0%} sure",
        Axis("length of the move, um", log=True),
        Axis("settle, s", low=0.0),
        tuple(series),
        tuple(marks),
        note=(
            f"Exposure {camera.exposure_s:g} s. By the ring-down measured here and the model of the rail's motion; a shaped move takes longer by "
            "itself, up to one period of the ringing."
        ),
    )


def _settle_words(known: Known) -> tuple[str, ...]:
    mode = known.config.settle.mode
    told = f"This rig's frames settle by settle.mode: {mode}."
    if mode == "fixed":
        told += " With settle.mode: measured they wait as shown here, each for its own move."
    return (told,)


def _before_after(known: Known, plain: RingDown, shaped: RingDown) -> Section:
    charts = [
        Chart(
            "Swing at the end of the motion",
            Axis("length of the move, um", log=True),
            Axis("swing of the image, um on the subject", log=True),
            (
                _swings(KINDS.get(plain.shaping, plain.shaping), plain),
                _swings(KINDS.get(shaped.shaping, shaped.shaping), shaped),
            ),
            note="Swings below their own errors are noise, not ringing.",
        )
    ]
    overlay = _overlay(known, plain, shaped)
    if overlay is not None:
        charts.insert(0, overlay)
    shares = [
        after.amplitude_um / before.amplitude_um
        for before, after in zip(plain.amplitudes, shaped.amplitudes, strict=False)
        if before.move_um == after.move_um and before.amplitude_um > 0
    ]
    worst = f"{max(shares):.1%}" if shares else "unknown"
    return Section(
        "Before and after shaping",
        (Fact(worst, f"of the swing is left with {KINDS.get(shaped.shaping, shaped.shaping)}, at most"),),
        charts=tuple(charts),
    )


def _swings(label: str, record: RingDown) -> Series:
    x = [one.move_um for one in record.amplitudes]
    y = [one.amplitude_um for one in record.amplitudes]
    return Series(label, x, y, "both", errors=[one.error_um for one in record.amplitudes])


def _overlay(known: Known, plain: RingDown, shaped: RingDown) -> Chart | None:
    """One move as it was seen in both shapes."""
    try:
        before, after = (tracks_of(known.evidence(one.evidence)) for one in (plain, shaped))
        _, notes = kept(known.evidence(plain.evidence))
    except (OSError, KeyError, ValueError):
        return None
    exponents = ringing.exponent([plain.frequency_hz], [plain.damping])
    loudest = max(before, key=lambda track: ringing.largest(ringing.solve(track, exponents).phasors[0][:2]))
    alike = [track for track in after if track.move_um == loudest.move_um]
    if not alike:
        return None
    along = _direction(ringing.solve(loudest, exponents).phasors[0][:2])
    um = float(notes["um_per_unit"])
    series = []
    for label, track in ((plain.shaping, loudest), (shaped.shaping, alike[0])):
        values = _about_rest(track) @ along * um
        shown = track.middle_s <= SHOWN_S
        series.append(
            Series(KINDS.get(label, label), track.middle_s[shown].tolist(), values[shown].tolist(), "both")
        )
    return Chart(
        f"The same move of {loudest.move_um:g} um",
        Axis("after the end of the motion, s", low=0.0),
        Axis("shift of the image, um on the subject"),
        tuple(series),
    )


def _about_rest(track: Track) -> ringing.Floats:
    """Both shifts, less where they come to rest."""
    last = max(4, len(track.values) // 4)
    return np.asarray(track.values[:, :2] - np.median(track.values[-last:, :2], axis=0), np.float64)


def summary_rows(calibration: Calibration) -> Sequence[tuple[str, str]]:
    """Everything that is known, a line each, for the command line."""
    rows = []
    newest = calibration.ring_down()
    if newest is not None:
        rows.append(
            ("ringing", f"{newest.frequency_hz:.3f} Hz, damping {newest.damping:.4f} ({newest.measured})")
        )
    if calibration.backlash is not None:
        lost = calibration.backlash
        rows.append(("backlash", f"{lost.backlash_um:.2f} ± {lost.error_um:.2f} um ({lost.measured})"))
    if calibration.homing is not None:
        home = calibration.homing
        rows.append(("home", f"found again to {home.spread_um:.2f} um ({home.measured})"))
    if calibration.step_scale is not None:
        scale = calibration.step_scale
        rows.append(
            ("step", f"{scale.factor:.5f} ± {scale.error:.5f} true um for each counted ({scale.measured})")
        )
    for one in calibration.pupil_distances:
        far = (
            "telecentric"
            if one.pupil_to_focus_um is None
            else f"{one.pupil_to_focus_um / 1000:.1f} mm to the focus"
        )
        rows.append(("pupil", f"{far} {one.objective} ({one.measured})".replace("  ", " ")))
    return rows
