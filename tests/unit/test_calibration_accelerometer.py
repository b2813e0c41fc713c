"""Records of an accelerometer: read with care, fitted like a picture's track."""

from __future__ import annotations

import json
import math
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from rigd.calibration import live
from rigd.calibration.accelerometer import G_M_PER_S2, end_of_motion_s, parse, read, ring_down
from rigd.calibration.records import calibration_path, load
from rigd.calibration.stand import CalibrationRefused
from rigd.cli.exits import Exit
from rigd.cli.parser import run_command_line
from rigd.config import load as load_config
from tests.rigs import SMALL

FREQUENCY, DAMPING, AMPLITUDE_UM = 15.0, 0.03, 20.0
ENDED_S = 1.0


def written(
    *,
    rate_hz: float = 800.0,
    unit: float = G_M_PER_S2,
    header: str = "time,x,y,z",
    noise_g: float = 0.004,
    amplitude_um: float = AMPLITUDE_UM,
    ended_s: float = ENDED_S,
) -> str:
    """What a logger would write of one move that rings along (0.6, 0.8, 0), with gravity along z and jolts while it moves."""
    random = np.random.default_rng(4)
    t = np.arange(0, ended_s + 3, 1 / rate_hz) + random.normal(
        0, 0.02 / rate_hz, int(np.ceil((ended_s + 3) * rate_hz))
    )
    omega = 2 * math.pi * FREQUENCY
    late = np.maximum(t - ended_s, 0)
    swing = (
        amplitude_um
        * 1e-6
        * omega**2
        * np.exp(-DAMPING * omega * late)
        * np.cos(omega * math.sqrt(1 - DAMPING**2) * late + 0.4)
    )
    along = np.where(t >= ended_s, swing, np.where(t > ended_s - 0.05, 1.5 * swing, 0.0))
    values = (
        along[:, None] * [0.6, 0.8, 0.0]
        + [0.0, 0.0, G_M_PER_S2]
        + random.normal(0, noise_g * G_M_PER_S2, (len(t), 3))
    )
    lines = [
        ",".join(f"{value:.6f}" for value in (when, *row)) for when, row in zip(t, values / unit, strict=True)
    ]
    return "\n".join([header, *lines]) + "\n"


@pytest.mark.parametrize(
    ("header", "unit"),
    [("time,x,y,z", G_M_PER_S2), ("time_s,x_m_s2,y_m_s2,z_m_s2", 1.0), ("t;x [m/s2];y;z", 1.0)],
)
def test_a_ring_down_is_found_in_either_unit(header: str, unit: float) -> None:
    record = parse(written(header=header, unit=unit), "record")
    found, fit, _ = ring_down([(record, ENDED_S, 500.0)], objective="lens", measured="2026-01-01T00:00:00Z")
    assert found.frequency_hz == pytest.approx(FREQUENCY, abs=0.02)
    assert found.damping == pytest.approx(DAMPING, abs=0.002)
    assert found.amplitudes[0].move_um == 500
    assert found.amplitudes[0].amplitude_um == pytest.approx(AMPLITUDE_UM, rel=0.03)
    assert found.source == "accelerometer"
    assert found.rates_hz == (pytest.approx(800, rel=0.01),)
    assert fit.misfit == pytest.approx(1, abs=0.3)


