"""Charts and the pages that they stand in: well-formed, complete, and where the numbers say."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from rigd import charts
from rigd.charts import HEIGHT, LEFT, RIGHT, WIDTH, Axis, Chart, Mark, Series, svg, tick_text
from rigd.reports import Fact, Section, Table, page

SVG = "{http://www.w3.org/2000/svg}"


def drawn(chart: Chart) -> ET.Element:
    return ET.fromstring(svg(chart))


def texts(root: ET.Element) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def circles(root: ET.Element) -> list[tuple[float, float]]:
    """Those of the points, not of the legend."""
    return [(float(c.get("cx", "")), float(c.get("cy", ""))) for g in root.iter(f"{SVG}g") for c in g]


X, Y = Axis("x"), Axis("y")


def chart(*series: Series, x: Axis = X, y: Axis = Y, marks: tuple[Mark, ...] = ()) -> Chart:
    return Chart("title", x, y, series, marks)


def test_points_lie_where_their_numbers_say() -> None:
    places = circles(drawn(chart(Series("", [0, 5, 10], [0, 1, 2], "points"), x=Axis("x", low=0, high=10))))
    (x0, y0), (x1, y1), (x2, y2) = places
    assert (x0, x2) == (LEFT, WIDTH - RIGHT)
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1)
    assert y1 == pytest.approx((y0 + y2) / 2, abs=0.1)
    assert y0 > y1 > y2


def test_a_logarithmic_axis_has_equal_factors_equally_far_apart() -> None:
    series = Series("", [1, 10, 100], [1, 10, 100], "points")
    places = circles(drawn(chart(series, x=Axis("x", log=True), y=Axis("y", log=True))))
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)


def test_what_cannot_be_shown_is_left_out() -> None:
    values = [math.nan, 0.0, -1.0, math.inf, 10.0, 100.0]
    root = drawn(chart(Series("", [1, 2, 3, 4, 5, 6], values, "both"), y=Axis("y", log=True)))
    assert len(circles(root)) == 2
    assert "nan" not in svg(chart(Series("a", [1, 2], [math.nan, math.nan])))


def test_error_bars_reach_as_far_as_the_errors() -> None:
    root = drawn(chart(Series("", [1, 2], [10, 20], "points", errors=[5, 0]), y=Axis("y", low=0, high=40)))
    bars = [path.get("d", "") for path in root.iter(f"{SVG}path") if "h6" in path.get("d", "")]
    low, high = float(bars[0].split(" ")[1].split("h")[0]), float(bars[0].split("V")[1].split("m")[0])
    (_, at), _ = circles(root)
    assert low - at == pytest.approx(at - high, abs=0.2)
    assert low - high > 20


def test_axes_legend_and_marks_are_named_and_escaped() -> None:
    root = drawn(
        chart(
            Series("a < b", [0, 1], [0, 1]),
            Series("", [0, 1], [1, 0]),
            marks=(Mark("limit & more", y=0.5), Mark("end", x=0.9)),
        )
    )
    assert {"x", "y", "a < b", "limit & more", "end"} <= set(texts(root))


def test_a_legend_that_is_too_wide_goes_on_in_the_next_row() -> None:
    one = chart(*(Series(f"a series with quite a long name {n}", [0, 1], [0, n]) for n in range(6)))
    rows = {t.get("y") for t in drawn(one).iter(f"{SVG}text") if "series" in "".join(t.itertext())}
    assert len(rows) == 3


@pytest.mark.parametrize("values", [[], [0.0], [5.0, 5.0], [math.nan], [1e-12, 1e12], [-3.0, -3.0]])
@pytest.mark.parametrize("log", [False, True])
def test_odd_values_make_a_chart_too(values: list[float], log: bool) -> None:
    root = drawn(chart(Series("a", list(range(len(values))), values, "both"), y=Axis("y", log=log)))
    for path in root.iter(f"{SVG}path"):
        assert "nan" not in path.get("d", "")
    for x, y in circles(root):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


def test_many_points_make_no_large_line() -> None:
    n = 200_000
    y = [math.sin(i / 7) for i in range(n)]
    text = svg(chart(Series("a", range(n), y)))
    assert len(text) < 60_000
    assert len(set(text.split("L"))) > 500


def test_series_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="'a'"):
        svg(chart(Series("a", [1, 2], [1])))
    with pytest.raises(ValueError, match="'a'"):
        svg(chart(Series("a", [1, 2], [1, 2], errors=[1])))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (-3, "\N{MINUS SIGN}3"), (12500, "12500"), (1e9, "1.00e+09")],
)
def test_numbers_at_ticks(value: float, text: str) -> None:
    assert tick_text(value) == text


class _Balance(HTMLParser):
    """Collects text, and fails on tags that do not close."""

    VOID = frozenset({"meta", "path", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_is_whole_escaped_and_needs_nothing_else() -> None:
    section = Section(
        "Ring-down",
        facts=(Fact("15.00 Hz", "frequency"),),
        words=("A <b>paragraph</b>.",),
        problems=("It is loose.",),
        charts=(chart(Series("a", [0, 1], [0, 1])),),
        tables=(Table(("move", "amplitude"), (("100 um", "3.2"),)),),
    )
    text = page("Rig <1>", "today", [section])
    parser = _Balance()
    parser.feed(text)
    assert not parser.open
    for words in ("Rig <1>", "15.00 Hz", "A <b>paragraph</b>.", "It is loose.", "100 um", "3.2"):
        assert words in parser.text
    assert "src=" not in text
    assert text.count("http") == 1  # the name of SVG's namespace


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (-0.31, 0.29, [-0.3, -0.2, -0.1, 0, 0.1, 0.2]),
        (1e-7, 9e-7, [2e-7, 4e-7, 6e-7, 8e-7]),
        (990, 1010, [990, 995, 1000, 1005, 1010]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert charts._even_ticks(low, high) == pytest.approx(expected)


def test_an_axis_of_counts_has_whole_numbers_only() -> None:
    series = Series("", [1, 2, 3], [5, 6, 7], "points")
    words = {element.text for element in drawn(chart(series, x=Axis("x", whole=True))).iter() if element.text}
    assert {"1", "2", "3"} <= words
    assert "1.5" not in words


def test_bars_stand_on_zero() -> None:
    root = drawn(chart(Series("", [1, 2, 3], [2, 0, -1], "bars"), y=Axis("y", low=-2, high=2)))
    first, second, third = [element for element in root.iter() if element.tag.endswith("rect")]
    floor = float(first.get("y")) + float(first.get("height"))
    assert float(second.get("height")) == 0
    assert float(third.get("y")) == pytest.approx(floor, abs=0.2)
    assert float(first.get("height")) == pytest.approx(2 * float(third.get("height")), abs=0.2)
