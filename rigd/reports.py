"""Reports as one HTML file: words, tables, charts; nothing is fetched from anywhere, light or dark as the reader's screen is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rigd.charts import Chart, svg

STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--quiet:#57606a;--grid:#dfe3e8;--paper:#fff;--card:#f6f8fa;--good:#16825d;--bad:#b42318;
--c0:#0b6bb5;--c1:#d1651a;--c2:#16825d;--c3:#a4439c;--c4:#8a7500;--c5:#3f4a57}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--quiet:#9aa5b1;--grid:#2d343c;--paper:#0f1419;--card:#171d24;--good:#4cc38a;--bad:#ff7b6b;
--c0:#58a6ff;--c1:#f0934e;--c2:#4cc38a;--c3:#d98cd2;--c4:#d6c04a;--c5:#aab4bf}}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem 4rem;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:2.2rem 0 .4rem;padding-top:.8rem;border-top:1px solid var(--grid)}
h3{font-size:1rem;margin:1.2rem 0 .2rem}p{margin:.4rem 0;max-width:46rem}.quiet,figcaption{color:var(--quiet)}figure{margin:.6rem 0 1.2rem}
figcaption{font-size:.87rem;max-width:46rem}.scroll{overflow-x:auto}
table{border-collapse:collapse;margin:.6rem 0}th,td{padding:.25rem .9rem .25rem 0;text-align:left;border-bottom:1px solid var(--grid);vertical-align:top}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}th{font-weight:600;color:var(--quiet)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.6rem;margin:.8rem 0}
.fact{background:var(--card);border-radius:8px;padding:.6rem .8rem}.fact b{display:block;font-size:1.25rem}.fact span{color:var(--quiet);font-size:.87rem}
.good{color:var(--good)}.bad{color:var(--bad)}
"""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; columns of numbers are set to the right."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: bool = True
    """Whether all columns but the first hold numbers."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure that the reader came for."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it, in the order of the fields."""

    title: str
    facts: tuple[Fact, ...] = ()
    words: tuple[str, ...] = ()
    """Paragraphs."""
    problems: tuple[str, ...] = ()
    """What is wrong, in words."""
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """A whole HTML document. All text is escaped."""
    body = "\n".join(_section(section) for section in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        f'<h1>{escape(title)}</h1>\n<p class="quiet">{escape(subtitle)}</p>\n{body}\n</body></html>\n'
    )


def _section(section: Section) -> str:
    parts = [f"<section>\n<h2>{escape(section.title)}</h2>"]
    if section.facts:
        facts = "".join(
            f'<div class="fact"><b>{escape(fact.value)}</b><span>{escape(fact.label)}</span></div>'
            for fact in section.facts
        )
        parts.append(f'<div class="facts">{facts}</div>')
    parts += [f"<p>{escape(words)}</p>" for words in section.words]
    parts += [f'<p class="bad">{escape(words)}</p>' for words in section.problems]
    parts += [_figure(chart) for chart in section.charts]
    parts += [_table(table) for table in section.tables]
    return "\n".join([*parts, "</section>"])


def _figure(chart: Chart) -> str:
    note = f"<figcaption>{escape(chart.note)}</figcaption>" if chart.note else ""
    return f"<figure><h3>{escape(chart.title)}</h3>{svg(chart)}{note}</figure>"


def _table(table: Table) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        made = (
            f"<{tag}{' class=number' if table.numbers and at else ''}>{escape(cell)}</{tag}>"
            for at, cell in enumerate(cells)
        )
        return f"<tr>{''.join(made)}</tr>"

    rows = "".join(row(cells, "td") for cells in table.rows)
    return f'<div class="scroll"><table><thead>{row(table.headings, "th")}</thead><tbody>{rows}</tbody></table></div>'
