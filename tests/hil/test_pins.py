"""The bench's pins on a stand-in for lgpio that times its edges as a kernel does."""

import time

import pytest

from hil.pins import LgpioPins, PinError


class Library:
    """The part of lgpio that a bench uses: two pins, one wired to the other."""

    RISING_EDGE, FALLING_EDGE, BOTH_EDGES = 1, 2, 3
    SET_PULL_UP, SET_PULL_DOWN, SET_PULL_NONE = 32, 64, 128

    class error(Exception):  # noqa: N801  (its name in lgpio)
        pass

    def __init__(self, epoch=False, busy=()):
        self.epoch, self.busy = epoch, set(busy)
        self.levels, self.listeners, self.claims, self.open = {}, {}, {}, 0

    def gpiochip_open(self, number):
        if number:
            raise self.error("can not open gpiochip")
        self.open += 1
        return 7

    def gpiochip_close(self, handle):
        self.open -= 1

    def _claim(self, handle, pin, what):
        if pin in self.busy:
            raise self.error("GPIO busy")
        self.claims[pin] = what

    def gpio_claim_alert(self, handle, pin, edges, flags):
        self._claim(handle, pin, ("alert", flags))

    def gpio_claim_input(self, handle, pin):
        self._claim(handle, pin, ("input", 0))

    def gpio_claim_output(self, handle, pin, level):
        self._claim(handle, pin, ("output", 0))
        self.gpio_write(handle, pin, level)

    def gpio_free(self, handle, pin):
        del self.claims[pin]

    def gpio_write(self, handle, pin, level):
        before, self.levels[pin] = self.levels.get(pin, 0), level
        stamp = time.time_ns() if self.epoch else time.monotonic_ns()
        if before != level:
            for listener in self.listeners.get(pin + 1, ()):
                listener(0, pin + 1, level, stamp)

    def callback(self, handle, pin, edges, function):
        self.listeners.setdefault(pin, []).append(function)
        library = self

        class Callback:
            def cancel(self):
                library.listeners[pin].remove(function)

        return Callback()


@pytest.mark.parametrize(("release", "epoch"), [("6.6.31+rpt-rpi-v8", False), ("5.4.0-1-amd64", True)])
def test_edges_are_on_the_monotonic_clock(monkeypatch, release, epoch):
    monkeypatch.setattr("platform.release", lambda: release)
    library = Library(epoch=epoch)
    pins = LgpioPins(0, library)
    with pins.watch(5, "up") as watch:
        driven = [pins.drive(4, level) for level in (1, 0, 1)]
        edges = watch.edges()
    assert [edge.level for edge in edges] == [1, 0, 1]
    for (before_s, after_s), edge in zip(driven, edges, strict=True):
        assert before_s - 1e-3 <= edge.at_s <= after_s + 1e-3
    pins.close()


def test_pins_are_let_go_of():
    library = Library()
    pins = LgpioPins(0, library)
    pins.drive(4, 1)
    with pins.watch(5):
        assert library.claims == {4: ("output", 0), 5: ("alert", library.SET_PULL_NONE)}
    assert library.claims == {4: ("output", 0)}
    pins.close()
    pins.close()
    assert (library.claims, library.open, library.listeners[5]) == ({}, 0, [])
    with pytest.raises(PinError, match="closed"):
        pins.drive(4, 1)


def test_watchdogs_are_no_edges():
    library = Library()
    pins = LgpioPins(0, library)
    with pins.watch(5) as watch:
        library.listeners[5][0](0, 5, 2, 1)
        assert watch.edges() == []
    pins.close()


def test_a_pin_that_cannot_be_had_is_named():
    with pytest.raises(PinError, match="gpiochip3"):
        LgpioPins(3, Library())
    pins = LgpioPins(0, Library(busy=[9]))
    with pytest.raises(PinError, match="GPIO9: GPIO busy"):
        pins.drive(9, 1)
    with pytest.raises(PinError, match="GPIO9"), pins.watch(9):
        pass
    pins.close()
