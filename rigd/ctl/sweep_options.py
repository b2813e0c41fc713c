"""The options of `rigctl sweep`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from rigd.ctl.words import length_um


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Where from, where to, how fine."""
    parser = command(
        commands,
        "sweep",
        "sweeping:sweep",
        "find where the subject begins and ends, by pictures that are not kept",
        more="It proposes near and far, and changes no setting. The rig must be idle, with home known. Ctrl-C stops the sweep.",
        examples="  rigctl sweep --from 8mm --to 16mm --step 100um\n  rigctl sweep --json\n",
    )
    parser.add_argument(
        "--from", dest="from_um", type=length_um, metavar="LENGTH", help="default: the rail's lower limit"
    )
    parser.add_argument(
        "--to", dest="to_um", type=length_um, metavar="LENGTH", help="default: its upper limit"
    )
    parser.add_argument(
        "--step",
        dest="step_um",
        type=length_um,
        metavar="LENGTH",
        help="from picture to picture, at most; about a depth of field is good (default: 60 pictures in all)",
    )
