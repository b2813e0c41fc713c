"""Every pixel from the frame in which it is sharpest: true to what the camera saw, with a seam wherever the frame changes.

Nayar and Nakagawa, "Shape from Focus" (IEEE PAMI 16, 1994), for the choice; the measures cite their own sources.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stackcore._focus_kernel import merge_band
from stackcore.aligned import AlignedFrame, Pixels
from stackcore.focus_measures import measure_named
from stackcore.methods import Fused, Setting
from stackcore.methods._record import FocusRecord
from stackcore.methods._rows import Bands, check, check_frame, plain
from stackcore.methods._take_kernel import take_rows

DEFAULT_RADIUS = 3


class Argmax:
    """Picks pixels while the stack goes by. State: 14 bytes a colour pixel of 8 bits.

    Attributes:
        passes: 1.
    """

    passes = 1
    first_look = None

    def __init__(self, setting: Setting, *, measure: str = "sml", radius: int = DEFAULT_RADIUS) -> None:
        """Reserve the state and start the threads.

        Args:
            setting: of the stack.
            measure: one of `stackcore.focus_measures.MEASURES`.
            radius: of the window that energies are pooled over, px, 1..5.

        Raises:
            ValueError: when the setting, the measure or the radius cannot be.
        """
        check(setting)
        self._setting = setting
        self._measure = measure
        self._radius = radius
        self._record = FocusRecord(setting, measure_named(measure), radius)
        self._picture = np.zeros((setting.height, setting.width * setting.channels), np.dtype(setting.dtype))
        self._unseen: npt.NDArray[np.bool_] | None = None
        self._bands = Bands(setting.threads)

    def add(self, frame: AlignedFrame, pass_number: int = 0) -> None:  # noqa: ARG002
        """Take the next frame.

        Raises:
            ValueError: when it is of another kind than the setting says, out of order, or one too many; nothing is changed.
        """
        check_frame(self._setting, frame)
        ordinal = self._record.begin(frame.index)
        if ordinal == 0 and frame.moved and not frame.inside.all():
            self._unseen = ~frame.inside
        if self._measure == "sml" and frame.pixels.dtype == np.uint8 and plain(frame):
            self._add_plain(frame, ordinal)
            self._record.end(frame.index, np.asarray(frame.pixels, np.uint8))
        else:
            self._bands.run(
                self._setting.height, lambda first, end: self._add_rows(frame, ordinal, first, end)
            )
            self._record.end(frame.index)

    def preview(self) -> Pixels | None:
        """The picture so far, a copy; None before the first frame."""
        return self._shaped().copy() if self._record.indices else None

    def finish(self) -> Fused:
        """The picture and its depth.

        Raises:
            ValueError: when there was no frame.
        """
        if not self._record.indices:
            raise ValueError("no frame has been fused")
        picture = self._shaped()
        return Fused(picture, self._record.depth(picture))

    def close(self) -> None:
        """End the threads; safe to call again."""
        self._bands.close()

    def _shaped(self) -> Pixels:
        height, width = self._setting.height, self._setting.width
        return self._picture if self._setting.channels == 1 else self._picture.reshape(height, width, 3)

    def _add_plain(self, frame: AlignedFrame, ordinal: int) -> None:
        """By the kernel of the live preview, which is quicker and, where frames are not resampled, the same."""
        values = np.ascontiguousarray(frame.pixels, np.uint8).reshape(self._picture.shape)
        if ordinal == 0:
            self._picture[:] = values
        self._bands.run(
            self._setting.height,
            lambda first, end: merge_band(
                values,
                self._setting.channels,
                first,
                end,
                np.uint16(ordinal),
                self._radius,
                self._picture,
                self._record.state,
                *_scratch(self._setting.width, self._radius),
            ),
            band_rows=4 * 96,
        )
        if self._unseen is not None:
            self._shaped()[self._unseen] = frame.pixels[self._unseen]
            self._unseen = None

    def _add_rows(self, frame: AlignedFrame, ordinal: int, first: int, end: int) -> None:
        values, energy, inside = self._record.look(frame, first, end)
        mask = self._record.add(energy, ordinal, first, end)
        if ordinal == 0:
            # Where no frame ever shows any energy, the first one stays.
            mask[:] = 1
        elif self._unseen is not None:
            new = self._unseen[first:end] & (True if inside is None else inside)
            mask[new] = 1
            self._unseen[first:end] &= ~new
        take_rows(
            mask,
            values.reshape(end - first, -1),
            self._setting.channels,
            np.float32(frame.full_scale),
            self._picture[first:end],
        )


def _scratch(width: int, radius: int) -> tuple[Any, ...]:
    return (
        np.empty((3, width + 2), np.int16),
        np.empty((2 * radius + 1, width), np.int16),
        np.empty(width + 2 * radius, np.int32),
        np.empty(width, np.int32),
        np.empty(width, np.uint16),
        np.empty(width, np.uint16),
    )
