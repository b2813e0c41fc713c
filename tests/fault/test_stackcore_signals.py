"""stackcore told to stop, or killed: no result is ever half there."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stackcore.cli.exits import Exit
from stackcore.files import read_frame, write_picture
from tests.unit._stacks import HEIGHT, WIDTH, write_stack

ROOT = Path(__file__).parents[2]
PICK = ("--method", "argmax", "--no-align", "--no-even", "--threads", "1")
LONG = 250


def stackcore(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "stackcore", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def says(process, words):
    """Read what it says until it says this."""
    for line in process.stderr:
        if words in line:
            return
    pytest.fail(f"it never said {words!r}")


@pytest.fixture
def long(tmp_path):
    """A stack that takes some seconds."""
    path = tmp_path / "frame.jpg"
    write_picture(path, np.random.default_rng(1).integers(0, 256, (700, 900, 3), np.uint8))
    return [path] * LONG


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order_and_leaves_nothing(long, tmp_path, number):
    process = stackcore("fuse", *long, "-o", tmp_path / "out.tif", *PICK)
    says(process, "fusing: 1/")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED, err
    assert out == ""
    assert "nothing is half-written" in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["frame.jpg"]


@pytest.mark.parametrize("seed", range(4))
def test_killed_while_it_writes_the_old_result_or_the_whole_new_one_is_there(tmp_path, seed):
    frames = write_stack(tmp_path / "shots")
    out, depth = tmp_path / "out.tif", tmp_path / "depth.tif"
    write_picture(out, np.zeros((4, 4, 3), np.uint8))
    process = stackcore("fuse", *frames, "-o", out, "--depth", depth, *PICK)
    says(process, "finishing")
    try:
        process.wait(random.Random(seed).uniform(0, 0.15))
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    assert read_frame(out).pixels.shape in {(4, 4, 3), (HEIGHT, WIDTH, 3)}
    if depth.exists():
        assert read_shape(depth) == (HEIGHT, WIDTH)
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} <= {
        "shots",
        "out.tif",
        "depth.tif",
    }
    again = stackcore(
        "fuse", *frames, "-o", out, "--depth", depth, *PICK
    )  # what is left over is in nobody's way
    _, err = again.communicate(timeout=60)
    assert again.returncode == Exit.DONE, err
    assert read_frame(out).pixels.shape == (HEIGHT, WIDTH, 3)


def read_shape(path):
    import tifffile

    return tifffile.imread(path).shape


def test_a_watched_folder_is_fused_as_it_fills_and_a_half_written_file_waits(tmp_path):
    made = write_stack(tmp_path / "made", 4, ".jpg")
    folder = tmp_path / "incoming"
    folder.mkdir()
    out, growing = tmp_path / "out.png", folder / "growing.jpg"
    (folder / "f000.jpg").write_bytes(made[0].read_bytes())
    (folder / "f001.jpg").write_bytes(made[1].read_bytes()[:300])  # still being copied
    process = stackcore(
        "fuse", "--watch", folder, "--frames", 4, "-o", out, "--preview", growing, "--preview-s", "1e-9", *PICK, "--json"
    )  # fmt: skip
    for k in (2, 3):
        part = folder / f".f{k:03d}.jpg.part"
        part.write_bytes(made[k].read_bytes())
        part.rename(folder / f"f{k:03d}.jpg")
    (folder / "f001.jpg").write_bytes(made[1].read_bytes())
    out_text, err = process.communicate(timeout=60)
    assert process.returncode == Exit.DONE, err
    import json

    data = json.loads(out_text)
    assert [row["name"] for row in data["registration"]] == [f"f{k:03d}.jpg" for k in range(4)]
    assert data["left_out"] == []
    direct = stackcore("fuse", *made, "-o", tmp_path / "direct.png", *PICK)
    direct.communicate(timeout=60)
    assert out.read_bytes() == (tmp_path / "direct.png").read_bytes()
    assert growing.is_file()


def test_an_interrupt_ends_the_watch_and_makes_the_result_of_what_came(tmp_path):
    made = write_stack(tmp_path / "incoming", 3)
    out = tmp_path / "out.png"
    process = stackcore("fuse", "--watch", tmp_path / "incoming", "-o", out, *PICK)
    says(process, "fusing: 3 frames")
    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=60)
    assert process.returncode == Exit.DONE, err
    assert "making the result" in err
    assert f"3 of {len(made)} frames" in said
    assert out.is_file()


def test_an_interrupt_before_anything_came_is_one(tmp_path):
    process = stackcore("fuse", "--watch", tmp_path, "-o", tmp_path / "out.png", *PICK, "-v", "-v")
    says(process, "watching")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED, err
    assert not (tmp_path / "out.png").exists()


def test_a_watched_folder_that_never_gets_a_frame_ends_with_an_error(tmp_path):
    process = stackcore("fuse", "--watch", tmp_path, "--idle", "0.2", "-o", tmp_path / "out.png", *PICK)
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INPUT
    assert "no frames to fuse" in err


def test_a_bench_told_to_stop_takes_its_runs_and_its_folder_with_it(long, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    process = stackcore("bench", *long, "--methods", "argmax", "--json")
    says(process, "argmax ...")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED, err
    assert json.loads(out)["kind"] == "interrupted"
    assert list(scratch.iterdir()) == []
