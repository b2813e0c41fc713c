"""`rigd plan`: what a capture would do, why, and what to know before."""

from __future__ import annotations

import argparse
import json
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rigd.cli.exits import Exit
from rigd.cli.failures import Stopped
from rigd.words import bytes_text, duration_text

if TYPE_CHECKING:
    from drivers.base import CameraCapabilities
    from rigd.config import RigConfig
    from rigd.optics import RailSet
    from rigd.planning import Planned


def plan(options: argparse.Namespace) -> int:
    """`rigd plan`."""
    from drivers.clock import SystemClock
    from rigd.config import load
    from rigd.parts import dry_plan

    config = load(options.config, options.overrides)
    planned, camera = dry_plan(config, SystemClock())
    fastest = _fastest(config, planned, camera) if options.fastest else None
    if options.json:
        print(json.dumps(record(planned, fastest), indent=2))
        return Exit.DONE
    _print_plan(planned, camera)
    if options.explain:
        _print_reasons(planned)
    for warning in planned.warnings:
        print(_wrapped(f"warning: {warning}"))
    if fastest is not None:
        _print_fastest(planned, fastest)
    if not options.explain:
        _print_positions(planned)
    return Exit.DONE


def record(planned: Planned, fastest: RailSet | None = None) -> dict[str, Any]:
    """All of it, as JSON-ready data."""
    from rigd.plan import overlap

    made, setup = planned.plan, planned.setup
    return {
        "ok": True,
        "plan": {
            **made.to_dict(),
            "frames": made.frames,
            "rounding_um": made.rounding_um,
            "shortest_step_um": made.shortest_step_um,
            "overlap": None if planned.depth_um is None else overlap(made, planned.depth_um),
        },
        "prediction": asdict(planned.prediction),
        "free_bytes": planned.free_bytes,
        "optics": None if setup is None else setup.to_dict(),
        "reasons": [asdict(reason) for reason in planned.reasons],
        "warnings": [asdict(warning) for warning in planned.warnings],
        **({} if fastest is None else {"fastest": asdict(fastest)}),
    }


def _print_plan(planned: Planned, camera: CameraCapabilities) -> None:
    made, taken = planned.plan, planned.prediction
    ends = f"{made.um(made.near):.2f} um to far {made.um(made.far):.2f} um"
    margin = f", {made.margin_frames} of them margin at each end" if made.margin_frames else ""
    step = f"{made.step_um:.3f}" if made.even else f"{made.shortest_step_um:.3f} to {made.step_um:.3f}"
    print(f"{made.frames} frames{margin}, {camera.width} x {camera.height}")
    print(f"near {ends}, both exact; step {step} um")
    print(f"rounded to microsteps of {made.microstep_um:.4g} um: at most {made.rounding_um:.3f} um off")
    way = "away from home (near first)" if made.near_first else "toward home (far first)"
    print(
        f"every frame approached {way}, from {made.um(made.approach):.2f} um, backlash {made.um(made.backlash):.1f} um"
    )
    print(
        f"time {duration_text(taken.seconds)}: motion {duration_text(taken.motion_s)}, settle {duration_text(taken.settle_s)}, "
        f"exposure {duration_text(taken.exposure_s)}, camera {duration_text(taken.waiting_s)}"
    )
    print(f"disk {bytes_text(taken.bytes)} of {bytes_text(planned.free_bytes)} to give")


def _print_reasons(planned: Planned) -> None:
    print("\nwhy:")
    for reason in planned.reasons:
        print(_wrapped(f"- {reason.text}"))
    if planned.setup is None:
        print(
            _wrapped(
                "- Of the optics too little is known to say more: give magnification and aperture under `optics:`."
            )
        )
    print()


def _print_positions(planned: Planned) -> None:
    made = planned.plan
    print("\n frame      asked um    position um  microsteps")
    for index, (position, asked) in enumerate(zip(made.positions, made.asked_um, strict=True), start=1):
        print(f"{index:6d}  {asked:12.3f}  {made.um(position):13.3f}  {position:10d}")


def _fastest(config: RigConfig, planned: Planned, camera: CameraCapabilities) -> RailSet:
    """The quickest aperture and number of frames for the depth of this plan."""
    from rigd.config import library
    from rigd.optics import OpticsError, RailTask, aperture, fastest_on_rail

    setup, made, taken = planned.setup, planned.plan, planned.prediction
    if setup is None or setup.resolved_um is None:
        raise Stopped(
            Exit.CONFIG,
            "the fastest set needs the optics: magnification, aperture, and blur_circle_um or sensor_width_mm",
        )
    name = config.optics.objective or ""
    lens = config.objectives.get(name) or library.objectives().get(name)
    widest = 0.0
    if lens is not None and lens.f_number_min is not None:
        widest = aperture.effective_f_number(lens.f_number_min, setup.magnification, setup.pupil_ratio)
    elif setup.f_number is None:
        widest = setup.effective_f_number
    try:
        return fastest_on_rail(
            RailTask(
                depth_um=made.um(made.far) - made.um(made.near),
                magnification=setup.magnification,
                blur_circle_um=setup.blur_circle_um or 2 * setup.resolved_um,
                overhead_s=(taken.seconds - taken.exposure_s) / made.frames,
                exposure_s=camera.exposure_s,
                metered_effective=setup.effective_f_number,
                share=config.plan.dof_share if config.plan is not None else 0.8,
                widest_effective=widest,
                wavelength_um=setup.wavelength_um,
            )
        )
    except OpticsError as error:
        raise Stopped(Exit.PLAN, f"there is no fastest set: {error}") from error


def _print_fastest(planned: Planned, fastest: RailSet) -> None:
    from rigd.cli.optics import fastest_text

    assert planned.setup is not None
    print(_wrapped(fastest_text(fastest, planned.setup)))
    print(f"as planned now: {planned.plan.frames} frames, {duration_text(planned.prediction.seconds)}")


def _wrapped(text: str) -> str:
    return textwrap.fill(text, width=110, subsequent_indent="  ", break_on_hyphens=False)
