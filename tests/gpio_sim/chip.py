"""The other side of the simulated gpiochip: what hangs on its lines, by way of sysfs. Inside the user-mode kernel only."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRACING = Path("/sys/kernel/tracing")
TICK_S = 0.01
"""Of the user-mode kernel. A simulated interrupt is handed on with the next tick, and two changes within one are seen as one."""


class Chip:
    """The lines of one simulated header."""

    def __init__(self) -> None:
        (self._folder,) = Path("/sys/devices/platform").glob("gpio-sim.*/gpiochip*")

    def level(self, line: int) -> int:
        """What a meter would show."""
        return int((self._folder / f"sim_gpio{line}" / "value").read_text())

    def drive(self, line: int, level: int) -> None:
        """What the outside does to an input. Returns when the kernel has seen the edge."""
        (self._folder / f"sim_gpio{line}" / "pull").write_text("pull-up" if level else "pull-down")
        time.sleep(2 * TICK_S)

    def held(self) -> dict[int, str]:
        """The lines that a program holds, and whether each is `in` or `out`, as the kernel says."""
        found = re.findall(
            r"^ gpio-(\d+)\s+\(.*?\)\s+(in|out)",
            Path("/sys/kernel/debug/gpio").read_text(),
            re.MULTILINE,
        )
        numbers = [int(number) for number, _ in found]
        first = self._first()
        return {number - first: way for number, (_, way) in zip(numbers, found, strict=True)}

    @contextmanager
    def written_down(self, line: int) -> Iterator[list[tuple[float, int]]]:
        """Every level that the kernel sets on a line meanwhile: (seconds on the kernel's clock, level), complete at the end."""
        levels: list[tuple[float, int]] = []
        (TRACING / "buffer_size_kb").write_text("20000")
        (TRACING / "trace").write_text("")
        switch = TRACING / "events/gpio/gpio_value/enable"
        switch.write_text("1")
        try:
            yield levels
        finally:
            switch.write_text("0")
            number = line + self._first()
            for at_s, found, level in re.findall(
                r"(\d+\.\d+): gpio_value: (\d+) set (\d)", (TRACING / "trace").read_text()
            ):
                if int(found) == number:
                    levels.append((float(at_s), int(level)))

    @staticmethod
    def _first() -> int:
        """The kernel numbers the lines of all chips together."""
        found = re.search(r"GPIOs (\d+)-", Path("/sys/kernel/debug/gpio").read_text())
        assert found
        return int(found[1])
