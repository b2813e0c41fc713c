"""`rigd optics`: depth of field, diffraction, light and steps by hand, or of a config's lens."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rigd.cli.exits import Exit
from rigd.cli.failures import Stopped
from rigd.words import duration_text

if TYPE_CHECKING:
    from rigd.config.optics import Objective, Optics
    from rigd.optics import RailSet, Setup

STOPS = (1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0, 22.0, 32.0)
QUANTITIES = {
    "blur_circle": "um",
    "depth": "um",
    "wavelength": "um",
    "focal_length": "mm",
    "extension": "mm",
    "subject": "mm",
    "tube": "mm",
    "field_width": "mm",
    "sensor": "mm",
    "pupil_distance": "mm",
    "overhead": "s",
    "exposure": "s",
    "pitch": "mm",
    "sweep_from": "um",
    "sweep_to": "um",
    "sweep_step": "um",
}
"""Options that take a unit, and the one they have without."""


def quantity(name: str) -> Any:
    """What argparse reads such an option with: `10mm`, `550 nm`, or a number in the option's own unit."""
    unit = QUANTITIES[name]

    def read(text: str) -> float:
        from rigd.config.units import parse_quantity, shown

        found = parse_quantity(text)
        value = None
        if found is not None:
            value = found.number if not found.unit else found.to(unit)
        if value is None or value < 0 or (value == 0 and name != "sweep_from"):
            hint = (
                '; 1/2.3" and the like are names of tubes of the 1950s, and no size'
                if name == "sensor" and "/" in text
                else ""
            )
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a {'time' if unit == 's' else 'length'} above 0, such as 10{shown(unit)}{hint}"
            )
        return value

    return read


def table(options: argparse.Namespace) -> int:
    """`rigd optics`."""
    from rigd.optics import OpticsError

    try:
        optics, width_px = _optics(options)
        setup = optics.setup(width_px)
        if setup is None:
            raise Stopped(Exit.USAGE, _unknown(options, optics))
        fastest = _fastest(options, optics, setup) if options.fastest else None
    except OpticsError as error:
        raise Stopped(Exit.USAGE, str(error)) from error
    if options.json:
        print(json.dumps(_record(setup, options, fastest), indent=2))
        return Exit.DONE
    _print_setup(setup, options)
    if fastest is not None:
        print(fastest_text(fastest, setup))
    if options.table:
        _print_table(setup, options)
    return Exit.DONE


def _unknown(options: argparse.Namespace, optics: Optics) -> str:
    """What is missing to say anything."""
    if options.config is None and optics == type(optics)():
        return "what is the lens? Give --magnification and --f-number or --na, or --objective, or --config"
    wanted = [] if optics.magnification is not None else ["--magnification (or --field-width and --sensor)"]
    if optics.f_number is None and optics.na is None:
        wanted.append("--f-number or --na")
    where = "" if options.config is None else f"; or say it under optics: in {options.config}"
    return f"what is the lens? Too little is known of it: give {' and '.join(wanted)}{where}"


