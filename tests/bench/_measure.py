"""Runs the chosen stackers on the chosen stacks, one whole process after the other, and keeps what comes out."""

from __future__ import annotations

import fnmatch
import json
import os
import platform
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from stackcore import alignment
from tests.bench import _judge
from tests.bench._cases import MAKERS, Absent, Case
from tests.bench._process import Cost, least, run, run_all
from tests.bench._stackers import HERE, Job, Stacker, stackers
from tests.bench._table import Row, Stack, as_data, as_markdown

RESULTS = Path(__file__).parents[2] / "bench-results"
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
LIMIT_S = float(os.environ.get("BENCH_LIMIT_S", "240"))
ONCE_ABOVE_S, OWN_ONCE_ABOVE_S = 8.0, 25.0
"""CPU above which a run is not repeated; ours are given more, since a first run may have kernels to compile."""


def chosen(variable: str, name: str) -> bool:
    patterns = [pattern.strip() for pattern in os.environ.get(variable, "*").split(";")]
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


@dataclass
class Bench:
    """What has been measured so far; written after every row, so that a run that is broken off leaves what it had."""

    scratch: Path
    cases: dict[str, Case] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    stacks: dict[str, Stack] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    extras: dict[str, Any] = field(default_factory=dict)
    load_before: float = field(default_factory=lambda: round(os.getloadavg()[0], 2))

    def write(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        machine = {"machine": platform.machine(), "cores": os.cpu_count(), "load before": self.load_before}
        machine["load after"] = round(os.getloadavg()[0], 2)
        rows = [as_data(row, self.rows, self.stacks[row.case]) for row in self.rows]
        decoding = {name: round(stack.decode.cpu_s, 3) for name, stack in self.stacks.items() if stack.decode}
        data = {
            **machine,
            "decoding alone, CPU s": decoding,
            "absent": self.absent,
            "rows": rows,
            "besides": self.extras,
        }
        (RESULTS / "fusion.json").write_text(json.dumps(data, indent=1) + "\n")
        besides = self.extras | {f"case {name} was left out": why for name, why in self.absent.items()}
        (RESULTS / "fusion.md").write_text(as_markdown(self.rows, self.stacks, besides, machine))

    def note(self, key: str, value: object) -> None:
        self.extras[key] = value
        print(f"{key}: {value}", flush=True)
        self.write()

    def row(self, case: str, stacker: str) -> Row:
        """A row; the test that wants it is skipped when it was not to be measured."""
        for row in self.rows:
            if (row.case, row.stacker) == (case, stacker):
                if row.cost is None:
                    pytest.skip(row.note)
                return row
        pytest.skip(self.absent.get(case, "not chosen"))

    def case(self, name: str) -> Case:
        """A case; the test that wants it is skipped when it is not there."""
        if name not in self.cases:
            pytest.skip(self.absent.get(name, "not chosen"))
        return self.cases[name]


def measure(scratch: Path) -> Bench:
    """Everything that was chosen."""
    bench = Bench(scratch)
    wanted = [stacker for stacker in stackers() if chosen("BENCH_STACKERS", stacker.name)]
    compile_kernels(scratch / "compile", [stacker for stacker in wanted if stacker.ours])
    for name, make in MAKERS.items():
        if not chosen("BENCH_CASES", name):
            continue
        try:
            bench.cases[name] = make(scratch / "cases")
        except Absent as absent:
            bench.absent[name] = str(absent)
            continue
        measure_case(bench, bench.cases[name], wanted)
    bench.write()
    return bench


def compile_kernels(folder: Path, own: list[Stacker]) -> None:
    """Once, before anything is timed."""
    case = Case("tiny", tiny_stack(folder / "frames"), aligned=False)
    for stacker in own:
        run_all(
            stacker.commands(Job(case, folder, folder / "out.tif", folder / "depth.tif")), limit_s=LIMIT_S
        )


def tiny_stack(frames: Path) -> Path:
    """Three small frames of a texture: sharp on one side, in the middle, on the other side."""
    frames.mkdir(parents=True)
    noise = np.random.default_rng(1).uniform(0, 255, (240, 320, 3)).astype(np.float32)
    sharp = np.clip((cv2.GaussianBlur(noise, (0, 0), 1.0) - 127) * 3 + 127, 0, 255)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3.0)
    across = np.linspace(0, 1, 320, dtype=np.float32)[None, :, None]
    for index, share in enumerate((1 - across, 1 - np.abs(2 * across - 1), across)):
        cv2.imwrite(str(frames / f"{index}.jpg"), (share * sharp + (1 - share) * soft).astype(np.uint8))
    return frames


