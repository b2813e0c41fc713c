"""Files to pixels: every format there and back against the array it was made of; damage and odd kinds are told."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from stackcore.files import FrameError, StackError, decode_frame, read_frame
from stackcore.imageio import encode_jpeg
from tests.unit._camera_files import dng, exif, jpeg, picture

KINDS = [(gray, bits) for gray in (False, True) for bits in (8, 16)]


def png(pixels: np.ndarray) -> bytes:
    """By OpenCV, another hand than the reader's chunk walk."""
    return cv2.imencode(".png", pixels if pixels.ndim == 2 else pixels[..., ::-1])[1].tobytes()


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **{"photometric": "minisblack" if pixels.ndim == 2 else "rgb", **options})
    return file.getvalue()


@pytest.mark.parametrize(("gray", "bits"), KINDS)
def test_png_comes_as_it_is(gray: bool, bits: int) -> None:
    pixels = picture(gray=gray, bits=bits)
    frame = decode_frame(png(pixels), "f.png", index=7)
    np.testing.assert_array_equal(frame.pixels, pixels)
    assert frame.pixels.dtype == pixels.dtype
    assert (frame.index, frame.name, frame.notes) == (7, "f.png", ())


@pytest.mark.parametrize(("gray", "bits"), KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"tile": (16, 32)},
        {"tile": (16, 16), "compression": "zlib"},
        {"rowsperstrip": 5},
        {"byteorder": ">"},
        {"bigtiff": True},
    ],
    ids=str,
)
def test_tiff_comes_as_it_is(gray: bool, bits: int, options: dict[str, object]) -> None:
    pixels = picture(gray=gray, bits=bits)
    frame = decode_frame(tiff(pixels, **options), "f.tif")
    np.testing.assert_array_equal(frame.pixels, pixels)
    assert frame.pixels.dtype == pixels.dtype
    assert frame.pixels.dtype.isnative
    assert frame.notes == ()


@pytest.mark.parametrize("bits", [8, 16])
def test_planes_of_a_tiff_are_put_together(bits: int) -> None:
    pixels = picture(bits=bits)
    data = tiff(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)), planarconfig="separate")
    np.testing.assert_array_equal(decode_frame(data, "f.tif").pixels, pixels)


