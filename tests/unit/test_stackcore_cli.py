"""stackcore's command line as a user or a script meets it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from stackcore import alignment
from stackcore.catalogue import METHODS
from stackcore.cli.exits import Exit
from stackcore.cli.fuse import method_settings, with_near_end
from stackcore.cli.outputs import Outputs
from stackcore.cli.parser import make_parser, run_command_line
from stackcore.files import Arrays, read_frame
from tests.unit._stacks import FRAMES, HEIGHT, WIDTH, frame_pixels, write_stack

COMMANDS = ("fuse", "depth", "align", "compare", "bench", "methods")
PICK = ("--method", "argmax", "--no-align", "--no-even", "--threads", "1")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def stack(tmp_path):
    write_stack(tmp_path / "shots")
    return tmp_path / "shots"


def run(*arguments):
    return run_command_line([str(argument) for argument in arguments])


def in_a_process(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )


# -------------------------------------------------------------------------------------------------------------- what is loaded


def test_help_loads_no_arrays():
    code = (
        "import sys\nfrom stackcore.cli.parser import run_command_line\n"
        "try: run_command_line(sys.argv[1:])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'cv2', 'numba', 'rich', 'asyncio', 'tempfile'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    for arguments in (["--help"], *([name, "--help"] for name in COMMANDS), ["methods"]):
        done = in_a_process(code, *arguments)
        assert done.returncode == 0, done.stderr


def test_fusing_jpegs_into_png_loads_nothing_that_it_does_not_need(tmp_path):
    paths = write_stack(tmp_path / "shots", suffix=".jpg")
    code = (
        "import sys\nfrom stackcore.cli.parser import run_command_line\n"
        "code = run_command_line(sys.argv[1:])\n"
        "unwanted = {'PIL', 'rawpy', 'tifffile', 'rich', 'scipy', 'ortools', 'pydantic', 'asyncio', 'watchfiles', 'rigd', 'drivers'}\n"
        "found = unwanted & set(sys.modules)\n"
        "sys.exit(f'loaded {found}' if found else code)"
    )
    out, registration = tmp_path / "out.png", tmp_path / "r.json"
    command = ("fuse", *paths, "-o", out, "--method", "argmax", "--save-registration", registration)
    in_a_process(code, *command)  # the first may have to compile its kernels
    done = in_a_process(code, *command)
    assert done.returncode == 0, done.stderr
    assert out.is_file()


def test_opencv_uses_no_more_threads_than_were_asked_for(stack, tmp_path):
    code = (
        "import sys\nfrom stackcore.cli.parser import run_command_line\n"
        "code = run_command_line(sys.argv[1:])\nimport cv2\nsys.exit(code or f'{cv2.getNumThreads()} threads')"
    )
    for threads in (1, 3):
        done = in_a_process(code, "fuse", stack, "-o", tmp_path / "out.png", *PICK, "--threads", threads)
        assert done.stderr.endswith(f"{threads} threads\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        make_parser().parse_args([name, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: stackcore {name}" in text
    assert "examples:" in text
    assert "exit codes: 0 done" in text


def test_methods_are_listed_with_their_options(capsys):
    assert run("methods") == Exit.DONE
    text = capsys.readouterr().out
    for name, entry in METHODS.items():
        assert f"{name}" in text
        assert all(option.name in text for option in entry.options)
    assert run("methods", "--json") == Exit.DONE
    assert json.loads(capsys.readouterr().out)["methods"].keys() == METHODS.keys()


# ------------------------------------------------------------------------------------------------------------------------ fuse


def test_a_folder_is_fused_and_it_is_said_where_the_result_is(stack, tmp_path, capsys):
    out = tmp_path / "out.tif"
    assert run("fuse", stack, "-o", out, *PICK) == Exit.DONE
    said = capsys.readouterr()
    assert f"{FRAMES} of {FRAMES} frames, {WIDTH} x {HEIGHT} px, argmax" in said.out
    assert str(out) in said.out
    assert f"fusing: 1/{FRAMES} frames" in said.err
    assert read_frame(out).pixels.shape == (HEIGHT, WIDTH, 3)


def test_json_is_one_object_and_nothing_else(stack, tmp_path, capsys):
    assert run("fuse", stack, "-o", tmp_path / "out.png", *PICK, "--json") == Exit.DONE
    said = capsys.readouterr()
    data = json.loads(said.out)
    assert said.err == ""
    assert data["ok"]
    assert (data["frames"], data["used"], data["width"], data["height"]) == (FRAMES, FRAMES, WIDTH, HEIGHT)
    assert data["outputs"] == {"output": str(tmp_path / "out.png")}
    assert [row["name"] for row in data["registration"]] == [f"f{k:03d}.png" for k in range(FRAMES)]
    assert data["registration"][0]["matrix"] == [[1, 0, 0], [0, 1, 0]]
    assert data["cpu_s"] > 0
    assert data["peak_rss_mb"] > 10


def test_every_output_is_written(stack, tmp_path, capsys):
    names = {
        "-o": "out.jpg",
        "--depth": "depth.tif",
        "--confidence": "sure.tif",
        "--depth-picture": "depth.png",
        "--mesh": "surface.glb",
        "--points": "points.ply",
        "--save-registration": "registration.json",
    }
    flags = [word for flag, name in names.items() for word in (flag, tmp_path / name)]
    scale = ("--step-um", 25, "--um-per-px", 1.5, "--quality", 90)
    assert run("fuse", stack, *flags, *PICK, *scale, "--json") == Exit.DONE
    data = json.loads(capsys.readouterr().out)
    assert set(data["outputs"].values()) == {str(tmp_path / name) for name in names.values()}
    assert data["positions_um"] == [25.0 * k for k in range(FRAMES)]
    assert all((tmp_path / name).stat().st_size > 0 for name in names.values())
    assert not list(tmp_path.glob(".*"))
    import tifffile

    with tifffile.TiffFile(tmp_path / "depth.tif") as file:
        depth = file.pages[0].asarray()
        assert json.loads(file.pages[0].description)["unit"] == "um"
    assert depth.dtype == np.float32
    assert np.nanmax(depth) > 100  # um: five steps of 25


@pytest.mark.parametrize(
    ("flags", "larger"),
    [
        ((), "farther"),
        (("--near", "last"), "nearer"),
        (("--step-um", -5), "nearer"),
        (("--step-um", -5, "--near", "last"), "farther"),
    ],
)
def test_depth_says_which_way_it_goes(stack, tmp_path, flags, larger):
    import tifffile

    assert run("depth", stack, "-o", tmp_path / "depth.tif", *PICK, *flags, "--quiet") == Exit.DONE
    with tifffile.TiffFile(tmp_path / "depth.tif") as file:
        assert json.loads(file.pages[0].description)["larger_is"] == larger


@pytest.mark.parametrize(
    ("positions", "near", "expected"),
    [
        ((1.0, 2.0), "auto", "first"),
        ((2.0, 1.0), "auto", "last"),
        ((1.0, 2.0), "last", "last"),
        (None, "auto", None),
    ],
)
def test_a_rails_positions_say_which_end_is_near(positions, near, expected):
    options = make_parser().parse_args(["fuse", "x", "-o", "y.tif", "--near", near])
    source = Arrays([frame_pixels(0)] * 2, positions_um=positions)
    assert with_near_end(method_settings(options), options, source).get("near") == expected
    options.method = "argmax"
    assert "near" not in with_near_end(method_settings(options), options, source)


def test_depth_alone_needs_no_picture(stack, tmp_path, capsys):
    assert run("depth", stack, "-o", tmp_path / "depth.tif", *PICK, "--quiet") == Exit.DONE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["depth.tif", "shots"]
    assert run("depth", stack, *PICK) == Exit.USAGE
    assert "name at least one output" in capsys.readouterr().err


def test_a_preview_is_written_while_it_works(stack, tmp_path):
    preview = tmp_path / "growing.jpg"
    out = tmp_path / "out.png"
    assert (
        run("fuse", stack, "-o", out, *PICK, "--preview", preview, "--preview-s", "1e-9", "--quiet")
        == Exit.DONE
    )
    assert read_frame(preview).pixels.shape == (HEIGHT, WIDTH, 3)


def test_a_registration_is_kept_and_used_again(stack, tmp_path, monkeypatch):
    kept = tmp_path / "kept.json"
    assert (
        run("fuse", stack, "-o", tmp_path / "a.png", *PICK, "--save-registration", kept, "--quiet")
        == Exit.DONE
    )
    again = ("--method", "argmax", "--threads", "1", "--registration", kept, "--quiet")
    monkeypatch.setattr("stackcore.lineup._make_measure", lambda options: pytest.fail("measured again"))
    assert run("fuse", stack, "-o", tmp_path / "b.png", *again) == Exit.DONE
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_left_out_frames_are_said_and_counted(stack, tmp_path, capsys):
    (stack / "f002.png").write_bytes((stack / "f002.png").read_bytes()[:90])
    out = tmp_path / "out.png"
    assert run("fuse", stack, "-o", out, *PICK) == Exit.DONE
    said = capsys.readouterr()
    assert "left out f002.png: " in said.err
    assert f"{FRAMES - 1} of {FRAMES} frames" in said.out
    assert run("fuse", stack, "-o", out, *PICK, "--strict", "--json") == Exit.LEFT_OUT
    data = json.loads(capsys.readouterr().out)
    assert data["ok"]
    assert [row["name"] for row in data["left_out"]] == ["f002.png"]


def test_many_frames_left_out_for_one_reason_are_one_line(stack, tmp_path, capsys):
    for k in range(10, 16):
        (stack / f"f{k}.png").write_bytes(b"")
    run("fuse", stack, "-o", tmp_path / "o.png", *PICK)
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(lines) == 1
    assert "f10.png, f11.png, f12.png, f13.png, f14.png and 1 more" in lines[0]


def test_what_was_dropped_in_reading_is_said_once(stack, tmp_path, capsys):
    for path in sorted(stack.iterdir()):
        pixels = read_frame(path).pixels
        tifffile.imwrite(path.with_suffix(".tif"), np.stack([pixels, pixels]), photometric="rgb")
        path.unlink()
    assert run("fuse", stack, "-o", tmp_path / "o.png", *PICK) == Exit.DONE
    assert capsys.readouterr().err.count("f000.tif: 2 pictures in one file, the first is taken") == 1
    assert run("fuse", stack, "-o", tmp_path / "o.png", *PICK, "--json") == Exit.DONE
    (warning,) = json.loads(capsys.readouterr().out)["warnings"][-1:]
    assert "2 pictures in one file" in warning


def test_a_result_of_the_fewest_frames_is_doubted(stack, tmp_path, capsys):
    assert (
        run("fuse", stack, "-o", tmp_path / "out.png", "--method", "argmax") == Exit.DONE
    )  # strips share nothing
    err = capsys.readouterr().err
    assert "not registered" in err
    assert "made of only 1 of 6 frames" in err
    assert "--no-align" in err


def test_the_order_can_be_said(stack, tmp_path, capsys):
    given = [stack / f"f00{k}.png" for k in (2, 0, 1)]
    common = ("fuse", *given, "-o", tmp_path / "out.png", *PICK, "--json")
    for order, expected in ((None, "201"), ("name", "012")):
        assert run(*common, *(("--order", order) if order else ())) == Exit.DONE
        rows = json.loads(capsys.readouterr().out)["registration"]
        assert [row["name"] for row in rows] == [f"f00{k}.png" for k in expected]
    assert run(*common, "--order", "time") == Exit.INPUT


def test_methods_options_have_flags_of_their_own(stack, tmp_path, capsys):
    out = tmp_path / "out.png"
    common = ("fuse", stack, "-o", out, "--method", "weighted", "--no-align", "--no-even", "--quiet")
    assert run(*common, "--gamma", "1.5") == Exit.DONE
    soft = out.read_bytes()
    assert run(*common, "--option", "gamma=8") == Exit.DONE
    assert out.read_bytes() != soft
    assert run(*common, "--gamma", "many") == Exit.USAGE
    assert "option 'gamma' of method 'weighted': 'many' is not allowed" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------------------------------- align


def test_align_writes_the_frames_and_where_they_lie(stack, tmp_path, capsys):
    folder = tmp_path / "aligned"
    kept = tmp_path / "kept.json"
    placed = [
        alignment.Placed(
            k, f"f{k:03d}.png", True, "", np.array([[1.0, 0, k], [0, 1, 0]]), np.ones(3, np.float32)
        )
        for k in range(FRAMES)
    ]
    alignment.save(kept, alignment.Alignment(HEIGHT, WIDTH, tuple(placed)))
    assert (
        run("align", stack, "-o", folder, "--suffix", ".png", "--registration", kept, "--json") == Exit.DONE
    )
    data = json.loads(capsys.readouterr().out)
    assert [row["matrix"][0][2] for row in data["registration"]] == list(range(FRAMES))
    assert len(data["outputs"]) == FRAMES
    moved = read_frame(folder / "0003-f003.png").pixels
    np.testing.assert_array_equal(moved[:, : WIDTH - 3], frame_pixels(3)[:, 3:])
    assert alignment.load(folder / "registration.json").placed[5].matrix[0, 2] == 5


def test_align_alone_only_measures(stack, tmp_path, capsys):
    assert run("align", stack, "--no-align", "--no-even", "--json") == Exit.DONE
    assert json.loads(capsys.readouterr().out)["outputs"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shots"]
    assert run("align", stack, "-o", stack) == Exit.USAGE
    assert "holds the frames themselves" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------------------- compare


@pytest.fixture
def pictures(tmp_path):
    """A picture with detail of all sizes, and the same with a little noise; and depth maps."""
    import cv2

    from stackcore.files import write_picture

    random = np.random.default_rng(1)
    detail = sum(
        cv2.resize(random.normal(0, 25, (240 // s + 1, 320 // s + 1, 3)), (320, 240)) for s in (1, 4, 16)
    )
    sharp = np.clip(detail + 120, 0, 255).astype(np.uint8)
    noisy = np.clip(sharp + random.normal(0, 4, sharp.shape), 0, 255).astype(np.uint8)
    write_picture(tmp_path / "sharp.png", sharp)
    write_picture(tmp_path / "noisy.png", noisy)
    depth = np.tile(np.linspace(0, 12, 320), (240, 1))
    write_picture(tmp_path / "depth.png", np.rint(depth * 2000).astype(np.uint16))
    import tifffile

    tifffile.imwrite(tmp_path / "found.tif", (depth + 0.25).astype(np.float32))
    return tmp_path


def test_compare_says_how_alike_two_pictures_are(pictures, capsys):
    assert run("compare", pictures / "noisy.png", pictures / "sharp.png") == Exit.DONE
    text = capsys.readouterr().out
    assert "PSNR" in text
    assert "SSIM" in text
    depths = ("--depth", pictures / "depth.png", "--depth-result", pictures / "found.tif")
    assert run("compare", pictures / "noisy.png", pictures / "sharp.png", *depths, "--json") == Exit.DONE
    data = json.loads(capsys.readouterr().out)
    assert 34 < data["psnr_db"] < 38
    assert data["depth"]["median"] == pytest.approx(0.25, abs=0.01)


def test_bench_prints_what_each_method_costs(stack, tmp_path, capsys):
    arguments = ("bench", stack, "--methods", "argmax,weighted", "--threads", 1, "--keep", tmp_path / "kept")
    assert run(*arguments, "--json") == Exit.DONE
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["method"] for row in rows] == ["argmax", "weighted"]
    assert all(row["cpu_s"] > 0.1 and row["peak_rss_mb"] > 30 and not row["why"] for row in rows)
    assert (tmp_path / "kept" / "argmax.tif").is_file()
    (stack / "f003.png").unlink()
    for path in stack.iterdir():
        path.write_bytes(b"")
    assert run("bench", stack, "--methods", "argmax") == Exit.DONE
    assert "none of 5 frames can be used" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["fuse", "nowhere", "-o", "{tmp}/o.png"], Exit.INPUT, "nowhere: there is no such file"),
        (["fuse", "-o", "{tmp}/o.png"], Exit.USAGE, "name the frames"),
        (["fuse", "{stack}", "-o", "{tmp}/o.gif"], Exit.USAGE, "must end with .tif"),
        (["fuse", "{stack}", "-o", "{tmp}/no/o.png"], Exit.STORAGE, "there is no folder"),
        (["fuse", "{stack}", "-o", "{tmp}"], Exit.USAGE, "must end with"),
        (["fuse", "{stack}", "-o", "{stack}/f001.png"], Exit.USAGE, "one of the frames"),
        (["fuse", "{stack}", "-o", "{tmp}/o.tif", "--depth", "{tmp}/o.tif"], Exit.USAGE, "given twice"),
        (["fuse", "{stack}", "-o", "{tmp}/there.png", "--no-clobber"], Exit.USAGE, "--no-clobber"),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--method", "piramid"],
            Exit.USAGE,
            "did you mean 'pyramid'?",
        ),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--method", "argmax", "--option", "radios=3"],
            Exit.USAGE,
            "'radius'",
        ),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--method", "argmax", "--option", "radius"],
            Exit.USAGE,
            "NAME=VALUE",
        ),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--method", "argmax", "--radius", "99"],
            Exit.USAGE,
            "from 1 to 5",
        ),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--method", "argmax", "--gamma", "2"],
            Exit.USAGE,
            "argmax",
        ),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--method", "wavelet", "--depth", "{tmp}/d.tif"],
            Exit.USAGE,
            "no depth",
        ),
        (["fuse", "{stack}", "-o", "{tmp}/o.png", "--registration", "{tmp}/no.json"], Exit.INPUT, "no.json"),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--registration", "{tmp}/there.png"],
            Exit.INPUT,
            "not a registration",
        ),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--positions", "{tmp}/there.png"],
            Exit.INPUT,
            "one number in um a line",
        ),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--positions", "{tmp}/odd.txt"],
            Exit.INPUT,
            "nan is no position",
        ),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--positions", "{tmp}/odd.txt", "--step-um", "4"],
            Exit.USAGE,
            "either --positions or --step-um",
        ),
        (["fuse", "{stack}", "-o", "{tmp}/o.png", "--slab", "1"], Exit.USAGE, "2 frames or more"),
        (["fuse", "{stack}", "-o", "{tmp}/o.png", "--frames", "3"], Exit.USAGE, "--watch"),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--watch", "{tmp}"],
            Exit.USAGE,
            "either frames or --watch",
        ),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--orthographic", "--no-align"],
            Exit.USAGE,
            "--orthographic goes by",
        ),
        (
            ["fuse", "{stack}", "-o", "{tmp}/o.png", "--orthographic", "--method", "wavelet"],
            Exit.USAGE,
            "knows no depth",
        ),
        (["fuse", "-o", "{tmp}/o.png", "--watch", "{tmp}/no"], Exit.INPUT, "no such folder"),
        (
            ["fuse", "-o", "{tmp}/o.png", "--watch", "{tmp}", "--slab", "8"],
            Exit.USAGE,
            "--slab needs all frames",
        ),
        (["align", "{tmp}/there.png", "-o", "{tmp}/a"], Exit.INPUT, "there.png"),
        (["compare", "{stack}/f000.png", "{tmp}/no.png"], Exit.INPUT, "no.png"),
        (
            ["compare", "{stack}/f000.png", "{stack}/f001.png", "--depth-result", "x.tif"],
            Exit.USAGE,
            "--depth",
        ),
        (["bench", "{stack}", "--methods", "fast"], Exit.USAGE, "no method 'fast'"),
    ],
)
def test_each_kind_of_failure_has_its_code_and_its_words(stack, tmp_path, capsys, arguments, code, words):
    (tmp_path / "there.png").write_bytes(b"not a picture")
    (tmp_path / "odd.txt").write_text("1 2 3 nan 5 6")
    given = [argument.format(stack=stack, tmp=tmp_path) for argument in arguments]
    before = sorted(tmp_path.rglob("*"))
    assert run(*given, "--json") == code
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.startswith("stackcore: ")
    assert "Traceback" not in said.err
    data = json.loads(said.out)
    assert (data["ok"], data["exit"], data["kind"]) == (False, code.value, code.name.lower())
    assert words in data["error"]
    assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file()] == [
        path for path in before if path.is_file()
    ]


def test_no_command_replaces_a_frame_by_a_registration(stack, tmp_path, capsys):
    frame = stack / "f001.png"
    before = frame.read_bytes()
    aliased = tmp_path / "alias.json"
    aliased.symlink_to(frame)
    (tmp_path / "there.json").write_text("{}")
    for name, words in (
        (frame, "must end with .json"),
        (aliased, "one of the frames"),
        (tmp_path / "there.json", "--no-clobber"),
    ):
        assert run("align", stack, "--save-registration", name, "--no-clobber", "--no-align") == Exit.USAGE
        assert words in capsys.readouterr().err
    assert (
        run("align", stack, "--save-registration", tmp_path / "no" / "r.json", "--no-align") == Exit.STORAGE
    )
    assert frame.read_bytes() == before


@pytest.mark.parametrize("command", [("fuse", "-o", "{}/o.png"), ("align", "-o", "{}")])
def test_a_folder_that_cannot_be_written_is_said_before_the_work(
    stack, tmp_path, capsys, monkeypatch, command
):
    """Access is asked for: root may write where nobody else may."""
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path / "locked")
    monkeypatch.setattr("stackcore.lineup.Lineup.frames", lambda *_: pytest.fail("the work has begun"))
    (tmp_path / "locked").mkdir()
    name, *rest = (word.format(tmp_path / "locked") for word in command)
    assert run(name, stack, *rest, "--no-align") == Exit.STORAGE
    assert "locked cannot be written into" in capsys.readouterr().err


def test_a_folder_that_goes_away_while_it_works_is_a_matter_of_storage(stack, tmp_path, capsys, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    whole = Outputs.made
    monkeypatch.setattr(Outputs, "made", lambda *given: (gone.rmdir(), *whole(*given)))
    assert run("fuse", stack, "-o", gone / "o.png", *PICK) == Exit.STORAGE
    assert "there is no folder" in capsys.readouterr().err


def test_unknown_options_are_said_as_json_too(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["stackcore", "fuse", "--json", "--fast"])
    with pytest.raises(SystemExit) as stopped:
        run("fuse", "--json", "--fast")
    assert stopped.value.code == Exit.USAGE
    assert json.loads(capsys.readouterr().out)["kind"] == "usage"


@pytest.mark.parametrize("flag", ["-o", "--depth", "--save-registration"])
def test_a_full_disk_leaves_the_old_result_and_nothing_else(stack, tmp_path, capsys, flag):
    """No file may grow beyond some bytes: as a full disk, for a moment."""
    name = {"-o": "out.tif", "--depth": "depth.tif", "--save-registration": "kept.json"}[flag]
    old = tmp_path / name
    old.write_bytes(b"old")
    outputs = (flag, old) if flag == "-o" else ("-o", tmp_path / "small.jpg", "--quality", 10, flag, old)
    limit, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000 if flag == "--depth" else 900, most))
    try:
        code = run("fuse", stack, *outputs, *PICK, "--json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    said = capsys.readouterr()
    assert code == Exit.STORAGE
    assert not json.loads(said.out)["ok"]
    assert old.read_bytes() == b"old"
    assert not list(tmp_path.glob(".*"))


def test_not_enough_memory_is_said_without_a_traceback(stack, tmp_path, capsys, monkeypatch):
    def too_much(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr("stackcore.pipeline.make", too_much)
    assert run("fuse", stack, "-o", tmp_path / "o.png", *PICK) == Exit.MEMORY
    assert "not enough memory" in capsys.readouterr().err


def test_a_missing_library_is_named_with_what_to_install(stack, tmp_path, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("ortools")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ortools", None)
    out = tmp_path / "o.png"
    assert run("fuse", stack, "-o", out, "--method", "labels", "--no-align", "--no-even") == Exit.LIBRARY
    assert "pip install" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    "command",
    [("stackcore", "methods"), *((program, "--help") for program in ("stackcore", "rigd", "rigd.ctl"))],
    ids=" ".join,
)
def test_a_reader_that_goes_away_is_no_failure(command):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", *command],
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        cwd=ROOT,
        # As people run it: what is printed waits for a flush.
        env={key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"},
    )
    os.close(write)
    assert done.returncode == Exit.DONE, done.stderr
    assert not done.stderr
