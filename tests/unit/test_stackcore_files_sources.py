"""What a user names becomes a stack in the right order; what is odd in it is told, with the name and what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stackcore.files import (
    Arrays,
    Frame,
    FrameError,
    Session,
    Source,
    StackError,
    Unreadable,
    natural_key,
    open_source,
    read_frame,
    write_picture,
)
from stackcore.imageio import encode_jpeg
from tests.unit._camera_files import dng, jpeg, picture, write_stack


def items(source: Source) -> list[str]:
    """Names, with a ! before those left out."""
    return [("!" if isinstance(item, Unreadable) else "") + item.name for item in source]


def left_out(source: Source) -> dict[str, str]:
    return {item.name: item.reason for item in source if isinstance(item, Unreadable)}


def timed_stack(folder: Path, times: dict[str, str]) -> list[Path]:
    for seed, (name, time) in enumerate(times.items()):
        (folder / name).write_bytes(jpeg(picture(seed=seed), taken=f"2026:11:21 18:03:{time}", subsecond="0"))
    return [folder / name for name in times]


def test_natural_order() -> None:
    names = ["f10.jpg", "f2.jpg", "F1.jpg", "f2b.jpg", "a.jpg", "10.jpg", "9.jpg", "f02.jpg"]
    assert sorted(names, key=natural_key) == [
        "9.jpg",
        "10.jpg",
        "a.jpg",
        "F1.jpg",
        "f2.jpg",
        "f02.jpg",
        "f2b.jpg",
        "f10.jpg",
    ]


def test_a_folder_in_natural_order_without_what_is_no_frame(tmp_path: Path) -> None:
    write_stack(
        tmp_path,
        ["f10.jpg", "f2.JPG", "f1.jpeg", ".hidden.jpg", "preview.jpg", "depth_map.jpg", "f3.jpg.part"],
    )
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "sub").mkdir()
    write_picture(tmp_path / "truth.png", picture())
    source = open_source([tmp_path])
    assert items(source) == ["f1.jpeg", "f2.JPG", "f10.jpg"]
    assert len(source) == 3
    assert source.positions_um is None
    (notice,) = source.notices
    for name in ("preview.jpg", "depth_map.jpg", "truth.png"):
        assert name in notice


def test_frames_that_are_called_like_results_are_frames(tmp_path: Path) -> None:
    write_stack(tmp_path, ["depth 1.jpg", "depth 2.jpg", "depth 3.jpg"])
    assert len(open_source([tmp_path])) == 3


def test_it_can_be_gone_through_again(tmp_path: Path) -> None:
    source = open_source(write_stack(tmp_path, ["a.jpg", "b.jpg"]))
    first, second = list(source), list(source)
    for one, other in zip(first, second, strict=True):
        assert isinstance(one, Frame)
        assert isinstance(other, Frame)
        assert one.index == other.index
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_a_list_comes_in_the_order_given_and_an_odd_order_is_told(tmp_path: Path) -> None:
    paths = write_stack(tmp_path, ["f1.jpg", "f10.jpg", "f2.jpg"])
    source = open_source(paths)
    assert list(source.names) == ["f1.jpg", "f10.jpg", "f2.jpg"]
    (notice,) = source.notices
    assert "f10.jpg comes before f2.jpg" in notice
    assert "Sort by name" in notice
    sorted_source = open_source(paths, order="name")
    assert list(sorted_source.names) == ["f1.jpg", "f2.jpg", "f10.jpg"]
    assert sorted_source.notices == []


def test_times_against_the_names(tmp_path: Path) -> None:
    timed_stack(tmp_path, {"DSC0001.jpg": "30", "DSC9998.jpg": "10", "DSC9999.jpg": "20"})
    source = open_source([tmp_path])
    (notice,) = source.notices
    assert "DSC9998.jpg was taken before DSC0001.jpg" in notice
    by_time = open_source([tmp_path], order="time")
    assert list(by_time.names) == ["DSC9998.jpg", "DSC9999.jpg", "DSC0001.jpg"]


def test_times_that_run_backwards_throughout(tmp_path: Path) -> None:
    timed_stack(tmp_path, {"f1.jpg": "30", "f2.jpg": "20", "f3.jpg": "10"})
    (notice,) = open_source([tmp_path]).notices
    assert "backwards" in notice
    assert "f1.jpg" in notice


def test_times_that_agree_or_are_equal_say_nothing(tmp_path: Path) -> None:
    timed_stack(tmp_path, {"f1.jpg": "10", "f2.jpg": "10", "f3.jpg": "11"})
    assert open_source([tmp_path]).notices == []


def test_no_sorting_by_times_that_are_not_there(tmp_path: Path) -> None:
    paths = write_stack(tmp_path, ["a.jpg", "b.jpg"])
    with pytest.raises(StackError, match=r"no EXIF time in a\.jpg, b\.jpg; sort by name"):
        open_source(paths, order="time")


def test_a_copy_is_told(tmp_path: Path) -> None:
    paths = write_stack(tmp_path, ["a.jpg", "b.jpg", "c.jpg"])
    shutil.copy(paths[1], tmp_path / "b copy.jpg")
    (notice,) = open_source([tmp_path]).notices
    assert "b copy.jpg" in notice
    assert "b.jpg" in notice
    (notice,) = open_source([*paths, paths[2]]).notices
    assert "c.jpg (as c.jpg)" in notice


def test_raw_and_jpeg_of_one_picture(tmp_path: Path) -> None:
    write_stack(tmp_path, ["f1.jpg", "f2.JPG"])
    for name in ("f1.dng", "f2.dng"):
        (tmp_path / name).write_bytes(dng(np.full((32, 32, 3), 0.3)))
    source = open_source([tmp_path])
    assert list(source.names) == ["f1.jpg", "f2.JPG"]
    assert any(
        "2 pictures are there as RAW and as JPEG: the JPEG is taken" in notice for notice in source.notices
    )
    assert list(open_source([tmp_path], prefer="raw").names) == ["f1.dng", "f2.dng"]
    every = sorted(tmp_path.iterdir())
    assert list(open_source(every).names) == ["f1.jpg", "f2.JPG"]


def test_all_raws_of_a_stack_get_the_white_balance_of_the_first(tmp_path: Path) -> None:
    linear = np.full((32, 32, 3), 0.3)
    for name, neutral in (("f1", (0.5, 1.0, 0.7)), ("f2", (0.7, 1.0, 0.5))):
        (tmp_path / f"{name}.dng").write_bytes(dng(linear, as_shot_neutral=neutral))
    first, second = (
        item.pixels[16, 16].astype(int) for item in open_source([tmp_path]) if isinstance(item, Frame)
    )
    assert np.ptp(first) < 200, "gray"
    assert np.ptp(second) > 5000, "the second camera saw another colour, and it shows"


# What is odd


def test_the_odd_size_is_left_out_even_if_it_is_the_first(tmp_path: Path) -> None:
    paths = write_stack(tmp_path, ["f1.jpg", "f2.jpg", "f3.jpg", "f4.jpg"])
    paths[0].write_bytes(encode_jpeg(picture(32, 40)))
    write_picture(paths[2], picture(gray=True))
    source = open_source([tmp_path])
    assert items(source) == ["!f1.jpg", "f2.jpg", "!f3.jpg", "f4.jpg"]
    reasons = left_out(source)
    assert "40 x 32 px, RGB, 8 bit; the stack is 64 x 48 px, RGB, 8 bit" in reasons["f1.jpg"]
    assert "gray" in reasons["f3.jpg"]
    assert all("Leave it out, or convert it" in reason for reason in reasons.values())


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_the_odd_depth_is_left_out(suffix: str, tmp_path: Path) -> None:
    for seed in range(3):
        write_picture(tmp_path / f"f{seed}{suffix}", picture(seed=seed, bits=8 if seed == 1 else 16))
    assert items(open_source([tmp_path])) == [f"f0{suffix}", f"!f1{suffix}", f"f2{suffix}"]


def test_half_and_half_is_an_error(tmp_path: Path) -> None:
    paths = write_stack(tmp_path, ["f1.jpg", "f2.jpg"])
    paths[1].write_bytes(encode_jpeg(picture(32, 40)))
    with pytest.raises(StackError, match=r"f1\.jpg is 64 x 48 .*f2\.jpg is 40 x 32 .*name only"):
        open_source([tmp_path])


def test_files_that_cannot_be_read_are_left_out_in_their_place(tmp_path: Path) -> None:
    paths = write_stack(tmp_path, [f"f{number}.jpg" for number in range(6)])
    paths[1].write_bytes(b"")
    paths[2].write_bytes(b"this is a text")
    paths[3].write_bytes(paths[3].read_bytes()[:-200])
    source = open_source([tmp_path])
    assert items(source) == ["f0.jpg", "!f1.jpg", "!f2.jpg", "!f3.jpg", "f4.jpg", "f5.jpg"]
    reasons = left_out(source)
    assert "empty" in reasons["f1.jpg"]
    assert "not a picture" in reasons["f2.jpg"]
    assert "cut short" in reasons["f3.jpg"]
    assert [item.index for item in source] == list(range(6))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    paths = write_stack(tmp_path, ["f1.jpg", "f2.jpg", "f3.jpg"])
    paths[1].chmod(0)
    assert "no permission" in left_out(open_source([tmp_path]))["f2.jpg"]


def test_a_pipe_among_the_frames_is_left_out_without_waiting_for_it(tmp_path: Path) -> None:
    paths = write_stack(tmp_path, ["f1.jpg", "f2.jpg", "f3.jpg"])
    paths[1].unlink()
    os.mkfifo(paths[1])
    assert "a pipe" in left_out(open_source(paths))["f2.jpg"]
    with pytest.raises(FrameError, match="a pipe"):
        read_frame(paths[1])


def test_one_frame_only_is_told(tmp_path: Path) -> None:
    paths = write_stack(tmp_path, ["f1.jpg", "f2.jpg"])
    (notice,) = open_source(paths[:1]).notices
    assert "only one frame" in notice
    assert "f1.jpg" in notice
    paths[0].write_bytes(b"")
    (notice,) = open_source(paths).notices
    assert "only one frame can be used, f2.jpg" in notice


@pytest.mark.parametrize("prepared", ["nothing", "missing", "empty", "below", "both"])
def test_what_is_no_stack_at_all(prepared: str, tmp_path: Path) -> None:
    paths: list[Path] = []
    says = "no frames: name picture files"
    if prepared == "missing":
        paths, says = [tmp_path / "gone.jpg"], r"gone\.jpg: there is no such file"
    elif prepared == "empty":
        paths, says = [tmp_path], "no pictures in it; known are JPEG"
    elif prepared == "below":
        write_stack(tmp_path / "stack 1", ["f1.jpg"])
        paths, says = [tmp_path], "no pictures in it, but in .*stack 1: name that"
    elif prepared == "both":
        paths, says = [tmp_path, *write_stack(tmp_path, ["f1.jpg"])], "either one folder or a list"
    with pytest.raises(StackError, match=says):
        open_source(paths)


def test_a_folder_below_that_may_not_be_read_is_passed_over(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a private one").mkdir()
    write_stack(tmp_path / "stack 1", ["f1.jpg"])
    listed = Path.iterdir

    def refusing(folder: Path):
        if folder.name == "a private one":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refusing)
    with pytest.raises(StackError, match=r"but in .*stack 1: name that"):
        open_source([tmp_path])


# Sessions


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """As the daemon leaves it: frame 2 was taken again, after frame 3; the last line of the journal is torn."""
    folder = tmp_path / "20261121T180311Z-ring"
    write_stack(folder / "frames", ["0001.jpg", "0002.jpg", "0003.jpg"])
    write_stack(folder, ["preview.jpg"])
    plan = {"asked_um": [10.0, 20.0, 30.0, 40.0], "positions": [1, 2, 3, 4]}
    (folder / "session.json").write_text(json.dumps({"format": 1, "plan": plan, "result": None}))
    entries = [{"event": "begun", "frames": 4}]
    for frame, position in ((0, 10.1), (1, 99.0), (2, 30.3), (1, 20.2)):
        entries.append(
            {"event": "frame", "frame": frame, "file": f"frames/{frame + 1:04d}.jpg", "position_um": position}
        )
    lines = [json.dumps({"n": number, **entry}) for number, entry in enumerate(entries, start=1)]
    (folder / "journal.jsonl").write_text("\n".join([*lines, '{"n": 6, "ev']))
    return folder


def test_a_session(session: Path) -> None:
    source = open_source([session])
    assert items(source) == ["0001.jpg", "0002.jpg", "0003.jpg"]
    assert source.positions_um == (10.1, 20.2, 30.3)
    assert [item.position_um for item in source if isinstance(item, Frame)] == [10.1, 20.2, 30.3]
    assert source.notices == []
    assert isinstance(source, Session)
    assert source.manifest["plan"]["asked_um"][3] == 40.0


def test_a_session_whose_frame_is_gone(session: Path) -> None:
    (session / "frames" / "0002.jpg").unlink()
    source = open_source([session])
    assert items(source) == ["0001.jpg", "!0002.jpg", "0003.jpg"]
    assert source.positions_um == (10.1, 20.2, 30.3)


def test_a_session_without_its_journal(session: Path) -> None:
    (session / "journal.jsonl").unlink()
    (session / "frames" / "0002.jpg").unlink()
    source = open_source([session])
    assert items(source) == ["0001.jpg", "0003.jpg"]
    assert source.positions_um == (10.0, 30.0), "as planned"
    assert "journal.jsonl is gone" in source.notices[0]


def test_a_damaged_line_of_the_journal_is_told(session: Path) -> None:
    journal = session / "journal.jsonl"
    lines = journal.read_text().splitlines()
    lines[1] = lines[1].replace("frames/0001.jpg", "../../etc/0001.jpg")
    journal.write_text("\n".join(lines))
    source = open_source([session])
    assert list(source.names) == ["0002.jpg", "0003.jpg"]
    assert "line 2 cannot be read" in source.notices[0]


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ('{"format": 1', "cannot be read"),
        ("[]", "not a session's manifest"),
        ('{"format": 9}', r"newer version \(format 9\); update"),
    ],
)
def test_a_manifest_that_cannot_be_used(session: Path, manifest: str, says: str) -> None:
    (session / "session.json").write_text(manifest)
    with pytest.raises(StackError, match=f"session.json .*{says}.*frames"):
        open_source([session])
    source = open_source([session / "frames"])
    assert len(source) == 3, "what the message says can be done"
    assert "belongs to a session" in source.notices[0]


def test_a_session_without_frames(session: Path) -> None:
    (session / "journal.jsonl").write_text('{"n": 1, "event": "begun", "frames": 4}\n')
    with pytest.raises(StackError, match="has no frames"):
        open_source([session])


# Parts and arrays


def test_a_part_keeps_the_indices(tmp_path: Path) -> None:
    source = open_source(write_stack(tmp_path, [f"f{number}.jpg" for number in range(5)]))
    part = source.part(1, 3)
    assert [(item.index, item.name) for item in part] == [(1, "f1.jpg"), (2, "f2.jpg")]
    assert (len(part), list(part.names)) == (2, ["f1.jpg", "f2.jpg"])
    assert [item.index for item in source.part(3, None)] == [3, 4]
    assert list(source.part(2, 2)) == []
    assert len(source.part(4, 9)) == 1


def test_arrays() -> None:
    pixels = [picture(seed=seed) for seed in range(2)]
    source = Arrays(pixels, positions_um=[0.0, 12.5])
    frames = [item for item in source if isinstance(item, Frame)]
    assert [frame.position_um for frame in frames] == [0.0, 12.5]
    assert frames[1].pixels is pixels[1]


# What it costs

_LOADED = """
import sys
from stackcore.files import ahead, open_source
with ahead(open_source(sys.argv[1:]), threads=2, depth=2) as frames:
    assert sum(frame.pixels.size > 0 for frame in frames) == 24
print(*sorted({"PIL", "tifffile", "rawpy", "scipy", "numba", "rich", "pydantic"} & set(sys.modules)))
"""


def test_a_stack_of_jpegs_loads_no_library_it_does_not_need(tmp_path: Path) -> None:
    paths = write_stack(tmp_path, [f"f{number}.jpg" for number in range(24)])
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
