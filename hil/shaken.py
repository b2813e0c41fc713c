"""An accelerometer on what the rail carries: a command that records, or what a simulator's truth would have made it say."""

from __future__ import annotations

import subprocess
from typing import Protocol

import numpy as np

from drivers.registry import Context
from drivers.sim.truth import WORLD

RATE_HZ = 800.0
"""Of the simulated one."""
NOISE_M_PER_S2 = 0.02
"""Its noise on each axis, as an ADXL345 has it."""
GRAVITY_M_PER_S2 = 9.81
EXTRA_S = 30.0
"""A command may take so much longer than it records."""


class Accelerometer(Protocol):
    """Records for a while."""

    def record(self, seconds: float) -> str:
        """Comma-separated time and three accelerations, as `rigd calibrate settle --accelerometer` reads them. Blocks."""


class CommandedAccelerometer:
    """A command that writes the record to its standard output.

    Args:
        command: and its arguments; the seconds to record come behind them.
    """

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command

    def record(self, seconds: float) -> str:
        """Run it. Raises `subprocess.SubprocessError`."""
        done = subprocess.run(
            [*self._command, f"{seconds:g}"],
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds + EXTRA_S,
        )
        return done.stdout


class SimulatedAccelerometer:
    """One on the simulated camera: along the rail it feels carriage and ringing, downward gravity.

    Args:
        context: of the rig's parts, once they are made.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def record(self, seconds: float) -> str:
        """Let the time pass, then work out what was felt."""
        clock = self._context.clock
        begun_s = clock.now()
        clock.wait_until(begun_s + seconds)
        times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
        place_m = 1e-6 * self._context.shared[WORLD].track(begun_s + times_s).position_um
        felt = np.random.default_rng(self._context.seed).normal(0.0, NOISE_M_PER_S2, (len(times_s), 3))
        felt[1:-1, 0] += np.diff(place_m, 2) * RATE_HZ**2
        felt[:, 2] += GRAVITY_M_PER_S2
        rows = [f"{at_s:.6f},{x:.5f},{y:.5f},{z:.5f}" for at_s, (x, y, z) in zip(times_s, felt, strict=True)]
        return "\n".join(["time,x_m_s2,y_m_s2,z_m_s2", *rows])