def rearranged(text: str, header: str, order: str, *, time: float = 1.0, decimals: int = 6) -> str:
    """The same record with its columns in another order ("-": one that is nobody's business), its time in another unit."""
    lines = [header]
    for line in text.splitlines()[1:]:
        t, x, y, z = line.split(",")
        fields = {"t": f"{float(t) * time:.6f}", "-": "7"}
        fields |= {name: f"{float(value):.{decimals}f}" for name, value in zip("xyz", (x, y, z), strict=True)}
        lines.append(",".join(fields[name] for name in order))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("unit", "header", "order", "time", "decimals"),
    [
        (1e-3, "#time,accel_x,accel_y,accel_z", "txyz", 1.0, 3),
        (1e-3, "time,accel_x_mm/s^2,accel_y_mm/s^2,accel_z_mm/s^2", "txyz", 1.0, 3),
        (G_M_PER_S2 * 0.0039, "n,X_raw,Y_raw,Z_raw,timestamp_us", "-xyzt", 1e6, 0),
        (G_M_PER_S2 * 0.0039, "t,x,y,z", "txyz", 1.0, 0),
        (G_M_PER_S2 * 1e-3, "millis,x (mg),y (mg),z (mg)", "txyz", 1e3, 1),
        (1.0, "x,y,z,time", "xyzt", 1.0, 6),
        (1.0, "Time,Temp,z,y,x", "t-zyx", 1e3, 6),
        (G_M_PER_S2, "acc_x [g],acc_y [g],acc_z [g],t [s]", "xyzt", 1.0, 6),
    ],
    ids=["commented mm/s2", "named mm/s2", "counts in us", "bare counts", "mg in ms", "bare m/s2 last", "bare m/s2 in ms", "g"],
)  # fmt: skip
def test_columns_and_units_of_other_loggers(
    unit: float, header: str, order: str, time: float, decimals: int
) -> None:
    text = rearranged(written(unit=unit, amplitude_um=60.0), header, order, time=time, decimals=decimals)
    found, _, _ = ring_down(
        [(parse(text, "record"), ENDED_S, 500.0)], objective="", measured="2026-01-01T00:00:00Z"
    )
    assert found.frequency_hz == pytest.approx(FREQUENCY, abs=0.02)
    assert found.damping == pytest.approx(DAMPING, abs=0.002)
    assert found.amplitudes[0].amplitude_um == pytest.approx(60.0, rel=0.03)
    assert found.rates_hz == (pytest.approx(800, rel=0.01),)


@pytest.mark.parametrize(
    ("header", "unit", "said"),
    [
        ("time,x [g],y [g],z [g]", 1.0, "would be right in m/s2"),
        ("time_ms,x,y,z", G_M_PER_S2, "is time in another unit"),
        ("time,x,y,z", 0.4, "no unit that is known"),
    ],
)
def test_units_that_cannot_be_are_refused(header: str, unit: float, said: str) -> None:
    with pytest.raises(CalibrationRefused, match=said):
        parse(written(header=header, unit=unit), "record")


def test_the_end_of_the_motion_is_looked_for() -> None:
    record = parse(written(), "record")
    assert end_of_motion_s(record) == pytest.approx(ENDED_S, abs=0.06)
    found, _, _ = ring_down([(record, None, 500.0)], objective="", measured="2026-01-01T00:00:00Z")
    assert found.frequency_hz == pytest.approx(FREQUENCY, abs=4 * found.frequency_error_hz)
    assert found.frequency_error_hz < 0.05
    (swing,) = found.amplitudes
    assert swing.amplitude_um == pytest.approx(AMPLITUDE_UM, rel=0.3)
    assert swing.amplitude_um == pytest.approx(AMPLITUDE_UM, abs=3 * swing.error_um)
    assert swing.error_um > 0.1 * AMPLITUDE_UM


def test_several_moves_make_one_ring_down() -> None:
    records = [(parse(written(amplitude_um=size), "record"), ENDED_S, 10 * size) for size in (10.0, 40.0)]
    found, _, _ = ring_down(records, objective="", measured="2026-01-01T00:00:00Z")
    assert [one.amplitude_um for one in found.amplitudes] == pytest.approx([10, 40], rel=0.05)


