"""What a result is worth: held against the truth where there is one, else against the sharpest of the frames; and crops to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stackcore.aligned import AlignedFrame
from stackcore.alignment import Alignment
from stackcore.compare import CompareError, compare, sml_ratio
from tests.bench._cases import Case, read_rgb

CROP_PX = 320
LABEL_PX = 22
COLUMNS = 4


@dataclass(frozen=True)
class Verdict:
    """dB after a fit of gain and offset; depth in frames. None: cannot be known."""

    psnr_g: float | None = None
    ssim: float | None = None
    edge: float | None = None
    flat: float | None = None
    depth_median: float | None = None
    depth_rmse: float | None = None
    depth_known: float | None = None
    sml_ratio: float | None = None
    remark: str = ""


def read_result(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, 3) RGB, 8 or 16 bit, and where it shows anything, for a result with alpha."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns of tags that it does not know
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise FileNotFoundError(f"{path.name} is no picture that OpenCV reads")
    if image.dtype.kind == "f":  # 0..1
        image = np.rint(np.clip(image, 0, 1) * 65535).astype(np.uint16)
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    mask = None if image.shape[2] == 3 else image[..., 3] > 0
    return np.ascontiguousarray(image[..., 2::-1]), mask


def read_depth(path: Path) -> np.ndarray:
    import tifffile

    return tifffile.imread(path).astype(np.float32)


def judge_by_truth(
    case: Case, picture: np.ndarray, mask: np.ndarray | None, depth: np.ndarray | None
) -> Verdict:
    try:
        found = compare(case.truth, picture, reference_depth=case.depth, result_depth=depth, result_mask=mask)
    except CompareError as error:
        return Verdict(remark=str(error))
    depth_errors = found.depth
    return Verdict(
        psnr_g=found.psnr_fitted_db,
        ssim=found.ssim,
        edge=found.near_jumps_db,
        flat=found.elsewhere_db,
        depth_median=None if depth_errors is None else depth_errors.median,
        depth_rmse=None if depth_errors is None else depth_errors.rmse,
        depth_known=None if depth_errors is None else depth_errors.known_share,
    )


def judge_by_frames(case: Case, picture: np.ndarray, alignment: Alignment, anchor: np.ndarray) -> Verdict:
    """Detail against the most that any frame has. `anchor` is a result on the first frame's pixels, to find out how this one lies."""
    try:
        to_first = _placed_on(anchor, picture)
        ratio = sml_ratio(picture, _frames_on(case, alignment, to_first))
    except CompareError as error:
        return Verdict(remark=str(error))
    return Verdict(sml_ratio=ratio)


def _placed_on(anchor: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """3 x 3 from the picture's pixels to the anchor's."""
    if anchor is picture:
        return np.eye(3)
    found = compare(anchor, picture)
    turn = np.radians(found.rotation_deg)
    c, s = found.scale * np.cos(turn), found.scale * np.sin(turn)
    middle_a, middle_b = ((np.array(one.shape[1::-1]) - 1) / 2 for one in (anchor, picture))
    linear = np.array([[c, -s], [s, c]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = middle_a + np.array(found.shift_px) - linear @ middle_b
    return matrix


def _frames_on(case: Case, alignment: Alignment, to_first: np.ndarray) -> Iterator[AlignedFrame]:
    """The stack's frames as seen from a picture that lies so on the first frame."""
    paths = case.frames
    placed = alignment.for_stack([path.name for path in paths])
    for index, one in sorted(placed.items()):
        if one.found:
            yield AlignedFrame(index, read_rgb(paths[index]), one.matrix @ to_first, one.gain)


def crops_of(case: Case, pictures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For each place worth a look, one picture with that place in every result, named."""
    sheets = {}
    for number, (x, y) in enumerate(case.crops, start=1):
        tiles = [_tile(name, picture, x, y) for name, picture in pictures.items()]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
        rows = [np.hstack(tiles[first : first + COLUMNS]) for first in range(0, len(tiles), COLUMNS)]
        sheets[f"{case.name}-{number}"] = np.vstack(rows)
    return sheets


def _tile(name: str, picture: np.ndarray, x: float, y: float) -> np.ndarray:
    height, width = picture.shape[:2]
    left = min(max(0, round(x * width) - CROP_PX // 2), max(0, width - CROP_PX))
    top = min(max(0, round(y * height) - CROP_PX // 2), max(0, height - CROP_PX))
    crop = picture[top : top + CROP_PX, left : left + CROP_PX]
    if crop.dtype == np.uint16:
        crop = (crop >> 8).astype(np.uint8)
    tile = np.zeros((CROP_PX + LABEL_PX, CROP_PX + 2, 3), np.uint8)
    tile[LABEL_PX : LABEL_PX + crop.shape[0], : crop.shape[1]] = crop
    place, font = (4, LABEL_PX - 6), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(tile, name, place, font, 0.48, (255, 255, 255), 1, cv2.LINE_AA)
    return tile
