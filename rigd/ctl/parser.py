"""Commands and options of rigctl. Each command's room is imported only when it runs, so that `--help` is quick."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import rigd
from rigd.ctl import sweep_options
from rigd.ctl.exits import EPILOG, Exit
from rigd.ctl.failures import explained
from rigd.ctl.options import everywhere
from rigd.ctl.words import length_um, number
from rigd.output import flush_output

DESCRIPTION = """\
Command a focus-stacking rig, and watch it: over its Unix socket on the same machine, or over an MQTT broker.

Which rig: --url or RIGD_URL (mqtt://[user@]host[:port]/[base/]rig, mqtts://... for TLS, unix:/path/of/the.sock). Left away:
the only rig on this machine, else the only one on the broker of this machine; --rig chooses among several."""

EXAMPLES = """\
examples:
  rigctl status
  rigctl home && rigctl goto 12.5mm && rigctl mark near
  rigctl start beetle --step 20um --wait
  rigctl watch
  rigctl --help; rigctl start --help
"""
DIRECTIONS = ("near_to_far", "far_to_near")
ENDS = ("park", "return", "release", "stay")
SHELLS = ("bash", "zsh", "tcsh")


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
    level = (logging.ERROR, logging.INFO, logging.DEBUG)[min(options.verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)

    def run() -> int:
        module, _, function = options.handler.partition(":")
        room = importlib.import_module(module)
        outcome = getattr(room, function)(options)
        if isinstance(outcome, int):
            return outcome
        import asyncio

        return int(asyncio.run(outcome))

    return explained(run, json_wanted=options.json)


def make_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        "rigctl",
        description=DESCRIPTION,
        epilog=f"{EXAMPLES}\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rigctl {rigd.__version__}")
    everywhere(parser, first=True)
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for add in (_looking, _motion):
        add(commands)
    sweep_options.add(commands, _command)
    for add in (_stacks, _settings, _leases, _others):
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
        epilog=f"examples:\n{examples or f'  rigctl {name}'}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(handler=f"rigd.ctl.{handler}")
    everywhere(parser)
    return parser


def _waiting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-wait", action="store_true", help="return when it has begun, not when it is over"
    )


def _looking(commands: Any) -> None:
    _command(commands, "status", "looking:status", "what the rig is and does now")
    watch = _command(
        commands,
        "watch",
        "watch:watch",
        "follow the rig live: progress, stillness, refusals, and the growing picture",
        more=(
            "The picture is shown where the terminal has 24-bit colour (COLORTERM=truecolor). Ctrl-C ends watching; the rig goes on. "
            "With --json: one object a line."
        ),
    )
    watch.add_argument("--no-preview", action="store_true", help="no picture")
    watch.add_argument("--until-over", action="store_true", help="end with the stack that is under way")
    rigs = _command(
        commands,
        "rigs",
        "rigs:rigs",
        "all rigs that a broker knows, and those on this machine",
        examples="  rigctl rigs\n  rigctl rigs --url mqtt://workshop\n",
    )
    rigs.add_argument(
        "--quiet-for",
        type=number,
        default=0.4,
        metavar="SECONDS",
        help="the list is whole when nothing new came for so long (default: %(default)g)",
    )
    events = _command(
        commands,
        "events",
        "looking:events",
        "what happens, a line each",
        more="With --json: one object a line.",
    )
    events.add_argument("--count", type=int, metavar="N", help="end after so many")
    _command(commands, "sessions", "stacks:sessions", "the sessions on the rig's disk, newest first")


def _motion(commands: Any) -> None:
    _waiting(_command(commands, "home", "motion:home", "find home"))
    goto = _command(
        commands,
        "goto",
        "motion:goto",
        "move to a position",
        examples="  rigctl goto 12000\n  rigctl goto 12.5mm\n",
    )
    goto.add_argument("position", type=length_um, help="from home: 12000, 12000um, 12mm")
    _waiting(goto)
    jog = _command(
        commands,
        "jog",
        "motion:jog",
        "move slowly by a distance, also before home is known",
        more="The rail stops when rigctl ends before it is there (Ctrl-C).",
        examples="  rigctl jog 500\n  rigctl jog -500\n  rigctl jog -- -0.5mm\n",
    )
    jog.add_argument(
        "distance",
        type=length_um,
        nargs="?",
        help="positive toward the subject: 500, -500; default: the setting jog_um",
    )
    jog.add_argument("--away", action="store_true", help="without a distance: away from the subject")
    _command(commands, "stop", "motion:stop", "stop the rail gently; a stack is paused")
    _command(
        commands,
        "estop",
        "motion:estop",
        "emergency stop, now",
        more="Needs no lease. `rigctl clear` when it is safe again.",
    )
    _command(commands, "release", "motion:release", "switch the motor off; home is lost")
    _command(commands, "clear", "motion:clear", "the cause of a fault or an e-stop is gone")
    identify = _command(commands, "identify", "motion:identify", "blink the light")
    identify.add_argument("seconds", type=number, nargs="?", help="for how long")
    _waiting(_command(commands, "test", "motion:test", "take one picture here, outside of any session"))
    mark = _command(
        commands,
        "mark",
        "motion:mark",
        "an end of the next stack is here, or at a position",
        examples="  rigctl mark near\n  rigctl mark far 14.2mm\n",
    )
    mark.add_argument("end", choices=("near", "far"), help="which")
    mark.add_argument("position", type=length_um, nargs="?", help="default: where the rail stands")


def _stack_options(parser: argparse.ArgumentParser) -> None:
    stack = parser.add_argument_group("the stack; what is left away is as `rigctl settings` says")
    stack.add_argument("--near", type=length_um, metavar="LENGTH", help="the nearest plane in focus")
    stack.add_argument("--far", type=length_um, metavar="LENGTH", help="the farthest")
    stack.add_argument("--step", type=length_um, metavar="LENGTH", help="longest step")
    stack.add_argument("--frames", type=int, metavar="N", help="number of frames, instead of a step")
    stack.add_argument("--margin", type=int, metavar="N", help="extra frames beyond each end")
    stack.add_argument("--direction", choices=DIRECTIONS, help="which end is photographed first")
    stack.add_argument("--settle", type=number, metavar="SECONDS", help="wait after each move")
    stack.add_argument("--end", choices=ENDS, help="what the rail does at the end")
    stack.add_argument("--profile", metavar="NAME", help="a profile of the rig's config")


def _following(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        action="store_true",
        help="show progress until the stack is over; the exit code tells what came of it (6: it is paused)",
    )
    parser.add_argument(
        "--through-pauses", action="store_true", help="with --wait: go on waiting while it is paused"
    )


def _stacks(commands: Any) -> None:
    plan = _command(
        commands,
        "plan",
        "stacks:plan",
        "what a stack would be, and how long it would take; nothing moves",
        examples="  rigctl plan --step 20um\n",
    )
    _stack_options(plan)
    start = _command(
        commands,
        "start",
        "stacks:start",
        "capture a stack",
        more="Ctrl-C ends waiting; the stack goes on.",
        examples="  rigctl start beetle --step 20um --wait\n  rigctl start --profile fine --json\n",
    )
    start.add_argument("name", nargs="?", help="of the session")
    _stack_options(start)
    _following(start)
    resume = _command(
        commands,
        "resume",
        "stacks:resume",
        "go on with the paused stack, or with an unfinished session",
        examples="  rigctl resume --wait\n  rigctl resume 20261121T180311Z-beetle\n",
    )
    resume.add_argument("session", nargs="?", help="its id; default: the paused one, else the newest")
    _following(resume)
    _command(commands, "pause", "stacks:pause", "pause the stack")
    _command(commands, "abort", "stacks:abort", "end the stack for good; what was taken stays")


def _settings(commands: Any) -> None:
    _command(commands, "settings", "tuning:settings", "what the next stack is taken with")
    change = _command(
        commands,
        "set",
        "tuning:change",
        "change settings; an empty value goes back to the config's",
        examples="  rigctl set step_um=20 settle_s=0.8\n  rigctl set step_um=\n",
    )
    change.add_argument("changes", nargs="+", metavar="SETTING=VALUE", help="see `rigctl settings`")


def _leases(commands: Any) -> None:
    lease = _command(
        commands,
        "lease",
        "tuning:lease",
        "who commands: take the lease, keep it, give it back",
        more="`take` prints a token; commands carry it as --lease or RIGD_LEASE. `hold` keeps the lease until Ctrl-C, and gives it back then.",
        examples=(
            "  export RIGD_LEASE=$(rigctl lease take me --ttl 600)\n"
            "  rigctl lease release\n  rigctl lease hold me\n"
        ),
    )
    lease.add_argument(
        "what",
        nargs="?",
        choices=("show", "take", "renew", "release", "hold"),
        default="show",
        help="default: show",
    )
    lease.add_argument("holder", nargs="?", help="who, for take and hold: shown to everybody")
    lease.add_argument(
        "--ttl", type=number, metavar="SECONDS", help="it lapses so long after it was renewed last"
    )
    lease.add_argument("--force", action="store_true", help="take it from whoever holds it")


def _others(commands: Any) -> None:
    completion = _command(
        commands,
        "completion",
        "completion:completion",
        "print a script that completes rigctl's commands and options",
        examples=(
            '  eval "$(rigctl completion bash)"\n  rigctl completion zsh > ~/.zsh/completions/_rigctl\n'
        ),
    )
    completion.add_argument("shell", choices=SHELLS, help="which")
