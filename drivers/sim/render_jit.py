"""How every kernel of the simulator is compiled, and how rows are shared among threads.

The kernels release the interpreter lock and are never parallel by themselves (one thread of the process at most may enter
Numba's threading layer, and it is not ours); rows are dealt out to a small pool of threads instead. A row's result never
depends on which thread computed it.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def _digest_of_sources() -> str:
    """Of all files that kernels live in."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted([here / "lens.py", *here.glob("render*.py"), *here.glob("scenes/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SOURCES = _digest_of_sources()


def kernel(function: Function) -> Function:
    """Compile without the interpreter lock, cached on disk."""
    compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")(function)
    # Numba renews the cache of a function when its own file changes, but not when a file changes whose functions or
    # constants were compiled into it. The stamp that it compares is made to cover them all, where it has one.
    stored = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if stored is not None and hasattr(stored, "_source_stamp"):
        stored._source_stamp = (stored._source_stamp, _SOURCES)  # noqa: SLF001
    result: Function = compiled
    return result


helper = kernel
"""For small functions that kernels call; the compiler inlines them."""


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=threads, thread_name_prefix="sim-render")


def over_rows(work: Callable[[int, int], object], rows: int, chunk: int, threads: int) -> None:
    """Call `work(first, last)` for chunks of rows that cover 0..rows, on `threads` threads."""
    if threads <= 1 or rows <= chunk:
        work(0, rows)
        return
    starts = range(0, rows, chunk)
    list(_pool(threads).map(lambda first: work(first, min(first + chunk, rows)), starts))
