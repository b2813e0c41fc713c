"""One call on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


async def aside(call: Callable[[], None], *, unwanted: Callable[[], None]) -> None:
    """Run a call that can block, beside the loop; raises what it raises.

    Args:
        call: runs on a thread of its own, which does not keep the process from ending (a name server may not answer for minutes).
        unwanted: called after it, on either thread, when nobody waits for it any more.
    """
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[Exception | None] = loop.create_future()

    def deliver(error: Exception | None) -> None:
        if finished.cancelled():
            unwanted()
        else:
            finished.set_result(error)

    def run() -> None:
        error: Exception | None = None
        try:
            call()
        except Exception as raised:  # noqa: BLE001  (whatever it is belongs to the one who waits)
            error = raised
        try:
            loop.call_soon_threadsafe(deliver, error)
        except RuntimeError:
            unwanted()  # the loop is closed

    threading.Thread(target=run, name="mqtt-connect", daemon=True).start()
    error = await finished
    if error is not None:
        raise error
