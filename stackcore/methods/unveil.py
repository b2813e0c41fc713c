"""The default: depth first, then each pixel blended from the frames around its depth, then the veil of nearer things taken off.

The stack comes by twice. The first time only focus is looked at, in cells of 2 px and coarser (`_focus_levels`). Then the depth is known,
and with it which frames count where: the second time they are blended (`_blend`). What nearer things laid over farther ones at depth
edges is taken off last (`_veil`): picking, even with the true depth, or a pyramid cannot do that. Where the depth cannot be told although it
matters (`_doubt`), a pyramid takes the place of the blend.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels
from stackcore.depth import DepthMap, smooth_depth
from stackcore.memory import give_back
from stackcore.methods import Fused, Setting
from stackcore.methods._blend import MAX_FRAMES, Blend
from stackcore.methods._blur_rate import BlurRate
from stackcore.methods._copies import Copies
from stackcore.methods._doubt import doubt, enlarged_doubt, mix
from stackcore.methods._focus_levels import RADIUS, FocusLevels, cell_px
from stackcore.methods._near_side import NearSide
from stackcore.methods._rows import Bands, check, check_frame
from stackcore.methods._sharpest import Sharpest, eased, enlarged, sharpest
from stackcore.methods._veil import GAP, Surroundings, surroundings, unveil
from stackcore.methods._view import View

if TYPE_CHECKING:
    from stackcore.methods.pyramid import Pyramid

Floats = npt.NDArray[np.float32]

NEAR = ("auto", "first", "last")
"""Which end of the stack is nearer to the camera."""

EDGE = RADIUS + 1
"""Cells at the border of a frame whose focus window is not whole."""

USUAL_BLUR = 0.6
"""Cells for a frame, of stacks whose steps are about the depth of field."""

_WHOLLY = 255
"""Of doubt."""

CERTAIN = 0.6
"""Cells less clear than this are holes in the depth map: there the energy is below 7.5 times that of noise."""


class Unveil:
    """Fuses one stack by depth and takes occlusion into account; see `stackcore.methods.Method`."""

    passes = 2
    first_look = staticmethod(cell_px)

    def __init__(self, setting: Setting, *, unveil: bool = True, near: str = "auto") -> None:
        """Reserve the state: about 5 bytes a pixel for the first pass; the second takes some 15, and 17 more where a pyramid joins in.

        Args:
            setting: what it is made for.
            unveil: whether to take off what nearer things lay over farther ones.
            near: whether the first or the last frames focus nearer; `auto` finds out from the pictures.

        Raises:
            ValueError: when `setting` or `near` is impossible.
        """
        check(setting)
        if near not in NEAR:
            raise ValueError(f"near is one of {', '.join(NEAR)}, not {near!r}")
        self._setting = setting
        self._near = near
        self._bands = Bands(setting.threads)
        self._levels: FocusLevels | None = FocusLevels(setting, self._bands)
        self._unveil = unveil
        self._rate = BlurRate()
        self._copies = Copies()
        self._indices: list[int] = []
        self._second = 0
        self._plan: _Plan | None = None
        self._blur: float | None = None
        self._common: npt.NDArray[np.bool_] = np.ones((1, 1), np.bool_)
        self.near_first: bool | None = None
        """Whether the stack began at the near end, once it is known: at the second pass."""

    def add(self, frame: AlignedFrame, pass_number: int = 0) -> None:
        """Take the next frame of the first or the second pass.

        Raises:
            ValueError: when it does not fit the setting, comes out of order, or differs from the first pass.
        """
        check_frame(self._setting, frame, 1 if pass_number else cell_px(*frame.shape))
        if pass_number == 0:
            if self._levels is None or (self._indices and frame.index <= self._indices[-1]):
                raise ValueError(f"frame {frame.index} comes out of order")
            if len(self._indices) == MAX_FRAMES:
                raise ValueError(f"at most {MAX_FRAMES} frames can be fused at once; fuse them in slabs")
            self._indices.append(frame.index)
            pictures = self._levels.add(frame)
            self._rate.add(frame, pictures[0])
            self._copies.add(frame, pictures)
            return
        if self._second >= len(self._indices) or frame.index != self._indices[self._second]:
            raise ValueError(f"frame {frame.index} comes by for the second time in another order than before")
        if self._plan is None:
            self._plan = self._planned()
        self._plan.add(frame, self._second)
        self._second += 1

    def preview(self) -> Pixels | None:
        """None: before the end there is nothing to see."""
        return None

    def finish(self) -> Fused:
        """Picture and depth.

        Raises:
            ValueError: when the second pass is not complete.
        """
        if self._plan is None or self._second != len(self._indices):
            raise ValueError(
                f"{self._second} of {len(self._indices)} frames came by twice; the picture needs all of them"
            )
        found = self._plan.sharpest
        picture = self._plan.picture()
        self._plan.close()
        self._plan = None
        return Fused(picture, self._depth(found) if self._setting.depth else None)

    def close(self) -> None:
        """End the threads, free the state; safe to call again."""
        self._bands.close()
        self._levels = None
        if self._plan is not None:
            self._plan.close()
        self._plan = None

    def _planned(self) -> _Plan:
        assert self._levels is not None
        found = sharpest(self._levels, self._bands)
        self._common = _cells_within(self._levels.common, found.place.shape, self._levels.cell)
        self._levels = None
        self._blur = blur = self._rate.px_per_frame(found)
        if self._near != "auto":
            self.near_first = self._near == "first"
        elif blur is not None:
            self.near_first = NearSide(self._bands, self._copies).first_is_near(found, blur)
        doubtful = doubt(found, self._copies)
        self._rate, self._copies = BlurRate(), Copies()
        give_back()
        return _Plan(
            self._setting,
            self._bands,
            found,
            blur=blur,
            near_first=self.near_first if self._unveil else None,
            frames=len(self._indices),
            doubtful=doubtful,
        )

    def _depth(self, found: Sharpest) -> DepthMap:
        """At full size, in units of the frame index; jumps stay jumps, what is not clear is a hole."""
        size = (self._setting.width, self._setting.height)
        known = (found.clearness >= np.float32(CERTAIN)) & found.fine & ~self._beside_farther(found.place)
        known &= self._common  # elsewhere the frame in which a place is sharp may not show it
        # The finer the steps the more of them an error of depth is: then more is averaged.
        finer = float(np.clip(USUAL_BLUR / self._blur, 1, 3)) if self._blur is not None else 1.0
        places = smooth_depth(
            DepthMap(np.where(known, found.place, np.float32(np.nan)), found.clearness),
            radius_px=round(4 * finer),
            tolerance=0.25 * finer,
        ).frame_index
        place = np.where(known, places, found.place)
        place = np.interp(place, np.arange(len(self._indices)), self._indices).astype(np.float32)
        step = float(np.median(np.diff(self._indices))) if len(self._indices) > 1 else 1.0
        full = enlarged(place, size, step)
        full[cv2.resize((~known).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0] = np.nan
        confidence = cv2.resize(found.clearness, size, interpolation=cv2.INTER_LINEAR)
        return DepthMap(full, np.asarray(confidence, np.float32), found.width * step)

    def _beside_farther(self, place: Floats) -> npt.NDArray[np.bool_]:
        """Cells within a focus window of something farther: the window may have found that near thing, not the cell's own depth."""
        away = -place if self.near_first is False else place
        farthest = cv2.dilate(away, np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8))
        return np.asarray(farthest - away > np.float32(GAP), np.bool_)


