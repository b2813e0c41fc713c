"""Commands and options. Each command's room is imported only when it runs, so that `--help` is quick."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from stackcore import __version__
from stackcore.cli import options as add
from stackcore.cli.exits import EPILOG, Exit
from stackcore.cli.failures import explained, flush_output
from stackcore.cli.interrupts import Interrupts

DESCRIPTION = """\
Fuses a focus stack: aligns its frames, evens them out, and makes one picture that is sharp from front to back, with
its depth map, in memory that does not grow with the stack. Needs no rig."""

EXAMPLES = """\
examples:
  stackcore fuse shots/*.jpg -o beetle.tif
  stackcore fuse sessions/20261121T180311Z-beetle -o beetle.tif --depth depth.tif --depth-picture depth.png
  stackcore fuse --watch incoming --idle 30 -o beetle.jpg --preview growing.jpg
  stackcore depth shots --step-um 25 --um-per-px 1.6 -o depth.tif --mesh beetle.glb
  stackcore align shots -o aligned
  stackcore compare beetle.tif other.tif
  stackcore bench
  stackcore methods
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line as JSON too, where that is wanted."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2."""
        if "--json" in sys.argv:
            print(json.dumps({"ok": False, "exit": Exit.USAGE.value, "kind": "usage", "error": message}))
        super().error(message)


class _Version(argparse.Action):
    """`--version`, on standard output whatever else is asked for."""

    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, _values: object, _option: str | None = None
    ) -> None:
        """Print it and exit."""
        print(f"stackcore {__version__}")
        parser.exit()


def run_command_line(arguments: Sequence[str]) -> int:
    """Parse, run, and turn what can go wrong into a message and an exit code."""
    try:
        chosen = make_parser().parse_args(arguments)
    except SystemExit:  # --help and --version end here
        flush_output()
        raise
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(chosen.verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # Matrices here are small: a pool of the linear algebra library costs memory and start-up, and gives nothing.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    def run() -> int:
        module, _, function = chosen.handler.partition(":")
        with (
            Interrupts().installed()
        ):  # while libraries are loaded, too, and for commands that have nothing to finish first
            return int(getattr(importlib.import_module(module), function)(chosen))

    return explained(run, json_wanted=getattr(chosen, "json", False))


def make_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        "stackcore",
        description=DESCRIPTION,
        epilog=f"{EXAMPLES}\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for command in (_fuse, _depth, _align, _compare, _bench, _methods):
        command(commands)
    return parser


def _command(
    commands: Any, name: str, handler: str, summary: str, *, more: str = "", examples: str = ""
) -> argparse.ArgumentParser:
    """One command with help, examples and the options that all commands have."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {more}".rstrip(),
        epilog=f"examples:\n{examples}\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(handler=f"stackcore.cli.{handler}")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="say more; twice: everything")
    add.json_option(parser)
    return parser


def _fuse(commands: Any) -> None:
    parser = _command(
        commands,
        "fuse",
        "fuse:fuse",
        "make one picture that is sharp everywhere",
        more=add.FRAMES_HELP,
        examples=(
            "  stackcore fuse shots/*.jpg -o beetle.tif\n"
            "  stackcore fuse shots -o beetle.jpg --quality 92 --depth depth.tif --depth-picture depth.png\n"
            "  stackcore fuse shots -o soft.tif --method weighted --gamma 2\n"
            "  stackcore fuse shots -o hairs.tif --slab 12\n"
            "  stackcore fuse shots -o a.tif --save-registration shots.json\n"
            "  stackcore fuse shots -o b.tif --registration shots.json --method depth\n"
            "  stackcore fuse --watch incoming --frames 60 -o beetle.tif --preview growing.jpg\n"
        ),
    )
    add.frames(parser, optional=True)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="the picture: .tif, .png or .jpg; keeps ICC and EXIF",
    )
    add.depth_outputs(parser)
    add.fusion(parser)
    add.watching(parser)
    add.results(parser)


def _depth(commands: Any) -> None:
    parser = _command(
        commands,
        "depth",
        "fuse:depth",
        "measure the depth of a stack, without keeping the picture",
        more=add.FRAMES_HELP,
        examples=(
            "  stackcore depth shots --step-um 25 -o depth.tif --depth-picture depth.png\n"
            "  stackcore depth shots --step-um 25 --um-per-px 1.6 -o depth.tif --mesh beetle.glb --points beetle.ply\n"
        ),
    )
    add.frames(parser)
    parser.add_argument("-o", "--output", dest="depth", metavar="FILE", help="depth map: 32-bit float .tif")
    add.depth_outputs(parser, with_depth=False)
    add.fusion(parser)
    add.results(parser)


def _align(commands: Any) -> None:
    parser = _command(
        commands,
        "align",
        "align:align",
        "write the frames aligned and evened out, and how each lies on the first",
        more=add.FRAMES_HELP,
        examples="  stackcore align shots -o aligned\n  stackcore align shots --json\n",
    )
    add.frames(parser)
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="folder of the aligned frames; left away: only the registration"
    )
    parser.add_argument(
        "--suffix", choices=(".tif", ".png", ".jpg"), default=".tif", help="of the aligned frames"
    )
    parser.add_argument(
        "--save-registration", metavar="FILE", help="where it goes; default: registration.json in DIR"
    )
    add.registering(parser)
    add.results(parser)


def _compare(commands: Any) -> None:
    parser = _command(
        commands,
        "compare",
        "compare:compare",
        "hold one picture, with its depth map or without, against another",
        more=(
            "B is the reference. It is registered to A and evened out, as two results of one stack are framed and exposed a little "
            "differently. Sizes may differ by a few pixels."
        ),
        examples=(
            "  stackcore compare fused.tif truth.png\n"
            "  stackcore compare fused.tif truth.png --depth truth-depth.tif --depth-result depth.tif --json\n"
        ),
    )
    parser.add_argument("a", metavar="A", help="the picture")
    parser.add_argument("b", metavar="B", help="what it is held against")
    parser.add_argument(
        "--depth", metavar="FILE", help="true depth: .tif, or a 16-bit .png as --depth-scale says"
    )
    parser.add_argument(
        "--depth-scale", type=float, default=2000.0, metavar="N", help="of a .png: counts a frame (2000)"
    )
    parser.add_argument("--depth-result", metavar="FILE", help="the depth map that belongs to A")
    parser.add_argument("--no-register", action="store_true", help="they lie on each other")


def _bench(commands: Any) -> None:
    parser = _command(
        commands,
        "bench",
        "bench:bench",
        "run the methods, each as a process of its own, and print what they cost",
        more="Without frames it renders a stack, whose truth it knows.",
        examples=(
            "  stackcore bench\n"
            "  stackcore bench shots --methods pyramid,weighted\n"
            "  stackcore bench shots --truth truth.png --runs 3\n"
        ),
    )
    add.frames(parser, optional=True)
    parser.add_argument("--methods", metavar="A,B", help="these only; default: all that are installed")
    parser.add_argument("--truth", metavar="FILE", help="picture to hold the results against")
    parser.add_argument(
        "--runs", type=add.positive_int, default=1, metavar="N", help="take the least of so many runs"
    )
    parser.add_argument(
        "--megapixels", type=add.positive, default=1.2, metavar="N", help="of the rendered frames (1.2)"
    )
    parser.add_argument(
        "--count", type=add.positive_int, default=24, metavar="N", help="of the rendered frames (24)"
    )
    parser.add_argument("--keep", metavar="DIR", help="keep the results here")
    add.threads(parser)


def _methods(commands: Any) -> None:
    _command(
        commands,
        "methods",
        "methods:methods",
        "list the methods, what each is for, and its options",
        examples="  stackcore methods\n",
    )
