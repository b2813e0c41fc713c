"""Memory of frames, used again: what the system gives anew it has to clear first, 37 MB for a frame of 12 megapixels.

In decoding that was 6 % of the CPU time, and it keeps peak memory from depending on how the allocator feels about large blocks.
"""

from __future__ import annotations

import threading
import weakref

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class Pool:
    """Gives memory, and takes it back by itself when the last array that shows it is gone."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # an array may die, and come back here, while this thread is inside
        self._free: list[Bytes] = []
        self._closed = False

    def take(self, size: int) -> Bytes:
        """So many bytes, with anything in them. Other views of this array keep the memory just as it does itself."""
        with self._lock:
            index = next((at for at, block in enumerate(self._free) if block.nbytes == size), None)
            if index is None:
                self._free.clear()  # of another size: frames of a stack are alike
            block = np.empty(size, np.uint8) if index is None else self._free.pop(index)
        # Over a memoryview: a view of a view would otherwise be held by the block, not by this array, and outlive its return.
        array = np.frombuffer(memoryview(block), np.uint8)  # type: ignore[arg-type]
        weakref.finalize(array, self._give_back, block).atexit = False
        return array

    def close(self) -> None:
        """Forget what is free, and what comes back from now on. Idempotent."""
        with self._lock:
            self._closed = True
            self._free.clear()

    def _give_back(self, block: Bytes) -> None:
        with self._lock:
            if not self._closed:
                self._free.append(block)
