"""Documents made from the code are what the code would make now."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.make_docs import DOCUMENTS, ROOT


@pytest.mark.parametrize(("path", "make"), DOCUMENTS, ids=[str(path) for path, _ in DOCUMENTS])
def test_document_is_fresh(path, make):
    target: Path = ROOT / path
    on_disk = target.read_text(encoding="utf-8") if target.exists() else ""
    assert on_disk == make(), f"{path} is stale: run `make docs`"
