"""How the image swings after moves, measured by the camera: bursts of small frames, tracked, fitted.

First the longest move is watched at the highest rate, to see about how fast it swings and for how long. Then every length is watched
several times at a rate that is enough, each time from a slightly different moment on, which is what tells the frequency from its
aliases. All moves end at the same place and are approached from the same side, as in a stack. Where the rail shapes its moves, they
are trapezoids for this, which ring most; the shape in use is measured afterwards, for comparison and for what it leaves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drivers.base import Shaping
from rigd.calibration import ringdown
from rigd.calibration.records import Amplitude, Calibration, Mode, RingDown
from rigd.calibration.ringdown import Ambiguous, Fit, Quiet, RingDownError, Swing
from rigd.calibration.ringing import Floats, Track
from rigd.calibration.stand import CalibrationRefused, Stand, Watched, keep, whole_steps

MULTIPLES = (1, 2, 5, 20)
"""Of the step: lengths of moves that are watched."""
REPEATS = 3
GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of this, less whole numbers, are spread evenly whatever their number."""
FIRST_LOOK_S = 1.5
FIRST_REST_S = 3.0
LEAST_WATCH_S, MOST_WATCH_S = 1.0, 4.0
DECAYS = 3.0
"""Time constants for which a ring-down is watched."""
RESTS = 6.0
"""Time constants that the rig rests before the next move."""
ENOUGH = 2.6
"""A rate is enough when it is so many times the frequency."""
SYSTEMATIC = 0.02
"""Share of an amplitude, and of the damping, by which tracking is off at worst: where a swing is a fraction of a pixel, what is between
the pixels makes it a little larger or smaller than it is (half of that is seen on the simulator, whose truth is known)."""
FREQUENCY_SYSTEMATIC = 1e-4
"""The same of the frequency: clocks."""
STILL_FRAMES = 8
"""The last ones of the first burst, whose mean all others are compared with."""
TRAPEZOID = Shaping("trapezoid")


@dataclass(frozen=True, slots=True)
class SettleWish:
    """What is to be measured."""

    position_um: float
    """Where the moves end: something in focus and with texture."""
    moves_um: tuple[float, ...]
    upward: bool = True
    """From which side, as in a stack."""
    repeats: int = REPEATS
    rates_hz: tuple[float, ...] = ()
    """Of the camera's; none: all of them."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of it."""

    record: RingDown
    fit: Fit
    tracks: tuple[Track, ...]
    after: tuple[RingDown, tuple[Track, ...]] | None = None
    """The same with the shape of moves that is in use, where it is another."""


def lengths(stand: Stand, step_um: float | None, moves_um: Sequence[float]) -> tuple[float, ...]:
    """The moves to watch: those that were named, or multiples of the step. Raises `CalibrationRefused` where neither is known."""
    if moves_um:
        return whole_steps(moves_um, stand.microstep_um)
    if step_um is None:
        plan = stand.plan
        step_um = None if plan is None else plan.step_um
    if step_um is None:
        raise CalibrationRefused("which moves shall be watched? Give --moves, or a plan: section with a step")
    return whole_steps([step_um * multiple for multiple in MULTIPLES], stand.microstep_um)


