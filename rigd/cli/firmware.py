"""`rigd firmware`: is what is stored on the motion controller what the config says, and if not, write it there."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from rigd.cli.exits import Exit
from rigd.cli.failures import Stopped

if TYPE_CHECKING:
    from drivers.grbl.firmware import Findings
    from drivers.grbl.options import GrblOptions
    from drivers.grbl.settings import Difference


def check(options: argparse.Namespace) -> int:
    """`rigd firmware check`."""
    from drivers.clock import SystemClock
    from drivers.grbl.firmware import check as look

    found = look(_rail(options), SystemClock())
    _show(found, (), as_json=options.json)
    return Exit.CONFIG if found.differences else Exit.DONE


def apply(options: argparse.Namespace) -> int:
    """`rigd firmware apply`: on a terminal it asks first; elsewhere the command itself is the wish."""
    from drivers.clock import SystemClock
    from drivers.grbl.firmware import apply as write
    from drivers.grbl.firmware import check as look

    rail = _rail(options)
    before = look(rail, SystemClock())
    wanted = tuple(difference for difference in before.differences if difference.writable)
    if not wanted:
        _show(before, (), as_json=options.json)
        return Exit.CONFIG if before.differences else Exit.DONE
    if not _agreed(wanted, asked=options.yes or options.json):
        raise Stopped(Exit.INTERRUPTED, "nothing was written")
    left = write(rail, SystemClock())
    still = {difference.number for difference in left.differences}
    _show(left, tuple(change for change in wanted if change.number not in still), as_json=options.json)
    return Exit.CONFIG if left.differences else Exit.DONE


def _rail(options: argparse.Namespace) -> GrblOptions:
    from drivers.grbl.options import GrblOptions
    from rigd.config import load

    config = load(options.config, options.overrides)
    if not isinstance(config.rail.options, GrblOptions):
        raise Stopped(
            Exit.USAGE, f"a rail with the driver {config.rail.driver!r} keeps no settings of its own"
        )
    return config.rail.options


def _agreed(wanted: tuple[Difference, ...], *, asked: bool) -> bool:
    if asked or not sys.stdin.isatty():
        return True
    for difference in wanted:
        print(difference)
    answer = input(f"write {len(wanted)} to the controller? [y/N] ")
    return answer.strip().lower() in {"y", "yes"}


def _show(found: Findings, written: tuple[Difference, ...], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_record(found, written), indent=2))
        return
    print(f"{found.firmware.banner}")
    for difference in written:
        print(f"written and read back: ${difference.number}={difference.wanted:g} ({difference.name})")
    for difference in found.differences:
        print(difference if difference.writable else f"{difference} (not written by rigd)")
    print("the controller is as the config says" if not found.differences else _outlook(found))


def _outlook(found: Findings) -> str:
    count = len(found.differences)
    grave = sum(difference.must for difference in found.differences)
    refused = ", and the rail is not opened like this" if grave else ""
    return f"{count} setting{'s' if count > 1 else ''} differ{'' if count > 1 else 's'}{refused}"


def _record(found: Findings, written: tuple[Difference, ...]) -> dict[str, object]:
    return {
        "ok": not found.differences,
        "firmware": found.firmware.banner,
        "build": list(found.firmware.build),
        "settings": {f"${number}": value for number, value in sorted(found.firmware.values.items())},
        "written": [_row(difference) for difference in written],
        "differences": [_row(difference) for difference in found.differences],
    }


def _row(difference: Difference) -> dict[str, object]:
    return {
        "setting": f"${difference.number}",
        "name": difference.name,
        "found": difference.found,
        "wanted": difference.wanted,
        "must": difference.must,
        "writable": difference.writable,
        "why": difference.why,
    }
