"""The report and the comparison of two."""

import json
from xml.etree import ElementTree as ET

import pytest

from hil import compare, machine, report
from hil.figures import Figure, Plot, curve, percentile
from hil.plots import histogram, in_order, svg

SVG = "{http://www.w3.org/2000/svg}"
BENCH = {"bench": "tried", "rig": "a <rig>", "started": "2026-01-01T00:00:00+00:00"}


def made(*figures, **more):
    return report.Report(**BENCH, figures=list(figures), **more)


def latency(value, **more):
    return Figure("latency", value, "ms", limit=10.0, better="lower", **more)


def verdict(before, after):
    (change,) = compare.changes(made(*before).as_data(), made(*after).as_data())
    return change.verdict


@pytest.mark.parametrize(
    "plot",
    [
        in_order("samples <of> a thing", [1.0, 2.0, float("nan")], "ms", 1.5),
        in_order("nothing", [0.0, 0.0], "ms"),
        histogram("many", [0.1 * number for number in range(100)], "µs"),
        histogram("all the same", [3.0] * 50, "µs"),
        Plot("two", "s", "Hz", (curve("a", [0, 1], [5, 6]), curve("b & c", [], []))),
    ],
)
def test_plots_are_svg(plot):
    drawn = ET.fromstring(svg(plot))
    assert drawn.tag == f"{SVG}svg"
    words = [element.text for element in drawn.iter(f"{SVG}text")]
    assert {plot.x, plot.y} <= set(words)
    assert drawn.find(f"{SVG}title").text == plot.title
    bars = list(drawn.iter(f"{SVG}rect"))
    assert len(bars) == sum(len(one.x) for one in plot.series if one.kind == "bars")
    for element in drawn.iter():
        for name in ("x", "y", "cx", "cy", "x1", "y1"):
            assert -1e-9 <= float(element.get(name, "0")) <= 1000


def test_a_figure_keeps_its_limits():
    assert latency(10.0).kept
    assert latency(10.1).kept is False
    assert Figure("share", 0.4, at_least=0.5).kept is False
    assert Figure("share", None, limit=1.0).kept is False
    assert Figure("share", float("nan"), limit=1.0).kept is False
    assert Figure("name", "omp").kept is None


def test_percentiles_are_samples():
    assert percentile(list(range(1, 101)), 0.99) == 99
    assert percentile([5.0], 0.95) == 5.0


def test_what_is_written_can_be_read_and_looked_at(tmp_path):
    one = latency(3.0, samples=(1.0, 3.0), note="<b>", error=0.1)
    run = made(one, Figure("layer", "omp"), broken={"rail": "test_x: no <answer>"})
    run.outcomes = [
        report.Outcome("test_x", "failed", "no <answer>"),
        report.Outcome("test_y", "skipped", "why"),
    ]
    page = report.write(run, tmp_path / "reports").read_text()
    assert "<b>" not in page.replace("<b>rail</b>", "")
    assert "no &lt;answer&gt;" in page
    assert page.index("test_x") < page.index("test_y")
    read = compare.read(tmp_path / "reports")
    assert read == json.loads((tmp_path / "reports" / "report.json").read_text())
    assert read["figures"][0]["kept"] is True


def test_infinity_is_no_json(tmp_path):
    report.write(made(latency(float("inf"))), tmp_path)
    (figure,) = compare.read(tmp_path)["figures"]
    assert (figure["value"], figure["kept"]) == (None, False)


def test_what_changed_is_told():
    assert verdict([latency(5.0)], [latency(5.1)]) == "same"
    assert verdict([latency(5.0)], [latency(4.0)]) == "better"
    assert verdict([latency(5.0)], [latency(6.0)]) == "worse"
    assert verdict([latency(5.0, error=1.0)], [latency(6.0, error=1.0)]) == "same"
    assert verdict([latency(5.0)], [latency(11.0)]) == "broke"
    assert verdict([latency(5.0)], [latency(None)]) == "broke"
    assert verdict([], [latency(5.0)]) == "new"
    assert verdict([latency(5.0)], []) == "gone"
    assert verdict([Figure("layer", "omp")], [Figure("layer", "workqueue")]) == "changed"
    rate = {"better": "higher", "unit": "Hz"}
    assert verdict([Figure("rate", 100.0, **rate)], [Figure("rate", 90.0, **rate)]) == "worse"


def test_a_page_beside_an_earlier_report(tmp_path):
    before = made(latency(5.0), Figure("gone", 1.0)).as_data()
    page = report.write(made(latency(8.0)), tmp_path, before).read_text()
    assert "+60 %: worse" in page
    assert "Not measured this time: gone" in page


def test_the_comparison_as_a_command(tmp_path, capsys):
    for name, value in (("old", 5.0), ("new", 8.0)):
        report.write(made(latency(value)), tmp_path / name)
    assert compare.main([str(tmp_path / "old"), str(tmp_path / "new")]) == 1
    assert "worse: latency" in capsys.readouterr().out
    assert compare.main([str(tmp_path / "old"), str(tmp_path / "old" / "report.json")]) == 0
    assert compare.main([str(tmp_path / "old"), str(tmp_path / "none")]) == 2
    (tmp_path / "new" / "report.json").write_text('{"format": 99, "figures": []}')
    assert compare.main([str(tmp_path / "old"), str(tmp_path / "new")]) == 2


def test_a_pi_is_named(tmp_path):
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert machine.model(tmp_path / "model") == "Raspberry Pi 5 Model B Rev 1.0"
    assert machine.model(tmp_path / "none") is None
    found = machine.facts(tmp_path)
    assert {"machine", "kernel", "python", "cores"} <= found.keys()
    assert "commit" not in found
