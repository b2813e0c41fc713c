"""The section of the report on depth of field: against the aperture, with the chosen one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rigd.charts import Axis, Chart, Mark, Series
from rigd.optics import Setup
from rigd.reports import Fact, Section

UNKNOWN = (
    "The optics are not known: give optics.objective, or optics.magnification with optics.f_number or optics.na, and "
    "optics.sensor_width_mm; then the depth of field against the aperture stands here."
)
SPAN = 6.0
"""Apertures are shown from this many times wider to this many times smaller."""
NAMES = {"classic": "classic, blur circle", "wave": "wave optics, quarter wave", "microscope": "microscope"}


def depth_of_field(setup: Setup | None) -> Section:
    """Depth of field and diffraction against the aperture."""
    if setup is None:
        return Section("Depth of field", words=(UNKNOWN,))
    by_na = setup.na is not None
    chosen = setup.na if setup.na is not None else setup.f_number
    assert chosen is not None
    highest = min(chosen * SPAN, 0.95 * setup.refractive_index) if by_na else chosen * SPAN
    apertures = [float(value) for value in np.geomspace(chosen / SPAN, highest, 60)]
    setups = [replace(setup, na=value) if by_na else replace(setup, f_number=value) for value in apertures]
    conventions = list(setup.depths_of_field_um())
    series = tuple(
        Series(NAMES[name], apertures, [one.depths_of_field_um()[name] for one in setups])
        for name in conventions
    )
    here = Series("chosen", [chosen], [setup.depth_of_field_um], "points", colour=1)
    label = "numerical aperture" if by_na else "f-number, as marked"
    marks = [Mark("chosen", x=chosen)]
    if not by_na and setup.best_f_number is not None:
        marks.append(Mark("as much diffraction as blur", x=setup.best_f_number))
    charts = [
        Chart(
            "Depth of field against aperture", Axis(label, log=True), Axis("depth of field, um", log=True), (*series, here), tuple(marks),
            note=f"Steps are made from the {setup.named_convention} one.",
        )
    ]  # fmt: skip
    facts = [
        Fact(f"{setup.depth_of_field_um:.4g} um", f"depth of field ({setup.named_convention})"),
        Fact(f"{0.8 * setup.depth_of_field_um:.4g} um", "step, at most (0.8 of it)"),
        Fact(f"f/{setup.effective_f_number:.3g}", "effective"),
    ]
    if setup.pitch_um is not None:
        facts.append(Fact(f"{setup.airy_um / setup.pitch_um:.2g} px", f"Airy disc, {setup.airy_um:.3g} um"))
        charts.append(
            Chart(
                "Diffraction against aperture", Axis(label, log=True), Axis("Airy disc, px", log=True),
                (
                    Series("Airy disc", apertures, [one.airy_um / setup.pitch_um for one in setups]),
                    Series("chosen", [chosen], [setup.airy_um / setup.pitch_um], "points"),
                ),
                (Mark("two pixels", y=2.0), Mark("chosen", x=chosen)),
            )
        )  # fmt: skip
    return Section("Depth of field", tuple(facts), charts=tuple(charts))
