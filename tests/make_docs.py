"""Writes every document that is made from the code: `python -m tests.make_docs`, or `make docs`.

`test_docs_fresh` fails when one of them differs from what is on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rigd.config.reference import config_reference
from rigd.homeassistant.reference import entity_tables
from rigd.machine.diagram import document
from rigd.messages.asyncapi import document_yaml
from rigd.messages.reference import contract_tables

ROOT = Path(__file__).parents[1]

TABLES = "<!-- From here on made from the code by `make docs`. -->\n"
"""What stands above it is written by hand."""


def below_the_text(path: str, tables: Callable[[], str]) -> str:
    """A document whose text is written by hand, with tables below it that are made from the code."""
    text, *_ = (ROOT / path).read_text(encoding="utf-8").partition(TABLES)
    return f"{text}{TABLES}\n{tables()}"


DOCUMENTS: list[tuple[Path, Callable[[], str]]] = [
    (Path("docs/asyncapi.yaml"), document_yaml),
    (Path("docs/config.md"), config_reference),
    (Path("docs/homeassistant.md"), lambda: below_the_text("docs/homeassistant.md", entity_tables)),
    (Path("docs/mqtt.md"), lambda: below_the_text("docs/mqtt.md", contract_tables)),
    (Path("docs/states.md"), document),
]
"""Path from the root of the repository, and the function that gives the whole text."""


def main() -> None:
    for path, make in DOCUMENTS:
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(make(), encoding="utf-8")
        print(target)


if __name__ == "__main__":
    main()