async def measure(
    stand: Stand,
    wish: SettleWish,
    *,
    in_use: Callable[[RingDown], Shaping | None] = lambda _record: None,
    by: Callable[[Stand, SettleWish, float], Run] | None = None,
) -> Settled:
    """Measure a ring-down.

    Args:
        stand: the rig, homed.
        wish: what to measure.
        in_use: the shape that moves will have once this is known; None: as now.
        by: how it is watched, where not by bursts.

    Raises:
        CalibrationRefused: it cannot be had, or is not believed.
    """
    if by is None and stand.bursts is None:
        raise CalibrationRefused(
            f"the camera ({stand.rig.parts.camera.capabilities.name}) gives no bursts of small frames. An accelerometer on the "
            "camera can stand in: rigd calibrate settle --accelerometer FILE.csv --moves UM; or single pictures, each after a move "
            "of its own, where it tells well when they are exposed: rigd calibrate settle --stills (docs/calibration.md)"
        )
    px_um = stand.still_px_um
    if px_um is None:
        raise CalibrationRefused(
            "how much of the subject a pixel sees is not known: give optics.magnification and optics.sensor_width_mm"
        )
    run = (by or Run)(stand, wish, px_um)
    shaped = stand.shaping
    if shaped is None:
        return await run.plain("")
    async with stand.shaped(TRAPEZOID):
        found = await run.plain("trapezoid")
    now = in_use(found.record) or shaped
    if now.kind == "trapezoid":
        return found
    async with stand.shaped(now):
        return Settled(found.record, found.fit, found.tracks, await run.after(found.record, now))


