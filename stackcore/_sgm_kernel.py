"""The compiled part of `stackcore.refine.semi_global`: path costs along eight directions, two sweeps over the cells.

Each sweep goes along the rows once and follows four of the directions at a time, so that besides the sum only the path costs of
one row have to be kept. The row functions are short and free of branches, so that the compiler vectorises them over the depths.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from stackcore._jit import I16, U8, array, kernel, row_function

EDGE = np.int16(0x3FFF)
"""Stands beside the first and the last depth, where no path comes from; large, but a penalty more does not overflow."""


@row_function
def _extend(before: I16, least: np.int16, cost: U8, step: np.int16, jump: np.int16, now: I16) -> np.int16:  # noqa: PLR0917
    """Equation 13: cost of the cheapest path that ends at this cell, for every depth; gives the least of them.

    `before` and `now` have one more depth at each end, which holds `EDGE`.
    """
    depths = cost.size
    for k in range(depths):
        beside = min(before[k], before[k + 2])
        cheapest = min(before[k + 1], np.int16(beside + step), np.int16(least + jump))
        now[k + 1] = np.int16(np.int16(cost[k]) + np.int16(cheapest - least))
    lowest = EDGE
    for k in range(depths):
        lowest = min(lowest, now[k + 1])
    return lowest


@row_function
def _start(cost: U8, now: I16) -> np.int16:
    """A path that begins here has only this cell's cost."""
    lowest = EDGE
    for k in range(cost.size):
        now[k + 1] = np.int16(cost[k])
        lowest = min(lowest, now[k + 1])
    return lowest


@row_function
def _accumulate(first: I16, second: I16, third: I16, fourth: I16, total: I16) -> None:
    for k in range(total.size):
        total[k] = np.int16(total[k] + first[k + 1] + second[k + 1] + third[k + 1] + fourth[k + 1])


@kernel(
    array(types.uint8, 3),
    array(types.uint8, 2),
    array(types.int16, 1),
    types.int16,
    types.boolean,
    array(types.int16, 4),
    array(types.int16, 3),
    array(types.int16, 3),
)
def sweep(  # noqa: PLR0917
    cost: U8, guide: U8, jumps: I16, step: Any, backward: bool, paths: I16, least: I16, total: I16
) -> None:
    """Add the path costs of four directions to `total`: from the left and from the three cells above, or, `backward`, opposite.

    Args:
        cost: (h, w, n) of each depth at each cell, 0..255.
        guide: (h, w) brightness, 0..255: a jump in depth is cheaper where it jumps.
        jumps: (256,) cost of a jump in depth, by the difference in `guide`.
        step: cost of a step to the next depth.
        backward: from right to left and from below instead.
        paths: scratch (2, w, 4, n + 2), the path costs of two rows; the outer depths hold `EDGE`.
        least: scratch (2, w, 4), their least over the depths.
        total: (h, w, n), added to.
    """
    height, width = guide.shape
    for row in range(height):
        y = height - 1 - row if backward else row
        above = y + 1 if backward else y - 1
        fresh, old = row % 2, 1 - row % 2
        for column in range(width):
            x = width - 1 - column if backward else column
            side = x + 1 if backward else x - 1
            for direction in range(4):
                if direction == 0:
                    yy, xx, slot = y, side, fresh
                else:
                    yy, xx, slot = above, x + direction - 2, old
                if 0 <= yy < height and 0 <= xx < width:
                    jump = jumps[abs(np.int16(guide[y, x]) - np.int16(guide[yy, xx]))]
                    least[fresh, x, direction] = _extend(
                        paths[slot, xx, direction],
                        least[slot, xx, direction],
                        cost[y, x],
                        step,
                        jump,
                        paths[fresh, x, direction],
                    )
                else:
                    least[fresh, x, direction] = _start(cost[y, x], paths[fresh, x, direction])
            here = paths[fresh, x]
            _accumulate(here[0], here[1], here[2], here[3], total[y, x])
