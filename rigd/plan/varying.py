"""Steps that grow on the way as the depth of field does."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from rigd.plan.model import PlanError, Zone

MOST = 20_000
"""Steps of one stack."""
EXACTLY_UM = 1e-6
"""So near to far is there."""


def following(near_um: float, far_um: float, longest_um: Callable[[float], float]) -> tuple[Zone, ...]:
    """From near to far in the fewest steps, each the same share, at most 1, of what is allowed where it begins.

    Args:
        near_um: reached exactly.
        far_um: reached exactly.
        longest_um: the longest step that may begin at a position. It does not shrink from near to far, so that what holds
            where a step begins holds where it ends.

    Returns:
        One zone for each step, the first at near.

    Raises:
        PlanError: far is not beyond near, or too many steps.
    """
    if far_um <= near_um:
        raise PlanError(f"far ({far_um:g} um) must be beyond near ({near_um:g} um): swap them?")

    def places(share: float, most: int) -> list[float]:
        found = [near_um]
        while found[-1] < far_um - EXACTLY_UM and len(found) <= most:
            found.append(found[-1] + share * longest_um(found[-1]))
        return found

    whole = places(1.0, MOST)
    steps = len(whole) - 1
    if whole[-1] < far_um - EXACTLY_UM:
        raise PlanError(
            f"more than {MOST} steps from near to far: the depth of field is too small for such a stack"
        )
    short, enough = 0.0, 1.0
    while enough - short > 1e-13:
        share = (short + enough) / 2
        end_um = places(share, steps)[-1]
        short, enough = (share, enough) if end_um < far_um - EXACTLY_UM else (short, share)
    found = [*places(enough, steps)[:steps], far_um]
    # A hair more than its length: rounding must not cut a step in two.
    return tuple(Zone(a, (b - a) * (1 + 1e-9)) for a, b in itertools.pairwise(found))
