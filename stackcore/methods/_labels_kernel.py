"""The compiled part of `stackcore.methods.labels`: what a frame gives to the picture and to the gradients along seams.

Where all labels around a pixel are the same, its gradients are those of the picture. Only of the others, the seam pixels, gradients
are kept, one after the other in the order of the rows; `starts` says where those of a row begin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from stackcore._jit import F32, I16, I64, U8, U16, array, kernel, row_function

NONE = np.int16(-32768)
"""In place of the first channel of a gradient that no frame has given yet."""


@row_function
def _has(labels: U16, cell: int, y: int, x: int, height: int, width: int, label: Any) -> bool:  # noqa: PLR0917
    """Whether the pixel or one of its four neighbours has the label."""
    if labels[y // cell, x // cell] == label:
        return True
    if x > 0 and labels[y // cell, (x - 1) // cell] == label:
        return True
    if x < width - 1 and labels[y // cell, (x + 1) // cell] == label:
        return True
    if y > 0 and labels[(y - 1) // cell, x // cell] == label:
        return True
    return bool(y < height - 1 and labels[(y + 1) // cell, x // cell] == label)


@row_function
def _alone(labels: U16, cell: int, y: int, x: int, height: int, width: int) -> bool:  # noqa: PLR0917
    """Whether all labels that the gradients of the pixel could be taken from are its own."""
    label = labels[y // cell, x // cell]
    for row in range(max(0, y - 1) // cell, min(height - 1, y + 2) // cell + 1):
        for column in range(max(0, x - 1) // cell, min(width - 1, x + 2) // cell + 1):
            if labels[row, column] != label:
                return False
    return True


@kernel(array(types.uint16, 2), types.int64, array(types.uint8, 2), array(types.int64, 1))
def mark_seams(labels: U16, cell: int, seams: U8, counts: I64) -> None:
    """Find the seam pixels.

    Args:
        labels: (h, w) of cells.
        cell: side of a cell, px.
        seams: (H, W), written: 1 at seam pixels, else 0.
        counts: (H,), written: how many there are in each row.
    """
    height, width = seams.shape
    for y in range(height):
        count = 0
        for x in range(width):
            seam = not _alone(labels, cell, y, x, height, width)
            seams[y, x] = np.uint8(seam)
            count += int(seam)
        counts[y] = count


@row_function
def _size(gradient: I16) -> np.int32:
    total = np.int32(0)
    for c in range(gradient.size):
        total += np.int32(abs(np.int32(gradient[c])))
    return total


@row_function
def _offer(here: F32, there: F32, scale: Any, bonus: Any, kept: I16, kept_bonus: Any) -> bool:  # noqa: PLR0917
    """Keep the gradient if it, and its bonus, is larger than the one so far and its; whether it was kept."""
    total = np.int32(0)
    for c in range(kept.size):
        total += np.int32(abs(np.int32(round(np.float32(there[c] - here[c]) * scale))))
    if kept[0] != NONE and total + bonus <= _size(kept) + kept_bonus:
        return False
    for c in range(kept.size):
        kept[c] = np.int16(round(np.float32(there[c] - here[c]) * scale))
    return True


@kernel(
    array(types.float32, 3),
    array(types.uint8, 2),
    types.int64,
    types.int64,
    types.uint16,
    array(types.uint16, 2),
    types.int64,
    types.float32,
    types.int32,
    array(types.uint8, 2),
    array(types.int64, 1),
    array(types.float32, 3),
    array(types.int16, 3),
)
def collect_rows(  # noqa: PLR0917
    values: F32,
    shows: U8,
    first: int,
    end: int,
    label: Any,
    labels: U16,
    cell: int,
    scale: Any,
    margin: Any,
    seams: U8,
    starts: I64,
    picked: F32,
    gradients: I16,
) -> None:
    """Take the pixels that have a frame's label, and its gradients at seam pixels near them where they are the largest so far.

    A gradient belongs to a frame when either of its two pixels has the frame's label. Frames whose label only a neighbour of the
    two has are tried too, but theirs must be larger by the margin.

    Args:
        values: (rows, W, channels), of rows `first` to `end` and of one more if there is one.
        shows: (rows, W), 1 where the frame shows the pixel.
        first: row.
        end: row.
        label: of the frame.
        labels: (h, w) of cells.
        cell: side of a cell, px.
        scale: of gradients, so that they fit.
        margin: in units of the scaled gradient, summed over channels.
        seams: (H, W), 1 at seam pixels; 2 and 4 are added where the gradient across, or down, is of a frame that it belongs to.
        starts: (H,), place in `gradients` of the first seam pixel of each row.
        picked: (end - first, W, channels), written where the label is this frame's.
        gradients: (n, 2, channels), across and down; of `NONE` where there is none yet.
    """
    height, width = seams.shape
    for y in range(first, end):
        row = y - first
        place = starts[y]
        for x in range(width):
            own = labels[y // cell, x // cell] == label
            if own:
                for c in range(values.shape[2]):
                    picked[row, x, c] = values[row, x, c]
            if seams[y, x] == 0:
                continue
            kept = gradients[place]
            place += 1
            near = own or _has(labels, cell, y, x, height, width, label)
            for axis in range(2):
                yy, xx = y + axis, x + 1 - axis
                if yy >= height or xx >= width:
                    continue
                mine = own or labels[yy // cell, xx // cell] == label
                if not (mine or near or _has(labels, cell, yy, xx, height, width, label)):
                    continue
                if not own and (shows[row, x] == 0 or shows[yy - first, xx] == 0):
                    continue
                bit = np.uint8(2 << axis)
                held = margin if seams[y, x] & bit else np.int32(0)
                bonus = margin if mine else np.int32(0)
                if _offer(values[row, x], values[yy - first, xx], scale, bonus, kept[axis], held):
                    seams[y, x] = np.uint8(seams[y, x] & ~bit) | (bit if mine else np.uint8(0))
