"""The bench's own pins on a real Linux gpiochip, by lgpio as on a Pi. Run by pytest inside the user-mode kernel."""

from __future__ import annotations

import threading
import time

import pytest

from hil.pins import LgpioPins, PinError
from tests.gpio_sim.chip import Chip

WAIT_S = 5.0
OUT, IN = 18, 8
EDGES = 30


@pytest.fixture
def chip():
    return Chip()


@pytest.fixture
def pins(chip):
    found = LgpioPins(0)
    yield found
    found.close()
    assert chip.held() == {}


def seen(watch, count):
    """The edges, when so many are there: the library's thread hands them on."""
    ends_s = time.monotonic() + WAIT_S
    while len(edges := watch.edges()) < count and time.monotonic() < ends_s:
        threading.Event().wait(0.005)
    return edges


def test_an_output_is_driven_and_let_go_of(chip, pins):
    chip.drive(OUT, 0)
    for level in (1, 0, 1):
        before_s, after_s = pins.drive(OUT, level)
        assert before_s <= after_s
        assert chip.level(OUT) == level
    assert chip.held() == {OUT: "out"}
    pins.close()
    assert chip.held() == {}
    assert chip.level(OUT) == 0  # what hangs on it holds it there


def test_edges_have_the_kernel_s_time_on_the_monotonic_clock(chip, pins):
    chip.drive(IN, 0)
    made = []
    with pins.watch(IN) as watch:
        for number in range(EDGES):
            before_s = time.monotonic()
            chip.drive(IN, 1 - number % 2)
            # A simulated line tells its changes a little later, and one of those that nobody has looked at.
            edges = seen(watch, number + 1)
            made.append((before_s, time.monotonic()))
        assert chip.held() == {IN: "in"}
    assert [edge.level for edge in edges] == [1 - number % 2 for number in range(EDGES)]
    for edge, (before_s, after_s) in zip(edges, made, strict=True):
        assert before_s <= edge.at_s <= after_s
    assert chip.held() == {}


def test_a_watch_begins_anew(chip, pins):
    for _ in range(3):
        chip.drive(IN, 0)
        with pins.watch(IN) as watch:
            chip.drive(IN, 1)
            assert len(seen(watch, 1)) == 1


def test_a_line_that_is_taken_is_named(chip, pins):
    other = LgpioPins(0)
    other.drive(OUT, 1)
    try:
        with pytest.raises(PinError, match=f"GPIO{OUT}: .*busy"):
            pins.drive(OUT, 0)
    finally:
        other.close()
    with pytest.raises(PinError, match="gpiochip7"):
        LgpioPins(7)
