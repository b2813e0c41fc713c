"""The compiled part of `stackcore.methods._record` and of the methods that stand on it: rows of energies against what is kept.

The planes of the state are those of the live preview's kernel, so that a stack may be fed by either.
"""

from __future__ import annotations

import numpy as np
from numba import types

from stackcore._jit import F32, U16, array, kernel, row_function

BEST, BEFORE, AFTER, PREVIOUS, FRAME = range(5)
"""As in `stackcore._focus_kernel`, held equal by a test: a compiled function must not depend on another file's."""

_ONE = 0x3F800000 >> 12
_UINT16_MAX = np.uint16(0xFFFF)


@row_function
def _encode(energy: F32, score: U16) -> None:
    """The upper bits of the float32, which order as the energies do; energies beyond 2^32 are as 2^32."""
    for x in range(score.size):
        bounded = min(max(energy[x], np.float32(0)), np.float32(4.29e9))
        code = np.int32((np.float32(bounded).view(np.int32) >> 12) - (_ONE - 1))
        score[x] = np.uint16(max(np.int32(0), code))


@row_function
def _mask_sharper(score: U16, best: U16, mask: U16) -> np.uint16:
    some = np.uint16(0)
    for x in range(score.size):
        sharper = _UINT16_MAX if score[x] > best[x] else np.uint16(0)
        mask[x] = sharper
        some |= sharper
    return some


@row_function
def _update_after(mask: U16, frame: U16, last: np.uint16, score: U16, after: U16) -> None:
    """0 where the frame is the sharpest (its follower is to come), the score where the frame before was."""
    for x in range(after.size):
        waits = _UINT16_MAX if frame[x] == last else np.uint16(0)
        after[x] = np.uint16(((score[x] & waits) | (after[x] & ~waits)) & ~mask[x])


@row_function
def _choose(mask: U16, new: U16, kept: U16) -> None:
    for x in range(kept.size):
        kept[x] = np.uint16((new[x] & mask[x]) | (kept[x] & ~mask[x]))


@row_function
def _choose_number(mask: U16, number: np.uint16, kept: U16) -> None:
    for x in range(kept.size):
        kept[x] = np.uint16((number & mask[x]) | (kept[x] & ~mask[x]))


@kernel(
    array(types.float32, 2),
    types.uint16,
    array(types.uint16, 3),
    array(types.uint16, 2),
    array(types.uint16, 1),
)
def record_rows(energy: F32, ordinal: np.uint16, state: U16, mask: U16, score: U16) -> None:
    """Take the energies of one frame into the state.

    Args:
        energy: (rows, W), 0 where the frame shows nothing; multiplied so that what counts lies within 1 .. 2^32.
        ordinal: how many frames came before this one.
        state: (rows, 5, W), the planes named above.
        mask: (rows, W), becomes 0xFFFF where the frame is sharper than all before and 0 elsewhere.
        score: scratch (W).
    """
    last = np.uint16(ordinal - np.uint16(1))
    for y in range(energy.shape[0]):
        _encode(energy[y], score)
        row = mask[y]
        some = _mask_sharper(score, state[y, BEST], row)
        _update_after(row, state[y, FRAME], last, score, state[y, AFTER])
        if some:
            _choose(row, state[y, PREVIOUS], state[y, BEFORE])
            _choose(row, score, state[y, BEST])
            _choose_number(row, ordinal, state[y, FRAME])
        previous = state[y, PREVIOUS]
        for x in range(score.size):
            previous[x] = score[x]