@dataclass(slots=True)
class Run:
    """One measurement under way, by bursts."""

    stand: Stand
    wish: SettleWish
    px_um: float
    watch_s: float = FIRST_LOOK_S
    rest_s: float = FIRST_REST_S
    rate_hz: float = 0.0
    """Of the bursts that follow the first look."""
    _tracker: object = None
    _seen: int = 0

    async def plain(self, kind: str) -> Settled:
        """Watch, fit, keep."""
        moves, tracks = self.wish.moves_um, await self._watch_all()
        folder = self.stand.evidence("settle")
        keep_tracks(folder, tracks, um_per_unit=self.px_um * self.stand.look_px, shaping=kind)
        try:
            found = ringdown.fit(tracks)
        except Quiet as error:
            below = error.below * self.stand.look_px * self.px_um
            raise CalibrationRefused(
                f"nothing rings: after moves of up to {max(moves):g} um any swing is below {below:.2g} um on the subject. "
                "Longer moves (--moves) ring more; or nothing has to be waited for"
            ) from error
        except RingDownError as error:
            raise CalibrationRefused(f"{error} (evidence: {folder})") from error
        record = self._record(found, tracks, kind, folder.name)
        return Settled(record, found, tuple(tracks))

    async def after(self, before: RingDown, shaping: Shaping) -> tuple[RingDown, tuple[Track, ...]]:
        """The amplitudes that moves of another shape leave; frequency and damping are known."""
        moves = self.wish.moves_um
        self.stand.progress.expect(len(moves))
        tracks = []
        for move_um in reversed(moves):
            tracks.append(await self._watched(move_um, self.rate_hz))
            self.stand.progress.step(f"{shaping.kind}: move of {move_um:g} um")
        folder = self.stand.evidence("settle-shaped")
        keep_tracks(folder, tracks, um_per_unit=self.px_um * self.stand.look_px, shaping=shaping.kind)
        swings = ringdown.amplitudes(tracks, before.frequency_hz, before.damping)
        record = before.model_copy(
            update={
                "measured": self.stand.utc(),
                "amplitudes": self._amplitudes(swings),
                "shaping": shaping.kind,
                "shaping_hz": shaping.frequency_hz,
                "second": None,
                "rates_hz": (self.rate_hz,),
                "residual": 1.0,
                "evidence": folder.name,
            }
        )
        return record, tuple(tracks)

    async def _watch_all(self) -> list[Track]:
        """Every move, as often as is wished."""
        moves = self.wish.moves_um
        self.stand.progress.expect(1 + len(moves) * self.wish.repeats)
        tracks = [await self._first_look()]
        for repeat in range(self.wish.repeats):
            for move_um in reversed(moves):
                tracks.append(await self._watched(move_um, self.rate_hz))
                self.stand.progress.step(f"move of {move_um:g} um, {repeat + 1} of {self.wish.repeats}")
        return tracks

    async def _first_look(self) -> Track:
        rates = self._rates()
        track = await self._watched(max(self.wish.moves_um), rates[0])
        self.stand.progress.step("first look")
        self.rate_hz = rates[0]
        try:
            mode = ringdown.fit([track], second=False).modes[0]
            frequency, decay = mode.frequency_hz, 2 * math.pi * mode.frequency_hz * mode.damping
        except Ambiguous as error:
            # One burst never tells; the slowest it could be says how long to watch, and how fast is enough.
            frequency = error.frequencies_hz[0]
            decay = 2 * math.pi * frequency * 0.02
            self.rate_hz = _enough(rates, frequency)
            self.watch_s = min(max(DECAYS / decay, LEAST_WATCH_S), MOST_WATCH_S)
            return track
        except RingDownError:
            return track
        self.rate_hz = _enough(rates, frequency)
        self.watch_s = min(max(DECAYS / decay, LEAST_WATCH_S), MOST_WATCH_S)
        self.rest_s = min(max(RESTS / decay, 1.0), 10.0)
        return track

    def _rates(self) -> tuple[float, ...]:
        bursts = self.stand.bursts
        assert bursts is not None
        rates = bursts.burst_capabilities.rates_hz
        if not self.wish.rates_hz:
            return rates
        unknown = [rate for rate in self.wish.rates_hz if rate not in rates]
        if unknown:
            known = ", ".join(f"{rate:g}" for rate in rates)
            raise CalibrationRefused(f"the camera gives no bursts at {unknown[0]:g} Hz, only at {known} Hz")
        return tuple(sorted(self.wish.rates_hz, reverse=True))

    async def _watched(self, move_um: float, rate_hz: float) -> Track:
        stand, wish = self.stand, self.wish
        await self._before(move_um)
        watched = await stand.watch(wish.position_um, rate_hz, self.watch_s, (self._seen * GOLDEN) % 1.0)
        self._seen += 1
        return self._tracked(watched, rate_hz)

    async def _before(self, move_um: float) -> None:
        """Stand where a move begins, at rest."""
        stand, wish = self.stand, self.wish
        beyond_um = max(2 * stand.backlash_um, 5 * stand.microstep_um)
        start_um = wish.position_um - move_um if wish.upward else wish.position_um + move_um
        await stand.approach(start_um, upward=wish.upward, beyond_um=beyond_um)
        await stand.rest(self.rest_s)

    def _tracked(self, watched: Watched, rate_hz: float) -> Track:
        """The image after the end of the motion, in px of the burst."""
        from stackcore.tracking import Tracker, mean_of  # noqa: PLC0415  (Numba is loaded here)

        after = [frame for frame in watched.frames if frame.start_s >= watched.ended_s]
        if len(after) < 2 * STILL_FRAMES:
            raise CalibrationRefused(
                f"only {len(after)} pictures came after the end of a motion: the camera is slower than it says, or the motion longer"
            )
        if self._tracker is None:
            try:
                self._tracker = Tracker(mean_of([frame.image for frame in after[-STILL_FRAMES:]]))
            except ValueError as error:
                raise CalibrationRefused(
                    f"nothing can be followed at {self.wish.position_um:g} um: {error}. Choose a place with texture in focus (--at)"
                ) from error
        tracker = self._tracker
        assert isinstance(tracker, Tracker)
        seen = [(frame, tracker.find(frame.image)) for frame in after]
        good = [(frame, sighting) for frame, sighting in seen if sighting.found]
        if len(good) < len(seen) / 2:
            why = next(sighting.problem for _, sighting in seen if not sighting.found)
            raise CalibrationRefused(
                f"the picture at {self.wish.position_um:g} um cannot be followed: {why}. Choose a place with texture in focus (--at)"
            )
        return Track(
            np.array([frame.start_s - watched.ended_s for frame, _ in good]),
            np.array([frame.end_s - watched.ended_s for frame, _ in good]),
            np.array([sighting.values_px for _, sighting in good]),
            np.median([sighting.errors_px for _, sighting in good], axis=0),
            watched.move_um,
            rate_hz,
        )

    def _record(self, found: Fit, tracks: Sequence[Track], kind: str, evidence: str) -> RingDown:
        first, *more = found.modes
        second = None
        if more:
            other = more[0]
            second = Mode(
                frequency_hz=other.frequency_hz,
                frequency_error_hz=other.frequency_error_hz,
                damping=other.damping,
                damping_error=other.damping_error,
                share=other.share,
            )
        return RingDown(
            objective=self.stand.objective,
            measured=self.stand.utc(),
            source="camera",
            frequency_hz=first.frequency_hz,
            frequency_error_hz=math.hypot(
                first.frequency_error_hz, FREQUENCY_SYSTEMATIC * first.frequency_hz
            ),
            damping=first.damping,
            damping_error=math.hypot(first.damping_error, SYSTEMATIC * first.damping),
            amplitudes=self._amplitudes(found.swings),
            px_um=self.px_um,
            shaping=kind,
            second=second,
            rates_hz=tuple(sorted({track.rate_hz for track in tracks}, reverse=True)),
            residual=found.misfit,
            evidence=evidence,
        )

    def _amplitudes(self, swings: Sequence[Swing]) -> tuple[Amplitude, ...]:
        return amplitudes_of(swings, self.px_um * self.stand.look_px)


