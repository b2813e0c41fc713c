"""One run of the suite: its bench, what it found out, and what broke on the way."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from hil import benchfile, machine, report
from hil.benchfile import WIRING
from hil.compare import read as read_report
from hil.figures import Figure
from hil.locking import alone
from hil.pins import PinError
from hil.rigs import PROBES, BenchRig, real_pins, simulated
from rigd.config import config_hash
from rigd.serving import kept_in

ROOT = Path(__file__).resolve().parent.parent
BENCH, NUMBERS, REPORTS, COMPARE = (
    "RIGD_BENCH",
    "RIGD_BENCH_NUMBERS",
    "RIGD_BENCH_REPORTS",
    "RIGD_BENCH_COMPARE",
)
"""Environment: the bench file; `name=value` for its numbers, with commas; folder of reports; an earlier report."""
DEFAULT = ROOT / "hil" / "simulated.yaml"


class Session:
    """Holds the bench from the first test to the last.

    Raises:
        BenchError, ConfigError, ReportError: a file cannot be used.
        BenchInUse: another run, or the rig's daemon, is at the bench.
        PinError: this machine's pins cannot be had.
    """

    def __init__(self, environment: dict[str, str] | os._Environ[str] = os.environ) -> None:
        path = Path(environment.get(BENCH) or DEFAULT)
        numbers = [text for text in environment.get(NUMBERS, "").split(",") if text.strip()]
        self.file, self.config = benchfile.read(path, numbers)
        compare = environment.get(COMPARE)
        self.before = read_report(Path(compare)) if compare else None
        self.begun = datetime.now(UTC)
        self._folder = Path(environment.get(REPORTS) or "bench-report")
        self._held = ExitStack()
        state = None if simulated(self.file, self.config) else kept_in(self.config)
        self._held.enter_context(alone(self.file.bench, state))
        try:
            self.pins = real_pins(self.file)
        except PinError:
            self._held.close()
            raise
        if self.pins is not None:
            self._held.callback(self.pins.close)
        there = {name for name, value in self.file.features if value is not None}
        self.report = report.Report(
            bench=self.file.bench,
            rig=self.config.rig.name or self.config.rig.id,
            started=self.begun.isoformat(timespec="seconds"),
            machine={
                "bench file": str(path),
                "config hash": config_hash(self.config),
                "parts": self._parts(),
                **machine.facts(ROOT),
            },
            features=tuple(name for name in WIRING if name in there),
            missing=tuple(name for name in WIRING if name not in there),
        )

    def _parts(self) -> str:
        config = self.config
        named = {
            "rail": config.rail,
            "motor": config.motor,
            "camera": config.camera,
            "shutter": config.shutter,
        }
        named |= {"light": config.light, **config.switches}
        return ", ".join(f"{name}: {part.driver}" for name, part in named.items() if part is not None)

    def rig(self) -> BenchRig:
        """The rig's parts, new and closed."""
        return BenchRig(self.file, self.config, self.pins)

    def why_not(self, needs: set[str]) -> str | None:
        """Why a test that needs these features cannot be run now; None: it can."""
        unknown = needs - WIRING.keys()
        if unknown:
            raise ValueError(f"no such feature of a bench: {', '.join(sorted(unknown))}")
        for part in sorted(needs & self.report.broken.keys()):
            return f"bench broken ({part}) since {self.report.broken[part]}"
        lacking = [name for name in self.report.missing if name in needs]
        if lacking:
            return "not on this bench: " + "; ".join(f"{name} (wire {WIRING[name]})" for name in lacking)
        return None

    def mark_broken(self, part: str, test: str, why: str) -> None:
        """No later test that needs this part is run."""
        self.report.broken.setdefault(part, f"{test}: {why}")

    def probe(self, needs: set[str], test: str) -> None:
        """After a test has failed: whether what it needed is still good for anything."""
        for part, broken in PROBES.items():
            if part not in needs or part in self.report.broken:
                continue
            rig = self.rig()
            try:
                why = broken(rig)
            except Exception as error:  # noqa: BLE001  (whatever it is, the part does not do what it must)
                why = f"{type(error).__name__}: {error}"
            finally:
                rig.close()
            if why is not None:
                self.mark_broken(part, test, why)

    def add(self, figure: Figure) -> None:
        """Keep a figure. Raises `ValueError` when there is one of this name."""
        if any(one.name == figure.name for one in self.report.figures):
            raise ValueError(f"two figures named {figure.name}")
        self.report.figures.append(figure)

    def value(self, name: str) -> float | None:
        """What an earlier test of this run found; None when it did not, or in words."""
        found = [one.value for one in self.report.figures if one.name == name]
        return found[0] if found and isinstance(found[0], float) else None

    def write(self) -> Path:
        """Write the report; the page."""
        name = f"{self.begun:%Y%m%dT%H%M%SZ}-{self.file.bench}"
        return report.write(self.report, self._folder / name, self.before)

    def close(self) -> None:
        """Let go of the bench."""
        self._held.close()
