"""Pictures on their way out: small enough, not too often, never two at a time, the last one always."""

from __future__ import annotations

import asyncio
import itertools
import threading

import numpy as np
import pytest

from drivers.base import FrameData
from drivers.clock import VirtualClock
from rigd.config.remote import Remote
from rigd.control.testshot import TestPicture
from rigd.remote import showing
from rigd.remote.bus import Switchboard
from rigd.remote.showing import Showing, fitted, from_file, shrunk
from rigd.session.files import sha256
from rigd.virtualtime import run
from stackcore.imageio import decode_jpeg, encode_jpeg
from tests.rigs import FRAMES, passes, small_rig
from tests.unit._said import Ear, a_stack, told


def noise(height, width, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def ramp(height, width):
    across = np.linspace(0, 255, width, dtype=np.uint8)
    return np.repeat(np.repeat(across[None, :, None], height, 0), 3, 2)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((100, 400), (25, 100)), ((400, 100), (100, 25)), ((60, 80), (60, 80)), ((1, 900), (1, 100))],
)
def test_the_longer_side_is_bounded(shape, expected):
    assert shrunk(noise(*shape), 100).shape[:2] == expected


def test_pixels_are_means():
    image = np.zeros((4, 4, 3), np.uint8)
    image[::2] = 200
    assert (shrunk(image, 2) == 100).all()


@pytest.mark.parametrize("max_bytes", [150_000, 16_000, 2_000])
def test_noise_is_made_to_fit(max_bytes):
    picture = fitted(noise(600, 800), 640, max_bytes)
    assert len(picture.jpeg) <= max_bytes
    assert picture.sha256 == sha256(picture.jpeg)
    image = decode_jpeg(picture.jpeg)
    assert image.shape[:2] == (picture.height, picture.width)
    assert max(image.shape) <= 640
    assert picture.width / picture.height == pytest.approx(4 / 3, rel=0.05)


def test_quality_goes_before_size():
    picture = fitted(noise(480, 640), 640, 150_000)
    assert (picture.width, picture.height) == (640, 480)


def test_gray_stays_gray():
    assert decode_jpeg(fitted(noise(90, 120)[..., 0], 60, 50_000).jpeg).shape == (45, 60)


def test_what_cannot_fit_is_an_error():
    with pytest.raises(ValueError, match="10 bytes"):
        fitted(ramp(8, 8), 8, 10)


def test_a_file_that_fits_is_left_as_it_is(tmp_path):
    data = encode_jpeg(ramp(60, 90))
    (tmp_path / "a.jpg").write_bytes(data)
    picture = from_file(tmp_path / "a.jpg", 90, 100_000)
    assert picture.jpeg == data
    assert (picture.width, picture.height) == (90, 60)


