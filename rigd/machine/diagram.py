"""The diagram of the machine, drawn from its table, as Mermaid."""

from __future__ import annotations

from collections import defaultdict

from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.machine.table import TABLE, words

EVERYWHERE = (ev.EStop, ev.LimitHit, ev.RailLost, ev.Stop)
"""Obeyed in every mode: said once in a note instead of with forty arrows."""


def mermaid() -> str:
    """The table as a Mermaid state diagram. Arrows that stay in their mode are left out."""
    arrows: dict[tuple[Mode, Mode], list[str]] = defaultdict(list)
    for (mode, event), cell in TABLE.items():
        if event in EVERYWHERE:
            continue
        for goes in cell.goes - {mode}:
            arrows[mode, goes].append(words(event))
    order = list(Mode)
    lines = ["stateDiagram-v2", "    [*] --> offline"]
    for mode, goes in sorted(arrows, key=lambda pair: (order.index(pair[0]), order.index(pair[1]))):
        lines.append(f"    {mode} --> {goes}: {', '.join(sorted(arrows[mode, goes]))}")
    lines += [
        "    note right of estopped: e-stop leads here from every mode",
        "    note right of fault: a limit switch or a lost controller leads here from every mode but estopped",
        "    note right of stopping: stop leads here from every mode in which something moves or is exposed",
    ]
    return "\n".join(lines) + "\n"


def table_markdown() -> str:
    """The table itself: which mode takes which event, and where it may lead."""
    lines = ["| in | event | leads to |", "| --- | --- | --- |"]
    for (mode, event), cell in sorted(
        TABLE.items(), key=lambda item: (list(Mode).index(item[0][0]), item[0][1].__name__)
    ):
        lines.append(f"| {mode} | {words(event)} | {', '.join(goes for goes in Mode if goes in cell.goes)} |")
    return "\n".join(lines) + "\n"


def document() -> str:
    """`docs/states.md`, whole."""
    return (
        "# States\n\n"
        "Made from the table in `rigd/machine/table.py` by `make docs` (`rigd states` prints the diagram); a test fails when "
        "it is stale.\n\n"
        f"```mermaid\n{mermaid()}```\n\n"
        "Inside `capturing`: starting → (approaching → moving → settling → exposing) for each frame → checking → ending → "
        "closing.\n"
        "The next frame's move begins when the shutter has closed; the verdict on the picture comes while it is under way.\n\n"
        f"{table_markdown()}"
    )
