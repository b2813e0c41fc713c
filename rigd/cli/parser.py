"""Commands and options. Each command's room is imported only when it runs, so that `--help` is quick."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import rigd
from rigd.cli import optics_options
from rigd.cli.exits import EPILOG, Exit
from rigd.cli.failures import explained
from rigd.cli.optics import quantity
from rigd.output import flush_output

DESCRIPTION = """\
Daemon and command line of a focus-stacking rig: moves the rail, waits until the rig is still, fires the camera,
proves every frame, and merges the stack while it is taken."""

EXAMPLES = """\
examples:
  rigd demo                                     capture a simulated stack, end to end
  rigd check config/simulated.yaml              is this config right, and what does it mean?
  rigd plan --config config/simulated.yaml      what would be done, how long, how much?
  rigd capture --config config/simulated.yaml --name beetle
  rigd sessions --verify
  rigd resume sessions/20261121T180311Z-beetle
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line as JSON too, where that is wanted."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2."""
        if "--json" in sys.argv:
            print(json.dumps({"ok": False, "exit": Exit.USAGE.value, "kind": "usage", "error": message}))
        super().error(message)


def run_command_line(arguments: Sequence[str]) -> int:
    """Parse, run, and turn what can go wrong into a message and an exit code."""
    try:
        options = make_parser().parse_args(arguments)
    except SystemExit:  # --help and --version end here
        flush_output()
        raise
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(options.verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)

    def run() -> int:
        module, _, function = options.handler.partition(":")
        return int(getattr(importlib.import_module(module), function)(options))

    return explained(run, json_wanted=getattr(options, "json", False))


def make_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        "rigd",
        description=DESCRIPTION,
        epilog=f"{EXAMPLES}\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rigd {rigd.__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for add in (
        _demo,
        _run,
        _capture,
        _resume,
        _finish,
        _plan,
        _optics,
        _sweep,
        _check,
        _sessions,
        _calibrate,
        _firmware,
        _states,
    ):
        add(commands)
    return parser


