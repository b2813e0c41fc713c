"""How kernels are compiled here: without the interpreter lock, without fast-math, without Numba's own threads.

No kernel is parallel. Rows are shared out over ordinary threads instead: the result is then the same for any number of them,
and there is no threading layer that aborts the process when two threads enter it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt
from numba import njit, types
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys

Function = TypeVar("Function", bound=Callable[..., Any])

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

READ_ONLY = {name: types.Array(getattr(types, name), 2, "C", readonly=True) for name in ("uint8", "uint16")}
"""Rows of interleaved pixels, (H, W * channels), of either type."""

READ_ONLY_FRAME = READ_ONLY["uint8"]


_KNOWN_NUMBA = (0, 61), (0, 68)
"""The first and the last Numba that `_Ready` is known to fit."""


class _Ready(FunctionCache):  # type: ignore[misc]
    """Kernels on disk, loaded without what only a compiler needs.

    Before it looks for a kernel, Numba imports all that it could compile one with, though a kernel from disk needs no more of it than the
    functions that take and give back memory: a quarter of a second, twice as long as all kernels of a stack take. Where there is none on
    disk it compiles as ever, and then imports the rest itself.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """As of the base class; None where there is none."""
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def _numba_is_known() -> bool:
    version = tuple(int(part) for part in numba.__version__.split(".")[:2])
    return _KNOWN_NUMBA[0] <= version <= _KNOWN_NUMBA[1]


def compiled(function: Callable[..., Any], *signatures: Any) -> Any:
    """Compile for arguments of these types, and no others, or load from the cache on disk."""
    if not _numba_is_known():
        return njit(list(signatures), nogil=True, cache=True)(function)
    dispatcher = njit(nogil=True)(function)
    dispatcher._cache = _Ready(function)  # noqa: SLF001
    for signature in signatures:
        dispatcher.compile(signature)
    dispatcher.disable_compile()
    return dispatcher


def array(dtype: Any, dimensions: int) -> Any:
    """Numba's type of a contiguous array."""
    return types.Array(dtype, dimensions, "C")


def row_function(function: Function) -> Function:
    """A part of a kernel in the same file, compiled into it."""
    result: Function = njit(nogil=True)(function)
    return result


def kernel(*arguments: Any) -> Callable[[Function], Function]:
    """Compile for arguments of these types when the module is imported, or load from the cache on disk."""

    def compile_it(function: Function) -> Function:
        result: Function = compiled(function, types.void(*arguments))
        return result

    return compile_it


class ByPixel:
    """A kernel for pictures of either type; each is compiled, or loaded from the cache on disk, when it is asked for first."""

    def __init__(self, function: Callable[..., None], signatures: dict[str, Any]) -> None:
        self._function = function
        self._signatures = signatures
        self._compiled: dict[str, Callable[..., None]] = {}
        self._lock = threading.Lock()

    def __getitem__(self, dtype: npt.DTypeLike) -> Callable[..., None]:
        """The kernel for pictures of this type, uint8 or uint16."""
        name = np.dtype(dtype).name
        with self._lock:
            if name not in self._compiled:
                self._compiled[name] = compiled(self._function, self._signatures[name])
            return self._compiled[name]


def by_pixel(*, uint8: Any, uint16: Any) -> Callable[[Callable[..., None]], ByPixel]:
    """A kernel with a signature for either type of pixels."""
    return lambda function: ByPixel(function, {"uint8": uint8, "uint16": uint16})
