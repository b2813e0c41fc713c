"""What a command prints: words for people, or one JSON object."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from rigd.ctl.words import readable
from rigd.messages.base import Outward


def done(options: argparse.Namespace, words: str, data: Mapping[str, Any] | Outward | None = None) -> None:
    """The outcome of a command that did what was asked."""
    if options.json:
        print(json.dumps({"ok": True, **plain(data)}))
    elif words:
        print(readable(words))


def line(data: Mapping[str, Any] | Outward) -> None:
    """One object of many."""
    print(json.dumps(plain(data)), flush=True)


def aside(words: str) -> None:
    """Something beside the outcome, on standard error."""
    print(f"rigctl: {readable(words)}", file=sys.stderr, flush=True)


def plain(data: Mapping[str, Any] | Outward | None) -> dict[str, Any]:
    """As JSON knows it."""
    if data is None:
        return {}
    if isinstance(data, Outward):
        return data.model_dump(mode="json")
    return {
        key: value.model_dump(mode="json") if isinstance(value, Outward) else value
        for key, value in data.items()
    }
