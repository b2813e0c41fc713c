"""EXIF and colour profile from a frame to every output, read back by another hand (Pillow, tifffile)."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from stackcore.files import Metadata, decode_frame, read_frame, software, write_picture
from stackcore.files import exif as blocks
from stackcore.files import jpeg as jpeg_segments
from tests.unit._camera_files import dng, exif, jpeg, picture, profile

OUTPUTS = [("o.jpg", 8), ("o.png", 8), ("o.tif", 8), ("o.png", 16), ("o.tif", 16), ("o.jpg", 16)]


@pytest.fixture
def metadata() -> Metadata:
    return decode_frame(jpeg(picture(), orientation=6), "f.jpg").metadata


def read_back(path: Path) -> tuple[dict, dict, dict, bytes | None]:
    """Main, EXIF and GPS entries and profile, as Pillow reads them."""
    if (
        path.suffix == ".tif"
    ):  # Pillow opens no 16-bit RGB, but reads the directories of any TIFF as an EXIF block
        found = Image.Exif()
        found.load(path.read_bytes())
        with tifffile.TiffFile(path) as file:
            icc = file.pages[0].iccprofile
    else:
        with Image.open(path) as image:
            found, icc = image.getexif(), image.info.get("icc_profile")
    return dict(found), dict(found.get_ifd(0x8769)), dict(found.get_ifd(0x8825)), icc


@pytest.mark.parametrize(("name", "bits"), OUTPUTS)
def test_kept_in_every_output(name: str, bits: int, metadata: Metadata, tmp_path: Path) -> None:
    write_picture(tmp_path / name, picture(bits=bits), metadata)
    main, inner, gps, icc = read_back(tmp_path / name)
    assert (main[271], main[272], main[315]) == ("Maker", "Model", "Somebody")
    assert main[274] == 6, "shown the same way as the frame"
    assert inner[36867] == "2026:11:21 18:03:11"
    assert float(inner[33434]) == pytest.approx(0.02)
    assert gps[1] == "N"
    assert icc == profile()


@pytest.mark.parametrize(("name", "bits"), OUTPUTS)
def test_what_no_longer_holds_is_gone(name: str, bits: int, metadata: Metadata, tmp_path: Path) -> None:
    write_picture(tmp_path / name, picture(bits=bits), metadata)
    main, inner, _, _ = read_back(tmp_path / name)
    assert not {37500, 40962, 40963} & inner.keys(), "maker notes, sizes"
    assert not {513, 514} & main.keys(), "thumbnail"
    assert main[305] == software()
    assert main[305].startswith("stackcore")


@pytest.mark.parametrize("name", ["o.jpg", "o.png", "o.tif"])
def test_a_frame_written_and_read_again_says_the_same(name: str, metadata: Metadata, tmp_path: Path) -> None:
    write_picture(tmp_path / name, picture(), metadata)
    again = read_frame(tmp_path / name).metadata
    assert (again.taken_at, again.orientation, again.icc) == (metadata.taken_at, 6, profile())


def test_pillow_itself_opens_an_8_bit_tiff(metadata: Metadata, tmp_path: Path) -> None:
    write_picture(tmp_path / "o.tif", picture(), metadata)
    with Image.open(tmp_path / "o.tif") as image:
        turned = np.rot90(
            picture(), -1
        )  # Pillow turns a TIFF by its orientation, here 6: a quarter to the right
        np.testing.assert_array_equal(np.asarray(image), turned)
        assert image.info["icc_profile"] == profile()
        assert image.getexif().get_ifd(0x8769)[36867] == "2026:11:21 18:03:11"


def test_without_metadata_there_is_only_the_maker(tmp_path: Path) -> None:
    for name in ("o.jpg", "o.png", "o.tif"):
        write_picture(tmp_path / name, picture())
        main, inner, gps, icc = read_back(tmp_path / name)
        assert (main[305], inner, gps, icc) == (software(), {}, {}, None)


def test_a_profile_for_another_kind_of_picture_is_dropped(metadata: Metadata, tmp_path: Path) -> None:
    for name in ("o.jpg", "o.png", "o.tif"):
        write_picture(tmp_path / name, picture(gray=True), metadata)
        assert read_back(tmp_path / name)[3] is None


def test_a_large_profile_goes_through_a_jpeg(tmp_path: Path) -> None:
    large = profile()[:128] + bytes(range(256)) * 800
    write_picture(tmp_path / "o.jpg", picture(), Metadata(None, large))
    assert read_back(tmp_path / "o.jpg")[3] == large
    assert read_frame(tmp_path / "o.jpg").metadata.icc == large


def test_exif_too_large_for_a_jpeg_loses_its_largest_value(tmp_path: Path) -> None:
    block = blocks.read(blocks.reader(exif()))
    assert block is not None
    block.exif[37510 - 1] = blocks.Tag(7, 70_000, bytes(70_000))
    large = Metadata(blocks.pack(block), None)
    write_picture(tmp_path / "o.jpg", picture(), large)
    _, inner, _, _ = read_back(tmp_path / "o.jpg")
    assert 37509 not in inner
    assert inner[36867] == "2026:11:21 18:03:11"
    write_picture(tmp_path / "o.tif", picture(), large)
    assert 37509 in read_back(tmp_path / "o.tif")[1], "a TIFF holds it"


def test_big_endian_blocks_are_turned_round(tmp_path: Path) -> None:
    ours = exif()
    swapped = Image.Exif()
    swapped.load(b"Exif\0\0" + ours)
    swapped.endian = ">"
    block = swapped.tobytes().removeprefix(b"Exif\0\0")
    assert block[:2] == b"MM"
    write_picture(tmp_path / "o.tif", picture(), Metadata(block, None))
    main, inner, _, _ = read_back(tmp_path / "o.tif")
    assert (main[271], main[274], float(inner[33434])) == ("Maker", 1, pytest.approx(0.02))


def test_a_damaged_block_never_stops_a_picture(metadata: Metadata, tmp_path: Path) -> None:
    whole = metadata.exif
    assert whole is not None
    rng = np.random.default_rng(3)
    for _ in range(300):
        damaged = bytearray(whole[: rng.integers(0, len(whole))])
        for at in rng.integers(0, max(1, len(damaged)), 4):
            if damaged:
                damaged[at] = rng.integers(256)
        block = blocks.read(blocks.reader(bytes(damaged)))
        if block is not None:
            again = blocks.read(blocks.reader(blocks.pack(blocks.clean(block))))
            assert again is not None
            assert blocks.clean(again) == blocks.clean(block)
        Metadata(bytes(damaged)).taken_at  # noqa: B018  (raises nothing)
    write_picture(tmp_path / "o.jpg", picture(), Metadata(whole[:40]))
    assert read_back(tmp_path / "o.jpg")[0][305] == software()


def test_layout_of_a_block() -> None:
    """Against the bytes written out by hand: TIFF 6.0, section 2."""
    block = blocks.Block({271: blocks.Tag.text("Maker"), 274: blocks.Tag.shorts(6)}, {}, {})
    by_hand = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 2)
    by_hand += struct.pack("<HHII", 271, 2, 6, 8 + 2 + 2 * 12 + 4) + struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    by_hand += struct.pack("<I", 0) + b"Maker\0"
    assert blocks.pack(block) == by_hand


def test_exif_of_a_raw(tmp_path: Path) -> None:
    frame = decode_frame(dng(np.full((32, 32, 3), 0.4), orientation=8), "f.dng")
    write_picture(tmp_path / "o.tif", frame.pixels, frame.metadata)
    main, _, _, _ = read_back(tmp_path / "o.tif")
    assert (main[271], main[272], main[274]) == ("Maker", "Model", 8)
    assert tifffile.imread(tmp_path / "o.tif").shape == frame.pixels.shape


def test_a_profile_in_pieces_of_which_one_is_missing_is_none() -> None:
    whole = jpeg(picture(), exif=None)
    at = whole.index(b"ICC_PROFILE\0")
    damaged = bytearray(whole)
    damaged[at + 12] = 2  # the first of one now calls itself the second
    assert decode_frame(whole, "f.jpg").metadata.icc == profile()
    assert jpeg_segments.metadata(bytes(damaged)).icc is None


def test_a_png_of_another_program_gives_its_exif_and_profile() -> None:
    file = io.BytesIO()
    Image.fromarray(picture()).save(
        file, "PNG", exif=b"Exif\0\0" + exif(orientation=3), icc_profile=profile()
    )
    found = decode_frame(file.getvalue(), "f.png").metadata
    assert (found.orientation, found.icc, found.taken_at) == (3, profile(), "2026-11-21T18:03:11.25")
