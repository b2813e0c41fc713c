"""Bytes to pictures and back; damage is an error."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from stackcore.imageio import decode, decode_jpeg, encode_jpeg, write_float_tiff
from tests.unit._scenes import texture


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return texture(np.random.default_rng(0), 131, 203).astype(np.uint8)


@pytest.fixture(scope="module")
def jpeg(picture: np.ndarray) -> bytes:
    return encode_jpeg(picture, quality=95)


def test_jpeg_there_and_back(picture: np.ndarray, jpeg: bytes) -> None:
    back = decode_jpeg(jpeg)
    assert back.shape == picture.shape
    assert np.abs(back.astype(int) - picture).mean() < 3, "channels in their order, nearly the same values"
    np.testing.assert_array_equal(decode(jpeg, ".JPG"), back)


def test_gray_stays_gray(picture: np.ndarray) -> None:
    back = decode_jpeg(encode_jpeg(picture[..., 1], quality=95))
    assert back.shape == picture.shape[:2]
    assert np.abs(back.astype(int) - picture[..., 1]).mean() < 3


@pytest.mark.parametrize(("reduce", "shape"), [(2, (66, 102, 3)), (4, (33, 51, 3)), (8, (17, 26, 3))])
def test_reduced(picture: np.ndarray, jpeg: bytes, reduce: int, shape: tuple[int, ...]) -> None:
    small = decode_jpeg(jpeg, reduce=reduce)
    assert small.shape == shape
    rows, columns = (n // reduce for n in picture.shape[:2])
    blocks = (
        picture[: rows * reduce, : columns * reduce]
        .reshape(rows, reduce, columns, reduce, 3)
        .mean(axis=(1, 3))
    )
    assert np.abs(small[:rows, :columns] - blocks).mean() < 3


@pytest.mark.parametrize("reduce", [0, 3, 16])
def test_other_reductions_are_refused(jpeg: bytes, reduce: int) -> None:
    with pytest.raises(ValueError, match="reduced"):
        decode_jpeg(jpeg, reduce=reduce)


def test_a_jpeg_cut_anywhere_is_refused(jpeg: bytes) -> None:
    for length in range(0, len(jpeg), 101):
        with pytest.raises(ValueError):
            decode_jpeg(jpeg[:length])
    with pytest.raises(ValueError, match="cut short"):
        decode_jpeg(jpeg[:-2])


def test_a_cut_jpeg_that_was_given_an_end_again_is_refused(jpeg: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decode_jpeg(jpeg[: len(jpeg) // 2] + b"\xff\xd9")


def test_a_hole_in_a_jpeg_is_refused(jpeg: bytes) -> None:
    third = len(jpeg) // 3
    with pytest.raises(ValueError, match="damaged"):
        decode_jpeg(jpeg[:third] + bytes(2000) + jpeg[third + 2000 :])


def test_bytes_after_the_end_and_a_thumbnail_inside_are_fine(jpeg: bytes, picture: np.ndarray) -> None:
    thumbnail = encode_jpeg(picture[:40, :40], quality=50)
    header = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    with_thumbnail = jpeg[:2] + header + jpeg[2:] + b"maker's own bytes"
    np.testing.assert_array_equal(decode_jpeg(with_thumbnail), decode_jpeg(jpeg))
    with pytest.raises(ValueError, match="cut short"):
        decode_jpeg(with_thumbnail[: len(header) + 500])


def test_a_progressive_jpeg_is_whole(picture: np.ndarray) -> None:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode_jpeg(data).shape == picture.shape
    with pytest.raises(ValueError):
        decode_jpeg(data[: len(data) * 2 // 3])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("kind", ["rgb8", "rgb16", "gray8", "rgba8"])
def test_lossless_formats(picture: np.ndarray, suffix: str, kind: str) -> None:
    pixels = picture[..., 0] if kind == "gray8" else picture
    stored = pixels.astype(np.uint16) * 257 if kind == "rgb16" else pixels
    swapped = stored if stored.ndim == 2 else stored[..., ::-1]
    if kind == "rgba8":
        swapped = np.dstack([swapped, np.full(swapped.shape[:2], 9, np.uint8)])
    data = cv2.imencode(suffix, np.ascontiguousarray(swapped))[1].tobytes()
    back = decode(data, suffix)
    assert back.dtype == stored.dtype
    np.testing.assert_array_equal(back, stored)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_cut_lossless_file_is_refused(picture: np.ndarray, suffix: str) -> None:
    data = cv2.imencode(suffix, picture)[1].tobytes()
    for part in (0, 8, len(data) // 2, len(data) * 9 // 10):
        with pytest.raises(ValueError):
            decode(data[:part], suffix)


def test_an_unknown_format_is_refused(jpeg: bytes) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        decode(jpeg, ".cr3")


def test_only_8_bit_pictures_become_jpeg() -> None:
    with pytest.raises(ValueError):
        encode_jpeg(np.zeros((8, 8, 3), np.uint16))
    with pytest.raises(ValueError):
        encode_jpeg(np.zeros((8, 8, 4), np.uint8))


def test_a_depth_map_as_tiff(tmp_path: Path) -> None:
    heights = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)
    heights[2, 3] = np.nan
    write_float_tiff(tmp_path / "d.tif", heights, description="height in \u00b5m", um_per_px=2.5)
    with tifffile.TiffFile(tmp_path / "d.tif") as file:
        page = file.pages[0]
        np.testing.assert_array_equal(page.asarray(), heights)
        assert page.tags["ImageDescription"].value == "height in um"
        top, bottom = page.tags["XResolution"].value
        assert top / bottom == pytest.approx(4000)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "d.tif"), cv2.IMREAD_UNCHANGED), heights)
    stream = io.BytesIO()
    write_float_tiff(stream, heights, description="")
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(stream.getvalue())), heights)