def amplitudes_of(swings: Sequence[Swing], um: float) -> tuple[Amplitude, ...]:
    """One amplitude for each length of move: the mean of its repeats, with the larger of their scatter and of what each claims.

    What counts is the shift of the whole image, or of its corners by the change of size where that is more.
    """
    found = []
    for move_um in sorted({swing.move_um for swing in swings}):
        pairs = [
            max((swing.shift, swing.shift_error), (swing.corner, swing.corner_error))
            for swing in swings
            if swing.move_um == move_um
        ]
        values, errors = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
        weights = 1 / np.maximum(errors, 1e-9) ** 2
        mean = float((weights * values).sum() / weights.sum())
        claimed = float(weights.sum() ** -0.5)
        scatter = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
        error = math.hypot(max(claimed, scatter), SYSTEMATIC * mean)
        found.append(Amplitude(move_um=move_um, amplitude_um=mean * um, error_um=error * um))
    return tuple(found)


def _enough(rates: Sequence[float], frequency_hz: float) -> float:
    """The slowest rate that is fast enough; else the fastest."""
    return min((rate for rate in rates if rate >= ENOUGH * frequency_hz), default=max(rates))


def keep_tracks(folder: Path, tracks: Sequence[Track], *, um_per_unit: float, **notes: object) -> None:
    """Write tracks as evidence. `um_per_unit`: of their values, on the subject. Raises OSError."""
    arrays: dict[str, Floats] = {}
    for number, track in enumerate(tracks):
        arrays[f"starts_s_{number}"] = track.starts_s
        arrays[f"ends_s_{number}"] = track.ends_s
        arrays[f"values_px_{number}"] = track.values
        arrays[f"noise_px_{number}"] = track.noise
    what = {
        "moves_um": [track.move_um for track in tracks],
        "rates_hz": [track.rate_hz for track in tracks],
        "times": "seconds from the end of each motion",
        "values": "shift right, shift down, outward shift of the corners by the change of size",
    }
    keep(folder, arrays, {"um_per_unit": um_per_unit, **notes, **what})


def used_by(stand: Stand, calibration: Calibration, step_um: float) -> Callable[[RingDown], Shaping | None]:
    """What shape moves will have once a ring-down is known, by the config's own rule."""
    from rigd.vibration.model import Vibration  # noqa: PLC0415

    def in_use(record: RingDown) -> Shaping | None:
        parts = stand.rig.parts
        known = calibration.having(record)
        vibration = Vibration(
            stand.config, known, parts.rail.capabilities, parts.camera.capabilities, stand.shaping
        )
        return vibration.motion(step_um).shaping

    return in_use
