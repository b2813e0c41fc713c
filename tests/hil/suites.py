"""Runs of the suite for a bench, in a process of their own, as `make hil` does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 280


@dataclass
class Run:
    """One run, over."""

    code: int
    output: str
    report: dict[str, Any]
    page: Path | None

    @property
    def results(self) -> dict[str, str]:
        return {one["test"]: one["result"] for one in self.report["tests"]}

    @property
    def reasons(self) -> dict[str, str]:
        return {one["test"]: one["reason"] for one in self.report["tests"]}

    @property
    def figures(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.report["figures"]}


def environment(folder: Path, bench: Path, numbers: dict[str, float], **more: str) -> dict[str, str]:
    """For a run whose lock and reports are in a folder of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("RIGD_", "PYTEST_"))}
    return plain | {
        "RIGD_BENCH": str(bench),
        "RIGD_BENCH_NUMBERS": ",".join(f"{name}={value}" for name, value in numbers.items()),
        "RIGD_BENCH_REPORTS": str(folder / "reports"),
        "RIGD_BENCH_LOCKS": str(folder),
        **more,
    }


def run(folder: Path, bench: Path, *what: str, numbers: dict[str, float] | None = None, **more: str) -> Run:
    """Run the suite, or parts of it, on a bench."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *(what or ("hil",)), "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=environment(folder, bench, numbers or {}, **more),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    pages = sorted((folder / "reports").glob("*/report.html"))
    page = pages[-1] if pages else None
    report = json.loads(page.with_name("report.json").read_text()) if page else {}
    return Run(done.returncode, done.stdout + done.stderr, report, page)


def bench_file(folder: Path, text: str, rig: str) -> Path:
    """A bench and its rig in a folder."""
    (folder / "rig.yaml").write_text(rig)
    path = folder / "bench.yaml"
    path.write_text("bench: tried\nrig: rig.yaml\npins: simulated\n" + text)
    return path
