"""Options that every command of rigctl has, before the command or after it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

TIMEOUT_S = 10.0
MAX_TIMEOUT_S = 86_400.0


def everywhere(parser: argparse.ArgumentParser, *, first: bool = False) -> None:
    """The options that stand before the command or after it; only the `first` parser has defaults, which others would put back."""
    nothing: Any = None if first else argparse.SUPPRESS
    where = parser.add_argument_group("which rig")
    where.add_argument(
        "--url", default=nothing, help="its address; default: $RIGD_URL, else the only rig there is"
    )
    where.add_argument("--rig", metavar="ID", default=nothing, help="this one of several")
    where.add_argument(
        "--credentials",
        type=Path,
        metavar="FILE",
        default=nothing,
        help="two lines, `username: ...` and `password: ...`; default: $RIGD_CREDENTIALS",
    )
    for name, what in (
        ("ca", "certificates to trust"),
        ("cert", "own certificate"),
        ("key", "its private key"),
    ):
        words = f"{what}, for mqtts; default: $RIGD_{name.upper()}"
        where.add_argument(f"--{name}", type=Path, metavar="FILE", default=nothing, help=words)
    parser.add_argument(
        "--lease",
        metavar="TOKEN",
        default=nothing,
        help="token of the lease that you hold; default: $RIGD_LEASE",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT_S if first else nothing,
        metavar="SECONDS",
        help=f"how long to wait for an answer (default: {TIMEOUT_S:g})",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=False if first else nothing,
        help="print JSON, one object, and nothing else on standard output",
    )
    parser.add_argument(
        "-v", "--verbose", action="count", default=0 if first else nothing, help="say more; twice: everything"
    )


def _seconds(text: str) -> float:
    """A time that can be waited. Raises what argparse shows."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= MAX_TIMEOUT_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no time between 0 and {MAX_TIMEOUT_S:g} seconds")
    return seconds
