"""The options of `rigd optics`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rigd.cli.optics import quantity

EXAMPLES = """\
  rigd optics --magnification 1 --f-number 8 --depth 10mm --blur-circle 30um
  rigd optics --objective nikon-cfi-10x --sensor 23.5mm --pixels 6000 --depth 1mm
  rigd optics --magnification 2 --f-number 5.6 --blur-circle 15um --depth 8mm --overhead 2s --exposure 0.5s --fastest
  rigd optics --config rig.yaml --table
  rigd optics list
  rigd optics ruler ruler.jpg --pitch 1mm --sensor 23.5mm
"""


def add(parser: argparse.ArgumentParser, command: Callable[..., argparse.ArgumentParser]) -> None:
    """All of them, and those of `list` and `ruler`."""
    _config(parser, None, [])
    _lens(parser)
    _sensor(parser)
    _stack(parser)
    actions = parser.add_subparsers(title="further", dest="action", metavar="")
    listing = command(
        actions, "list", "optics:objectives", "lenses, objectives and rails that are known by name"
    )
    # What stands before the word `list` stays in force where it is not said again after it.
    _config(listing, argparse.SUPPRESS, argparse.SUPPRESS)
    ruler = command(
        actions,
        "ruler",
        "ruler:ruler",
        "magnification from a photograph of a ruler",
        more="The ruler lies across the picture, in focus, its marks at a pitch that is known. Refused where they are not regular.",
        examples="  rigd optics ruler ruler.jpg --pitch 1mm --sensor 23.5mm\n",
    )
    ruler.add_argument("picture", type=Path, help="the photograph, at full size")
    ruler.add_argument(
        "--pitch",
        type=quantity("pitch"),
        default=1.0,
        metavar="LENGTH",
        help="from mark to mark (default: 1mm)",
    )
    ruler.add_argument(
        "--sensor",
        type=quantity("sensor"),
        metavar="WIDTH",
        help="width of the sensor, for the magnification",
    )
    for one, default in ((parser, False), (listing, argparse.SUPPRESS), (ruler, argparse.SUPPRESS)):
        one.add_argument(
            "--json",
            action="store_true",
            default=default,
            help="print one JSON object and nothing else on standard output",
        )


def _config(parser: argparse.ArgumentParser, config: Any, overrides: Any) -> None:
    parser.add_argument(
        "--config", type=Path, default=config, metavar="FILE", help="a rig whose optics are meant"
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=overrides,
        metavar="KEY=VALUE",
        help="override one setting",
    )


def _quantity(parser: Any, name: str, text: str, metavar: str = "LENGTH") -> None:
    parser.add_argument(f"--{name.replace('_', '-')}", type=quantity(name), metavar=metavar, help=text)


def _lens(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("lens")
    group.add_argument("--objective", metavar="NAME", help="by name; `rigd optics list` shows them")
    group.add_argument("--magnification", type=float, metavar="M", help="image size over subject size")
    group.add_argument("--f-number", type=float, metavar="N", help="as marked on the lens, for infinity")
    group.add_argument(
        "--na", type=float, metavar="NA", help="numerical aperture, as engraved on an objective"
    )
    group.add_argument("--pupil-ratio", type=float, metavar="P", help="exit over entrance pupil (default: 1)")
    group.add_argument(
        "--index", type=float, metavar="n", help="refractive index before the objective (default: 1)"
    )
    _quantity(group, "focal_length", "with --extension or --subject, instead of a magnification")
    _quantity(group, "extension", "of the lens beyond its infinity position")
    _quantity(group, "subject", "from the lens's front principal plane to the subject")
    _quantity(group, "tube", "focal length of the tube lens of an infinity objective")
    _quantity(group, "field_width", "how much of the subject fits across the picture; needs --sensor")
    _quantity(group, "pupil_distance", "entrance pupil to plane in focus, for perspective")
    _quantity(group, "wavelength", "of the light (default: 550nm)")


def _sensor(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sensor")
    _quantity(group, "sensor", "its width", "WIDTH")
    group.add_argument("--pixels", type=int, metavar="N", help="pixels across it")
    _quantity(group, "blur_circle", "largest disc on the sensor that passes for a point")
    group.add_argument(
        "--convention",
        choices=("classic", "wave", "microscope"),
        help="which depth of field steps are made from (default: classic with a blur circle, else wave)",
    )


def _stack(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("stack")
    _quantity(group, "depth", "of the subject")
    group.add_argument(
        "--share",
        type=float,
        default=0.8,
        metavar="S",
        help="of the depth of field for a step (default: 0.8)",
    )
    group.add_argument("--table", action="store_true", help="also the whole range of apertures")
    group.add_argument(
        "--fastest", action="store_true", help="also the quickest aperture and number of frames"
    )
    _quantity(group, "overhead", "of each frame beside its exposure, for --fastest", "TIME")
    _quantity(group, "exposure", "as metered at this aperture, for --fastest", "TIME")
    group.add_argument(
        "--widest", type=float, metavar="N", help="the lens opens no wider, for --fastest; as marked"
    )
