"""Makes `docs/images/demo.jpg` from a session of `rigd demo`: `python -m tests.make_picture SESSION`.

One frame, the preview, and the depth map in colours, side by side.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import tifffile

TARGET = Path(__file__).parents[1] / "docs" / "images" / "demo.jpg"
WIDTH_PX = 620
GAP_PX = 6


def main(session: Path) -> None:
    frames = sorted((session / "frames").iterdir())
    frame = simplejpeg.decode_jpeg(frames[len(frames) // 4].read_bytes())
    preview = simplejpeg.decode_jpeg((session / "preview.jpg").read_bytes())
    panels = [
        _sized(picture) for picture in (frame, preview, _colours(tifffile.imread(session / "depth.tif")))
    ]
    gap = np.full((panels[0].shape[0], GAP_PX, 3), 255, np.uint8)
    poster = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(
        simplejpeg.encode_jpeg(np.ascontiguousarray(poster), quality=88, colorsubsampling="420")
    )


def _sized(picture):
    height = round(picture.shape[0] * WIDTH_PX / picture.shape[1])
    return cv2.resize(picture, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)


def _colours(depth_um):
    """Near is red, far is blue, holes are black."""
    near, far = np.nanpercentile(depth_um, [1, 99])
    level = np.clip(255 * (far - np.nan_to_num(depth_um, nan=far)) / (far - near), 0, 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    colours[~np.isfinite(depth_um)] = 0
    return colours


if __name__ == "__main__":
    main(Path(sys.argv[1]))
