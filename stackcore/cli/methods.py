"""`stackcore methods`."""

from __future__ import annotations

import argparse
import json

from stackcore.catalogue import DEFAULT, METHODS, Entry, Option
from stackcore.cli.exits import Exit


def methods(options: argparse.Namespace) -> int:
    """`stackcore methods`."""
    if options.json:
        rows = {name: _data(entry) for name, entry in METHODS.items()}
        print(json.dumps({"ok": True, "default": DEFAULT, "methods": rows}, indent=2))
        return Exit.DONE
    for name, entry in METHODS.items():
        print(f"{name}{' (default)' if name == DEFAULT else ''}: {entry.summary}")
        if entry.extra:
            print(f"    needs: pip install 'rigd[{entry.extra}]'")
        for option in entry.options:
            print(f"    {option.name}={_shown(option)}  {option.meaning}; {option.allowed}")
    return Exit.DONE


def _data(entry: Entry) -> dict[str, object]:
    return {
        "summary": entry.summary,
        "extra": entry.extra,
        "options": {
            option.name: {"default": option.default, "allowed": option.allowed, "meaning": option.meaning}
            for option in entry.options
        },
    }


def _shown(option: Option) -> str:
    return str(option.default).lower() if isinstance(option.default, bool) else str(option.default)