@pytest.mark.parametrize("width", [320, 640, 1000, 2600])
def test_a_large_file_is_made_smaller_and_looks_the_same(tmp_path, width):
    (tmp_path / "a.jpg").write_bytes(encode_jpeg(ramp(width * 3 // 4, width)))
    picture = from_file(tmp_path / "a.jpg", 160, 100_000)
    assert (picture.width, picture.height) == (160, 120)
    assert np.abs(decode_jpeg(picture.jpeg).astype(int) - ramp(120, 160)).mean() < 3


def test_a_damaged_file(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode_jpeg(ramp(600, 900))[:-100])
    with pytest.raises(ValueError, match=r"cut short|damaged"):
        from_file(tmp_path / "a.jpg", 160, 100_000)


# ----------------------------------------------------------------------------------------------------------- publishing


def shown(body, **config):
    """What is published while `body(showing, ear)` runs on virtual time."""
    clock = VirtualClock()

    async def main():
        switchboard, ear = Switchboard(), Ear(clock)
        switchboard.attach(ear)
        shows = Showing(switchboard, clock, Remote(**config))
        serving = asyncio.create_task(shows.serve())
        try:
            await body(shows, ear)
            await shows.drained()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        assert serving.cancelled()
        return ear

    return run(main(), clock)


@pytest.fixture
def preview(tmp_path):
    path = tmp_path / "preview.jpg"
    path.write_bytes(encode_jpeg(ramp(60, 90)))
    return path


def test_a_growing_picture_is_shown_at_most_so_often_and_the_last_one_comes(preview):
    async def body(shows, ear):
        for frames in range(1, 51):
            shows.growing("s", preview, frames, 60)
            await passes(0.1)

    ear = shown(body, preview_interval_s=2)
    times = ear.times("preview/meta")
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 2
    assert len(times) == 4
    assert ear.on("preview/meta")[-1].frames == 50
    assert len(ear.on("preview/image")) == 4


def test_the_same_picture_is_not_shown_again(preview):
    async def body(shows, ear):
        for _ in range(5):
            shows.growing("s", preview, 3, 9)
            await passes(10)

    assert len(shown(body).on("preview/meta")) == 1


def test_the_last_picture_of_a_session_does_not_wait(preview):
    async def body(shows, ear):
        shows.growing("s", preview, 1, 2)
        await shows.drained()
        shows.growing("s", preview, 2, 2)
        shows.finished("s", preview, 2, 2, "near and far reached")
        await shows.drained()

    ear = shown(body, preview_interval_s=3600)
    first, last = ear.on("preview/meta")
    assert (first.frames, first.coverage) == (1, "")
    assert (last.frames, last.coverage) == (2, "near and far reached")
    assert ear.times("preview/meta")[1] - ear.times("preview/meta")[0] < 1


def test_image_and_meta_belong_together(preview):
    async def body(shows, ear):
        shows.finished("s", preview, 2, 2, "")

    ear = shown(body)
    (image,), (meta,) = ear.on("preview/image"), ear.on("preview/meta")
    assert (meta.sha256, meta.bytes) == (sha256(image), len(image))
    assert (meta.width, meta.height) == (90, 60)
    assert [said.topic for said in ear.said] == ["preview/image", "preview/meta"]


def test_one_at_a_time_and_what_waits_gives_way(preview, monkeypatch):
    """While one picture is being made, any number may be asked for; only the newest of its kind is made."""
    making, most, made = 0, 0, []
    hold, begun = threading.Event(), threading.Event()
    original = showing.from_file

    def slow(path, max_px, max_bytes):
        nonlocal making, most
        making += 1
        most = max(most, making)
        begun.set()
        assert hold.wait(10)
        made.append(path.name)
        making -= 1
        return original(path, max_px, max_bytes)

    monkeypatch.setattr(showing, "from_file", slow)

    async def body(shows, ear):
        shows.growing("s", preview, 1, 100)
        await asyncio.get_running_loop().run_in_executor(None, begun.wait)
        for frames in range(2, 100):
            shows.growing("s", preview, frames, 100)
        shows.finished("s", preview, 100, 100, "")
        hold.set()
        await shows.drained()

    ear = shown(body)
    assert [meta.frames for meta in ear.on("preview/meta")] == [1, 100]
    assert most == 1
    assert len(made) == 2


def test_a_picture_that_is_gone_is_no_reason_to_stop(preview, tmp_path, caplog):
    async def body(shows, ear):
        shows.finished("gone", tmp_path / "gone.jpg", 2, 2, "")
        await shows.drained()
        shows.finished("s", preview, 2, 2, "")

    assert [meta.session for meta in shown(body).on("preview/meta")] == ["s"]
    assert "could not be shown" in caplog.text


def picture(image):
    return TestPicture(
        data=FrameData(b"x", ".jpg"),
        metrics={},
        settings={},
        width=4000,
        height=3000,
        sha256="0" * 64,
        image=image,
    )


def test_a_test_shot_belongs_to_no_session():
    async def body(shows, ear):
        shows.test(picture(noise(300, 400)))

    (meta,) = shown(body, preview_max_px=200, preview_max_kb=16).on("preview/meta")
    assert (meta.session, meta.frames, meta.total) == (None, 1, 1)
    assert meta.width <= 200
    assert meta.bytes <= 16_000


def test_a_test_shot_in_a_format_that_is_not_decoded():
    async def body(shows, ear):
        shows.test(picture(None))

    assert not shown(body).said


def test_the_preview_of_a_whole_stack(tmp_path):
    config = small_rig(
        tmp_path, "remote.preview_interval_s=1", "remote.preview_max_px=160", "preview.interval_s=0.3"
    )
    speaks, session = told(config, a_stack)
    metas = speaks.ear.on("preview/meta")
    frames = [meta.frames for meta in metas]
    assert frames == sorted(frames)
    assert len(frames) >= 4
    assert frames[-1] == FRAMES
    assert metas[-1].coverage
    assert not any(meta.coverage for meta in metas[:-1])
    assert {(meta.session, meta.total) for meta in metas} == {(session.id, FRAMES)}
    assert speaks.ear.on("preview/image")[-1] == (session.path / "preview.jpg").read_bytes()
    growing = speaks.ear.times("preview/meta")[:-1]
    assert min(later - earlier for earlier, later in itertools.pairwise(growing)) >= 1


def test_a_stack_that_is_aborted_shows_what_there_is(tmp_path):
    from rigd.machine import events as ev
    from tests.rigs import stored

    async def body(speaks):
        await speaks.rig.home()
        await speaks.rig.start("test", speaks.rig.plan().plan)
        await stored(speaks.rig, 5)
        await speaks.rig.command(ev.Abort())
        await speaks.rig.ended()

    speaks, _ = told(small_rig(tmp_path), body)
    last = speaks.ear.on("preview/meta")[-1]
    assert 5 <= last.frames < FRAMES
    assert last.total == FRAMES
