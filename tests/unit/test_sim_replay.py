"""A folder of photographs as a camera."""

import cv2
import numpy as np
import pytest

from drivers.base import DriverError, TransferFailed
from drivers.registry import Context
from drivers.replay import ReplayCamera, ReplayOptions, natural_order, photographs, size_of
from tests.contract.bench import VirtualBench


def write(path, width=40, height=30, seed=0):
    picture = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), picture)


@pytest.fixture
def folder(tmp_path):
    for number in range(1, 13):
        write(tmp_path / f"IMG_{number}.JPG", seed=number)
    (tmp_path / "notes.txt").write_text("not a photograph")
    return tmp_path


def make(folder, **options):
    bench = VirtualBench()
    camera = ReplayCamera(ReplayOptions(folder=folder, **options), Context(bench.clock))
    camera.open()
    return bench, camera


def take(bench, camera, position_um):
    exposure = bench.run(lambda: camera.expose(bench.clock.now(), position_um))
    return bench.run(lambda: camera.fetch(exposure))


def test_serves_the_nearest_photograph_unchanged(folder):
    bench, camera = make(folder, first_um=1000.0, step_um=50.0)
    for position_um, number in (
        (1000, 1),
        (975, 1),
        (1024, 1),
        (1026, 2),
        (1500, 11),
        (1550, 12),
        (1575, 12),
    ):
        data = take(bench, camera, float(position_um))
        assert data.payload == (folder / f"IMG_{number}.JPG").read_bytes(), position_um
        assert data.suffix == ".jpg"


@pytest.mark.parametrize("position_um", [974.0, 1576.0, -5.0])
def test_refuses_a_position_without_a_photograph(folder, position_um):
    bench, camera = make(folder, first_um=1000.0, step_um=50.0)
    with pytest.raises(DriverError, match=r"1000\.0 to 1550\.0 um") as caught:
        take(bench, camera, position_um)
    assert f"{position_um:.1f}" in str(caught.value)
    assert take(bench, camera, 1000.0).payload


def test_capabilities_come_from_the_folder(folder):
    _, camera = make(folder, first_um=10.0, step_um=5.0)
    able = camera.capabilities
    assert (able.width, able.height, able.suffix, able.max_frames) == (40, 30, ".jpg", 12)
    assert able.frame_bytes == pytest.approx((folder / "IMG_1.JPG").stat().st_size, rel=0.2)
    assert camera.positions_um[0] == 10.0
    assert camera.positions_um[-1] == 65.0


def test_takes_the_time_it_is_told(folder):
    bench, camera = make(folder, exposure_s=0.3, frame_period_s=0.5, transfer_s=0.8)
    exposure = bench.run(lambda: camera.expose(bench.clock.now() + 0.1, 0.0))
    assert exposure.start_s == pytest.approx(1000.5)
    assert bench.clock.now() == pytest.approx(exposure.start_s + 0.3)
    bench.run(lambda: camera.fetch(exposure))
    assert bench.clock.now() == pytest.approx(exposure.end_s + 0.8)


def test_a_file_that_has_gone_is_a_failed_transfer(folder):
    bench, camera = make(folder)
    (folder / "IMG_1.JPG").unlink()
    with pytest.raises(TransferFailed, match=r"IMG_1\.JPG"):
        take(bench, camera, 0.0)


def test_folders_that_hold_no_stack(tmp_path):
    with pytest.raises(DriverError, match="no folder"):
        photographs(tmp_path / "nothing")
    with pytest.raises(DriverError, match="no photograph"):
        photographs(tmp_path)
    write(tmp_path / "a1.jpg")
    write(tmp_path / "a2.jpeg")
    assert len(photographs(tmp_path).files) == 2
    write(tmp_path / "a3.png")
    with pytest.raises(DriverError, match=r"2 \.jpg, 1 \.png.*\*\.jpg"):
        photographs(tmp_path)
    assert len(photographs(tmp_path, "*.jp*").files) == 2
    write(tmp_path / "a4.jpg", width=41)
    with pytest.raises(DriverError, match=r"a4\.jpg.*41 x 30.*40 x 30"):
        photographs(tmp_path, "*.jp*")
    (tmp_path / "a4.jpg").write_bytes(b"\xff\xd8 nothing more")
    with pytest.raises(DriverError, match=r"a4\.jpg is not a readable photograph"):
        photographs(tmp_path, "*.jp*")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_sizes_are_read_from_headers(tmp_path, suffix):
    path = tmp_path / f"one{suffix}"
    write(path, width=57, height=33)
    assert size_of(path) == (57, 33)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_files_that_only_pretend(tmp_path, suffix):
    path = tmp_path / f"one{suffix}"
    path.write_bytes(b"hello")
    with pytest.raises(DriverError, match="not a readable photograph"):
        size_of(path)


def test_numbers_in_names_count_as_numbers():
    names = ["b1", "a10", "a2", "A1", "a", "10", "9"]
    assert sorted(names, key=natural_order) == ["9", "10", "a", "A1", "a2", "a10", "b1"]


def test_safe_after_a_failed_open(tmp_path):
    bench = VirtualBench()
    camera = ReplayCamera(ReplayOptions(folder=tmp_path), Context(bench.clock))
    with pytest.raises(DriverError):
        camera.open()
    camera.cancel()
    camera.close()
    camera.close()