def measure_case(bench: Bench, case: Case, wanted: list[Stacker]) -> None:
    bench.stacks[case.name] = Stack(case.name, len(case.frames), case.megapixels, decoding(case))
    print(f"\n{case.name}: {len(case.frames)} frames, {case.megapixels:.1f} MP", flush=True)
    pictures: dict[str, np.ndarray] = {}
    judge = _truth_judge(case) if case.truth is not None else _photo_judge(bench, case)
    for stacker in wanted:
        reason = stacker.missing or stacker.not_for(case)
        if reason:
            bench.rows.append(Row(case.name, stacker.name, stacker.ours, None, note=reason))
            continue
        bench.rows.append(_measure_row(bench, case, stacker, judge, pictures))
        print(_line(bench.rows[-1]), flush=True)
        bench.write()
    if pictures:
        _write_crops(_judge.crops_of(case, pictures))


def decoding(case: Case) -> Cost | None:
    """What it costs to decode its files and do nothing else; only for JPEG."""
    if any(path.suffix != ".jpg" for path in case.frames):
        return None
    command = [sys.executable, HERE / "_decode.py", *case.frames]
    return least(lambda: run(command, limit_s=LIMIT_S), runs=RUNS, once_above_s=ONCE_ABOVE_S)


def _measure_row(
    bench: Bench, case: Case, stacker: Stacker, judge: Any, pictures: dict[str, np.ndarray]
) -> Row:
    work = bench.scratch / "work"
    suffix = stacker.suffix or case.frames[0].suffix
    job = Job(
        case, work, bench.scratch / f"result{suffix}", bench.scratch / "depth.tif" if stacker.depth else None
    )

    def once() -> Cost:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        for made in (job.out, job.depth_out):
            if made is not None:
                made.unlink(missing_ok=True)
        return run_all(stacker.commands(job), limit_s=LIMIT_S)

    once_above_s = OWN_ONCE_ABOVE_S if stacker.ours else ONCE_ABOVE_S
    row = Row(
        case.name,
        stacker.name,
        stacker.ours,
        least(once, runs=min(RUNS, stacker.runs), once_above_s=once_above_s),
    )
    shutil.rmtree(work, ignore_errors=True)
    if not row.done:
        return row
    try:
        picture, mask = _judge.read_result(job.out)
    except FileNotFoundError as error:
        return replace(row, note=str(error))
    pictures[stacker.name] = picture
    has_depth = job.depth_out is not None and job.depth_out.exists()
    depth = _judge.read_depth(job.depth_out) if has_depth else None
    return replace(row, verdict=judge(picture, mask, depth))


def _truth_judge(case: Case) -> Any:
    return lambda picture, mask, depth: _judge.judge_by_truth(case, picture, mask, depth)


def _photo_judge(bench: Bench, case: Case) -> Any:
    """Frames are placed as stackcore finds them; the first frame's pixels are where its own results lie."""
    path = bench.scratch / f"{case.name}.json"
    command = [
        sys.executable,
        "-m",
        "stackcore",
        "align",
        case.folder,
        "--save-registration",
        path,
        "--quiet",
    ]
    cost = run(command, limit_s=LIMIT_S)
    if cost.failure:
        why = f"the stack could not be registered: {cost.failure}"
        return lambda picture, mask, depth: _judge.Verdict(remark=why)
    known = alignment.load(path)
    anchors: list[np.ndarray] = []

    def judge(picture: np.ndarray, mask: np.ndarray | None, depth: np.ndarray | None) -> _judge.Verdict:
        anchors.append(picture)
        return _judge.judge_by_frames(case, picture, known, anchors[0])

    return judge


def _line(row: Row) -> str:
    assert row.cost is not None
    figures = [row.verdict.psnr_g, row.verdict.edge, row.verdict.sml_ratio, row.cost.cpu_s, row.cost.rss_mb]
    names = ["psnr_g", "edge", "sml", "cpu_s", "rss_mb"]
    shown = " ".join(
        f"{name} {value:.2f}" for name, value in zip(names, figures, strict=True) if value is not None
    )
    return f"  {row.stacker:26s} {shown} {row.cost.failure or row.note or row.verdict.remark}"


def _write_crops(sheets: dict[str, np.ndarray]) -> None:
    folder = RESULTS / "crops"
    folder.mkdir(parents=True, exist_ok=True)
    for name, sheet in sheets.items():
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
