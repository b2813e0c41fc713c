"""How good a picture is: held against the truth, or against another result.

The reference is brought to the result by one similarity and is what is resampled (Lanczos): the result is judged as it is. PSNR is
given as is, and with a gain and an offset a channel fitted on pictures blurred so far that neither noise nor softness can bias them;
SSIM is that of Wang, Bovik, Sheikh and Simoncelli (IEEE TIP 13, 2004), with its window of 11 px and sigma 1.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np

from stackcore import _judge
from stackcore._judge import DepthErrors, Floats, Mask, PlaneJudge
from stackcore._similarity import corner_shift_px, correlation, overlap, reduced, register, warped_to
from stackcore.aligned import IDENTITY, AlignedFrame, Matrix, Pixels

BORDER_PX = 32

MIN_CORRELATION = 0.3
"""Of detail after registration; below it the two pictures do not show the same thing."""

MIN_OVERLAP = 0.2
"""Share of the result that the reference must cover."""

SAME_PX = 0.05
"""Pictures of one size that lie this close are compared as they are: resampling would cost more than it mends."""

_COARSER = 1.5
"""A reference this many times finer than the result is reduced by area first, lest it alias."""

SML_RADIUS_PX = 2


class CompareError(ValueError):
    """Two pictures that cannot be held against each other."""


@dataclass(frozen=True)
class Comparison:
    """A result, judged.

    Attributes:
        psnr_db: of all channels, as is; at most 120.
        psnr_fitted_db: after the fit of gain and offset.
        ssim: of luma, fitted.
        sharpness: standard deviation of the Laplacian of luma over that of the reference: below 1 soft, above 1 noisy or too sharp.
        gain: by channel, of the fit; the result times it,
        offset: plus this, 0..1, is as bright as the reference.
        scale: size of a result's pixel in pixels of the reference.
        rotation_deg: of the result on the reference, from x toward y.
        shift_px: (x, y) from the reference's middle to where the result's middle lies on it, px of the reference.
        covered_share: of the result, how much was judged: not the border, and not what the reference lacks.
        near_jumps_db: psnr_fitted_db within 24 px of depth jumps of more than 2; None without a depth or a jump.
        elsewhere_db: likewise, elsewhere.
        near_jumps_share: how much of what was judged is near jumps.
        depth: errors of the depth map, when both were given and any depth was found.
    """

    psnr_db: float
    psnr_fitted_db: float
    ssim: float
    sharpness: float
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    scale: float
    rotation_deg: float
    shift_px: tuple[float, float]
    covered_share: float
    near_jumps_db: float | None = None
    elsewhere_db: float | None = None
    near_jumps_share: float | None = None
    depth: DepthErrors | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; what is None is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class _View:
    """How the reference is seen from the result.

    Attributes:
        matrix: (2, 3), from pixels of the result to pixels of the reference.
        reference_shape: height and width, px.
        shape: of the result.
        same: whether the two lie on each other so well that nothing is resampled.
    """

    matrix: Matrix
    reference_shape: tuple[int, int]
    shape: tuple[int, int]
    same: bool

    def covered(self, border_px: int, mask: Mask | None) -> Mask:
        """(h, w): what both show, less a border."""
        if self.same:
            shown = np.ones(self.shape, np.bool_)
        else:
            shown = overlap(self.reference_shape, self.shape, self.matrix)
        shown = shown.copy() if mask is None else shown & mask
        shown[[0, -1]] = shown[:, [0, -1]] = False
        window = np.ones((2 * border_px + 1,) * 2, np.uint8)
        return np.asarray(
            cv2.erode(shown.astype(np.uint8), window, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        )

    def plane(self, plane: Floats) -> Floats:
        """A plane of the reference, (h, w)."""
        if self.same:
            return plane
        zoom = float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))
        if zoom < _COARSER:
            return warped_to(plane, self.matrix, self.shape, cv2.INTER_LANCZOS4)
        small, shrink = reduced(plane, zoom)
        matrix = np.asarray((shrink @ np.vstack([self.matrix, [0, 0, 1]]))[:2], np.float64)
        return warped_to(small, matrix, self.shape, cv2.INTER_LANCZOS4)

    def depth(self, depth: Floats) -> Floats:
        """Its depth map, (h, w), nearest pixel; NaN beyond it."""
        if self.same:
            return depth
        return warped_to(depth, self.matrix, self.shape, cv2.INTER_NEAREST, beyond=float("nan"))


def compare(
    reference: Pixels,
    result: Pixels,
    *,
    reference_depth: Floats | None = None,
    result_depth: Floats | None = None,
    result_mask: Mask | None = None,
    border_px: int = BORDER_PX,
    registered: bool = False,
) -> Comparison:
    """Judge a result.

    Args:
        reference: (H, W, 3) RGB or (H, W), 8 or 16 bit: the truth, or another result.
        result: (h, w, 3) or (h, w), of any size and depth. When one of them is gray, luma is compared.
        reference_depth: (H, W) float32, in frames, holes NaN: for PSNR near jumps, and as the truth for `result_depth`.
        result_depth: (h, w) float32, likewise.
        result_mask: (h, w), where the result shows anything; None: everywhere.
        border_px: left out all round what both show.
        registered: the pictures lie on each other as they are; they then have one size.

    Raises:
        CompareError: when a map does not fit its picture, the pictures cannot be registered, or nothing is left to judge.
    """
    _check_maps(reference, {"the depth of the reference": reference_depth}, "reference")
    _check_maps(result, {"the depth of the result": result_depth, "the mask": result_mask}, "result")
    luma_a, luma_b = _judge.luma(reference), _judge.luma(result)
    matrix = _match(luma_a, luma_b, result_mask, registered=registered)
    same = luma_a.shape == luma_b.shape and corner_shift_px(matrix, IDENTITY, luma_b.shape) < SAME_PX
    view = _View(matrix, _size(luma_a), _size(luma_b), same)
    judged = view.covered(border_px, result_mask)
    if not judged.any():
        raise CompareError(
            f"the pictures share nothing but a border of {border_px} px: there is nothing to compare"
        )
    depth = None if reference_depth is None else view.depth(reference_depth)
    comparison = _judged(reference, result, view, judged, depth)
    if depth is None or result_depth is None:
        return comparison
    return replace(comparison, depth=_judge.depth_errors(depth, result_depth, judged))


def _judged(reference: Pixels, result: Pixels, view: _View, judged: Mask, depth: Floats | None) -> Comparison:
    """The pictures alone."""
    judge = PlaneJudge(judged, None if depth is None else _judge.near_jumps(depth))
    if reference.ndim == result.ndim == 3:
        seen, fitted = np.zeros(view.shape, np.float32), np.zeros(view.shape, np.float32)
        for channel, weight in enumerate(_judge.LUMA):
            plane = view.plane(_judge.unit_plane(reference, channel))
            seen += np.float32(weight) * plane
            fitted += np.float32(weight) * judge.add(plane, _judge.unit_plane(result, channel))
    else:
        seen = view.plane(_judge.luma(reference))
        fitted = judge.add(seen, _judge.luma(result))
    matrix = view.matrix
    middle_a, middle_b = ((np.array(shape[::-1]) - 1) / 2 for shape in (view.reference_shape, view.shape))
    shift = matrix[:, :2] @ middle_b + matrix[:, 2] - middle_a
    return Comparison(
        psnr_db=judge.psnr_db,
        psnr_fitted_db=judge.fitted_db,
        ssim=_judge.mean_ssim(seen, fitted, judged),
        sharpness=_judge.detail_spread(fitted, judged) / max(_judge.detail_spread(seen, judged), 1e-9),
        gain=tuple(judge.gain),
        offset=tuple(judge.offset),
        scale=float(np.hypot(matrix[0, 0], matrix[1, 0])),
        rotation_deg=float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))),
        shift_px=(float(shift[0]), float(shift[1])),
        covered_share=float(judged.mean()),
        near_jumps_db=judge.near_jumps_db,
        elsewhere_db=judge.elsewhere_db,
        near_jumps_share=judge.near_share,
    )


def sml_ratio(
    result: Pixels,
    frames: Iterable[AlignedFrame | Pixels],
    *,
    radius_px: int = SML_RADIUS_PX,
    border_px: int = BORDER_PX,
) -> float:
    """Detail of a result against the most that a single frame has at each pixel: for stacks without a truth.

    The measure is the sum-modified-Laplacian (Nayar and Nakagawa, IEEE PAMI 16, 1994, section IV) of luma, a mean over a window of
    2 `radius_px` + 1 px. Its sum over the result is divided by the sum of the largest that any frame has there. Near 1 is right: below 0.9
    the result is soft, above 1.15 it has noise and seams that no frame has.

    Args:
        result: (H, W, 3) RGB or (H, W).
        frames: of the same stack on the result's pixels: not yet resampled, or resampled already. Held one at a time.
        radius_px: of the window.
        border_px: left out all round.

    Raises:
        CompareError: when a frame has another size than the result, there are no frames, or no frame has any detail.
    """
    height, width = result.shape[:2]
    inner = (slice(border_px, max(0, height - border_px)), slice(border_px, max(0, width - border_px)))
    best = np.zeros((height, width), np.float32)
    for number, frame in enumerate(frames):
        pixels = frame.pixels if isinstance(frame, AlignedFrame) else frame
        if pixels.shape[:2] != (height, width):
            given = f"{pixels.shape[1]} x {pixels.shape[0]} px"
            raise CompareError(f"frame {number} is {given}, but the result is {width} x {height} px")
        best = np.maximum(best, _detail_of(frame, radius_px))
    most = float(best[inner].sum(dtype=np.float64))
    if most == 0:
        raise CompareError("no frame shows any detail: there is nothing to hold the result against")
    own = _judge.sum_modified_laplacian(_judge.luma(result), radius_px)
    return float(own[inner].sum(dtype=np.float64)) / most


def _detail_of(frame: AlignedFrame | Pixels, radius_px: int) -> Floats:
    if not isinstance(frame, AlignedFrame):
        return _judge.sum_modified_laplacian(_judge.luma(frame), radius_px)
    plane = _judge.luma_of(frame.warped, frame.full_scale)
    reach = np.ones((2 * radius_px + 3,) * 2, np.uint8)
    # At the edge of what the frame shows, its repeated border looks like detail.
    whole = cv2.erode(frame.inside.astype(np.uint8), reach)
    return np.asarray(_judge.sum_modified_laplacian(plane, radius_px) * whole, np.float32)


def _check_maps(picture: Pixels, maps: dict[str, Any], name: str) -> None:
    height, width = picture.shape[:2]
    for what, array in maps.items():
        if array is not None and array.shape != (height, width):
            given = " x ".join(map(str, array.shape[::-1]))
            raise CompareError(f"{what} is {given} px, but the {name} is {width} x {height} px")


def _match(reference: Floats, result: Floats, mask: Mask | None, *, registered: bool) -> Matrix:
    """The map from pixels of the result to pixels of the reference."""
    if registered:
        if reference.shape != result.shape:
            raise CompareError(
                f"pictures of {_px(reference)} and {_px(result)} cannot lie on each other as they are"
            )
        return IDENTITY
    if min(reference.shape + result.shape) < 2 * BORDER_PX:
        raise CompareError(f"pictures of {_px(reference)} and {_px(result)} are too small to be registered")
    matrix = register(reference, result, mask)
    alike = 0.0 if matrix is None else correlation(reference, result, matrix, mask)
    if matrix is None or alike < MIN_CORRELATION:
        raise CompareError(
            f"the pictures cannot be registered: their details correlate {alike:.2f}, at least {MIN_CORRELATION} is "
            "needed. Do they show the same scene, and is either of them in focus?"
        )
    shared = float(overlap(reference.shape, result.shape, matrix).mean())
    if shared < MIN_OVERLAP:
        raise CompareError(
            f"the pictures share only {100 * shared:.0f} % of the result, {100 * MIN_OVERLAP:.0f} % is needed"
        )
    return matrix


def _size(plane: Floats) -> tuple[int, int]:
    return plane.shape[0], plane.shape[1]


def _px(plane: Floats) -> str:
    return f"{plane.shape[1]} x {plane.shape[0]} px"
