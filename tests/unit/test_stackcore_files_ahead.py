"""Decoding ahead: in order, bounded, and nothing left behind, whatever the one who takes the frames does."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackcore.files import Arrays, Frame, Pushed, StackError, Unreadable, ahead, open_source
from stackcore.files.memory import Pool
from tests.unit._camera_files import jpeg, picture, write_stack

PATIENCE_S = 20.0
"""What a broken test waits before it fails."""


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
    assert set(threading.enumerate()) <= before


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return write_stack(tmp_path, [f"f{number:02d}.jpg" for number in range(12)])


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_same_as_one_after_the_other(threads: int, depth: int, paths: list[Path]) -> None:
    paths[4].write_bytes(b"")
    paths[7].write_bytes(paths[7].read_bytes()[:-99])
    source = open_source(paths)
    expected = list(source)
    with ahead(source, threads=threads, depth=depth) as frames:
        found = list(frames)
    assert [type(item) for item in found] == [type(item) for item in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.index, one.name) == (other.index, other.name)
        if isinstance(one, Frame) and isinstance(other, Frame):
            np.testing.assert_array_equal(one.pixels, other.pixels)
    assert [item.name for item in found if isinstance(item, Unreadable)] == ["f04.jpg", "f07.jpg"]


class Counting:
    """A `prepare` that counts, and can be told to wait."""

    def __init__(self, *, hold: bool = False) -> None:
        self.started = 0
        self.change = threading.Condition()
        self.go_on = threading.Event()
        if not hold:
            self.go_on.set()

    def __call__(self, frame: Frame) -> int:
        with self.change:
            self.started += 1
            self.change.notify_all()
        assert self.go_on.wait(PATIENCE_S)
        return frame.index * 10

    def wait_for(self, count: int) -> bool:
        with self.change:
            return self.change.wait_for(lambda: self.started >= count, PATIENCE_S)


@pytest.mark.parametrize(("threads", "depth"), [(1, 1), (2, 3), (4, 2)])
def test_never_more_than_depth_are_decoded_and_not_taken(threads: int, depth: int, paths: list[Path]) -> None:
    counting = Counting()
    with ahead(open_source(paths), threads=threads, depth=depth, prepare=counting) as frames:
        for taken in range(len(paths)):
            assert counting.wait_for(min(taken + depth, len(paths))), "it does work ahead"
            assert counting.started <= taken + depth
            frame = next(frames)
            assert isinstance(frame, Frame)
            assert (frame.index, frame.prepared) == (taken, taken * 10)
        assert next(frames, None) is None


def test_frames_are_decoded_at_once_on_several_threads(paths: list[Path]) -> None:
    counting = Counting(hold=True)
    with ahead(open_source(paths), threads=2, depth=2, prepare=counting) as frames:
        assert counting.wait_for(2), "the second began while the first was held"
        counting.go_on.set()
        assert next(frames).index == 0


def test_the_taker_may_stop_early(paths: list[Path]) -> None:
    with ahead(open_source(paths), threads=2, depth=3) as frames:
        next(frames)
    assert next(frames, None) is None, "closed"
    frames.close()


def test_the_taker_may_fail(paths: list[Path]) -> None:
    def fail() -> None:
        with ahead(open_source(paths), threads=2, depth=3) as frames:
            for _ in frames:
                raise KeyError("of the taker")

    with pytest.raises(KeyError, match="of the taker"):
        fail()


def test_the_taker_may_forget_it(paths: list[Path]) -> None:
    frames = ahead(open_source(paths), threads=2, depth=3)
    next(frames)
    del frames


def test_an_error_of_prepare_comes_up_in_its_place(paths: list[Path]) -> None:
    def prepare(frame: Frame) -> None:
        if frame.index == 3:
            raise ZeroDivisionError("of the third")

    taken = []
    with ahead(open_source(paths), threads=2, depth=4, prepare=prepare) as frames:
        with pytest.raises(ZeroDivisionError, match="of the third"):
            taken.extend(frame.index for frame in frames)
        assert next(frames, None) is None
    with ahead(open_source(paths), threads=2, depth=4, prepare=prepare) as frames:
        assert [next(frames).index for _ in range(3)] == [0, 1, 2]


def test_an_error_of_the_source_comes_up_in_its_place() -> None:
    class Broken(Arrays):
        def entries(self) -> Iterator[Any]:
            yield from super().entries()
            raise OSError("the card is gone")

    with ahead(Broken([picture(), picture()]), threads=2, depth=1) as frames:
        assert [next(frames).index for _ in range(2)] == [0, 1]
        with pytest.raises(OSError, match="the card is gone"):
            next(frames)


@pytest.mark.parametrize(("threads", "depth"), [(0, 1), (1, 0)])
def test_nonsense_is_refused(threads: int, depth: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ahead(Arrays([picture()]), threads=threads, depth=depth)


# Frames as they arrive


def test_a_frame_is_there_as_soon_as_it_was_given(paths: list[Path]) -> None:
    source = Pushed()
    with ahead(source, threads=2, depth=3) as frames:
        for index, path in enumerate(paths):
            assert source.push(path, position_um=index * 5.0) == index
            frame = next(frames)
            assert isinstance(frame, Frame)
            assert (frame.index, frame.name, frame.position_um) == (index, path.name, index * 5.0)
        source.close()
        assert next(frames, None) is None
    assert len(source) == len(source.names) == 12
    assert source.positions_um == tuple(index * 5.0 for index in range(12))


def test_how_many_come_is_not_known_before_the_end() -> None:
    source = Pushed()
    with pytest.raises(TypeError, match="nobody knows"):
        len(source)
    assert len(Pushed(expected=30)) == 30
    source.close()
    assert len(source) == 0
    assert list(source) == []


def test_who_gives_too_much_has_to_wait(paths: list[Path]) -> None:
    source = Pushed(waiting=2)
    source.push(paths[0])
    source.push(paths[1])
    with pytest.raises(TimeoutError, match=r"f02\.jpg"):
        source.push(paths[2], timeout_s=0.0)
    taken = iter(source)
    assert next(taken).name == "f00.jpg"
    assert source.push(paths[2], timeout_s=0.0) == 2, "and the index goes on without a gap"
    source.close()
    assert [item.name for item in taken] == ["f01.jpg", "f02.jpg"]


def test_giving_from_another_thread(paths: list[Path]) -> None:
    source = Pushed(waiting=1)

    def give() -> None:
        for path in paths:
            source.push(path)
        source.close()

    giver = threading.Thread(target=give)
    giver.start()
    with ahead(source, threads=2, depth=2) as frames:
        assert [item.name for item in frames] == [path.name for path in paths]
    giver.join(PATIENCE_S)


def test_stopping_wakes_the_worker_that_waits_and_the_one_who_gives(paths: list[Path]) -> None:
    source = Pushed(waiting=1)
    with ahead(source, threads=2, depth=2) as frames:
        source.push(paths[0])
        next(frames)
    with pytest.raises(StackError, match=r"f01\.jpg came too late .* nobody takes"):
        source.push(paths[1])


def test_nothing_after_the_end(paths: list[Path]) -> None:
    source = Pushed()
    source.close()
    with pytest.raises(StackError, match="closed; start a new one"):
        source.push(paths[0])


def test_files_can_be_gone_through_again_bytes_cannot(paths: list[Path]) -> None:
    source = Pushed()
    source.push(paths[0])
    source.push("camera.jpg", jpeg(picture()))
    source.close()
    assert [type(item) for item in source] == [Frame, Frame]
    first, second = source
    assert isinstance(first, Frame)
    assert isinstance(second, Unreadable)
    assert "gone" in second.reason


def test_a_part_of_what_arrives_does_not_wait_for_more(paths: list[Path]) -> None:
    source = Pushed()
    for path in paths[:3]:
        source.push(path)
    with ahead(source.part(0, 3), threads=2, depth=2) as frames:
        assert [item.index for item in frames] == [0, 1, 2]
    source.push(paths[3])
    source.close()
    with ahead(source.part(2, None), threads=2, depth=2) as frames:
        assert [item.index for item in frames] == [2, 3]


# Memory


def test_memory_comes_back_when_its_last_view_is_gone_and_not_before() -> None:
    pool = Pool()
    array = pool.take(12)
    array[:] = 7
    view = array.reshape(2, 2, 3)[..., 0][::2]
    address = array.ctypes.data
    del array
    other = pool.take(12)
    other[:] = 1
    assert other.ctypes.data != address
    assert (view == 7).all()
    del view
    assert pool.take(12).ctypes.data == address


def test_memory_of_another_size_is_not_kept() -> None:
    pool = Pool()
    del_me = pool.take(12)
    del del_me
    assert pool.take(13).nbytes == 13
    pool.close()
    after = pool.take(5)
    assert after.nbytes == 5


def test_frames_stay_as_they_are_while_others_are_decoded(paths: list[Path]) -> None:
    source = open_source(paths)
    expected = [item.pixels for item in source if isinstance(item, Frame)]
    with ahead(source, threads=2, depth=2) as frames:
        kept = [item.pixels[::2, ::2] for item in frames if isinstance(item, Frame)]
    for one, other in zip(kept, expected, strict=True):
        np.testing.assert_array_equal(one, other[::2, ::2])
