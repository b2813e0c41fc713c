"""One rig's ringing put to use: the shape of its moves, the wait after each, and advice."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import replace

from drivers.base import CameraCapabilities, RailCapabilities, Shaping
from rigd.calibration.records import Calibration
from rigd.config.model import RigConfig
from rigd.config.settle import Settle
from rigd.settling import Allowed, Swing, Wait, settle_s, wait_after
from rigd.vibration import advice
from rigd.vibration.amplitude import TRAPEZOID, Drive, factor_of, swings
from rigd.vibration.choice import Chosen, choose
from rigd.vibration.known import Known, knowledge

ACCELERATION_STEPS = 4
"""A trapezoid changes its acceleration so often, and at worst every change adds its a/ω² to the ringing."""
SURELY = 3.0
"""A picture that others are held against is taken when even with so many times less damping the largest swing would have died away."""
AUDITED_EARLY = 2
"""The first frame of a run that is held against a second picture: after two plain steps, for what one leaves adds to the next."""


def audited(settle: Settle, taken: int) -> bool:
    """Whether a frame is held against a second picture, after so many frames of this run."""
    if settle.mode == "fixed" or not settle.shake_check or settle.audit_every == 0:
        return False
    return taken == AUDITED_EARLY or (taken > 0 and taken % settle.audit_every == 0)


class Vibration:
    """What follows from the ringing of a rig. Holds no state of a run.

    Args:
        config: the rig; of `settle` only what it says of the ringing, for modes can change while the rig is open.
        calibration: what was measured.
        rail, camera: the parts, open or as they declare themselves.
        present: how the rail shapes its moves now; None: it cannot be told.
    """

    def __init__(
        self,
        config: RigConfig,
        calibration: Calibration,
        rail: RailCapabilities,
        camera: CameraCapabilities,
        present: Shaping | None,
    ) -> None:
        found = knowledge(config, calibration, camera.width)
        self.known: Known | None = found.known
        self.notes = found.notes
        self.present = present
        self.drive = Drive(rail.max_speed_um_per_s, rail.acceleration_um_per_s2)
        self._config = config
        self._exposure_s = camera.exposure_s
        self._told = functools.lru_cache(maxsize=256)(self._wait_alone)

    # ------------------------------------------------------------------------------------------------------------ motion

    def motion(self, step_um: float) -> Chosen:
        """The shape of moves for a stack of such steps; where the rail cannot be told, why not."""
        if self.present is None:
            return Chosen(
                None, "this rail's controller times its steps itself, so that rigd cannot shape its moves"
            )
        return choose(
            self._config.motion, self.known, self.drive, step_um, functools.partial(self._settle_in, step_um)
        )

    def shaping(self, step_um: float) -> Shaping:
        """The shape that moves have in such a stack."""
        return self.motion(step_um).shaping or self.present or TRAPEZOID

    def advice(self, step_um: float) -> advice.Advice | None:
        """The acceleration that suits steps of this length, for a rail that cannot shape its moves."""
        if self.present is not None or self.known is None or step_um <= 0:
            return None
        return advice.advise(self.known.ring, self.drive, step_um)

    def _settle_in(self, step_um: float, shaping: Shaping) -> float | None:
        settle = self._config.settle
        guessed = self.known is not None and self.known.guessed
        if settle.mode == "fixed" or guessed:
            # The shape is chosen for the stillest rig whatever the wait is.
            settle = settle.model_copy(update={"mode": "model" if guessed else "measured"})
        known = self._usable(settle)
        if known is None:
            return None
        allowed = self._allowed(known, settle)
        return settle_s(swings(known, shaping, self.drive, step_um, allowed.sigmas), allowed)

    # ------------------------------------------------------------------------------------------------------------ settle

    def swings(self, settle: Settle, shaping: Shaping, move_um: float) -> tuple[Swing, ...]:
        """How the image swings after a move that began at rest; nothing where the settle is fixed or nothing is known."""
        known = self._usable(settle)
        if known is None or settle.mode == "fixed":
            return ()
        return swings(known, shaping, self.drive, move_um, self._allowed(known, settle).sigmas)

    def jolt(self, settle: Settle) -> tuple[Swing, ...]:
        """The largest swing that any motion of this rail can leave behind: after a stop, a jog, homing."""
        known = self._usable(settle)
        if known is None or settle.mode == "fixed":
            return ()
        omega = 2.0 * math.pi * known.ring.frequency_hz
        most_um = ACCELERATION_STEPS * self.drive.acceleration_um_per_s2 / omega**2
        factor = None if known.unshaped is None else factor_of(known.unshaped, self.drive)
        value = (known.coupling if factor is None else factor.value) * most_um
        seen = (entry.amplitude_um for entry in known.ring_down.amplitudes) if known.ring_down else ()
        first = Swing(known.ring, max(value, *seen, 0.0))
        if known.second is None:
            return (first,)
        ring, share = known.second
        return first, Swing(ring, share * first.amplitude_um)

    def surely(self, settle: Settle, scale: float) -> tuple[Swing, ...]:
        """The largest swing that any motion can leave, `scale` times that, and far less damped than is known."""
        return tuple(
            Swing(
                replace(one.ring, damping=one.ring.damping / SURELY),
                max(1.0, scale) * one.amplitude_um,
                one.error_um,
            )
            for one in self.jolt(settle)
        )

    def wait(self, settle: Settle, present: Sequence[Swing], move_um: float) -> Wait:
        """The settle of a frame whose image swings like this when the motion ends."""
        if settle.mode == "fixed":
            return Wait(settle.fixed_s, "fixed", f"settle.fixed_s is {settle.fixed_s:g} s", move_um)
        known = self._usable(settle)
        if known is None:
            why = "; ".join(map(str, self.notes)) or "how the rig rings is not known"
            return Wait(settle.fixed_s, "fallback", f"settle.fixed_s: {why}", move_um)
        assert known.px_um is not None
        return wait_after(
            present,
            self._allowed(known, settle),
            code=settle.mode,
            px_um=known.px_um,
            move_um=move_um,
            min_s=settle.min_s,
            max_s=settle.max_s,
        )

    def wait_alone(self, settle: Settle, shaping: Shaping, move_um: float) -> Wait:
        """The settle after a move that began at rest, for predictions."""
        return self._told(settle, shaping, abs(move_um))

    def _wait_alone(self, settle: Settle, shaping: Shaping, move_um: float) -> Wait:
        return self.wait(settle, self.swings(settle, shaping, move_um), move_um)

    def sigmas(self, settle: Settle) -> float:
        """The standard deviations that the confidence asked for means."""
        return Allowed(self._exposure_s, 1.0, settle.confidence).sigmas

    def _usable(self, settle: Settle) -> Known | None:
        """What the settle may be computed from: nothing unless the size of a pixel is known too."""
        known = self.known
        if known is None or known.px_um is None:
            return None
        if settle.mode == "model":
            return replace(known, unshaped=None, all_measured=(), second=None)
        return None if known.guessed and settle.mode == "measured" else known

    def _allowed(self, known: Known, settle: Settle) -> Allowed:
        assert known.px_um is not None
        return Allowed(self._exposure_s, settle.blur_px * known.px_um, settle.confidence)
