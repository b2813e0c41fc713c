"""The diagram and the document say what the table says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rigd.machine import TABLE
from rigd.machine.diagram import EVERYWHERE, document, mermaid, table_markdown
from rigd.machine.state import Mode
from rigd.machine.table import words

ARROW = re.compile(r"^    (\w+) --> (\w+): (.+)$", re.MULTILINE)


def drawn() -> set[tuple[str, str, str]]:
    return {
        (mode, goes, event) for mode, goes, events in ARROW.findall(mermaid()) for event in events.split(", ")
    }


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_is_drawn_with_a_way_in_and_out(mode):
    into = {goes for _, goes, _ in drawn()} | set(re.findall(r"note right of (\w+)", mermaid()))
    assert mode in into
    assert mode in {start for start, _, _ in drawn()}


def test_every_arrow_of_the_table_is_drawn_and_no_other():
    listed = {
        (mode, goes, words(event))
        for (mode, event), rule in TABLE.items()
        for goes in rule.goes - {mode}
        if event not in EVERYWHERE
    }
    assert drawn() == listed


def test_mermaid_starts_as_a_state_diagram():
    assert mermaid().startswith("stateDiagram-v2\n    [*] --> offline\n")


def test_every_cell_of_the_table_is_in_the_document():
    rows = table_markdown().splitlines()[2:]
    assert len(rows) == len(TABLE) == len(set(rows))
    for (mode, event), rule in TABLE.items():
        row = next(row for row in rows if row.startswith(f"| {mode} | {words(event)} |"))
        assert set(row.split("|")[3].replace(",", " ").split()) == set(rule.goes)


def test_the_document_holds_both():
    assert mermaid() in document()
    assert table_markdown() in document()


def test_the_document_on_disk_is_fresh():
    on_disk = Path(__file__).parents[2] / "docs" / "states.md"
    assert on_disk.read_text(encoding="utf-8") == document(), "docs/states.md is stale: run `make docs`"
