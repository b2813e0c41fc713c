"""`rigd calibrate`: what the rig is, measured: how it rings, what its screw loses, how it finds home, how long its steps are."""

from __future__ import annotations

import argparse
import json
import webbrowser
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.base import DriverError
from drivers.clock import Clock, SystemClock, VirtualClock
from rigd.app import Refused, RigFault, open_rig
from rigd.calibration import accelerometer, gauge, live, pages, settle, stills, sweeps
from rigd.calibration.records import (
    FOLDER,
    Calibration,
    CalibrationError,
    Record,
    RingDown,
    calibration_path,
    load,
    store,
)
from rigd.calibration.stand import CalibrationRefused, Progress, Stand
from rigd.cli.capture import Interrupts, alone, clock_for
from rigd.cli.exits import Exit
from rigd.cli.failures import Stopped
from rigd.cli.progress import say
from rigd.cli.steps import Steps
from rigd.config import RigConfig
from rigd.config import load as load_config
from rigd.session.files import write_atomic
from rigd.virtualtime import run

REPORT = "calibration.html"
"""File name of the report, beside the calibrations."""
ALL = ("settle", "backlash", "homing", "pupil")
"""What `all` measures: everything that needs nothing but the rig and its subject."""
PUPIL_PICTURES = 21
PUPIL_STEP_UM = 100.0