def _command(
    commands: Any, name: str, handler: str, summary: str, *, more: str = "", examples: str = ""
) -> argparse.ArgumentParser:
    """One command with help, examples and the options that all commands have."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {more}".rstrip(),
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(handler=f"rigd.cli.{handler}")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="say more; twice: everything")
    return parser


def _config_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument("--config", type=Path, required=required, metavar="FILE", help="the rig, as YAML")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one setting, e.g. plan.step_um=50",
    )


def _json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else on standard output"
    )


def _time_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--virtual-time", action="store_true", help="simulated rigs only: do not wait for the clock, jump it"
    )


def _demo(commands: Any) -> None:
    parser = _command(
        commands,
        "demo",
        "demo:demo",
        "capture a simulated stack end to end and say how good it is",
        more="Needs no hardware and asks nothing.",
        examples="  rigd demo\n  rigd demo --out /tmp/demo --scene insect\n",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo-output"), metavar="DIR", help="where the session goes"
    )
    parser.add_argument(
        "--scene", choices=("ring", "insect", "tilt"), default="ring", help="what is photographed"
    )
    _time_option(parser)
    _json_option(parser)


def _run(commands: Any) -> None:
    parser = _command(
        commands,
        "run",
        "service:run",
        "run the daemon: open the rig, tell systemd when it is ready, serve until stopped",
        more="SIGTERM and Ctrl-C stop the rail safely. It is commanded with rigctl, over MQTT, or by Home Assistant.",
        examples="  rigd run --config /etc/rigd/rig.yaml\n  rigd run --config config/simulated.yaml --with-broker\n",
    )
    _config_options(parser)
    parser.add_argument(
        "--with-broker",
        action="store_true",
        help="start an MQTT broker too, for this machine only (127.0.0.1)",
    )
    parser.add_argument(
        "--broker-port",
        type=int,
        default=1883,
        metavar="PORT",
        help="its port; 0: any that is free (default: 1883)",
    )


def _capture(commands: Any) -> None:
    parser = _command(
        commands,
        "capture",
        "capture:capture",
        "capture one stack as configured and exit",
        more="Homes first. Ctrl-C stops the rail safely and leaves a session that can be resumed; twice: halts at once.",
        examples=(
            "  rigd capture --config config/simulated.yaml --name beetle\n"
            "  rigd capture --config config/replay.yaml --set camera.folder=photos/beetle\n"
        ),
    )
    _config_options(parser)
    parser.add_argument("--name", default="", help="of the session; default: the rig's id")
    _time_option(parser)
    _json_option(parser)


def _resume(commands: Any) -> None:
    parser = _command(
        commands,
        "resume",
        "capture:resume",
        "go on with an interrupted session",
        more="Homes, takes the last good frame again, compares it, and captures what is missing.",
        examples="  rigd resume sessions/20261121T180311Z-beetle\n  rigd resume --last\n",
    )
    parser.add_argument("session", type=Path, nargs="?", help="the session's folder")
    parser.add_argument("--last", action="store_true", help="the newest unfinished session below --root")
    parser.add_argument(
        "--root", type=Path, default=Path("sessions"), metavar="DIR", help="folder of all sessions"
    )
    _time_option(parser)
    _json_option(parser)


def _finish(commands: Any) -> None:
    parser = _command(
        commands,
        "finish",
        "finish:finish",
        "make the fused picture and the depth map of a complete session",
        more=(
            "As its own config says under `finish:`, or as another config does. Done by itself after every capture where "
            "`finish.enabled` is true; this is for one that failed, was interrupted, or is wanted otherwise."
        ),
        examples=(
            "  rigd finish sessions/20261121T180311Z-beetle\n"
            "  rigd finish sessions/20261121T180311Z-beetle --config rig.yaml --set finish.method=weighted\n"
        ),
    )
    parser.add_argument("session", type=Path, help="the session's folder")
    _config_options(parser, required=False)
    _json_option(parser)


def _plan(commands: Any) -> None:
    parser = _command(
        commands,
        "plan",
        "plan:plan",
        "show what a capture would do, and how long it would take, without moving anything",
        examples=(
            "  rigd plan --config config/simulated.yaml --set plan.step_um=50\n"
            "  rigd plan --config rig.yaml --explain\n  rigd plan --config rig.yaml --json\n"
        ),
    )
    _config_options(parser)
    parser.add_argument(
        "--explain", action="store_true", help="say why, in plain words, instead of the positions"
    )
    parser.add_argument(
        "--fastest",
        action="store_true",
        help="also say which aperture and number of frames would be quickest",
    )
    _json_option(parser)


def _optics(commands: Any) -> None:
    parser = _command(
        commands,
        "optics",
        "optics:table",
        "depth of field, diffraction, light, step and frames, of a lens by hand or of a config's",
        more=(
            "The least that it needs: --magnification with --f-number or --na, or --objective, or --config. "
            "Lengths and times take a unit: 10mm, 30um, 550nm, 0.5s. docs/optics.md says what the numbers are."
        ),
        examples=optics_options.EXAMPLES,
    )
    optics_options.add(parser, _command)


def _sweep(commands: Any) -> None:
    parser = _command(
        commands,
        "sweep",
        "sweep:sweep",
        "find where the subject begins and ends, by small pictures along the rail",
        more="Homes first. Proposes near, far and best focus; takes nothing over, keeps no picture.",
        examples=(
            "  rigd sweep --config config/simulated.yaml\n"
            "  rigd sweep --config rig.yaml --from 8mm --to 16mm --step 200um\n"
        ),
    )
    _config_options(parser)
    for name, text in (
        ("from", "rail position to begin at (default: the lower limit)"),
        ("to", "and to end at (default: the upper limit)"),
        ("step", "between pictures (default: a depth of field, at most 200 pictures)"),
    ):
        parser.add_argument(
            f"--{name}", dest=f"{name}_um", type=quantity(f"sweep_{name}"), metavar="LENGTH", help=text
        )
    _time_option(parser)
    _json_option(parser)


def _check(commands: Any) -> None:
    parser = _command(
        commands,
        "check",
        "look:check",
        "check a config: everything that is wrong, each with file, line and fix; or the resolved rig",
        examples="  rigd check config/simulated.yaml\n",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the rig, as YAML")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one setting",
    )
    _json_option(parser)


def _sessions(commands: Any) -> None:
    parser = _command(
        commands,
        "sessions",
        "look:sessions",
        "list sessions, and verify that every frame is there, unchanged",
        examples="  rigd sessions --verify\n  rigd sessions --config rig.yaml --unfinished\n"
        "  rigd sessions sessions/20261121T180311Z-beetle --verify --json\n",
    )
    parser.add_argument("session", type=Path, nargs="*", help="these sessions only")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--root", type=Path, default=Path("sessions"), metavar="DIR", help="folder of all sessions (sessions)"
    )
    where.add_argument(
        "--config", type=Path, metavar="FILE", help="the rig, as YAML: the folder that it says"
    )
    parser.add_argument("--verify", action="store_true", help="hash every file")
    parser.add_argument("--unfinished", action="store_true", help="only those that can be resumed")
    _json_option(parser)


def _firmware(commands: Any) -> None:
    parser = commands.add_parser(
        "firmware", help="compare what is stored on the motion controller with the config, and write it there"
    )
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    checking = _command(
        actions,
        "check",
        "firmware:check",
        "show which settings of the motion controller are not as the config says",
        more="Resets the controller; moves nothing and writes nothing.",
        examples="  rigd firmware check --config rig.yaml\n  rigd firmware check --config rig.yaml --json\n",
    )
    applying = _command(
        actions,
        "apply",
        "firmware:apply",
        "write to the motion controller what differs from the config, and read it back",
        more="Asks first when it runs in a terminal.",
        examples="  rigd firmware apply --config rig.yaml\n  rigd firmware apply --config rig.yaml --yes\n",
    )
    applying.add_argument("--yes", action="store_true", help="do not ask")
    for action in (checking, applying):
        _config_options(action)
        _json_option(action)


def _calibrate(commands: Any) -> None:
    from rigd.cli.parser_calibrate import add_to

    add_to(commands, _command, _config_options, _time_option, _json_option)


def _states(commands: Any) -> None:
    _command(
        commands, "states", "look:states", "print the state machine as a Mermaid diagram, made from its table"
    )
