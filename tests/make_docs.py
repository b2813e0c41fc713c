"""Writes every document that is made from the code: `python -m tests.make_docs`, or `make docs`.

`test_docs_fresh` fails when one of them differs from what is on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rigd.config.reference import config_reference
from rigd.machine.diagram import document

ROOT = Path(__file__).parents[1]

DOCUMENTS: list[tuple[Path, Callable[[], str]]] = [
    (Path("docs/config.md"), config_reference),
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
