"""One thread for each thing that can be slow, so that a slow one holds up nothing else.

A `Worker` runs plain functions in order on its own thread and hands their results to the event loop. It announces its work
to the clock, so that virtual time stands still while it runs.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from drivers.clock import Clock

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    run: Callable[[], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Worker:
    """A single named thread.

    Args:
        name: of the thread, as logs and debuggers show it.
        clock: told of every piece of work.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished = 0
        self._closed = False
        # A daemon thread: a driver call that hangs for good must not keep the process from ending.
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run on the thread, behind whatever was asked before; wait for the result.

        A cancelled wait lets the function finish on its thread and drops the result. Raises what the function raises.
        """
        if self._closed:
            raise RuntimeError(f"the {self.name} thread has ended")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._count(1)
        self._jobs.put(_Job(lambda: function(*args, **kwargs), future, loop))
        return await future

    def close(self, timeout_s: float = 5.0) -> bool:
        """Let the thread finish what was asked and end; False when it did not end in time (it is abandoned then)."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                outcome, error = job.run(), None
            except Exception as raised:  # noqa: BLE001  (whatever it is belongs to the one who waits)
                outcome, error = None, raised
            _post(job, outcome, error)
            self._count(-1)
            # Nothing of the job may be kept alive while this thread waits: a picture is large.
            del job, outcome, error

    def _count(self, change: int) -> None:
        """Tell the clock of the thread's first job and of the end of its last.

        To the clock the thread is one piece of work: a job that queues behind one that waits for the time must not hold time up.
        """
        with self._lock:
            before, self._unfinished = self._unfinished, self._unfinished + change
            if before == 0:
                self._clock.work_begins()
            elif self._unfinished == 0:
                self._clock.work_ends()


def _post(job: _Job, outcome: object, error: Exception | None) -> None:
    def deliver() -> None:
        if job.future.cancelled():
            return
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(outcome)

    try:
        job.loop.call_soon_threadsafe(deliver)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more