def _cells_within(
    common: tuple[float, float, float, float], shape: tuple[int, ...], cell: int
) -> npt.NDArray[np.bool_]:
    left, top, right, bottom = (edge / cell for edge in common)
    y, x = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    return (x >= left + EDGE) & (x + 1 <= right - EDGE) & (y >= top + EDGE) & (y + 1 <= bottom - EDGE)


class _Plan:
    """What the second pass collects."""

    def __init__(
        self,
        setting: Setting,
        bands: Bands,
        sharpest: Sharpest,
        *,
        blur: float | None,
        near_first: bool | None,
        frames: int,
        doubtful: npt.NDArray[np.uint8] | None,
    ) -> None:
        """Look ahead.

        Args:
            setting: of the stack.
            bands: the threads.
            sharpest: depth.
            blur: radius of the blur disc in cells, for a distance of one frame; None where nothing shows it.
            near_first: whether the first frame is near; None where nothing tells. Without both nothing is unveiled.
            frames: of the stack.
            doubtful: where a pyramid is to take the place of the blend, see `stackcore.methods._doubt.doubt`; None where nowhere.
        """
        self.sharpest = sharpest
        self._doubtful = doubtful
        self._pyramid: Pyramid | None = None
        unknown = np.zeros(sharpest.place.shape[:2], np.uint8)
        if doubtful is not None:
            from stackcore.methods.pyramid import Pyramid  # noqa: PLC0415  (few stacks need its kernels)

            self._pyramid = Pyramid(setting)
            self._pyramid.want_only(enlarged_doubt(doubtful, (setting.height, setting.width)) > 0)
            unknown = enlarged_doubt(doubtful, sharpest.place.shape)
        self._bands = bands
        self._around: Surroundings | None = None
        self._blur = blur
        if blur is not None and near_first is not None:
            last = np.float32(frames - 1)
            away = _thinned(sharpest.place if near_first else last - sharpest.place)
            self._around = surroundings(away, blur, frames)
            self._around.view[unknown > 0] = -1
            view = self._around.view
            if not near_first:
                view = np.where(view >= 0, frames - 1 - view, -1).astype(np.int16)
            self._view = View(view, setting, bands)
            sharpest = replace(sharpest, place=away if near_first else last - away)
        gentle = eased(sharpest.place, sharpest.clearness)
        if self._around is not None:
            # What is to be unveiled is taken where it is sharp, and nowhere between.
            gentle = np.where(self._around.view >= 0, sharpest.place, gentle)
        self._blend = Blend(setting, bands, replace(sharpest, place=gentle), blur, unknown == _WHOLLY)

    def add(self, frame: AlignedFrame, place: int) -> None:
        self._blend.add(frame, place)
        if self._pyramid is not None:
            self._pyramid.add(frame)
        if self._around is not None:
            self._view.add(frame, place)

    def picture(self) -> Pixels:
        picture = self._blend.picture()
        if self._pyramid is not None and self._doubtful is not None:
            other = self._pyramid.finish().picture
            mix(picture, other, enlarged_doubt(self._doubtful, picture.shape[:2]), self._bands)
            del other
        if self._around is not None and self._blur is not None:
            unveil(picture, self._around, self._view.picture, self._blur, self._bands)
        return picture

    def close(self) -> None:
        """End the threads; safe to call again."""
        if self._pyramid is not None:
            self._pyramid.close()


def _thinned(place: Floats) -> Floats:
    """Near things a cell thinner where depth jumps: the focus window makes them as much too broad."""
    farthest = cv2.dilate(place, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    return np.asarray(np.where(farthest - place > np.float32(GAP), farthest, place), np.float32)
