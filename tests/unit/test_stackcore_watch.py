"""A watched folder: what is complete is taken, in order, once; what is not waits, and not for ever."""

from __future__ import annotations

import threading

import pytest

from stackcore.files import Pushed, StackError
from stackcore.watch import SETTLED_S, STALLED_S, FolderChanges, FolderWatch, is_whole
from tests.unit._stacks import write_stack


class Script:
    """Waits that do something in the folder, each at its time; the clock goes on by what was waited."""

    def __init__(self, *acts):
        self.acts = list(acts)
        self.time_s = 100.0
        self.watch = None

    def now(self):
        return self.time_s

    def __call__(self, timeout_s):
        self.time_s += timeout_s
        if self.acts:
            act = self.acts.pop(0)
            if act is not None:
                act()
        elif self.watch is not None:
            self.watch.end()


def watched(folder, script, source=None, **options):
    source = source or Pushed(waiting=100)
    watch = FolderWatch(folder, source, wait=script, now=script.now, **options)
    script.watch = watch
    return watch, source


@pytest.fixture
def made(tmp_path):
    """Whole frames, elsewhere, to be copied into the folder."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    paths = write_stack(tmp_path / "made", 4, ".jpg")
    return folder, [path.read_bytes() for path in paths]


def put(folder, name, data):
    return lambda: (folder / name).write_bytes(data)


def test_what_is_there_and_what_arrives_is_taken_in_order_once(made):
    folder, data = made
    for k in (1, 0):
        (folder / f"f{k}.jpg").write_bytes(data[k])
    script = Script(None, put(folder, "f10.jpg", data[2]), None, put(folder, "f2.jpg", data[3]), None, None)
    watch, source = watched(folder, script)
    watch.run()
    assert source.names == ("f0.jpg", "f1.jpg", "f10.jpg", "f2.jpg")
    assert len(source) == 4  # closed


def test_a_file_that_still_grows_is_not_taken(made):
    folder, data = made
    half = len(data[0]) // 2
    grow = [put(folder, "f0.jpg", data[0][:n]) for n in range(half, len(data[0]), 40)]
    script = Script(*grow)
    watch, source = watched(folder, script)
    watch.run()
    assert source.names == ()


def test_a_half_written_file_that_rests_is_not_taken_until_it_is_whole(made):
    folder, data = made
    half = put(folder, "f0.jpg", data[0][: len(data[0]) // 2])
    script = Script(half, *[None] * 20, put(folder, "f0.jpg", data[0]), None)
    watch, source = watched(folder, script)
    seen_before = []
    script.acts[20] = lambda: seen_before.append(source.names)
    watch.run()
    assert seen_before == [()]
    assert source.names == ("f0.jpg",)
    assert script.time_s - 100 < STALLED_S


def test_those_behind_an_incomplete_file_wait_for_it_and_keep_their_order(made):
    folder, data = made
    script = Script(
        put(folder, "f0.jpg", data[0][:200]),
        put(folder, "f1.jpg", data[1]),
        None,
        None,
        put(folder, "f0.jpg", data[0]),
        None,
    )
    watch, source = watched(folder, script)
    watch.run()
    assert source.names == ("f0.jpg", "f1.jpg")


def test_a_file_that_stalls_for_good_is_handed_on_to_be_reported(made):
    folder, data = made
    waits = round(STALLED_S / SETTLED_S) + 3
    script = Script(put(folder, "f0.jpg", data[0][:200]), put(folder, "f1.jpg", data[1]), *[None] * waits)
    watch, source = watched(folder, script)
    watch.run()
    assert source.names == ("f0.jpg", "f1.jpg")
    first, second = source
    assert "cut short" in first.reason
    assert second.pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("idle_s", [None, 5.0])
def test_what_is_whole_behind_an_incomplete_file_is_taken_at_the_end_and_the_rest_is_named(made, idle_s):
    folder, data = made
    script = Script(
        put(folder, "f0.jpg", data[0]),
        put(folder, "f1.jpg", data[1][:200]),
        put(folder, "f2.jpg", data[2]),
        *[None] * (40 if idle_s else 3),
        put(folder, "f3.jpg", data[3]),
    )
    watch, source = watched(folder, script, idle_s=idle_s, expected=4)
    watch.run()
    assert source.names == (("f0.jpg", "f2.jpg") if idle_s else ("f0.jpg", "f2.jpg", "f3.jpg"))
    incomplete, count = source.notices
    assert "f1.jpg: not complete" in incomplete
    assert f"{len(source)} of the 4 frames" in count


def test_a_raw_that_just_came_is_not_taken_at_the_end(made):
    folder, data = made
    script = Script(put(folder, "f0.jpg", data[0]), None, None)
    watch, source = watched(folder, script)
    script.acts.append(lambda: (put(folder, "f1.nef", b"half")(), watch.end()))
    watch.run()
    assert source.names == ("f0.jpg",)
    assert "f1.nef" in source.notices[0]


def test_temporary_names_folders_and_results_are_no_frames(made):
    folder, data = made
    (folder / "sub").mkdir()
    for name in (".f0.jpg.part", ".f1.jpg", "f2.jpg.tmp", "notes.txt", "result.jpg", "preview.jpg"):
        (folder / name).write_bytes(data[0])
    rename = lambda: (folder / ".f0.jpg.part").rename(folder / "f0.jpg")  # noqa: E731
    script = Script(None, rename, None, None)
    watch, source = watched(folder, script, ignore=[folder / "result.jpg"])
    watch.run()
    assert source.names == ("f0.jpg",)


def test_it_ends_after_so_many_frames(made):
    folder, data = made
    for k in range(4):
        (folder / f"f{k}.jpg").write_bytes(data[k])
    script = Script(*[None] * 10)
    watch, source = watched(folder, script, expected=3)
    watch.run()
    assert source.names == ("f0.jpg", "f1.jpg", "f2.jpg")
    assert len(script.acts) > 5


def test_it_ends_when_nothing_came_for_so_long_but_not_while_something_grows(made):
    folder, data = made
    (folder / "f0.jpg").write_bytes(data[0])
    grow = [put(folder, "f1.jpg", data[1][:n]) for n in range(100, len(data[1]) + 99, 100)]
    script = Script(*grow, put(folder, "f1.jpg", data[1]), *[None] * 100)
    watch, source = watched(folder, script, idle_s=5.0)
    watch.run()
    assert source.names == ("f0.jpg", "f1.jpg")
    assert 5.0 <= script.time_s - 100 - SETTLED_S * (len(grow) + 1) < 8.0


def test_a_folder_that_goes_away_is_an_error_that_names_it_and_the_source_ends(made):
    folder, _ = made
    script = Script(folder.rmdir, None)
    watch, source = watched(folder, script)
    with pytest.raises(StackError, match="incoming"):
        watch.run()
    assert len(source) == 0


def test_when_nobody_takes_frames_any_more_it_ends(made):
    folder, data = made
    (folder / "f0.jpg").write_bytes(data[0])
    script = Script(*[None] * 10)
    watch, source = watched(folder, script)
    source.interrupt()
    watch.run()
    assert script.acts


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_whole_and_cut_files_are_told_apart(tmp_path, suffix):
    (path,) = write_stack(tmp_path, 1, suffix)
    assert is_whole(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert not is_whole(path)
    path.write_bytes(data + b"\0\0 something behind it")
    assert suffix == ".tif" or is_whole(path)
    path.unlink()
    assert not is_whole(path)


def test_the_systems_notices_end_a_wait(made, monkeypatch):
    folder, data = made
    monkeypatch.setattr("stackcore.watch.SETTLED_S", 1e5)  # without a notice it would wait so long
    changes = FolderChanges(folder)
    woken = threading.Event()

    def wait():
        changes(1e5)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        # Nobody says when the system has begun to watch: what is written before is not noticed.
        assert any((folder / f"f{k}.jpg").write_bytes(data[0]) and woken.wait(0.05) for k in range(400))
    finally:
        changes.close()
        thread.join()
