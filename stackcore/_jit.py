"""How kernels are compiled here: without the interpreter lock, without fast-math, without Numba's own threads.

No kernel is parallel. Rows are shared out over ordinary threads instead: the result is then the same for any number of them,
and there is no threading layer that aborts the process when two threads enter it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit, types

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


def array(dtype: Any, dimensions: int) -> Any:
    """Numba's type of a contiguous array."""
    return types.Array(dtype, dimensions, "C")


def row_function(function: Function) -> Function:
    """A part of a kernel in the same file, compiled into it."""
    compiled: Function = njit(nogil=True)(function)
    return compiled


def kernel(*arguments: Any) -> Callable[[Function], Function]:
    """Compile for arguments of these types when the module is imported, or load from the cache on disk."""

    def compile_it(function: Function) -> Function:
        compiled: Function = njit(types.void(*arguments), nogil=True, cache=True)(function)
        return compiled

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
                self._compiled[name] = njit(self._signatures[name], nogil=True, cache=True)(self._function)
            return self._compiled[name]


def by_pixel(*, uint8: Any, uint16: Any) -> Callable[[Callable[..., None]], ByPixel]:
    """A kernel with a signature for either type of pixels."""
    return lambda function: ByPixel(function, {"uint8": uint8, "uint16": uint16})