@pytest.mark.parametrize(("gray", "bits"), KINDS)
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_lzw_as_other_programs_write_it(gray: bool, bits: int, orientation: int, tmp_path: Path) -> None:
    pixels = picture(gray=gray, bits=bits)
    path = tmp_path / "f.tif"
    if gray or bits == 8:
        Image.fromarray(pixels).save(path, compression="tiff_lzw", tiffinfo={274: orientation})
    else:
        cv2.imwrite(str(path), pixels[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    np.testing.assert_array_equal(read_frame(path).pixels, pixels)


def test_white_is_zero_is_turned(tmp_path: Path) -> None:
    pixels = picture(gray=True)
    np.testing.assert_array_equal(
        decode_frame(tiff(pixels, photometric="miniswhite"), "f.tif").pixels, 255 - pixels
    )


@pytest.mark.parametrize("gray", [False, True])
def test_jpeg(gray: bool) -> None:
    pixels = picture(gray=gray)
    frame = decode_frame(encode_jpeg(pixels, quality=98), "f.jpg")
    assert frame.pixels.shape == pixels.shape
    assert np.abs(frame.pixels.astype(int) - pixels).mean() < 4
    if not gray:
        assert np.abs(frame.pixels.astype(int)[..., ::-1] - pixels).mean() > 20, "red is red"


def test_the_content_says_the_format_not_the_name() -> None:
    pixels = picture()
    np.testing.assert_array_equal(decode_frame(png(pixels), "f.jpg").pixels, pixels)


@pytest.mark.parametrize("gray", [False, True])
def test_transparency_is_dropped_and_told(gray: bool) -> None:
    pixels = picture(gray=gray)
    alpha = np.full(pixels.shape[:2], 100, np.uint8)
    both = np.dstack([pixels, alpha])
    file = io.BytesIO()
    Image.fromarray(both, "LA" if gray else "RGBA").save(file, "PNG") if False else Image.fromarray(
        both
    ).save(file, "PNG")
    written = tiff(
        both, photometric="minisblack" if gray else "rgb", extrasamples=["unassalpha"], planarconfig="contig"
    )
    for data, name in ((file.getvalue(), "f.png"), (written, "f.tif")):
        frame = decode_frame(data, name)
        np.testing.assert_array_equal(frame.pixels, pixels)
        assert len(frame.notes) == 1
        assert "transparency" in frame.notes[0]


def test_the_first_of_several_pages_is_taken_and_told() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for seed in range(3):
            writer.write(picture(seed=seed), photometric="rgb", metadata=None)
    frame = decode_frame(file.getvalue(), "f.tif")
    np.testing.assert_array_equal(frame.pixels, picture(seed=0))
    assert "3 pictures" in frame.notes[0]


def test_a_thumbnail_before_the_picture_is_passed_over() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(picture(16, 16), photometric="rgb", metadata=None, subfiletype=1)
        writer.write(picture(seed=5), photometric="rgb", metadata=None)
    frame = decode_frame(file.getvalue(), "f.tif")
    np.testing.assert_array_equal(frame.pixels, picture(seed=5))
    assert frame.notes == ()


def test_a_palette_in_a_png_is_expanded() -> None:
    indexed = Image.fromarray(picture()).quantize(16)
    file = io.BytesIO()
    indexed.save(file, "PNG")
    np.testing.assert_array_equal(
        decode_frame(file.getvalue(), "f.png").pixels, np.asarray(indexed.convert("RGB"))
    )


@pytest.mark.parametrize(
    ("pixels", "options", "says"),
    [
        (
            picture(gray=True),
            {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)},
            "palette",
        ),
        (picture(gray=True).astype(np.float32), {}, "32 bit floating point"),
        (picture(gray=True).astype(np.uint32), {}, "32 bit"),
        (np.dstack([picture(), picture(gray=True)]), {"photometric": "separated"}, "CMYK"),
    ],
)
def test_other_tiffs_are_refused_with_what_to_do(pixels: np.ndarray, options: dict, says: str) -> None:
    with pytest.raises(FrameError, match=rf"f\.tif: .*{says}.*(convert|export)"):
        decode_frame(tiff(pixels, **options), "f.tif")


def test_a_compression_that_is_not_known_is_named(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "f.tif", compression="jpeg")
    with pytest.raises(FrameError, match=r"f\.tif: compressed by JPEG; export"):
        read_frame(tmp_path / "f.tif")


FILES = {
    "f.jpg": encode_jpeg(picture(), quality=90),
    "f.png": png(picture()),
    "f.tif": tiff(picture(), rowsperstrip=4),
    "g.tif": tiff(picture(bits=16), compression="zlib", rowsperstrip=8),
}


@pytest.mark.parametrize("name", FILES)
def test_cut_short_anywhere_is_an_error_that_names_the_file(name: str) -> None:
    data = FILES[name]
    for length in range(0, len(data), max(1, len(data) // 60)):
        with pytest.raises(FrameError, match=rf"^{name.replace('.', '[.]')}: .*(copy|export|leave|convert)"):
            decode_frame(data[:length], name)


@pytest.mark.parametrize("name", ["f.png", "g.tif"])
def test_a_byte_turned_over_is_noticed_where_there_are_checksums(name: str) -> None:
    data = bytearray(FILES[name])
    at = data.index(b"IDAT") + 40 if name == "f.png" else len(data) // 2
    data[at] ^= 0x55
    with pytest.raises(FrameError, match="damaged"):
        decode_frame(bytes(data), name)


def test_what_is_no_picture() -> None:
    with pytest.raises(FrameError, match=r"notes\.jpg: not a picture"):
        decode_frame(b"just some text, quite long enough", "notes.jpg")
    with pytest.raises(FrameError, match=r"f\.jpg: an empty file"):
        decode_frame(b"", "f.jpg")


def test_a_file_that_is_not_there_and_one_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"gone\.jpg: there is no such file"):
        read_frame(tmp_path / "gone.jpg")
    with pytest.raises(StackError, match="a folder"):
        read_frame(tmp_path)


def test_pixels_are_not_turned_by_the_orientation() -> None:
    pixels = picture()
    for orientation in (1, 3, 6, 8):
        frame = decode_frame(jpeg(pixels, orientation=orientation), "f.jpg")
        assert frame.pixels.shape == pixels.shape
        assert np.abs(frame.pixels.astype(int) - pixels).mean() < 4
        assert frame.metadata.orientation == orientation


def test_time_of_exposure() -> None:
    frame = decode_frame(jpeg(picture(), taken="2026:11:21 18:03:11", subsecond="25"), "f.jpg")
    assert frame.metadata.taken_at == "2026-11-21T18:03:11.25"
    assert decode_frame(jpeg(picture(), exif=None), "f.jpg").metadata.taken_at is None
    broken = decode_frame(jpeg(picture(), exif=exif()[:100]), "f.jpg").metadata
    assert broken.taken_at is None
    assert broken.orientation == 1


# Camera RAW

LINEAR = np.zeros((64, 96, 3))
LINEAR[:, :32], LINEAR[:, 32:64], LINEAR[:, 64:] = (0.6, 0.2, 0.1), (0.1, 0.5, 0.2), (0.3, 0.3, 0.3)


def test_raw_comes_in_the_right_colours_with_the_curve_of_srgb() -> None:
    frame = decode_frame(dng(LINEAR), "f.dng")
    assert frame.pixels.dtype == np.uint16
    assert frame.pixels.shape == LINEAR.shape
    for column in (16, 48, 80):
        value = LINEAR[32, column]
        expected = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055) * 65535
        np.testing.assert_allclose(frame.pixels[32, column], expected, atol=200)


def test_raw_is_not_turned_and_keeps_its_orientation() -> None:
    frame = decode_frame(dng(LINEAR, orientation=6), "f.dng")
    assert frame.pixels.shape == LINEAR.shape
    assert frame.metadata.orientation == 6


def test_brightness_of_a_raw_does_not_depend_on_what_is_in_it() -> None:
    dark = LINEAR.copy()
    dark[:, 48:] *= 0.1
    whole, part = (decode_frame(dng(linear), "f.dng").pixels for linear in (LINEAR, dark))
    np.testing.assert_array_equal(whole[:, :40], part[:, :40])


def test_a_given_white_balance_is_used() -> None:
    gray = np.full((32, 32, 3), 0.3)
    own = decode_frame(dng(gray, as_shot_neutral=(0.9, 1.0, 0.9)), "f.dng").pixels[16, 16].astype(int)
    other = (
        decode_frame(dng(gray, as_shot_neutral=(0.9, 1.0, 0.9)), "f.dng", balance=(2.0, 1.0, 1.0, 1.0))
        .pixels[16, 16]
        .astype(int)
    )
    assert np.ptp(own) < 200, "gray with its own"
    assert other[0] > other[1] + 5000, "redder with a redder one"


@pytest.mark.parametrize("data", [dng(LINEAR)[:300], b"II*\0" + bytes(200), b"no raw at all"])
def test_a_broken_raw_says_so(data: bytes) -> None:
    with pytest.raises(FrameError, match=r"f\.nef: LibRaw .*DNG or TIFF"):
        decode_frame(data, "f.nef")