Measure = Callable[[Stand], Awaitable[list[Record]]]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of it."""

    path: Path
    report: Path | None
    records: list[Record]
    refused: list[str]
    known: Calibration


def calibrate(options: argparse.Namespace) -> int:
    """`rigd calibrate`."""
    config = load_config(options.config, options.overrides)
    path = calibration_path(config)
    known = _known(path)
    refused: list[str] = []
    records: list[Record] = []
    clock: Clock = SystemClock()
    if options.what == "report":
        pass
    elif options.what == "settle" and options.accelerometer:
        records = [_accelerometer(options, config, clock)]
    elif options.what == "scale" and options.counted is not None:
        records = [_read_off(options, clock)]
    else:
        clock = clock_for(config, virtual=options.virtual_time)
        names = ALL if options.what == "all" else (options.what,)
        with alone(config):
            records, refused = run(_measured(options, config, clock, names, known), clock)
    for record in records:
        known = known.having(record)
    if records:
        store(path, known)
    report = None if options.no_report else _report(config, known, path.parent, clock)
    _say(options, _Outcome(path, report, records, refused, known))
    if report is not None and options.open:
        webbrowser.open(report.resolve().as_uri())
    if refused and not records:
        raise Stopped(Exit.REFUSED, "\n".join(refused))
    return Exit.REFUSED if refused else Exit.DONE


def _known(path: Path) -> Calibration:
    try:
        return load(path)
    except CalibrationError as error:
        raise Stopped(Exit.CONFIG, str(error)) from error


def _report(config: RigConfig, known: Calibration, folder: Path, clock: Clock) -> Path:
    written = clock.utc().strftime("%Y-%m-%d %H:%M UTC")
    html = pages.report(pages.Known(config, known, folder, written))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / REPORT
    write_atomic(path, html.encode(), durable=False)
    return path


def _say(options: argparse.Namespace, outcome: _Outcome) -> None:
    report, refused = outcome.report, outcome.refused
    if options.json:
        data: dict[str, Any] = {
            "ok": not refused,
            "calibration": str(outcome.path),
            "report": None if report is None else str(report),
            "measured": [
                {"kind": type(one).__name__, **one.model_dump(mode="json")} for one in outcome.records
            ],
            "refused": refused,
        }
        if not refused or outcome.records:
            print(json.dumps(data, indent=2))
        return
    for label, text in pages.summary_rows(outcome.known):
        print(f"  {label:10s} {text}")
    if report is not None:
        print(f"  {'report':10s} {report}")
    if outcome.records:
        for why in refused:
            say(f"refused: {why}")


# ---------------------------------------------------------------------------------------------------------- on an open rig


async def _measured(
    options: argparse.Namespace,
    config: RigConfig,
    clock: Clock,
    names: tuple[str, ...],
    known: Calibration,
) -> tuple[list[Record], list[str]]:
    """Open the rig, home, measure one after the other; what is refused does not keep the next from being measured."""
    interrupts = Interrupts()
    records: list[Record] = []
    refused: list[str] = []
    async with open_rig(config, clock) as rig:
        interrupts.install(rig)
        with Steps(quiet=options.json) as steps:
            stand = Stand(rig, clock, Progress(on_change=steps.show))
            stand.check = lambda: interrupts.check(None)
            try:
                await rig.home()
                async with stand.lit():
                    for name in names:
                        steps.title(f"{name} ...")
                        try:
                            for record in await _measures(options, known)[name](stand):
                                records.append(record)
                                known = known.having(record)
                                # What is measured is kept at once: the next may fail, and power too.
                                store(calibration_path(config), known)
                        except CalibrationRefused as error:
                            refused.append(f"{name}: {error}")
            except (Refused, RigFault, DriverError):
                interrupts.check(None)
                raise
        interrupts.check(None)
    return records, refused


def _measures(options: argparse.Namespace, known: Calibration) -> dict[str, Measure]:
    async def ringing(stand: Stand) -> list[Record]:
        moves = settle.lengths(stand, getattr(options, "step", None), getattr(options, "moves", None) or ())
        if getattr(options, "accelerometer_command", None):
            return [await _live(options, stand, moves)]
        wish = settle.SettleWish(
            _place(options, stand),
            moves,
            upward=_upward(stand),
            repeats=getattr(options, "repeats", None) or settle.REPEATS,
            rates_hz=tuple(getattr(options, "rates", None) or ()),
        )
        plan = stand.plan
        step_um = moves[0] if plan is None else plan.step_um
        by = stills.StillRun if getattr(options, "stills", False) else None
        found = await settle.measure(stand, wish, in_use=settle.used_by(stand, known, step_um), by=by)
        # The measurement that describes the unshaped rig comes last: what is asked without naming a shape is that one.
        return [found.record] if found.after is None else [found.after[0], found.record]

    async def lost(stand: Stand) -> list[Record]:
        most = getattr(options, "most", None)
        found = await sweeps.backlash(stand, _place(options, stand), step_um=_step(options), most_um=most)
        return [found.record]

    async def home(stand: Stand) -> list[Record]:
        homings = getattr(options, "homings", None) or 5
        found = await sweeps.homing(stand, _place(options, stand), homings=homings, step_um=_step(options))
        return [found.record]

    async def scale(stand: Stand) -> list[Record]:
        near_um, far_um = _range(options, stand)
        regions = None if options.near_region is None else (options.near_region, options.far_region)
        found = await gauge.measure(
            stand, options.known, regions=regions, near_um=near_um, far_um=far_um, step_um=_step(options)
        )
        return [found.record]

    async def pupil(stand: Stand) -> list[Record]:
        plan = stand.plan
        step_um = _step(options) or (PUPIL_STEP_UM if plan is None else plan.step_um)
        at_um = sweeps.positions(stand, _place(options, stand), step_um, PUPIL_PICTURES)
        found = await sweeps.pupil(stand, at_um)
        return [found.record]

    return {"settle": ringing, "backlash": lost, "homing": home, "scale": scale, "pupil": pupil}


async def _live(options: argparse.Namespace, stand: Stand, moves: tuple[float, ...]) -> Record:
    """A ring-down by an accelerometer that is read during the moves."""
    if isinstance(stand.clock, VirtualClock):
        raise CalibrationRefused("a program that is read keeps real time: without --virtual-time")
    place_um, upward = _place(options, stand), _upward(stand)
    shapes = stand.shaping is not None
    async with stand.shaped(settle.TRAPEZOID) if shapes else nullcontext():
        command = options.accelerometer_command
        records = await live.record_moves(stand, command, moves, position_um=place_um, upward=upward)
    record = _ring_down(stand.config, records, stand.utc(), [command])
    return record.model_copy(update={"shaping": settle.TRAPEZOID.kind}) if shapes else record


def _place(options: argparse.Namespace, stand: Stand) -> float:
    at = options.at if options.at is not None else stand.middle_um
    if at is None:
        raise CalibrationRefused("where is something in focus? Give --at UM, or a plan: section")
    return float(at)


def _step(options: argparse.Namespace) -> float | None:
    step: float | None = getattr(options, "step", None)
    return step


def _upward(stand: Stand) -> bool:
    plan = stand.plan
    return True if plan is None else plan.near_first


def _range(options: argparse.Namespace, stand: Stand) -> tuple[float, float]:
    """From where to where a gauge is gone through."""
    if options.near is not None and options.far is not None:
        return options.near, options.far
    plan = stand.plan
    if plan is None:
        raise CalibrationRefused(
            "between which positions does the gauge come into focus? Give --near and --far, or a plan: section"
        )
    return plan.near * plan.microstep_um, plan.far * plan.microstep_um


# ------------------------------------------------------------------------------------------------------- without opening it


def _read_off(options: argparse.Namespace, clock: Clock) -> Record:
    """The length of a step by a way that somebody has read on a ruler or a caliper beside the rail."""
    try:
        return gauge.read_off(
            options.known,
            options.counted,
            reading_um=options.reading,
            measured=clock.utc().strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
    except CalibrationRefused as error:
        raise Stopped(Exit.REFUSED, str(error)) from error


def _accelerometer(options: argparse.Namespace, config: RigConfig, clock: Clock) -> Record:
    """A ring-down from records of an accelerometer; nothing is opened or moved."""
    files, moves, ends = options.accelerometer, options.moves or [], options.ended or []
    if len(moves) != len(files):
        raise Stopped(
            Exit.USAGE, f"{len(files)} records and {len(moves)} moves: give --moves a length for each record"
        )
    if ends and len(ends) != len(files):
        raise Stopped(
            Exit.USAGE, f"{len(files)} records and {len(ends)} ends: give --ended a time for each record"
        )
    measured = clock.utc().strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        read = [
            (accelerometer.read(file), ends[number] if ends else None, moves[number])
            for number, file in enumerate(files)
        ]
        return _ring_down(config, read, measured, [str(file) for file in files])
    except CalibrationRefused as error:
        raise Stopped(Exit.REFUSED, str(error)) from error


def _ring_down(
    config: RigConfig,
    read: Sequence[tuple[accelerometer.Recorded, float | None, float]],
    measured: str,
    sources: list[str],
) -> RingDown:
    """The record of accelerometer records, its evidence kept. Raises `CalibrationRefused`, OSError."""
    objective = config.optics.objective or ""
    record, found, tracks = accelerometer.ring_down(read, objective=objective, measured=measured)
    name = f"{measured.replace('-', '').replace(':', '')}-accelerometer"
    folder = calibration_path(config).parent / FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    um = accelerometer.to_um(found.modes[0].frequency_hz)
    settle.keep_tracks(folder, tracks, um_per_unit=um, sources=sources)
    return record.model_copy(update={"evidence": folder.name})
