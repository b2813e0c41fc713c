"""The options of `rigd calibrate`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

SUMMARY = "measure how the rig rings, its backlash, home, steps and lens, and write a report"
MORE = (
    "Moves the rail within its limits and looks through the camera, which must see something in focus and with texture at --at "
    "(default: the middle of the plan). What is found is kept with the rig's state and used from then on."
)
WHATS = {
    "all": "settle, backlash, homing and pupil, one after the other",
    "settle": "how the image swings after moves: frequency, damping, amplitudes",
    "backlash": "lost motion at a reversal, by camera",
    "homing": "how well home is found again, by camera and by count",
    "scale": "length of a step, against a gauge of known height or a ruler",
    "pupil": "entrance pupil to focus, which is how much a step changes the size of the image",
    "report": "write the report of what is known, and move nothing",
}
EXAMPLES = {
    "all": "  rigd calibrate all --config rig.yaml\n  rigd calibrate all --config config/simulated.yaml --virtual-time\n",
    "settle": (
        "  rigd calibrate settle --config rig.yaml --at 12000 --moves 50,100,500\n"
        "  rigd calibrate settle --config rig.yaml --stills --moves 50,100,500\n"
        "  rigd calibrate settle --config rig.yaml --accelerometer ring.csv --moves 500\n"
    ),
    "backlash": "  rigd calibrate backlash --config rig.yaml --at 12000 --most 400\n",
    "homing": "  rigd calibrate homing --config rig.yaml --homings 10\n",
    "scale": "  rigd calibrate scale --config rig.yaml --known 1000 --near 11000 --far 12500\n"
    "  rigd calibrate scale --config rig.yaml --counted 50000 --known 50200\n",
    "pupil": "  rigd calibrate pupil --config rig.yaml --step 100\n",
    "report": "  rigd calibrate report --config rig.yaml --open\n",
}

Options = Callable[[argparse.ArgumentParser], None]


def add_to(commands: Any, command: Callable[..., argparse.ArgumentParser], *common: Options) -> None:
    """Add the command and everything it can measure."""
    parser = commands.add_parser("calibrate", help=SUMMARY)
    actions = parser.add_subparsers(title="what", dest="what", required=True, metavar="WHAT")
    for what, summary in WHATS.items():
        one = command(
            actions,
            what,
            "calibrate:calibrate",
            summary,
            more="" if what == "report" else MORE,
            examples=EXAMPLES[what],
        )
        for add in common:
            add(one)
        one.add_argument("--no-report", action="store_true", help="write no report")
        one.add_argument("--open", action="store_true", help="open the report in a browser")
        if what != "report":
            one.add_argument(
                "--at",
                type=_length,
                metavar="UM",
                help="rail position with something in focus and with texture",
            )
        if what in _OWN:
            _OWN[what](one)


def _settle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--moves", type=_lengths, metavar="UM,UM", help="lengths of the moves; default: 1, 2, 5, 20 steps"
    )
    parser.add_argument("--step", type=_length, metavar="UM", help="the step that these are multiples of")
    parser.add_argument("--repeats", type=_count, metavar="N", help="of each move (default: 3)")
    parser.add_argument(
        "--rates", type=_lengths, metavar="HZ,HZ", help="of the camera's bursts (default: all it has)"
    )
    parser.add_argument(
        "--stills",
        action="store_true",
        help="by single pictures, each after a move of its own: for cameras without bursts",
    )
    parser.add_argument(
        "--accelerometer",
        type=Path,
        nargs="+",
        default=[],
        metavar="CSV",
        help="records of an accelerometer instead of the camera, one for each of --moves; nothing is moved",
    )
    parser.add_argument(
        "--accelerometer-command",
        metavar="COMMAND",
        help="a program that prints such a record until it is stopped: run during each move",
    )
    parser.add_argument(
        "--ended",
        type=_lengths,
        metavar="S,S",
        help="when the motion ended in each record; default: looked for",
    )


def _backlash(parser: argparse.ArgumentParser) -> None:
    _step(parser)
    parser.add_argument("--most", type=_length, metavar="UM", help="largest backlash that is looked for")


def _homing(parser: argparse.ArgumentParser) -> None:
    _step(parser)
    parser.add_argument("--homings", type=_count, default=5, metavar="N", help="how many (default: 5)")


def _scale(parser: argparse.ArgumentParser) -> None:
    _step(parser)
    parser.add_argument(
        "--known",
        type=_length,
        required=True,
        metavar="UM",
        help="height of the gauge, or the way that was read",
    )
    parser.add_argument(
        "--counted",
        type=_length,
        metavar="UM",
        help="instead of looking: the way that the rail went by count, --known of it as read on a ruler or caliper; nothing is moved",
    )
    parser.add_argument(
        "--reading",
        type=_length,
        default=100.0,
        metavar="UM",
        help="how well each end was read (default: 100, a ruler by eye; a caliper: 20)",
    )
    parser.add_argument(
        "--near", type=_length, metavar="UM", help="rail position from which on it comes into focus"
    )
    parser.add_argument("--far", type=_length, metavar="UM", help="rail position up to which it does")
    for name, which in (("--from", "near"), ("--to", "far")):
        parser.add_argument(
            name,
            dest=f"{which}_region",
            type=_region,
            metavar="L,T,R,B",
            help=f"where the {which} plane is seen: left, top, right, bottom as shares of the picture",
        )


def _step(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--step", type=_length, metavar="UM", help="between two pictures (default: half the plan's step)"
    )


_OWN: dict[str, Options] = {
    "settle": _settle,
    "backlash": _backlash,
    "homing": _homing,
    "scale": _scale,
    "pupil": _step,
}


def _length(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _lengths(text: str) -> list[float]:
    return [_length(part) for part in text.split(",")]


def _count(text: str) -> int:
    if not text.isdigit() or not 2 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r}: 2 or more are needed")
    return int(text)


def _region(text: str) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LEFT,TOP,RIGHT,BOTTOM") from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise argparse.ArgumentTypeError(
            f"{text!r}: shares from 0 to 1, left before right, top before bottom"
        )
    return left, top, right, bottom
