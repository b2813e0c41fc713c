"""What a whole process costs: CPU, wall and peak memory, of one command or of several that make one result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = Path(__file__).with_name("_launch.py")
MEGABYTE = 1e6
WALL_OVER_CPU = 3.0
"""A machine that is busy with other things may take so many times the limit of CPU before a run is given up."""

Command = Sequence[str | Path]


@dataclass(frozen=True)
class Cost:
    """CPU: user and system, of the process and of the children it waited for. RSS: of the largest of them, 10^6 bytes."""

    cpu_s: float
    wall_s: float
    rss_mb: float
    failure: str = ""


def run(command: Command, *, limit_s: float, env: Mapping[str, str] | None = None) -> Cost:
    """Run it to its end, or until it has used `limit_s` seconds of CPU."""
    with tempfile.TemporaryDirectory() as folder:
        report, log = Path(folder, "report.json"), Path(folder, "log.txt")
        arguments = [report, max(1, round(limit_s)), WALL_OVER_CPU * limit_s, log, *command]
        launch = [sys.executable, "-I", "-S", str(LAUNCHER), *map(str, arguments)]
        subprocess.run(launch, check=True, env={**os.environ, **(env or {})})
        found = json.loads(report.read_text())
        said = log.read_text(errors="replace").strip().splitlines()
    failure = ""
    if found["stopped"]:
        failure = f"stopped after {found['cpu_s']:.0f} s of CPU"
    elif found["code"]:
        failure = f"exit {found['code']}: {' '.join(said[-1:])[:300]}"
    return Cost(found["cpu_s"], found["wall_s"], found["rss_mb"] * 1024**2 / MEGABYTE, failure)


def run_all(commands: Sequence[Command], *, limit_s: float, env: Mapping[str, str] | None = None) -> Cost:
    """One after the other, to the first that fails; CPU and wall are sums, RSS the largest."""
    costs: list[Cost] = []
    for command in commands:
        costs.append(run(command, limit_s=limit_s, env=env))
        if costs[-1].failure:
            break
    return Cost(
        sum(cost.cpu_s for cost in costs),
        sum(cost.wall_s for cost in costs),
        max(cost.rss_mb for cost in costs),
        costs[-1].failure,
    )


def least(measure: Callable[[], Cost], *, runs: int, once_above_s: float) -> Cost:
    """The least of several runs; what takes more than `once_above_s` of CPU, or fails, is run once."""
    costs = [measure()]
    while len(costs) < runs and costs[0].cpu_s <= once_above_s and not costs[-1].failure:
        costs.append(measure())
    return Cost(
        min(cost.cpu_s for cost in costs),
        min(cost.wall_s for cost in costs),
        min(cost.rss_mb for cost in costs),
        costs[-1].failure,
    )
