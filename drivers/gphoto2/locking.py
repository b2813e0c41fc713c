"""Settings locked when a camera is opened, and read back with every picture."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from drivers.base import CameraSettings, DriverError
from drivers.clock import Interrupt
from drivers.gphoto2 import widgets as w
from drivers.gphoto2.messages import Widget
from drivers.gphoto2.options import ISO_OF_GAIN_1, Gphoto2Options

log = logging.getLogger(__name__)

TRIES = 10
TRY_S = 0.1
"""A setting may take a second to be what it was set to."""
SAME = 0.01
"""Relative difference of two values that are the same setting, written differently."""

Reader = Callable[[str], float | None]


class Hand(Protocol):
    """What sets and reads: a session."""

    port: str

    def read(self, names: tuple[str, ...]) -> dict[str, str]:
        """Settings as they are now."""

    def write(self, name: str, value: str) -> str | None:
        """Change a setting."""


@dataclass(frozen=True, slots=True)
class Locked:
    """A setting that has to stay as it is."""

    name: str
    value: str
    meaning: str
    """For people: `exposure time`."""
    read: Reader | None = None
    """How its words become a number; None: they are only compared."""

    def holds(self, value: str) -> bool:
        """Whether this is the value."""
        if value == self.value:
            return True
        got, wanted = (self.read(value), self.read(self.value)) if self.read else (None, None)
        return got is not None and wanted is not None and math.isclose(got, wanted, rel_tol=SAME)


class Lock:
    """The settings of one opened camera.

    Args:
        hand: sets and reads.
        options: what is wanted.
        described: what the camera has.
        interrupt: gives up waiting.
        again: the same camera in another process; what its owner has to see to was said before.
    """

    def __init__(
        self,
        hand: Hand,
        options: Gphoto2Options,
        described: tuple[Widget, ...],
        interrupt: Interrupt,
        *,
        again: bool = False,
    ) -> None:
        self._level = logging.DEBUG if again else logging.WARNING
        self._hand = hand
        self._options = options
        self._settings = w.Settings(described)
        self._interrupt = interrupt
        self._locked: list[Locked] = []
        self._shutter: Locked | None = None
        self._iso: Locked | None = None

    def apply(self) -> None:
        """Choose and set everything. Raises `DriverError` when the camera cannot be what the config says."""
        options = self._options
        self._locked = []
        if options.image_format is not None:
            self._worded(w.FORMAT, {options.image_format.lower()}, "image format", options.image_format)
        words = w.CARD if options.capture_target == "card" else w.MEMORY
        self._worded(w.TARGET, words, "capture target", options.capture_target, must=False)
        if options.focus == "manual":
            self._worded(w.AUTOFOCUS, w.OFF, "autofocus", "off", must=False)
            self._manual_focus()
        self._worded(w.AUTO_ISO, w.OFF, "automatic ISO", "off", must=False)
        if options.mirror_up_s > 0:
            self._mirror()
        self._shutter = self._number(w.SHUTTER, options.exposure_s, "exposure time", w.seconds)
        self._iso = self._number(w.ISO, options.iso, "ISO", w.iso)
        if options.aperture is not None:
            self._number(w.APERTURE, options.aperture, "aperture", w.f_number)
        else:
            self._held(w.APERTURE, "aperture", w.f_number)
        if options.white_balance is not None:
            self._worded(
                w.WHITE_BALANCE, {options.white_balance.lower()}, "white balance", options.white_balance
            )
        else:
            self._held(w.WHITE_BALANCE, "white balance")

    def settings(self) -> CameraSettings:
        """What every picture must show, in the camera's own values."""
        return self._shown({locked.name: locked.value for locked in self._locked})

    def look(self) -> tuple[CameraSettings, list[str]]:
        """Settings as the camera tells them now, and in words which of them have changed."""
        values = self._hand.read(tuple(locked.name for locked in self._locked))
        changed = [
            f"{locked.meaning} from {locked.value} to {values[locked.name]}"
            for locked in self._locked
            if locked.name in values and not locked.holds(values[locked.name])
        ]
        return self._shown(values), changed

    def restore(self) -> None:
        """Set again what has changed. Raises `DriverError`."""
        values = self._hand.read(tuple(locked.name for locked in self._locked))
        for locked in self._locked:
            if locked.name in values and not locked.holds(values[locked.name]):
                log.warning("%s: setting its %s back to %s", self._hand.port, locked.meaning, locked.value)
                self._set(locked)

    def battery(self) -> float | None:
        """Percent, where the camera tells."""
        return self._plain(w.BATTERY, w.percent)

    def shots_left(self) -> int | None:
        """Pictures for which the card has room, where the camera tells."""
        found = self._plain(w.SHOTS_LEFT, w.percent)
        return None if found is None else int(found)

    def word(self, names: tuple[str, ...]) -> str:
        """A setting as it was when the camera was opened, or nothing."""
        widget = self._settings.find(names)
        return "" if widget is None else widget.value

    # ----------------------------------------------------------------------------------------------------------- inside

    def _plain(self, names: tuple[str, ...], read: Reader) -> float | None:
        widget = self._settings.find(names)
        if widget is None:
            return None
        return read(self._hand.read((widget.name,)).get(widget.name, ""))

    def _shown(self, values: dict[str, str]) -> CameraSettings:
        def number(locked: Locked | None) -> float | None:
            return locked.read(values.get(locked.name, "")) if locked is not None and locked.read else None

        gain = number(self._iso)
        return CameraSettings(
            exposure_s=number(self._shutter), gain=None if gain is None else gain / ISO_OF_GAIN_1
        )

    def _number(self, names: tuple[str, ...], wanted: float, meaning: str, read: Reader) -> Locked | None:
        widget = self._there(names, meaning)
        if widget is None:
            return None
        current = read(widget.value)
        if widget.readonly or not widget.choices:
            if current is None or not math.isclose(current, wanted, rel_tol=math.expm1(w.NEAREST)):
                self._refuse(
                    f"its {meaning} is {widget.value}, and cannot be set to {wanted:g} by USB",
                    "set it on the camera",
                )
            return self._keep(Locked(widget.name, widget.value, meaning, read))
        choice = w.nearest(widget.choices, wanted, read)
        if choice is None:
            near = (
                ", ".join(w.around(widget.choices, wanted, read)) or f"{widget.value} only: is its dial at M?"
            )
            self._refuse(f"it has no {meaning} of {wanted:g}", f"it has {near}")
        return self._set(Locked(widget.name, str(choice), meaning, read))

    def _worded(
        self, names: tuple[str, ...], words: set[str], meaning: str, wanted: str, *, must: bool = True
    ) -> None:
        widget = self._there(names, meaning) if must else self._settings.find(names)
        if widget is None:
            return
        choice = w.named(widget.choices or (widget.value, *words), words)
        if widget.readonly:
            choice = w.named((widget.value,), words)
        if choice is not None:
            self._set(Locked(widget.name, choice, meaning))
        elif must:
            self._refuse(
                f"it has no {meaning} {wanted}", f"it has {', '.join(widget.choices) or widget.value}"
            )
        else:
            log.log(self._level, "%s: %s is %s, not %s", self._hand.port, meaning, widget.value, wanted)

    def _manual_focus(self) -> None:
        widget = self._settings.find(w.FOCUS_MODE)
        if widget is None or w.named((widget.value,), w.MANUAL):
            return
        if not widget.readonly and (choice := w.named(widget.choices, w.MANUAL)):
            self._set(Locked(widget.name, choice, "focus mode"))
        else:
            log.log(
                self._level, "%s focuses by itself (%s): switch the lens to MF", self._hand.port, widget.value
            )

    def _mirror(self) -> None:
        for name in w.MIRROR:
            widget = self._settings.find((name,))
            if widget is None or widget.readonly:
                continue
            words = w.ON if name.startswith("mirror") else w.MIRROR_UP
            if choice := w.named(widget.choices or ("1",), words):
                self._set(Locked(widget.name, choice, "mirror lock-up"))
                return
        log.log(self._level, "%s: mirror lock-up cannot be set by USB; set it on the camera", self._hand.port)

    def _held(self, names: tuple[str, ...], meaning: str, read: Reader | None = None) -> None:
        widget = self._settings.find(names)
        if widget is not None:
            self._keep(Locked(widget.name, widget.value, meaning, read))

    def _there(self, names: tuple[str, ...], meaning: str) -> Widget | None:
        widget = self._settings.find(names)
        if widget is None:
            log.log(self._level, "%s does not tell its %s; set it on the camera", self._hand.port, meaning)
        return widget

    def _keep(self, locked: Locked) -> Locked:
        self._locked.append(locked)
        return locked

    def _set(self, locked: Locked) -> Locked:
        """Set it where it is not so, and see that it is. The value kept is the camera's own spelling."""
        got = self._hand.read((locked.name,)).get(locked.name)
        if got != locked.value:
            got = self._hand.write(locked.name, locked.value)
        for _ in range(TRIES):
            if got is None or locked.holds(got):
                break
            self._interrupt.wait(TRY_S)
            got = self._hand.read((locked.name,)).get(locked.name)
        else:
            self._refuse(
                f"its {locked.meaning} stays {got}, and was set to {locked.value}", "is its dial at M?"
            )
        known = [each for each in self._locked if each.name != locked.name]
        kept = replace(locked, value=got or locked.value)
        self._locked = [*known, kept]
        return kept

    def _refuse(self, what: str, remedy: str) -> None:
        raise DriverError(self._hand.port, f"{what}: {remedy}")
