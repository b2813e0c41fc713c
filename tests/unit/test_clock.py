"""Virtual time jumps only when nothing can still happen, and in the order of its moments."""

import threading

import pytest

from drivers.clock import Interrupt, SystemClock, VirtualClock
from tests.contract.bench import VirtualBench


def test_stands_still_unless_advanced():
    clock = VirtualClock(5.0)
    assert clock.now() == clock.now() == 5.0
    assert not clock.advance()
    assert clock.now() == 5.0
    assert clock.advance(7.5)
    assert clock.now() == 7.5
    assert (clock.utc() - VirtualClock(0.0).utc()).total_seconds() == 7.5


def test_a_moment_that_has_passed_is_not_waited_for():
    clock = VirtualClock(5.0)
    assert clock.wait_until(5.0)
    assert clock.wait_until(1.0)


def test_does_not_jump_while_anything_works():
    clock = VirtualClock(0.0)
    clock.work_begins()
    assert not clock.advance(9.0)
    assert clock.now() == 0.0
    clock.work_ends()
    assert clock.advance(9.0)


def test_waits_end_in_the_order_of_their_times():
    bench = VirtualBench()
    order = []

    def sleeper(seconds):
        start_s = bench.clock.now()
        assert bench.clock.wait_until(start_s + seconds)
        order.append((seconds, bench.clock.now() - start_s))

    running = [bench.start(lambda s=s: sleeper(s)) for s in (3.0, 1.0, 2.0, 10.0)]
    for verb in running:
        bench.finish(verb)
    assert order == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (10.0, 10.0)]


def test_a_chain_of_waits_takes_its_sum():
    bench = VirtualBench()

    def work():
        for _ in range(100):
            bench.clock.wait_until(bench.clock.now() + 36.0)

    start_s = bench.clock.now()
    bench.run(work)
    assert bench.clock.now() - start_s == pytest.approx(3600.0)


def test_advance_goes_no_farther_than_its_limit():
    bench = VirtualBench()
    start_s = bench.clock.now()
    running = bench.start(lambda: bench.clock.wait_until(start_s + 10.0))
    bench.pass_time(4.0)
    assert bench.clock.now() == start_s + 4.0
    assert not running.done
    assert bench.finish(running) is True


def test_an_interrupt_ends_a_wait_without_time_passing():
    bench, interrupt = VirtualBench(), Interrupt()
    start_s = bench.clock.now()
    running = bench.start(lambda: bench.clock.wait_until(start_s + 1e6, interrupt))
    bench.pass_time(1.0)
    interrupt.set()
    assert running.result() is False
    assert bench.clock.now() == start_s + 1.0
    assert bench.clock.wait_until(start_s + 50.0, interrupt) is False
    interrupt.clear()
    assert bench.run(lambda: bench.clock.wait_until(start_s + 50.0, interrupt)) is True


def test_abandoned_waits_are_not_jumped_to():
    bench, interrupt = VirtualBench(), Interrupt()
    start_s = bench.clock.now()
    first = bench.start(lambda: bench.clock.wait_until(start_s + 1.0, interrupt))
    second = bench.start(lambda: bench.clock.wait_until(start_s + 2.0))
    bench.pass_time(0.5)
    interrupt.set()
    assert first.result() is False
    bench.finish(second)
    assert bench.clock.now() == start_s + 2.0


def test_tells_when_everything_waits():
    clock, idle = VirtualClock(), threading.Event()
    clock.on_idle = idle.set
    clock.work_begins()
    clock.work_begins()
    clock.work_ends()
    assert not idle.is_set()
    clock.work_ends()
    assert idle.is_set()


def test_interrupt_calls_wakers_once_known():
    interrupt, calls = Interrupt(), []
    interrupt.call_when_set(wake := (lambda: calls.append(1)))
    interrupt.forget(wake)
    interrupt.set()
    assert calls == []
    interrupt.call_when_set(wake)
    assert calls == [1]
    assert interrupt.wait(0.0)


def test_the_machines_clock():
    clock, interrupt = SystemClock(), Interrupt()
    before = clock.now()
    assert clock.wait_until(before - 1.0)
    interrupt.set()
    assert clock.wait_until(before + 1000.0, interrupt) is False
    assert clock.now() >= before
    assert clock.utc().utcoffset().total_seconds() == 0
    clock.work_begins()
    clock.work_ends()
