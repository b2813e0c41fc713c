"""Pictures written: there and back for every format, whole or not there, and said when it cannot be."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from stackcore.files import (
    StackError,
    WriteError,
    check_output,
    read_frame,
    write,
    write_picture,
    write_whole,
)
from tests.unit._camera_files import picture

KINDS = [(gray, bits) for gray in (False, True) for bits in (8, 16)]


@pytest.mark.parametrize(("gray", "bits"), KINDS)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
def test_there_and_back_without_loss(gray: bool, bits: int, suffix: str, tmp_path: Path) -> None:
    pixels = picture(601, 333, gray=gray, bits=bits)  # odd: strips of different height, bytes to be padded
    path = tmp_path / f"o{suffix}"
    write_picture(path, pixels)
    back = read_frame(path)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.pixels.dtype == pixels.dtype
    if suffix != ".png":
        np.testing.assert_array_equal(tifffile.imread(path), pixels)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_view_is_written_as_it_looks(tmp_path: Path) -> None:
    pixels = picture(60, 90)[::-2, 5:80]
    for suffix in (".png", ".tif"):
        write_picture(tmp_path / f"o{suffix}", pixels)
        np.testing.assert_array_equal(read_frame(tmp_path / f"o{suffix}").pixels, pixels)


@pytest.mark.parametrize("gray", [False, True])
def test_16_bits_are_rounded_for_a_jpeg(gray: bool, tmp_path: Path) -> None:
    pixels = picture(gray=gray, bits=16)
    write_picture(tmp_path / "o.jpg", pixels, quality=100)
    back = read_frame(tmp_path / "o.jpg").pixels
    assert back.dtype == np.uint8
    assert abs(back.astype(float).mean() - pixels.astype(float).mean() / 257) < 0.3


def test_a_better_jpeg_is_larger(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg", picture(), quality=40)
    write_picture(tmp_path / "b.jpeg", picture(), quality=95)
    assert (tmp_path / "a.jpg").stat().st_size < (tmp_path / "b.jpeg").stat().st_size


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("o.bmp", r"o\.bmp: the ending.*\.jpg.*\.tif"),
        ("o", "the ending"),
        ("no/such/o.png", "there is no folder .*such; make it first"),
    ],
)
def test_where_it_cannot_be_written_is_known_before_the_work(name: str, says: str, tmp_path: Path) -> None:
    for attempt in (lambda: check_output(tmp_path / name), lambda: write_picture(tmp_path / name, picture())):
        with pytest.raises(StackError, match=says):
            attempt()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(WriteError, match="is a folder"):
        check_output(tmp_path / "folder.png")


class _FullDisk(io.FileIO):
    """Takes a few bytes, then has no more room."""

    def write(self, data: object) -> int:
        if self.tell() > 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(memoryview(data)[:600])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["o.jpg", "o.png", "o.tif"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "open", lambda self, mode, buffering=-1: _FullDisk(self, mode))
    with pytest.raises(WriteError, match=rf"{name} could not be written: No space left") as raised:
        write_picture(path, picture(200, 300))
    monkeypatch.undo()
    assert isinstance(raised.value.__cause__, OSError)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_the_name_is_given_only_when_all_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bool]] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        seen.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), (tmp_path / "o.bin").exists()))
        real(descriptor)

    monkeypatch.setattr(write.os, "fsync", watched)
    write_whole(tmp_path / "o.bin", [b"ab", memoryview(b"cd")])
    assert (tmp_path / "o.bin").read_bytes() == b"abcd"
    assert seen == [(str(tmp_path / ".o.bin.part"), False), (str(tmp_path), True)]


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(pixels: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a picture is"):
        write_picture(tmp_path / "o.png", pixels)


def test_quality_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="quality"):
        write_picture(tmp_path / "o.jpg", picture(), quality=0)
