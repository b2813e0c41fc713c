"""Account of one rig's swinging during a run: what each motion adds, what has died away, how long the next frame settles.

Also the model's conscience: frames that turned out to be shaken make every later settle longer, and when there are several, the
rig rings otherwise than is known of it, and that is said.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import dataclass, replace

from drivers.base import Shaping
from rigd.config.settle import Settle
from rigd.settling import Swing, Wait
from rigd.vibration.amplitude import TRAPEZOID
from rigd.vibration.model import Vibration, audited

log = logging.getLogger(__name__)

TOLD = 3.0
"""A frame that was shaken in truth makes the expected swing larger by this factor from then on,"""
TOLD_MUCH = 10.0
"""and by this one where much of its fine detail was lost."""
MUCH = 0.8
SUSPECTED = 10.0
"""The retake of a frame that looks shaken settles as if the swing were larger by this factor."""
LARGEST_SCALE = 1e9
AGAIN_AFTER = 8
"""Frames after which a longer settle is looked at once more."""
RECENT = 20
"""Frames over which shaken ones are counted."""
DRIFTED = 2
"""So many shaken ones among them, and the rig is not as it was measured."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a shaken frame taught."""

    frame: int
    scale: float
    """Of the expected swing, from now on."""
    drifted: bool
    """Whether this made it plain that the rig rings otherwise than is known."""
    text: str


class Stillness:
    """On the loop's thread.

    Args:
        vibration: of the rig.
        settle: the section of the config in force.
    """

    def __init__(self, vibration: Vibration, settle: Settle) -> None:
        self.vibration = vibration
        self.settle = settle
        self.shaping: Shaping = vibration.present or TRAPEZOID
        """How moves are shaped now."""
        self.scale = 1.0
        """Of the expected swing, learned from shaken frames."""
        self._swings: tuple[Swing, ...] = ()
        self._ended_s = -math.inf
        self._suspects: set[int] = set()
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._said = False
        self._exposed = 0
        self._audits: set[int] = set()

    # ------------------------------------------------------------------------------------------------------------ motion

    def moved(self, move_um: float, ended_s: float) -> None:
        """A move ended by itself."""
        self._add(self.vibration.swings(self.settle, self.shaping, move_um), ended_s)

    def jolted(self, ended_s: float) -> None:
        """A motion ended of which the end is not known well: a stop, a jog, homing."""
        self._add(self.vibration.jolt(self.settle), ended_s)

    def _add(self, new: tuple[Swing, ...], ended_s: float) -> None:
        left = self._left(ended_s)
        if len(left) == len(new):
            new = tuple(
                replace(
                    one,
                    amplitude_um=one.amplitude_um + old.amplitude_um,
                    error_um=one.error_um + old.error_um,
                )
                for one, old in zip(new, left, strict=True)
            )
        self._swings, self._ended_s = new, ended_s

    def _left(self, at_s: float) -> tuple[Swing, ...]:
        """What is left of the swing, with slow decay taken for granted."""
        since_s = max(0.0, at_s - self._ended_s)
        if not math.isfinite(since_s):
            return ()
        sigmas = self.vibration.sigmas(self.settle)
        fades = [math.exp(-one.ring.decay_per_s(sigmas) * since_s) for one in self._swings]
        return tuple(
            replace(one, amplitude_um=one.amplitude_um * fade, error_um=one.error_um * fade)
            for one, fade in zip(self._swings, fades, strict=True)
        )

    # ------------------------------------------------------------------------------------------------------------ settle

    def wait(self, move_um: float, frame: int) -> Wait:
        """The settle of a frame that the last motion led to, a move of this length."""
        suspected = frame in self._suspects
        wait = self._wait(self.scale * (SUSPECTED if suspected else 1.0), move_um)
        if suspected:
            if wait.code == "fixed":
                wait = replace(wait, settle_s=2.0 * wait.settle_s)
            return replace(wait, why=f"taken again for it looked shaken; {wait.why}")
        if self.scale > 1.0 and wait.code not in {"fixed", "fallback"}:
            return replace(
                wait, why=f"{wait.why}; swing taken {self.scale:g} times as large, as frames were shaken"
            )
        return wait

    def shot_s(self) -> float:
        """The settle of a picture outside of any stack, from when the rig stands still."""
        return self._wait(self.scale, 0.0).settle_s

    def _wait(self, scale: float, move_um: float) -> Wait:
        present = tuple(
            replace(one, amplitude_um=scale * one.amplitude_um, error_um=scale * one.error_um)
            for one in self._swings
        )
        return self.vibration.wait(self.settle, present, move_um)

    # ------------------------------------------------------------------------------------------------------------- audit

    @property
    def watched(self) -> bool:
        """Whether pictures are looked at for shake."""
        return self.settle.mode != "fixed" and self.settle.shake_check

    def begin(self) -> None:
        """A stack begins."""
        self._exposed = 0
        self._audits.clear()
        self._suspects.clear()
        self._recent.clear()
        self._said = False

    def audit_at_s(self, retry: int) -> float | None:
        """When the picture of this frame is surely still, if it is one that is taken twice; else None.

        By then the rig would be still even if its moves had no shape and swung farther than is known.
        """
        taken, self._exposed = self._exposed, self._exposed + 1
        due = audited(self.settle, taken) or (taken in self._audits and self.watched)
        present = self.vibration.surely(self.settle, self.scale)
        if retry or not due or not present:
            return None
        return self._ended_s + self.vibration.wait(self.settle, present, 0.0).settle_s

    # -------------------------------------------------------------------------------------------------------------- shake

    def suspected(self, frame: int) -> None:
        """A frame looks shaken: it is taken again after a longer settle."""
        self._suspects.add(frame)

    def still(self, frame: int) -> None:
        """A frame was accepted, and nothing speaks against it."""
        self._suspects.discard(frame)
        self._recent.append(False)

    def shaken(self, frame: int, kept: float) -> Told:
        """A frame was shaken in truth: the same picture, longer settled, is sharper.

        Args:
            frame: which.
            kept: share of the fine detail that the shaken one had, in the direction of the shake.
        """
        self._suspects.discard(frame)
        self._recent.append(True)
        # Whether that was enough shows in the next frame, and once more when what frames leave behind has added up.
        self._audits |= {self._exposed, self._exposed + AGAIN_AFTER}
        self.scale = min((TOLD_MUCH if kept < MUCH else TOLD) * self.scale, LARGEST_SCALE)
        text = (
            f"frame {frame + 1} was shaken: {kept:.0%} of the fine detail of the same picture after a longer settle; "
            f"the swing is taken {self.scale:g} times as large from now on"
        )
        drifted = not self._said and sum(self._recent) >= DRIFTED
        if drifted:
            self._said = True
            text += (
                "; the rig rings longer or farther than is known of it: look at clamp, camera and lens, then run "
                "`rigd calibrate settle`"
            )
        return Told(frame, self.scale, drifted, text)
