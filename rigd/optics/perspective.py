"""How the picture's size changes as a rail carries the lens toward the subject.

With D from the entrance pupil to the plane in focus, a plane that was in focus in the reference frame is D - s away after a move of s toward it, and D / (D - s)
times as large. Between a frame and the one it is compared with only their distance counts. A telecentric lens has no D: nothing changes.
"""

from __future__ import annotations

import math

from rigd.optics.scale import OpticsError, positive


def scale_after(move_um: float, pupil_to_focus_um: float) -> float:
    """Size of a plane that was in focus, after a move toward it (positive) or away, over its size before.

    Raises `OpticsError` for a move that reaches the plane itself.
    """
    positive(pupil_to_focus_um=pupil_to_focus_um)
    if move_um >= pupil_to_focus_um:
        raise OpticsError(
            f"a move of {move_um:g} um passes through the subject, {pupil_to_focus_um:g} um from the entrance pupil"
        )
    return pupil_to_focus_um / (pupil_to_focus_um - move_um)


def edge_shift_px(width_px: int, move_um: float, pupil_to_focus_um: float) -> float:
    """How far the picture moves at its left and right edge: (W / 2) (scale - 1), about (W / 2) s / D."""
    return width_px / 2 * abs(scale_after(move_um, pupil_to_focus_um) - 1)


def refocused_scale(reference_magnification: float, magnification: float) -> float:
    """Size change of a lens that is refocused as a whole (unit focus): (1 + m_ref) / (1 + m)."""
    positive(reference_magnification=reference_magnification, magnification=magnification)
    return (1 + reference_magnification) / (1 + magnification)


def pupil_distance_um(scale_per_um: float) -> float:
    """D from a measured change of size: 1 / s is linear in the position, with the slope 1 / D. Raises `OpticsError` when nothing changes."""
    if not math.isfinite(scale_per_um) or scale_per_um == 0:
        raise OpticsError("the size does not change with the position: the lens is telecentric")
    return 1 / abs(scale_per_um)
