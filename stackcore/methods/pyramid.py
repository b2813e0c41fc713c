"""A Laplacian pyramid of all frames, made while they come by.

Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code" (IEEE Trans. Communications 31, 1983), and Burt and Kolczynski,
"Enhanced image capture through fusion" (ICCV 1993, section 3: salience from a window). Every coefficient is a mean over the frames,
weighted by its focus to the power of 16, so nearly a choice; but for four things:

- Focus is the energy of all channels: red detail on a green ground has no luma contrast.
- Half of it is the energy of the coefficient itself, half the mean over a window. The one alone picks noise, the other loses what is thin.
- It is relative to brightness: what a bright thing out of focus spreads over a dark one is contrast too, but not in focus.
- To every energy five times that of noise is added, so that frames of which none stands above noise are averaged; what noise is
  then left in the mean is taken off (coring). Noise is measured in every level, by brightness.

At the finest level a frame is looked at only where the next coarser one is sharper than in all frames before: elsewhere it could not win.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stackcore._pyramid_levels import BLOCK, TILE_ROWS, Level
from stackcore._pyramid_turn import Room, Turn
from stackcore.aligned import AlignedFrame, Pixels
from stackcore.methods import Fused, Setting
from stackcore.methods._rows import Bands, check, check_frame

Floats = npt.NDArray[np.float32]
MAX_LEVELS = 10


class Pyramid:
    """Fuses one stack by a Laplacian pyramid; see `stackcore.methods.Method`.

    State: 13 bytes a colour pixel, 8 a gray one, and 4 or 1.3 to work in.

    Attributes:
        passes: 1.
    """

    passes = 1
    first_look = None

    def __init__(self, setting: Setting, *, levels: int = 6, coring: float = 0.5) -> None:
        """Reserve the state and start the threads.

        Args:
            setting: of the stack.
            levels: of differences, 1..10; fewer where the frames are too small for so many.
            coring: how many times the energy of noise is taken off what was fused, 0..4; 0 leaves grain as it is.

        Raises:
            ValueError: when the setting or an option cannot be.
        """
        check(setting)
        if not 1 <= levels <= MAX_LEVELS:
            raise ValueError(f"a pyramid has 1 to {MAX_LEVELS} levels, not {levels}")
        if not 0 <= coring <= 4:
            raise ValueError(f"coring is 0 to 4, not {coring}")
        self._setting = setting
        self._coring = coring
        self._full_scale = int(np.iinfo(np.dtype(setting.dtype)).max)
        self._room = Room.made(setting, levels)
        self._last: int | None = None
        self._frames = 0
        self._bands = Bands(setting.threads)
        self._wanted: npt.NDArray[np.bool_] | None = None

    def want_only(self, places: npt.NDArray[np.bool_]) -> None:
        """Leave detail out where nobody will look; before the first frame. `places` is (H, W)."""
        rows, columns = (np.arange(0, n, BLOCK) for n in places.shape)
        self._wanted = np.logical_or.reduceat(np.logical_or.reduceat(places, rows, axis=0), columns, axis=1)

    def add(self, frame: AlignedFrame, pass_number: int = 0) -> None:  # noqa: ARG002
        """Take the next frame.

        Raises:
            ValueError: when it is of another kind than the setting says, or out of order; nothing is changed.
        """
        check_frame(self._setting, frame)
        if self._last is not None and frame.index <= self._last:
            raise ValueError(f"frame {frame.index} comes after frame {self._last}")
        Turn(self._room, frame, self._frames, self._bands, self._wanted).take()
        self._last = frame.index
        self._frames += 1

    def preview(self) -> Pixels | None:
        """The picture so far; None before the first frame."""
        return self._collapsed() if self._frames else None

    def finish(self) -> Fused:
        """The picture; a pyramid knows no depth.

        Raises:
            ValueError: when there was no frame.
        """
        if not self._frames:
            raise ValueError("no frame has been fused")
        return Fused(self._collapsed(), None)

    def close(self) -> None:
        """End the threads; safe to call again."""
        self._bands.close()

    def _collapsed(self) -> Pixels:
        # A stack of one is that frame, grain and all.
        strength = self._coring if self._frames > 1 else 0.0
        room = self._room
        np.divide(room.base, room.base_weight, out=room.planes[-1])
        for number in range(len(room.levels) - 1, 0, -1):
            self._collapse(room.levels[number], room.planes[number], room.planes[number - 1], strength)
        setting = self._setting
        finest = room.levels[0]
        picture: Pixels = np.empty((setting.height, setting.width, setting.channels), np.dtype(setting.dtype))

        def write(first: int, end: int) -> None:
            for tile in finest.tiles(first, end):
                values = finest.collapse(room.planes[0], tile, strength)
                np.clip(np.rint(values, out=values), 0, self._full_scale, out=values)
                picture[first:end, tile[2] : tile[3]] = values.transpose(1, 2, 0)

        self._bands.run(finest.height, write, TILE_ROWS)
        return picture if setting.channels == 3 else picture[..., 0]

    def _collapse(self, level: Level, coarser: Floats, out: Floats, strength: float) -> None:
        def collapse(first: int, end: int) -> None:
            for tile in level.tiles(first, end):
                out[:, first:end, tile[2] : tile[3]] = level.collapse(coarser, tile, strength)

        self._bands.run(level.height, collapse, TILE_ROWS)
