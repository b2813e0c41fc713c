"""Files as cameras write them, made small."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms

from stackcore.imageio import encode_jpeg

XYZ_TO_LINEAR_SRGB = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)


def picture(
    height: int = 48, width: int = 64, *, seed: int = 0, gray: bool = False, bits: int = 8
) -> np.ndarray:
    """Smooth, and different for each seed."""
    rng = np.random.default_rng(seed)
    small = rng.random((height // 8 + 2, width // 8 + 2, 3))
    large = small.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    values = large[..., 1] if gray else large
    return (values * (255 if bits == 8 else 65535)).astype(np.uint8 if bits == 8 else np.uint16)


def exif(
    *, taken: str = "2026:11:21 18:03:11", subsecond: str = "25", orientation: int = 1, **more: Any
) -> bytes:
    """A block with what a camera writes, thumbnail-free, beginning with the byte order."""
    found = Image.Exif()
    found[271] = "Maker"
    found[272] = "Model"
    found[274] = orientation
    found[305] = "Firmware 1.0"
    found[315] = "Somebody"
    inner = found.get_ifd(0x8769)
    inner[33434] = 0.02
    inner[36867] = taken
    inner[37521] = subsecond
    inner[37500] = more.get("maker_note", b"maker notes with offsets inside")
    inner[40962] = 9999
    inner[40963] = 7777
    inner[37510] = b"ASCII\0\0\0a comment of the camera"
    found.get_ifd(0x8825)[1] = "N"
    return found.tobytes().removeprefix(b"Exif\0\0")


@cache
def profile() -> bytes:
    """A colour profile for RGB, always the same (it has the time in it at which it was made)."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def jpeg(pixels: np.ndarray, **options: Any) -> bytes:
    """With EXIF as `exif` makes it, or without when `exif=None`."""
    block = options.pop("exif") if "exif" in options else exif(**options)
    file = io.BytesIO()
    save: dict[str, Any] = {} if block is None else {"exif": b"Exif\0\0" + block}
    Image.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=0, icc_profile=profile(), **save)
    return file.getvalue()


def dng(
    linear: np.ndarray, *, as_shot_neutral: tuple[float, ...] = (0.5, 1.0, 0.7), orientation: int = 1
) -> bytes:
    """A DNG with an RGGB mosaic of linear sRGB (H, W, 3) in 0..1, seen by a camera whose sensor is sRGB times the neutral."""
    sensor = (linear * np.array(as_shot_neutral) * 65535).astype(np.uint16)
    mosaic = sensor[..., 1].copy()
    mosaic[0::2, 0::2] = sensor[0::2, 0::2, 0]
    mosaic[1::2, 1::2] = sensor[1::2, 1::2, 2]
    tags = [
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50707, "B", 4, (1, 1, 0, 0), True),
        (50708, "s", 0, "Test camera", True),
        (50721, "2i", 9, _rationals(XYZ_TO_LINEAR_SRGB), True),
        (50728, "2I", 3, _rationals(np.array(as_shot_neutral)), True),
        (50778, "H", 1, 21, True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50717, "H", 1, 65535, True),
        (271, "s", 0, "Maker", True),
        (272, "s", 0, "Model", True),
        (274, "H", 1, orientation, True),
    ]
    file = io.BytesIO()
    tifffile.imwrite(file, mosaic, photometric=32803, extratags=tags, metadata=None, software="camera")
    return file.getvalue()


def write_stack(folder: Path, names: list[str], **options: Any) -> list[Path]:
    """One JPEG for each name, each of another picture."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    for seed, path in enumerate(paths):
        path.write_bytes(encode_jpeg(picture(seed=seed, **options), quality=95))
    return paths


def _rationals(values: np.ndarray) -> list[int]:
    return [number for value in values.ravel() for number in (round(float(value) * 10000), 10000)]
