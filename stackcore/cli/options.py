"""Options that several commands have."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence

from stackcore.catalogue import DEFAULT, METHODS, Entry, Option, option_names

FRAMES_HELP = (
    "FRAMES are pictures in the order of the stack, a folder of pictures in the order of their names, or a session of rigd. "
    "JPEG, PNG, TIFF (8 and 16 bit), DNG and camera RAW are read. The first frame is what the others are aligned to."
)


def positive(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def nonzero(text: str) -> float:
    """A number other than 0."""
    value = float(text)
    if not math.isfinite(value) or value == 0:
        raise argparse.ArgumentTypeError(f"{text} is no step")
    return value


def positive_int(text: str) -> int:
    """A whole number above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def quality(text: str) -> int:
    """1 to 100."""
    value = int(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not within 1 to 100")
    return value


def default_threads() -> int:
    """As many as there are cores for this process."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def json_option(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else on standard output"
    )


def threads(parser: argparse._ActionsContainer) -> None:
    """`--threads`."""
    parser.add_argument(
        "--threads",
        type=positive_int,
        default=default_threads(),
        metavar="N",
        help="at most so many work at once (here %(default)s); the result does not depend on it",
    )


def frames(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """The frames."""
    parser.add_argument(
        "frames", nargs="*" if optional else "+", metavar="FRAMES", help="pictures, a folder, or a session"
    )
    parser.add_argument(
        "--order",
        choices=("given", "name", "time"),
        help="of the frames; default: files as given, a folder by name (f2 before f10); time: as EXIF says",
    )
    parser.add_argument(
        "--prefer", choices=("jpeg", "raw"), default="jpeg", help="where a picture is there as both (jpeg)"
    )


def registering(parser: argparse.ArgumentParser) -> None:
    """How frames are made to fit each other."""
    group = parser.add_argument_group("registration")
    group.add_argument("--no-align", action="store_true", help="the frames lie on each other; do not measure")
    group.add_argument("--no-even", action="store_true", help="do not even out exposure and colour")
    group.add_argument(
        "--registration", metavar="FILE", help="use the one that --save-registration wrote; measure nothing"
    )


def fusion(parser: argparse.ArgumentParser) -> None:
    """How a stack is fused."""
    group = parser.add_argument_group("method")
    group.add_argument(
        "--method",
        default=DEFAULT,
        metavar="NAME",
        help=f"{', '.join(METHODS)} (default {DEFAULT}); see stackcore methods",
    )
    group.add_argument(
        "--option",
        dest="method_options",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the method; those below have a name of their own",
    )
    for name, uses in option_names().items():
        flag = f"--{name.replace('_', '-')}"
        if flag in _COMMON:
            continue
        option = uses[0][1]
        of = ", ".join(entry.name for entry, _ in uses)
        group.add_argument(
            flag, dest=f"method_{name}", metavar="VALUE", help=f"{of}: {option.meaning} ({_words(uses)})"
        )
    registering(parser)
    parser.add_argument(
        "--save-registration", metavar="FILE", help="keep how each frame lies on the first, as JSON"
    )
    shape = parser.add_argument_group("perspective and slabs")
    shape.add_argument(
        "--orthographic",
        action="store_true",
        help="every depth at the same size, not as the first frame sees it",
    )
    shape.add_argument(
        "--slab",
        type=positive_int,
        metavar="N",
        help="fuse N frames at a time into a picture each, then those: for hairs that cross, and very deep stacks",
    )
    shape.add_argument(
        "--slab-overlap",
        type=int,
        metavar="N",
        help="frames that a slab shares with the one before (a quarter)",
    )
    scale = parser.add_argument_group("scale")
    scale.add_argument(
        "--step-um", type=nonzero, metavar="UM", help="distance from frame to frame; a session knows it"
    )
    scale.add_argument("--positions", metavar="FILE", help="position of each frame in um, one a line")
    scale.add_argument(
        "--near",
        choices=("auto", "first", "last"),
        default="auto",
        help="which frames are of what is nearer; auto: a session's first, otherwise as the method finds (unveil)",
    )
    scale.add_argument("--um-per-px", type=positive, metavar="UM", help="size of a pixel on the subject")
    threads(parser)


def depth_outputs(parser: argparse.ArgumentParser, *, with_depth: bool = True) -> None:
    """Files with depth in them."""
    group = parser.add_argument_group("depth")
    if with_depth:
        group.add_argument(
            "--depth", metavar="FILE", help="depth map: 32-bit float .tif, in um where positions are known"
        )
    group.add_argument(
        "--confidence", metavar="FILE", help="how sure each depth is, 0 to 1: 32-bit float .tif"
    )
    group.add_argument(
        "--depth-picture", metavar="FILE", help="depth in colours with legend and scale: .png or .jpg"
    )
    group.add_argument(
        "--mesh", metavar="FILE", help="surface as triangles, cut at depth jumps: .glb or .ply"
    )
    group.add_argument("--points", metavar="FILE", help="surface as a cloud of points: .ply")
    group.add_argument(
        "--coverage", metavar="FILE", help="which depths no frame shows sharp, and how much lies there: .json"
    )


def watching(parser: argparse.ArgumentParser) -> None:
    """Frames that arrive."""
    group = parser.add_argument_group("while it works")
    group.add_argument(
        "--preview", metavar="FILE", help="the picture so far, renewed now and then: .jpg, .png or .tif"
    )
    group.add_argument("--preview-s", type=positive, default=2.0, metavar="S", help="at most so often (2 s)")
    group.add_argument(
        "--watch",
        metavar="DIR",
        help="fuse what is in this folder and what arrives in it, until Ctrl-C, --frames or --idle; then write the result",
    )
    group.add_argument(
        "--frames", dest="expected", type=positive_int, metavar="N", help="with --watch: N frames are all"
    )
    group.add_argument(
        "--idle", type=positive, metavar="S", help="with --watch: end when nothing came for S seconds"
    )


def results(parser: argparse.ArgumentParser) -> None:
    """What is done with results."""
    group = parser.add_argument_group("results")
    group.add_argument(
        "--quality", type=quality, default=95, metavar="N", help="of JPEG files, 1 to 100 (95)"
    )
    group.add_argument(
        "--no-clobber", action="store_true", help="refuse to replace files; frames are never replaced"
    )
    group.add_argument("--strict", action="store_true", help="exit with 4 when a frame was left out")
    group.add_argument("--quiet", action="store_true", help="no progress")


_COMMON = frozenset(
    {
        "--threads", "--near", "--slab", "--slab-overlap", "--depth", "--points", "--mesh", "--preview", "--quality", "--watch",
        "--frames", "--idle", "--quiet", "--strict", "--positions", "--registration", "--option", "--method", "--confidence", "--coverage",
    }
)  # fmt: skip
"""Names that belong to the command line; an option of a method that is called so is set with --option."""


def _words(uses: Sequence[tuple[Entry, Option]]) -> str:
    """What an option may be, and its default, where all methods that have it agree."""
    allowed = {option.allowed for _, option in uses}
    defaults = {str(option.default).lower() for _, option in uses}
    words = allowed.pop() if len(allowed) == 1 else "see stackcore methods"
    return words + (f"; {defaults.pop()}" if len(defaults) == 1 else "")
