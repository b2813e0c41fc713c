"""Commands that only look: check, sessions, states."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from rigd.cli.exits import Exit


def states(_: argparse.Namespace) -> int:
    """`rigd states`."""
    from rigd.machine.diagram import mermaid

    print(mermaid(), end="")
    return Exit.DONE


def check(options: argparse.Namespace) -> int:
    """`rigd check`."""
    from rigd.config import examine, format_problems, resolved_yaml, to_dict

    report = examine(options.config, options.overrides)
    if options.json:
        rows = [{**asdict(problem), "file": str(problem.file)} for problem in report.problems]
        config = None if report.config is None else to_dict(report.config)
        print(
            json.dumps(
                {"ok": not rows, "problems": rows, "warnings": _warnings(report), "config": config}, indent=2
            )
        )
    elif report.problems:
        print(format_problems(report.problems))
        print(
            f"\n{len(report.problems)} thing{'s' if len(report.problems) > 1 else ''} to put right in {options.config}"
        )
    else:
        assert report.config is not None
        print(f"# {options.config} is right. The rig, with every default filled in:")
        print(resolved_yaml(report.config), end="")
        for warning in _warnings(report):
            print(f"# warning: {warning}")
    return Exit.CONFIG if report.problems else Exit.DONE


def _warnings(report: Any) -> list[str]:
    return [str(warning) for warning in report.warnings]


def sessions(options: argparse.Namespace) -> int:
    """`rigd sessions`."""
    from rigd.session import survey, verify
    from rigd.session.survey import overview

    root = options.root
    if options.config is not None:
        from rigd.config import load

        root = load(options.config).storage.sessions
    seen = [overview(path) for path in options.session] if options.session else list(survey(root))
    if options.unfinished:
        seen = [one for one in seen if one.unfinished]
    rows: list[dict[str, Any]] = [{**asdict(one), "path": str(one.path)} for one in seen]
    if options.verify:
        for row, one in zip(rows, seen, strict=True):
            found = verify(one.path)
            row.update(whole=found.whole, files=found.files, problems=list(found.problems))
    if options.json:
        print(json.dumps({"ok": _all_whole(rows), "sessions": rows}, indent=2))
    else:
        _print_sessions(rows, str(root))
    return Exit.DONE if _all_whole(rows) else Exit.SESSION


def _all_whole(rows: list[dict[str, Any]]) -> bool:
    return all(row.get("whole", row["outcome"] != "damaged") for row in rows)


def _print_sessions(rows: list[dict[str, Any]], root: str) -> None:
    if not rows:
        print(f"no sessions in {root}")
    for row in rows:
        checked = (
            "" if "whole" not in row else f"  verified, {row['files']} files" if row["whole"] else "  DAMAGED"
        )
        print(f"{row['path']}  {row['outcome']}  {row['frames']}/{row['planned']} frames{checked}")
        for problem in row.get("problems", []) or ([row["why"]] if row["why"] else []):
            print(f"    {problem}")
    if any(row["outcome"] == "unfinished" for row in rows):
        print("\nunfinished sessions go on with: rigd resume PATH")
