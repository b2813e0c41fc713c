"""The bench report: a page to look at, and the same as JSON for the next comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from hil import plots
from hil.compare import Change, changes
from hil.figures import FORMAT, Figure

MANY = 40
"""From so many samples on a histogram says more than the samples in their order."""

STYLE = """
:root { color-scheme: light; --ink: #1d2429; --soft: #5c6870; --line: #d9dfe3; --good: #2d7a3a; --bad: #b3261e; --skip: #8a6d1a; }
* { box-sizing: border-box } body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); margin: 0 auto; max-width: 1040px; padding: 24px }
h1 { font-size: 26px; margin: 0 0 4px } h2 { font-size: 19px; margin: 34px 0 8px; border-bottom: 1px solid var(--line) } h3 { font-size: 16px; margin: 22px 0 2px }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } th.number { text-align: right }
.soft { color: var(--soft) } .good { color: var(--good) } .bad { color: var(--bad); font-weight: 600 } .skip { color: var(--skip) }
.banner { border-left: 5px solid var(--good); background: #f3f8f4; padding: 10px 14px; margin: 16px 0 } .banner.bad { border-color: var(--bad); background: #fdf3f2; color: inherit; font-weight: 400 }
.plots { display: flex; flex-wrap: wrap; gap: 10px } .plots figure { width: 460px; max-width: 100%; margin: 0; background: #fbfcfd; border: 1px solid var(--line) }
.plots figcaption { font-weight: 600; font-size: 12px; padding: 4px 8px 0 }
"""


@dataclass(slots=True)
class Outcome:
    """How one test went."""

    test: str
    result: str
    """`passed`, `failed` or `skipped`."""
    reason: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class Report:
    """Everything about one run of the suite."""

    bench: str
    rig: str
    started: str
    """UTC, ISO 8601."""
    machine: dict[str, Any] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    outcomes: list[Outcome] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    """Parts that broke, and the test that found it with its reason."""

    def count(self, result: str) -> int:
        """How many tests went so."""
        return sum(outcome.result == result for outcome in self.outcomes)

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "format": FORMAT,
            "bench": self.bench,
            "rig": self.rig,
            "started": self.started,
            "machine": self.machine,
            "features": list(self.features),
            "missing": list(self.missing),
            "broken": self.broken,
            "tests": [
                {
                    "test": one.test,
                    "result": one.result,
                    "reason": one.reason,
                    "seconds": round(one.seconds, 3),
                }
                for one in self.outcomes
            ],
            "figures": [figure.as_data() for figure in self.figures],
        }


def write(report: Report, folder: Path, before: dict[str, Any] | None = None) -> Path:
    """Write `report.json` and `report.html` into a folder; the page.

    Args:
        report: the run.
        folder: made where it is not there.
        before: an earlier report's JSON, to compare with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = report.as_data()
    (folder / "report.json").write_text(json.dumps(data, indent=1) + "\n")
    page = folder / "report.html"
    page.write_text(html(report, changes(before, data) if before else [], before))
    return page


def html(report: Report, against: Sequence[Change], before: dict[str, Any] | None) -> str:
    """The whole page."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
            f"<title>Bench report: {escape(report.bench)}</title><style>{STYLE}</style></head><body>",
            f"<h1>Bench report: {escape(report.bench)}</h1>",
            f'<p class="soft">rig {escape(report.rig)} · {escape(report.started)}</p>',
            _banner(report),
            _broken(report),
            "<h2>Figures</h2>",
            _table(report.figures, {change.name: change for change in against}),
            *(_compared(against, before) if before else ()),
            "<h2>In detail</h2>",
            *(_detail(figure) for figure in report.figures),
            "<h2>Tests</h2>",
            _tests(report),
            "<h2>Bench and machine</h2>",
            _machine(report),
            "</body></html>",
            "",
        ]
    )


def _banner(report: Report) -> str:
    failed, skipped = report.count("failed"), report.count("skipped")
    beyond = [figure.name for figure in report.figures if figure.kept is False]
    words = f"{report.count('passed')} tests passed, {failed} failed, {skipped} skipped"
    words += f"; beyond their limit: {', '.join(beyond)}" if beyond else "; every figure is within its limit"
    bad = " bad" if failed or beyond or report.broken else ""
    return f'<div class="banner{bad}">{escape(words)}.</div>'


def _broken(report: Report) -> str:
    lines = [f"<li><b>{escape(part)}</b>: {escape(why)}</li>" for part, why in report.broken.items()]
    if not lines:
        return ""
    head = "The bench broke during this run. What needs these parts was not tried any more:"
    return f'<div class="banner bad">{head}<ul>{"".join(lines)}</ul></div>'


def plain(value: float) -> str:
    """A number without more digits than it needs."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def value_text(value: Any, unit: str = "") -> str:
    """A figure's value for people."""
    if value is None:
        return "not told"
    text = plain(value) if isinstance(value, float) else str(value)
    return f"{text} {unit}".strip()


def _table(figures: Sequence[Figure], against: dict[str, Change]) -> str:
    head = '<tr><th>figure</th><th class="number">value</th><th class="number">limit</th><th></th>'
    head += "<th>before</th></tr>" if against else "</tr>"
    rows = []
    for figure in figures:
        mark = {True: ("good", "kept"), False: ("bad", "beyond"), None: ("soft", "")}[figure.kept]
        bounds = [f"at most {plain(figure.limit)}"] if figure.limit is not None else []
        bounds += [f"at least {plain(figure.at_least)}"] if figure.at_least is not None else []
        error = f" ± {figure.error:.2g}" if figure.error is not None else ""
        row = f'<td><a href="#{escape(figure.name)}">{escape(figure.name)}</a></td>'
        row += f'<td class="number">{escape(value_text(figure.value) + error + " " + figure.unit)}</td>'
        row += f'<td class="number soft">{" and ".join(bounds)}</td><td class="{mark[0]}">{mark[1]}</td>'
        if against:
            change = against.get(figure.name)
            row += f'<td class="{change.css if change else "soft"}">{escape(change.words if change else "")}</td>'
        rows.append(f"<tr>{row}</tr>")
    return f"<table>{head}{''.join(rows)}</table>"


def _compared(against: Sequence[Change], before: dict[str, Any]) -> list[str]:
    gone = [change for change in against if change.after is None]
    words = f"Compared with the report of {before.get('started', '?')} (bench {before.get('bench', '?')})."
    lines = [f'<p class="soft">{escape(words)}</p>']
    if gone:
        lines.append(
            f'<p class="skip">Not measured this time: {escape(", ".join(one.name for one in gone))}.</p>'
        )
    return lines


def _detail(figure: Figure) -> str:
    drawn = list(figure.plots)
    if figure.samples:
        title = f"{figure.name}, {len(figure.samples)} samples"
        if len(figure.samples) >= MANY:
            drawn.append(plots.histogram(title, figure.samples, figure.unit))
        else:
            drawn.append(plots.in_order(title, figure.samples, figure.unit, figure.limit))
    pictures = "\n".join(
        f"<figure><figcaption>{escape(plot.title)}</figcaption>{plots.svg(plot)}</figure>" for plot in drawn
    )
    return "\n".join(
        [
            f'<h3 id="{escape(figure.name)}">{escape(figure.name)}: {escape(value_text(figure.value, figure.unit))}</h3>',
            f'<p>{escape(figure.note)} <span class="soft">{escape(figure.test)}</span></p>',
            f'<div class="plots">{pictures}</div>' if pictures else "",
        ]
    )


def _tests(report: Report) -> str:
    css = {"passed": "good", "failed": "bad", "skipped": "skip"}
    rows = [
        f'<tr><td>{escape(one.test)}</td><td class="{css[one.result]}">{one.result}</td>'
        f'<td class="soft">{escape(one.reason)}</td><td class="number">{one.seconds:.2f} s</td></tr>'
        for one in sorted(report.outcomes, key=lambda one: ("failed", "skipped", "passed").index(one.result))
    ]
    return f"<table>{''.join(rows)}</table>"


def _machine(report: Report) -> str:
    facts = {
        "features of the bench": ", ".join(report.features) or "none",
        "not on this bench": ", ".join(report.missing) or "nothing",
        **report.machine,
    }
    rows = [f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in facts.items()]
    return f"<table>{''.join(rows)}</table>"
