"""Run by a test in a process of its own: a rail on mock pins whose STEP goes through the genuine lgpio. Prints what it counted."""

from __future__ import annotations

import json
import sys

import numpy as np

from drivers.clock import SystemClock
from drivers.registry import Context
from drivers.stepdir.options import StepDirOptions
from drivers.stepdir.rail import StepDirRail
from tests.contract.bench import RealBench, rest
from tests.emulators.stepdir import OPTIONS
from tests.emulators.stepdir_genuine_jogs import JOGS
from tests.pins import mock_pins


def main() -> None:
    clock, bench, counted = SystemClock(), RealBench(), []
    with mock_pins(clock) as pins:
        for switch in (OPTIONS["home_pin"], OPTIONS["far_pin"]):
            pins[switch]._set_pull = lambda value: None
        rail = StepDirRail(StepDirOptions(**OPTIONS), Context(clock))
        rail.open()
        for jog in JOGS:
            rail.start_jog(jog, 900.0)
            if abs(jog) == 700:
                bench.pass_time(0.2)
                rail.stop()
            status = rest(bench, rail)
            counted.append({"pulses": rail.statistics.pulses, "net": rail._train.net, "alarm": status.alarm})
            trace = rail.trace
        rises = np.asarray(trace.rises_s).tolist() if trace is not None else []
        statistics = rail.statistics
        rail.close()
    json.dump({"counted": counted, "underruns": statistics.underruns, "last": rises}, sys.stdout)


main()
