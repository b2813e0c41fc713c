"""Camera RAW and DNG through LibRaw: every frame of a stack developed alike.

Sixteen bits with the curve of sRGB, not linear: focus measures, thresholds and outputs here all take pixels as cameras' JPEGs have
them, noise is nearly even over such a scale, and the result is shown right by every viewer without a profile. For the same reason
nothing is adapted to the single frame: no automatic brightness, the white level of the camera's data sheet, and one white balance.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from stackcore.files import exif, jpeg, tiff
from stackcore.files.errors import FrameError
from stackcore.files.exif import Block, Tag
from stackcore.files.frame import Metadata, Pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES = frozenset(
    {
        *(
            ".3fr",
            ".arw",
            ".cr2",
            ".cr3",
            ".crw",
            ".dcr",
            ".dng",
            ".erf",
            ".fff",
            ".gpr",
            ".iiq",
            ".kdc",
            ".mef",
            ".mos",
            ".mrw",
        ),
        *(".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    }
)
"""Endings of names. The files are told by these: many have the structure of a TIFF, and a small picture in it."""

Balance = tuple[float, float, float, float]
"""Gains of red, green, blue and the second green."""

_SRGB_CURVE = (2.4, 12.92)
_ORIENTATION_OF_FLIP = {3: 3, 5: 8, 6: 6}


def camera_balance(data: bytes, name: str) -> Balance:
    """The white balance that the camera chose for this frame; that of daylight where it chose none.

    Raises:
        FrameError: LibRaw cannot open the file.
    """
    with _opened(data, name) as raw:
        return _balance(raw)


def decode(data: bytes, name: str, balance: Balance | None) -> tuple[Pixels, Metadata, tuple[str, ...]]:
    """Develop a frame at full size: (H, W, 3) RGB uint16 in sRGB, or (H, W) of a sensor without colours. Not rotated.

    Args:
        data: the whole file.
        name: for messages.
        balance: of the first frame of the stack; None takes this one's own.

    Raises:
        FrameError: LibRaw cannot open or unpack the file.
    """
    import rawpy  # noqa: PLC0415

    with _opened(data, name) as raw:
        flip = int(raw.sizes.flip)
        picture: Any = raw.postprocess(
            output_bps=16,
            output_color=rawpy.ColorSpace.sRGB,
            gamma=_SRGB_CURVE,
            half_size=False,
            user_flip=0,
            user_wb=list(balance or _balance(raw)),
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
        )
        exif_of_preview = None if data.startswith(tiff.MAGICS) else _exif_of_preview(raw)
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[..., 0]
    return np.ascontiguousarray(picture, np.uint16), _metadata(data, flip, exif_of_preview), ()


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Any]:
    import rawpy  # noqa: PLC0415  (40 ms that stacks of other files need not pay)

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            yield raw
    except rawpy.NotSupportedError as error:
        raise FrameError(name, f"LibRaw does not support it ({error}); convert it to DNG or TIFF") from error
    except rawpy.LibRawError as error:
        why = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise FrameError(
            name, f"LibRaw cannot read it ({why}); copy the file again, or convert it to DNG or TIFF"
        ) from error


def _balance(raw: Any) -> Balance:
    gains = [float(gain) for gain in raw.camera_whitebalance]
    if not (len(gains) == 4 and gains[0] > 0 and gains[1] > 0):
        gains = [float(gain) for gain in raw.daylight_whitebalance]
    red, green, blue, green2 = gains
    return red, green, blue, green2 or green


def _exif_of_preview(raw: Any) -> bytes | None:
    """Files with a structure of their own carry a JPEG that has the camera's EXIF."""
    import rawpy  # noqa: PLC0415

    try:
        preview = raw.extract_thumb()
    except rawpy.LibRawError:
        return None
    return jpeg.metadata(preview.data).exif if preview.format == rawpy.ThumbFormat.JPEG else None


def _metadata(data: bytes, flip: int, exif_of_preview: bytes | None) -> Metadata:
    """The camera's EXIF, the orientation as LibRaw understands it. No profile: the pixels are sRGB now."""
    found = exif_of_preview if exif_of_preview is not None else tiff.metadata(exif.reader(data)).exif
    block = exif.read(exif.reader(found)) if found is not None else None
    block = Block({}, {}, {}) if block is None else exif.clean(block)
    block.main[exif.ORIENTATION] = Tag.shorts(_ORIENTATION_OF_FLIP.get(flip, 1))
    return Metadata(exif.pack(block))
