"""How long a simulated frame takes: wall and CPU milliseconds by scene and size, in bench-results/render.json."""

import json
import os
import platform
import time
from pathlib import Path

import pytest

from drivers.sim.lens import ThinLens
from drivers.sim.render import Renderer, develop, warm_up
from drivers.sim.scenes import SCENES, make_scene

RESULTS = Path(__file__).parents[2] / "bench-results"
SIZES = {"12 MP": (4056, 3040), "3 MP": (2028, 1520), "0.77 MP": (1014, 760), "96x64": (96, 64)}
SENSOR_WIDTH_UM = 6287.0
NEAR_UM, FAR_UM = 1000.0, 3000.0


def timed(work, repeats):
    """Median wall and CPU milliseconds of a call."""
    wall, cpu = [], []
    for _ in range(repeats):
        w, c = time.perf_counter(), time.process_time()
        work()
        wall.append(1e3 * (time.perf_counter() - w))
        cpu.append(1e3 * (time.process_time() - c))
    return {"wall_ms": round(sorted(wall)[repeats // 2], 2), "cpu_ms": round(sorted(cpu)[repeats // 2], 2)}


def measure(name, width, height):
    start, start_cpu = time.perf_counter(), time.process_time()
    scene = make_scene(name, width=width, height=height, near_um=NEAR_UM, far_um=FAR_UM, seed=1)
    result = {
        "scene_s": round(time.perf_counter() - start, 3),
        "scene_cpu_s": round(time.process_time() - start_cpu, 3),
    }
    renderer = Renderer(scene, ThinLens(1.0, 4.0, SENSOR_WIDTH_UM / width, 100_000.0))
    repeats = 3 if width > 3000 else 7 if width > 500 else 101
    for label, position in (("near", NEAR_UM), ("middle", 0.5 * (NEAR_UM + FAR_UM)), ("far", FAR_UM)):
        result[label] = timed(lambda p=position: renderer.render(p), repeats)
    linear = renderer.render(NEAR_UM)
    result["develop"] = timed(
        lambda: develop(linear, read_noise=1.5, photons_full_scale=10_000.0, seed=1), repeats
    )  # fmt: skip
    result["scene_mb"] = round(scene.pool.nbytes / 1e6, 1)
    return result


@pytest.mark.bench
def test_render():
    warm_up()
    results = {"machine": platform.machine(), "cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    for label, (width, height) in SIZES.items():
        for name in SCENES:
            results[f"{name} {label}"] = figures = measure(name, width, height)
            print(f"\n{name:>7} {label:>8}: {figures}", end="")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "render.json").write_text(json.dumps(results, indent=2) + "\n")
    assert all(figures["middle"]["wall_ms"] > 0 for figures in results.values() if isinstance(figures, dict))
