"""The textbook fusion in OpenCV's calls: of each coefficient of a Laplacian pyramid, the largest in size. `OUT ALIGN(0|1) FRAMES...`

What anybody would write in an afternoon, and the sanity row of the table: a figure of ours below it means something is broken.
Frames are aligned by ECC on a quarter of their size, an affine matrix from each to the first that starts from the one before.
"""

import sys

import cv2
import numpy as np

LEAST_PX = 16
SHRINK = 4


def laplacian_pyramid(picture: np.ndarray) -> list[np.ndarray]:
    levels, rest = [], picture
    while min(rest.shape[:2]) >= 2 * LEAST_PX:
        half = cv2.pyrDown(rest)
        levels.append(rest - cv2.pyrUp(half, dstsize=rest.shape[1::-1]))
        rest = half
    return [*levels, rest]


def small(picture: np.ndarray) -> np.ndarray:
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return cv2.resize(gray, None, fx=1 / SHRINK, fy=1 / SHRINK, interpolation=cv2.INTER_AREA)


def main() -> None:
    out, align, *paths = sys.argv[1:]
    fused: list[np.ndarray] = []
    base, matrix = None, np.eye(2, 3, dtype=np.float32)
    for path in paths:
        picture = cv2.imread(path)
        if align == "1":
            if base is None:
                base = small(picture)
            else:
                until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-5)
                _, matrix = cv2.findTransformECC(
                    base, small(picture), matrix, cv2.MOTION_AFFINE, until, None, 5
                )
            full = matrix * np.float32([[1, 1, SHRINK], [1, 1, SHRINK]])
            flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            size = picture.shape[1::-1]
            picture = cv2.warpAffine(picture, full, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
        levels = laplacian_pyramid(picture.astype(np.float32))
        if not fused:
            fused = levels
            continue
        for level, new in zip(fused[:-1], levels[:-1], strict=True):
            np.copyto(level, new, where=(np.abs(new).sum(axis=2) > np.abs(level).sum(axis=2))[..., None])
        fused[-1] += levels[-1]
    picture = fused[-1] / len(paths)
    for level in reversed(fused[:-1]):
        picture = cv2.pyrUp(picture, dstsize=level.shape[1::-1]) + level
    cv2.imwrite(out, np.clip(np.rint(picture), 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
