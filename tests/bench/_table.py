"""The rows of the benchmark, as JSON and as tables to read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench._judge import Verdict
from tests.bench._process import Cost

EQUAL_DB = 0.05
"""Results that differ by less are as good as each other."""


@dataclass(frozen=True)
class Row:
    """One stacker on one case; `cost` is None where it was not run, and `note` says why."""

    case: str
    stacker: str
    ours: bool
    cost: Cost | None
    verdict: Verdict = field(default_factory=Verdict)
    note: str = ""

    @property
    def done(self) -> bool:
        return self.cost is not None and not self.cost.failure


@dataclass(frozen=True)
class Stack:
    """What is known about a case besides its rows: the floor that decoding alone sets."""

    name: str
    frames: int
    megapixels: float
    decode: Cost | None


@dataclass(frozen=True)
class Rival:
    """The fastest peer whose result is as good, or the best one where none is."""

    row: Row
    as_good: bool


def rival_of(row: Row, rows: list[Row]) -> Rival | None:
    """Who a row of ours is to be faster than."""
    peers = [one for one in rows if one.case == row.case and not one.ours and one.done]
    peers = [one for one in peers if one.verdict.psnr_g is not None]
    if row.verdict.psnr_g is None or not peers:
        return None
    as_good = [one for one in peers if one.verdict.psnr_g >= row.verdict.psnr_g - EQUAL_DB]  # type: ignore[operator]
    if as_good:
        return Rival(min(as_good, key=_cpu_s), True)
    return Rival(max(peers, key=lambda one: one.verdict.psnr_g or 0.0), False)


def _cpu_s(row: Row) -> float:
    assert row.cost is not None
    return row.cost.cpu_s


def as_data(row: Row, rows: list[Row], stack: Stack) -> dict[str, Any]:
    data: dict[str, Any] = {"case": row.case, "stacker": row.stacker}
    if row.cost is not None:
        data |= {key: round(value, 3) for key, value in asdict(row.cost).items() if key != "failure"}
        if row.cost.failure:
            data["failure"] = row.cost.failure
    data |= {
        key: value if isinstance(value, str) else round(value, 4)
        for key, value in asdict(row.verdict).items()
        if value is not None and value != ""
    }
    if row.note:
        data["note"] = row.note
    if row.ours and row.done:
        data |= _ratios(row, rows, stack)
    return data


def _ratios(row: Row, rows: list[Row], stack: Stack) -> dict[str, Any]:
    own = _cpu_s(row)
    data: dict[str, Any] = {}
    if stack.decode is not None:
        data["cpu_over_decoding"] = round(own / stack.decode.cpu_s, 2)
        data["cpu_ms_a_frame_less_decoding"] = round(1e3 * (own - stack.decode.cpu_s) / stack.frames, 1)
    rival = rival_of(row, rows)
    if rival is not None:
        key = "fastest_peer_as_good" if rival.as_good else "best_peer_none_as_good"
        data[key] = rival.row.stacker
        data["its_cpu_over_ours"] = round(_cpu_s(rival.row) / own, 1)
    return data


def as_markdown(
    rows: list[Row], stacks: dict[str, Stack], extras: dict[str, Any], machine: dict[str, Any]
) -> str:
    lines = [
        "# Fusion",
        "",
        INTRODUCTION,
        "",
        ", ".join(f"{key}: {value}" for key, value in machine.items()),
        "",
    ]
    for name, stack in stacks.items():
        lines += _case(stack, [row for row in rows if row.case == name])
    lines += ["## Besides", ""]
    lines += [f"- {key}: {value}" for key, value in extras.items()] or ["(not run)"]
    return "\n".join(lines) + "\n"


INTRODUCTION = """\
Every row is one whole process from files to file: start, decoding, registration, fusion, writing. Peers are told where frames lie on
each other already (A, C, occlusion); stackcore is not, and writes its depth map besides. `psnr_g` after a fit of gain and offset; `edge`
within 24 px of a depth jump, `flat` elsewhere, dB; depth errors in frames. CPU is user and system, least of the runs; wall says little
on a machine that others use. RSS in 10^6 bytes, of the largest process. `x decode`: CPU over that of a process that only decodes the
same JPEG files (simplejpeg, one thread). `peer`: CPU of the fastest peer whose psnr_g is as good (within 0.05 dB) over ours; in brackets
the best peer, where none is as good."""

HEAD = (
    "stacker",
    "psnr_g",
    "ssim",
    "edge",
    "flat",
    "CPU s",
    "wall s",
    "RSS MB",
    "x decode",
    "peer",
    "depth median",
    "rmse",
    "known",
)
PHOTO_HEAD = ("stacker", "SML ratio", "CPU s", "wall s", "RSS MB", "x decode")


def _case(stack: Stack, rows: list[Row]) -> list[str]:
    photographs = all(row.verdict.psnr_g is None for row in rows) and any(
        row.verdict.sml_ratio is not None for row in rows
    )
    head = PHOTO_HEAD if photographs else HEAD
    decode = (
        ""
        if stack.decode is None
        else f"; decoding alone: {stack.decode.cpu_s:.2f} s CPU, {stack.decode.rss_mb:.0f} MB"
    )
    lines = [f"## {stack.name}: {stack.frames} frames, {stack.megapixels:.1f} MP{decode}", ""]
    lines += [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    remarks = []
    for row in rows:
        if row.done:
            cells = _photo_cells(row, rows, stack) if photographs else _cells(row, rows, stack)
            lines.append(f"| {row.stacker} | {' | '.join(cells)} |")
        told = row.note or (row.cost.failure if row.cost else "") or row.verdict.remark
        if told:
            remarks.append(f"- {row.stacker}: {told}")
    return [*lines, "", *remarks, *([""] if remarks else [])]


def _cells(row: Row, rows: list[Row], stack: Stack) -> list[str]:
    verdict = row.verdict
    rival = rival_of(row, rows) if row.ours else None
    against = ""
    if rival is not None:
        against = f"{rival.row.stacker} {_cpu_s(rival.row) / _cpu_s(row):.1f}x"
        against = against if rival.as_good else f"({against})"
    quality = [
        _number(verdict.psnr_g, 2),
        _number(verdict.ssim, 3),
        _number(verdict.edge, 2),
        _number(verdict.flat, 2),
    ]
    depth = [
        _number(verdict.depth_median, 3),
        _number(verdict.depth_rmse, 3),
        _number(verdict.depth_known, 2),
    ]
    return [*quality, *_cost_cells(row, stack), against, *depth]


def _photo_cells(row: Row, rows: list[Row], stack: Stack) -> list[str]:
    return [_number(row.verdict.sml_ratio, 3), *_cost_cells(row, stack)]


def _cost_cells(row: Row, stack: Stack) -> list[str]:
    assert row.cost is not None
    over = None if stack.decode is None else row.cost.cpu_s / stack.decode.cpu_s
    return [f"{row.cost.cpu_s:.2f}", f"{row.cost.wall_s:.1f}", f"{row.cost.rss_mb:.0f}", _number(over, 1)]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
