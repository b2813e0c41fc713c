"""Completion scripts for shells."""

from __future__ import annotations

import argparse

import shtab

from rigd.ctl.exits import Exit
from rigd.ctl.parser import make_parser


def completion(options: argparse.Namespace) -> int:
    """`rigctl completion`."""
    parser = make_parser()
    _complete_files(parser)
    print(shtab.complete(parser, shell=options.shell))
    return Exit.DONE


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Options that take a file complete files."""
    for action in parser._actions:  # noqa: SLF001  (argparse has no other way to its options)
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's own
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                _complete_files(command)
