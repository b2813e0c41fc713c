"""How wide a lens really is at close range, and what that costs in light.

A lens with its pupils in the ratio P (exit over entrance) has N_eff = N (1 + m / P): the light loss and the exposure go with its square. A lens
whose P is not known is taken for symmetric, P = 1. Sources: Lefkowitz, "The Manual of Close-Up Photography" (1979), and every text on macro
optics since. On the subject's side NA = m / (2 N_eff), by the sine condition; that is what microscope objectives are engraved with.
"""

from __future__ import annotations

import math

from rigd.optics.scale import OpticsError, positive


def bellows_factor(magnification: float, pupil_ratio: float = 1.0) -> float:
    """Effective over marked f-number: 1 + m / P."""
    positive(magnification=magnification, pupil_ratio=pupil_ratio)
    return 1 + magnification / pupil_ratio


def effective_f_number(f_number: float, magnification: float, pupil_ratio: float = 1.0) -> float:
    """Of a lens whose f-number is marked for focus at infinity."""
    positive(f_number=f_number)
    return f_number * bellows_factor(magnification, pupil_ratio)


def marked_f_number(effective: float, magnification: float, pupil_ratio: float = 1.0) -> float:
    """What to set on the lens for this effective f-number."""
    positive(effective=effective)
    return effective / bellows_factor(magnification, pupil_ratio)


def light_loss_stops(magnification: float, pupil_ratio: float = 1.0) -> float:
    """Stops of light that close range costs: 2 log2(1 + m / P)."""
    return 2 * math.log2(bellows_factor(magnification, pupil_ratio))


def exposure_factor(magnification: float, pupil_ratio: float = 1.0) -> float:
    """Exposure that a hand-held meter gives, times this: (1 + m / P)^2. Metering through the lens has it in already."""
    return bellows_factor(magnification, pupil_ratio) ** 2


def numerical_aperture(effective: float, magnification: float) -> float:
    """On the subject's side: m / (2 N_eff)."""
    positive(effective=effective, magnification=magnification)
    return magnification / (2 * effective)


def effective_of_na(na: float, magnification: float) -> float:
    """The effective f-number of an objective: m / (2 NA)."""
    positive(na=na, magnification=magnification)
    return magnification / (2 * na)


def check_na(na: float, refractive_index: float) -> None:
    """Raise `OpticsError` for a numerical aperture that is wider than a half space in its medium."""
    if na >= refractive_index:
        raise OpticsError(
            f"na is {na:g}: below {refractive_index:g}, the refractive index between objective and subject, is all there can be"
        )
