"""GSTAT, DRV_STATUS and IOIN in words (datasheet, sections 5.1 and 5.5.3)."""

from __future__ import annotations

from drivers.base import MotorStatus
from drivers.tmc2209 import registers as r
from drivers.tmc2209.registers import Field

SHORTS: tuple[tuple[Field, str], ...] = (
    (r.S2GA, "coil A is shorted to ground"),
    (r.S2GB, "coil B is shorted to ground"),
    (r.S2VSA, "coil A is shorted (low side)"),
    (r.S2VSB, "coil B is shorted (low side)"),
)
OPEN: tuple[tuple[Field, str], ...] = ((r.OLA, "A"), (r.OLB, "B"))
TEMPERATURES: tuple[tuple[Field, int], ...] = ((r.T157, 157), (r.T150, 150), (r.T143, 143), (r.T120, 120))
LOOKS = 2
"""An open load counts when it was seen this often in a row: one is a fast motion now and then."""


class Watcher:
    """Makes words of the registers. Keeps count of what must be seen more than once."""

    def __init__(self) -> None:
        self._open = {field: 0 for field, _ in OPEN}

    def status(self, gstat: int, drv_status: int, ioin: int) -> MotorStatus:
        """What the three registers say together."""
        return MotorStatus(
            fault=fault(gstat, drv_status),
            enabled=not r.ENN.of(ioin),
            warnings=(*self._open_loads(drv_status), *_heat(drv_status)),
        )

    def _open_loads(self, drv_status: int) -> list[str]:
        moving = not r.STST.of(drv_status)
        found = []
        for field, coil in OPEN:
            # At rest the flag says nothing, in either direction.
            if moving:
                self._open[field] = self._open[field] + 1 if field.of(drv_status) else 0
            if self._open[field] >= LOOKS:
                found.append(f"coil {coil} of the motor seems to be open: look at its plug")
        return found


def fault(gstat: int, drv_status: int) -> str | None:
    """Why steps may be lost, or None."""
    found = [words for field, words in SHORTS if field.of(drv_status)]
    if r.OT.of(drv_status):
        found.append(f"too hot, over {_degrees(drv_status) or 143} °C: it has switched the motor off")
    if not found and r.DRV_ERR.of(gstat):
        found.append("it had switched the motor off, for heat or a short")
    if r.UV_CP.of(gstat):
        found.append("its supply is too low to drive the motor")
    if r.RESET.of(gstat):
        found.append("it lost its power or was reset, and its settings with it")
    return "the motor driver: " + "; ".join(found) if found else None


def _degrees(drv_status: int) -> int | None:
    return next((degrees for field, degrees in TEMPERATURES if field.of(drv_status)), None)


def _heat(drv_status: int) -> tuple[str, ...]:
    if not r.OTPW.of(drv_status) or r.OT.of(drv_status):
        return ()
    return (f"the motor driver is hot, over {_degrees(drv_status) or 120} °C: cool it, or lower run_ma",)