def _optics(options: argparse.Namespace) -> tuple[Optics, int | None]:
    """The config's optics, where there is one, with what the command line says over them."""
    from rigd.config import library, load
    from rigd.config.optics import Optics
    from rigd.lens import calibration_of, pupil_of
    from rigd.optics import scale

    own: dict[str, Objective] = {}
    base, width_px = Optics(), options.pixels
    if options.config is not None:
        config = load(options.config, options.overrides)
        pupil = pupil_of(config, calibration_of(config))
        base, own = config.optics, config.objectives
        base = base.model_copy(update={"pupil_to_focus_um": pupil.distance_um if pupil is not None else None})
        declared = getattr(config.camera.options, "declared", lambda: None)()
        width_px = width_px or (declared.width if declared is not None else None)
    given: dict[str, Any] = {
        "objective": options.objective,
        "magnification": options.magnification,
        "f_number": options.f_number,
        "na": options.na,
        "pupil_ratio": options.pupil_ratio,
        "refractive_index": options.index,
        "focal_length_mm": options.focal_length,
        "extension_mm": options.extension,
        "subject_mm": options.subject,
        "tube_mm": options.tube,
        "sensor_width_mm": options.sensor,
        "wavelength_um": options.wavelength,
        "blur_circle_um": options.blur_circle,
        "depth_of_field": options.convention,
        "pupil_to_focus_um": None if options.pupil_distance is None else options.pupil_distance * 1000,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if "objective" in given:  # another lens: what the config says of its own does not hold
        base = base.model_copy(
            update=dict.fromkeys(
                ("magnification", "f_number", "na", "pupil_ratio", "focal_length_mm", "pupil_to_focus_um")
            )
        )
    if {"focal_length_mm", "extension_mm", "subject_mm"} & given.keys() and "magnification" not in given:
        base = base.model_copy(update={"magnification": None})
    if "f_number" in given or "na" in given:
        base = base.model_copy(update={"f_number": None, "na": None})
    optics = base.model_copy(update=given)
    if options.field_width is not None:
        if optics.sensor_width_mm is None:
            raise Stopped(Exit.USAGE, "--field-width needs the sensor's width: give --sensor")
        found = scale.magnification_of_field(optics.sensor_width_mm, options.field_width)
        optics = optics.model_copy(update={"magnification": found})
    return library.filled(optics, own), width_px


def _fastest(options: argparse.Namespace, optics: Optics, setup: Setup) -> RailSet:
    from rigd.config import library
    from rigd.optics import RailTask, aperture, fastest_on_rail

    missing = [f"--{name}" for name in ("depth", "overhead", "exposure") if getattr(options, name) is None]
    if missing:
        raise Stopped(Exit.USAGE, f"--fastest needs {' and '.join(missing)} too")
    if setup.resolved_um is None:
        raise Stopped(Exit.USAGE, "--fastest needs --blur-circle, or --sensor and --pixels")
    lens = library.objectives().get(optics.objective or "")
    marked = options.widest or (lens.f_number_min if lens is not None else None)
    widest = 0.0
    if marked is not None:
        widest = aperture.effective_f_number(marked, setup.magnification, setup.pupil_ratio)
    elif setup.f_number is None:
        widest = setup.effective_f_number
    return fastest_on_rail(
        RailTask(
            depth_um=options.depth,
            magnification=setup.magnification,
            blur_circle_um=setup.blur_circle_um or 2 * setup.resolved_um,
            overhead_s=options.overhead,
            exposure_s=options.exposure,
            metered_effective=setup.effective_f_number,
            share=options.share,
            widest_effective=widest,
            wavelength_um=setup.wavelength_um,
        )
    )


def fastest_text(fastest: RailSet, setup: Setup) -> str:
    """A set in words."""
    from rigd.optics import aperture

    limit = {
        "overhead": "there exposure about equals what else a frame takes",
        "diffraction": "diffraction allows no smaller aperture",
        "lens": "the lens opens no wider",
    }[fastest.limited_by]
    marked = ""
    if setup.f_number is not None:
        lens = aperture.marked_f_number(fastest.effective_f_number, setup.magnification, setup.pupil_ratio)
        marked = f"f/{lens:.3g} on the lens, "
    return (
        f"fastest: {marked}f/{fastest.effective_f_number:.3g} effective, {fastest.frames} frames, step {length_text(fastest.step_um)}, "
        f"exposure {fastest.exposure_s:.3g} s each, {duration_text(fastest.seconds)} in all; {limit}"
    )


def _frames(depth_um: float, step_um: float) -> int:
    return max(2, math.ceil(depth_um / step_um - 1e-9) + 1)


def _record(setup: Setup, options: argparse.Namespace, fastest: RailSet | None) -> dict[str, Any]:
    step_um = setup.step_um(options.share)
    return {
        "ok": True,
        "optics": setup.to_dict(),
        "share": options.share,
        "step_um": step_um,
        "depth_um": options.depth,
        "frames": None if options.depth is None else _frames(options.depth, step_um),
        "table": [_row(setup, stop, options) for stop in STOPS] if _adjustable(setup) else [],
        "fastest": None if fastest is None else asdict(fastest),
    }


def _row(setup: Setup, stop: float, options: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import replace

    one = replace(setup, f_number=stop)
    step_um = one.step_um(options.share)
    return {
        "f_number": stop,
        "effective_f_number": one.effective_f_number,
        "airy_um": one.airy_um,
        "airy_px": one.airy_px,
        "depth_of_field_um": dict(one.depths_of_field_um()),
        "step_um": step_um,
        "frames": None if options.depth is None else _frames(options.depth, step_um),
    }


def _adjustable(setup: Setup) -> bool:
    return setup.f_number is not None


def _print_setup(setup: Setup, options: argparse.Namespace) -> None:
    from rigd.optics import CONVENTION_WORDS

    marked = f"f/{setup.f_number:g} on the lens is " if setup.f_number is not None else ""
    print(
        f"{setup.magnification:.4g}x, {marked}f/{setup.effective_f_number:.3g} effective, NA {setup.subject_na:.3g}"
    )
    if setup.light_loss_stops is not None:
        print(
            f"light            {setup.light_loss_stops:.1f} stops less; a hand-held meter's exposure times {setup.exposure_factor:.3g}"
        )
    if setup.pitch_um is not None:
        print(
            f"pixel            {setup.pitch_um:.3g} um on the sensor, {setup.object_px_um:.3g} um on the subject"
        )
    for name, value in setup.depths_of_field_um().items():
        mark = "*" if name == setup.named_convention else " "
        circle = f" with c {setup.blur_circle_um:g} um" if name == "classic" else ""
        print(f"depth of field {mark} {length_text(value):>9}  {CONVENTION_WORDS[name]}{circle}")
    pixels = f", {setup.airy_px:.2g} pixels" if setup.airy_px is not None else ""
    print(
        f"diffraction      Airy disc {setup.airy_um:.1f} um{pixels}; no contrast beyond {1000 / (setup.wavelength_um * setup.effective_f_number):.0f} cycles/mm"
    )
    if setup.best_effective is not None and setup.best_f_number is not None:
        best = f"f/{setup.best_f_number:.3g} on the lens, "
        of = f"c {setup.blur_circle_um:g} um" if setup.blur_circle_um is not None else "two pixels"
        print(
            f"best aperture    {best}f/{setup.best_effective:.3g} effective: there blur ({of}) and diffraction weigh alike"
        )
    step_um = setup.step_um(options.share)
    frames = (
        f", {_frames(options.depth, step_um)} frames for {length_text(options.depth)}"
        if options.depth
        else ""
    )
    print(
        f"step             {length_text(step_um)}, {options.share:g} of the {setup.named_convention} depth of field{frames}"
    )
    if setup.pupil_to_focus_um is not None and setup.width_px is not None:
        from rigd.optics import perspective

        shift_px = perspective.edge_shift_px(setup.width_px, step_um, setup.pupil_to_focus_um)
        zoom = 100 * (perspective.scale_after(step_um, setup.pupil_to_focus_um) - 1)
        print(f"perspective      {zoom:.2g} % larger from frame to frame, {shift_px:.2g} px at the edge")


def _print_table(setup: Setup, options: argparse.Namespace) -> None:
    if not _adjustable(setup):
        return
    names = list(setup.depths_of_field_um())
    print(
        "\n      f  effective   Airy um " + "".join(f"{name:>12}" for name in names) + "        step  frames"
    )
    for stop in STOPS:
        row = _row(setup, stop, options)
        depths = "".join(f"{length_text(row['depth_of_field_um'][name]):>12}" for name in names)
        frames = f"{row['frames']:8d}" if row["frames"] is not None else ""
        print(
            f"{stop:7.3g}  {row['effective_f_number']:9.3g}  {row['airy_um']:8.1f} {depths}  {length_text(row['step_um']):>10}{frames}"
        )


def length_text(um: float) -> str:
    """A length as people say it."""
    return f"{um / 1000:.3f} mm" if um >= 100 else f"{um:.3g} um"


def objectives(options: argparse.Namespace) -> int:
    """`rigd optics list`."""
    from rigd.config import library, load

    own = load(options.config, options.overrides).objectives if options.config is not None else {}
    found = {**library.objectives(), **own}
    if options.json:
        print(json.dumps({name: one.model_dump(exclude_none=True) for name, one in found.items()}, indent=2))
        return Exit.DONE
    for name, one in found.items():
        keys = one.model_dump(exclude_none=True, exclude={"about"})
        print(f"{name:18} {one.about}")
        print(f"{'':18} " + ", ".join(f"{key} {value:g}" for key, value in keys.items()))
    print("\nrails, for `rail: {model: NAME}`:")
    for name, rail in library.rails().items():
        print(f"{name:18} {rail.about}")
    return Exit.DONE
