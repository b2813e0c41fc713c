"""What this machine is good for: its pins' clock, its threads, its speed."""

import asyncio

import numpy as np
import pytest

from hil.rigs import Stopwatch
from rigd.app import warm_up
from rigd.health import LoopLag, LoopLagMeter
from tests.contract.bench import RealBench

LATE_S = 0.2
TRIES = 20


@pytest.mark.needs("pins", "pin_loop")
def test_times_of_edges_are_on_the_bench_clock(bench_rig, file, figure):
    """An output drives an input: the edge's time lies between the moments before and after it was driven."""
    out, back = file.features.pin_loop
    off_ms = []
    bench_rig.pins.drive(out, 0)
    with bench_rig.pins.watch(back) as watch:
        driven = []
        for number in range(TRIES):
            bench_rig.bench.pass_time(0.01)
            driven.append((*bench_rig.pins.drive(out, (number + 1) % 2), (number + 1) % 2))
        bench_rig.bench.pass_time(LATE_S)
        edges = watch.edges()
    bench_rig.pins.drive(out, 0)
    assert [edge.level for edge in edges] == [level for *_, level in driven], (
        "edges are missing: check the wire"
    )
    for edge, (before_s, after_s, _) in zip(edges, driven, strict=True):
        off_ms.append(1e3 * max(before_s - edge.at_s, edge.at_s - after_s, 0.0))
    figure(
        "pin_clock_error",
        max(off_ms),
        "ms",
        limit=file.tolerances.pin_clock_ms,
        samples=tuple(off_ms),
        better="lower",
        note="How far an edge's time lies outside of the moments between which it was made. Without this no latency below means anything.",
    )


def test_numba_threads(figure):
    """Which threading layer Numba takes here: `workqueue` aborts the process when two threads enter parallel kernels."""
    import numba  # noqa: PLC0415  (Numba takes its time to load)

    @numba.njit(parallel=True)
    def total(values):
        found = 0.0
        for at in numba.prange(values.shape[0]):
            found += values[at]
        return found

    watch = Stopwatch()
    assert total(np.ones(1000)) == 1000.0
    figure(
        "numba_threading_layer",
        numba.threading_layer(),
        note="`omp` or `tbb` on a good installation; rigd enters kernels from one thread in any case.",
    )
    figure(
        "numba_threads",
        float(numba.get_num_threads()),
        note=f"Compiling a small kernel took {watch.seconds:.1f} s.",
    )


def cycle_s(rig) -> float:
    """What the rig takes for a frame without the machine: a typical move, the settle, the exposure."""
    step_um = rig.config.plan.step_um if rig.config.plan is not None and rig.config.plan.step_um else 100.0
    rail, camera = rig.parts.rail, rig.parts.camera
    steps = max(1, round(step_um / rail.capabilities.microstep_um))
    return rail.move_time_s(steps) + rig.config.settle.fixed_s + camera.capabilities.exposure_s


@pytest.mark.needs("rail", "camera")
def test_preview_keeps_up(bench_rig, file, figure):
    """The time that decoding, judging and merging a frame of this camera takes on this machine."""
    from rigd.pictures import Decoder  # noqa: PLC0415  (Numba takes its time to load)
    from stackcore.imageio import encode_jpeg  # noqa: PLC0415
    from stackcore.merge import StackMerger  # noqa: PLC0415

    rail, camera = bench_rig.parts.rail, bench_rig.parts.camera
    bench_rig.bench.run(rail.open)
    bench_rig.bench.run(camera.open)
    able = camera.capabilities
    random = np.random.default_rng(1)
    grain = random.integers(0, 255, (able.height // 4 + 1, able.width // 4 + 1, 3), dtype=np.uint8)
    frame = np.ascontiguousarray(np.kron(grain, np.ones((4, 4, 1), np.uint8))[: able.height, : able.width])
    data = encode_jpeg(frame, quality=90)
    decoder = Decoder.for_size(able.width, able.height, bench_rig.config.preview.max_megapixels)
    look_ms, merge_ms = [], []
    image = decoder.look(data, ".jpg").image
    with StackMerger(*image.shape[:2], threads=bench_rig.config.preview.threads) as merger:
        for number in range(file.numbers.preview_frames + 1):
            watch = Stopwatch()
            image = decoder.look(data, ".jpg").image
            looked_s = watch.seconds
            merger.add(image, number)
            look_ms.append(1e3 * looked_s)
            merge_ms.append(1e3 * (watch.seconds - looked_s))
    del look_ms[0], merge_ms[0]  # the first one compiled
    megapixels = able.width * able.height / 1e6
    figure(
        "decode_time",
        float(np.median(look_ms)),
        "ms",
        samples=tuple(look_ms),
        better="lower",
        note=f"Decoding and judging a frame of {megapixels:.1f} megapixels.",
    )
    figure(
        "merge_time",
        float(np.median(merge_ms)),
        "ms",
        samples=tuple(merge_ms),
        better="lower",
        note=f"Merging it into a preview of {image.shape[1]} x {image.shape[0]} px.",
    )
    figure(
        "preview_share",
        1e-3 * float(np.median(look_ms) + np.median(merge_ms)) / cycle_s(bench_rig),
        limit=file.tolerances.preview_share,
        better="lower",
        note="Both, as a share of what move, settle and exposure take: above 1 the preview falls behind.",
    )


@pytest.mark.needs("rail", "home_switch", "camera")
def test_loop_lag(bench_rig, tmp_path, file, figure):
    """How late the control loop is while a stack is taken: on the machine's own clock, whatever the bench is made of."""
    config, frames = (
        bench_rig.stack(file.numbers.lag_frames, tmp_path, near_home=True),
        file.numbers.lag_frames,
    )
    lag, clock = LoopLag(), RealBench().clock
    warm_up()  # as the daemon does before it says that it is ready

    async def body(rig, _):
        await rig.home()
        metering = asyncio.create_task(LoopLagMeter(lag, clock).serve())
        try:
            await rig.start("loop lag", rig.plan().plan)
            state = await rig.ended()
        finally:
            metering.cancel()
            await asyncio.gather(metering, return_exceptions=True)
        rig.raise_fault(state)
        return lag.take()

    found = bench_rig.with_rig(body, config, clock)
    figure(
        "loop_lag_p99",
        1e3 * found.p99_s,
        "ms",
        limit=file.tolerances.loop_lag_ms,
        better="lower",
        note=f"While a stack of {frames} frames was taken; one round in a hundred was later.",
    )
    figure("loop_lag_worst", 1e3 * found.worst_s, "ms", better="lower")
