"""Whole stacks, whole processes: every method of stackcore beside the programs it is held against, in bench-results/fusion.md.

BENCH_CASES and BENCH_STACKERS choose a part of it: names or patterns, separated by semicolons ("A;sim-*", "stackcore*;focusweave").
BENCH_RUNS (3) is how often what is quick is run, BENCH_LIMIT_S (240) the CPU after which a run is given up.
What is asserted are equalities, ratios to references that run beside, and quality and memory, which no other load on the machine changes.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from stackcore.catalogue import DEFAULT, METHODS
from tests.bench._cases import DOF_STEP_UM, OCCLUDED, SCENE_STEP_UM
from tests.bench._measure import LIMIT_S, RESULTS, RUNS, Bench, measure, tiny_stack
from tests.bench._process import least, run
from tests.bench._stackers import fuse_command
from tests.bench._table import rival_of

pytestmark = pytest.mark.bench

BEST = f"stackcore {DEFAULT}"
LEAST_DB = {"A": (32.1, 31.0), "B": (32.2, 29.7), "C": (38.8, 36.0), "D": (36.0, 32.0)}
"""psnr_g and edge that the default method is to reach."""
MOST_RSS_MB = {"A": 300, "B": 350, "C": 350, "D": 600}
LEAST_OCCLUSION_DB = {"argmax": 31.0, "weighted": 31.4, "pyramid": 32.2, "labels": 32.3}
PHOTOGRAPHED = ("pcb-switch", "fibre-end-rpi", "micro-scorpion-rpi")
SML_RANGE = 0.9, 1.15
MOST_OVER_DECODING = 5.0
LEAST_OVER_PEER = 7.0
MOST_MS_A_FRAME = 150.0
MEMORY_FRAMES = 20, 200
MOST_GROWTH_MB, MOST_LONG_STACK_MB = 10.0, 600.0
WARM_CPU_S = 1.0
DEPTH_MEDIAN, DEPTH_RMSE = 0.05, 0.15


def goal(reached: bool, floor: bool, missed: str) -> None:
    """A figure that is aimed at and not reached yet: never below its floor; where it is missed the run says so and goes on."""
    assert floor
    if not reached:
        pytest.xfail(missed)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    measured = measure(tmp_path_factory.mktemp("fusion"))
    yield measured
    print(f"\n{(RESULTS / 'fusion.md').read_text()}")


def test_everything_of_ours_ran(bench: Bench) -> None:
    failed = [
        f"{row.stacker} on {row.case}: {row.cost.failure or row.note}"
        for row in bench.rows
        if row.ours and not row.done
    ]
    assert not failed


@pytest.mark.parametrize("case", LEAST_DB)
def test_quality(bench: Bench, case: str) -> None:
    verdict = bench.row(case, BEST).verdict
    least_db, least_edge_db = LEAST_DB[case]
    assert verdict.psnr_g >= least_db
    assert verdict.edge >= least_edge_db


@pytest.mark.parametrize("method", LEAST_OCCLUSION_DB)
def test_quality_where_layers_overlap(bench: Bench, method: str) -> None:
    """The mean of five scenes, as the reference figures are one of three."""
    found_db = statistics.fmean(bench.row(case, f"stackcore {method}").verdict.psnr_g for case in OCCLUDED)
    bench.note(f"scenes with occlusion, {method}, mean psnr_g", round(found_db, 2))
    assert found_db >= LEAST_OCCLUSION_DB[method]


@pytest.mark.parametrize("case", PHOTOGRAPHED)
def test_detail_of_photographs(bench: Bench, case: str) -> None:
    """Below the range detail or grain is lost, above it there is noise of seams."""
    low, high = SML_RANGE
    assert low <= bench.row(case, BEST).verdict.sml_ratio <= high


def test_depth_where_it_is_continuous(bench: Bench) -> None:
    """With the steps that a plan takes; with finer ones the error stays the same in micrometres, and is more frames of them."""
    verdict = bench.row("sim-tilt-140um", BEST).verdict
    assert verdict.depth_median <= DEPTH_MEDIAN
    assert verdict.depth_rmse <= DEPTH_RMSE
    fine = bench.row("sim-tilt", BEST).verdict
    assert fine.depth_median * SCENE_STEP_UM <= 1.25 * verdict.depth_median * DOF_STEP_UM


@pytest.mark.parametrize("case", MOST_RSS_MB)
def test_memory(bench: Bench, case: str) -> None:
    assert bench.row(case, BEST).cost.rss_mb <= MOST_RSS_MB[case]


def test_speed_at_12_megapixels(bench: Bench) -> None:
    """Against decoding alone: the files of case D, which most of a small whole run goes to anyway."""
    row, stack = bench.row("D", BEST), bench.stacks["D"]
    over, each_ms = (
        row.cost.cpu_s / stack.decode.cpu_s,
        1e3 * (row.cost.cpu_s - stack.decode.cpu_s) / stack.frames,
    )
    bench.note("case D, default method, CPU over decoding alone", round(over, 2))
    bench.note(
        f"case D, default method, CPU ms a frame less decoding (to be at most {MOST_MS_A_FRAME:.0f})",
        round(each_ms),
    )
    assert each_ms <= MOST_MS_A_FRAME
    goal(over <= MOST_OVER_DECODING, over <= 1.2 * MOST_OVER_DECODING, f"{over:.2f} times decoding alone")


@pytest.mark.parametrize("case", LEAST_DB)
def test_speed_against_the_fastest_peer_as_good(bench: Bench, case: str) -> None:
    row = bench.row(case, BEST)
    rival = rival_of(row, bench.rows)
    if rival is None or not rival.as_good:
        pytest.skip("no peer here is as good")
    assert rival.row.cost.cpu_s / row.cost.cpu_s >= LEAST_OVER_PEER


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", ["A", "B"])
def test_the_same_for_any_number_of_threads(bench: Bench, case: str, method: str, tmp_path: Path) -> None:
    bench.row(case, f"stackcore {method}")
    frames = bench.case(case).folder
    if case == "B" and method != DEFAULT:
        pytest.skip("A tells for this method; B adds the registration, which all share")
    for threads in (1, 2):
        outputs: list[str | Path] = [tmp_path / f"{threads}.tif"]
        if METHODS[method].depth:
            outputs += ["--depth", tmp_path / f"{threads}-depth.tif"]
        cost = run(fuse_command(frames, *outputs, method=method, threads=threads), limit_s=LIMIT_S)
        assert not cost.failure
    for name in ("{}.tif", "{}-depth.tif")[: 1 + METHODS[method].depth]:
        one, two = (tmp_path / name.format(threads) for threads in (1, 2))
        assert one.read_bytes() == two.read_bytes()


def test_memory_of_a_long_stack(bench: Bench, tmp_path: Path) -> None:
    files = bench.case("D").frames
    peaks_mb = {}
    for count in MEMORY_FRAMES:
        folder = tmp_path / str(count)
        folder.mkdir()
        for index in range(count):
            (folder / f"f{index:04d}.jpg").symlink_to(files[index % len(files)].resolve())
        cost = run(fuse_command(folder, tmp_path / "out.tif", "--no-align"), limit_s=LIMIT_S)
        assert not cost.failure
        peaks_mb[count] = round(cost.rss_mb, 1)
    bench.note("peak RSS at 12 MP by frames, MB", peaks_mb)
    few, many = (peaks_mb[count] for count in MEMORY_FRAMES)
    assert many - few <= MOST_GROWTH_MB
    assert many <= MOST_LONG_STACK_MB


def test_second_process_finds_its_kernels(bench: Bench, tmp_path: Path) -> None:
    """The first process compiles into an empty cache, the second one reads it."""
    frames = tiny_stack(tmp_path / "frames")
    env = {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    command = fuse_command(frames, tmp_path / "out.tif", "--depth", tmp_path / "depth.tif")
    first = run(command, limit_s=LIMIT_S, env=env)
    second = least(lambda: run(command, limit_s=LIMIT_S, env=env), runs=RUNS, once_above_s=LIMIT_S)
    bench.note("three tiny frames, CPU s: first process", round(first.cpu_s, 2))
    bench.note("three tiny frames, CPU s: second process", round(second.cpu_s, 2))
    assert not first.failure
    assert not second.failure
    assert second.cpu_s < WARM_CPU_S
