"""Virtual time: jumps when all wait, stands still while anything works, and keeps the order of things."""

from __future__ import annotations

import asyncio
import threading

import pytest

from drivers.clock import Interrupt, SystemClock, VirtualClock
from rigd.virtualtime import run
from rigd.workers import Worker
from tests.rigs import passes


def test_an_hour_of_sleeping_passes_at_once():
    clock = VirtualClock(100.0)

    async def main():
        await passes(3600)
        return clock.now()

    assert run(main(), clock) == 3700.0


def test_loop_timers_and_thread_waits_happen_in_the_order_of_their_times():
    clock = VirtualClock(0.0)
    order = []

    def blocking(when):
        clock.wait_until(when)
        order.append((when, clock.now()))

    async def sleeper(when):
        await passes(when)
        order.append((when, clock.now()))

    async def main():
        workers = [Worker(f"w{k}", clock) for k in range(3)]
        jobs = [worker.run(blocking, 1.0 + k) for k, worker in enumerate(workers)]
        await asyncio.gather(*jobs, sleeper(1.5), sleeper(2.5), sleeper(0.5))
        for worker in workers:
            assert worker.close()

    run(main(), clock)
    assert order == [(when, when) for when in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)]


def test_time_stands_still_while_a_worker_works():
    clock = VirtualClock(0.0)
    release = threading.Event()

    async def main():
        worker = Worker("slow", clock)
        job = asyncio.create_task(worker.run(lambda: (release.wait(10), clock.now())[1]))
        late = asyncio.create_task(passes(5))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0, release.set)
        at = await job
        assert not late.done()
        await late
        worker.close()
        return at, clock.now()

    assert run(main(), clock) == (0.0, 5.0)


def test_an_interrupt_ends_a_wait_without_time_passing():
    clock = VirtualClock(0.0)
    interrupt = Interrupt()

    async def main():
        worker = Worker("w", clock)
        job = asyncio.create_task(worker.run(clock.wait_until, 1000.0, interrupt))
        await passes(2)
        interrupt.set()
        reached = await job
        worker.close()
        return reached, clock.now()

    assert run(main(), clock) == (False, 2.0)


def test_what_a_job_raises_reaches_the_one_who_waits():
    async def main():
        worker = Worker("w", SystemClock())
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 // 0)
        assert await worker.run(lambda: 5) == 5
        return worker.close()

    assert asyncio.run(main())


def test_a_cancelled_wait_drops_the_result_and_the_worker_goes_on():
    gate = threading.Event()

    async def main():
        worker = Worker("w", SystemClock())
        job = asyncio.create_task(worker.run(gate.wait, 10))
        await asyncio.sleep(0)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        gate.set()
        assert await worker.run(lambda: 7) == 7
        return worker.close()

    assert asyncio.run(main())


def test_a_thread_that_ends_late_is_no_reason_to_warn():
    """Python 3.12 and later give threads 300 s to end, of a time that jumps."""
    clock, over = VirtualClock(), threading.Event()

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, over.wait, 5)
        threading.Timer(0.3, over.set).start()

    run(main(), clock)
    assert over.is_set()