def test_stillness_is_no_ring_down() -> None:
    with pytest.raises(CalibrationRefused, match="nothing rings"):
        ring_down(
            [(parse(written(amplitude_um=0.0), "r"), ENDED_S, 500.0)],
            objective="",
            measured="2026-01-01T00:00:00Z",
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda lines: ["time,x,y"] + [line.rpartition(",")[0] for line in lines[1:]],
            "line 1: columns time, x, y, z",
        ),
        (lambda lines: [*lines[:50], "1.0,oops,0,0", *lines[50:]], "line 51: could not convert"),
        (lambda lines: [*lines[:50], "1.0,nan,0,0", *lines[50:]], "line 51: a value is not finite"),
        (lambda lines: [*lines[:50], "1.0,2.0", *lines[50:]], "line 51: time, x, y, z are needed"),
        (lambda lines: lines[:40], "39 samples"),
        (lambda lines: [*lines[:100], *lines[50:]], "time goes back"),
        (lambda lines: [*lines[:100], *lines[900:]], "samples are missing"),
        (lambda _lines: [], "0 samples"),
    ],
)
def test_what_is_wrong_with_a_record_is_named(change, said: str) -> None:
    with pytest.raises(CalibrationRefused, match=said):
        parse("\n".join(change(written().splitlines())), "record")


def test_comments_and_empty_lines_do_no_harm() -> None:
    lines = written().splitlines()
    text = "\n".join(["# ADXL345, 800 Hz", "", *lines[:10], "", *lines[10:], ""])
    assert len(parse(text, "record").times_s) == len(lines) - 1


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.csv"
    path.write_bytes(b"\xff\xfe\x00\x80" * 100)
    with pytest.raises(CalibrationRefused, match="no text"):
        read(path)


def test_records_stand_in_for_the_camera(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, state = tmp_path / "rig.yaml", tmp_path / "state"
    config.write_text(SMALL)
    file = tmp_path / "ring.csv"
    file.write_text(written())
    command = ["calibrate", "settle", "--config", str(config), "--set", f"service.state={state}", "--json"]
    code = run_command_line([*command, "--accelerometer", str(file), "--moves", "500"])
    said = json.loads(capsys.readouterr().out)
    assert code == Exit.DONE
    kept = load(calibration_path(load_config(config, [f"service.state={state}"]))).ring_down()
    assert kept is not None
    assert kept.source == "accelerometer"
    assert kept.frequency_hz == pytest.approx(FREQUENCY, abs=0.1)
    page = Path(said["report"]).read_text(encoding="utf-8")
    assert "Ring-down" in page
    assert "evidence is not there" not in page
    assert run_command_line([*command, "--accelerometer", str(file)]) == Exit.USAGE


def test_a_program_is_read_during_the_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """One that prints its record and then goes on until it is stopped, in the middle of a line."""
    monkeypatch.setattr(live, "STILL_S", 0.05)
    monkeypatch.setattr(live.record_moves, "__kwdefaults__", {"rings_s": 0.2})
    config, state, file = tmp_path / "rig.yaml", tmp_path / "state", tmp_path / "ring.csv"
    config.write_text(SMALL)
    file.write_text(written() + "4.00")
    program = f"import sys, signal; sys.stdout.write(open({str(file)!r}).read()); sys.stdout.flush(); signal.pause()"
    command = shlex.join([sys.executable, "-c", program])
    common = [
        "calibrate",
        "settle",
        "--config",
        str(config),
        "--set",
        f"service.state={state}",
        "--json",
        "--moves",
        "500",
    ]
    assert run_command_line([*common, "--accelerometer-command", command]) == Exit.DONE
    said = json.loads(capsys.readouterr().out)
    assert said["measured"][0]["frequency_hz"] == pytest.approx(FREQUENCY, abs=0.1)
    assert said["measured"][0]["shaping"] == "trapezoid"
    assert run_command_line([*common, "--accelerometer-command", "/nowhere/logger"]) == Exit.REFUSED
    assert "cannot be run" in json.loads(capsys.readouterr().out)["error"]
    quiet = shlex.join([sys.executable, "-c", "import sys; sys.exit('no sensor on the bus')"])
    assert run_command_line([*common, "--accelerometer-command", quiet]) == Exit.REFUSED
    assert "no sensor on the bus" in json.loads(capsys.readouterr().out)["error"]
