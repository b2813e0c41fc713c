"""When the shutter is really open: against an LED, against the sync contact, and after a change that a stale frame would miss."""

import numpy as np
import pytest

from drivers.base import CameraTimeout
from hil.figures import Plot, curve, percentile
from hil.flashes import Flash, shares, shutter
from hil.plots import in_order
from hil.rigs import exposed, picture, settle

BEYOND = 0.4
"""Flashes fall into an exposure and so much of one before and after it."""
FIRST = 5
"""So many exposures tell how soon one begins."""
PARTS = 5
"""Of a picture from top to bottom, for the rolling shutter."""
HALF = 0.5
"""A picture with less than so much of the LED's light is one of the dark."""
AWAY_UM = 1500.0
"""So far from the subject's plane a picture cannot be mistaken for one in it."""


class Lamp:
    """The bench's LED, and pictures of it."""

    def __init__(self, rig, opened, file):
        self.rig, self.opened = rig, opened
        self.led = file.features.led
        self.limit_s = opened.camera.capabilities.exposure_s + file.numbers.hang_timeout_s
        self.set(on=False)
        self.dark = self.picture()
        self.set(on=True)
        self.full = self.picture()

    def set(self, *, on):
        """Switch it; between which times that happened."""
        return self.rig.pins.drive(self.led.pin, int(on != self.led.active_low))

    def picture(self, exposure=None):
        exposure = exposure or exposed(self.rig.bench, self.opened.camera, self.limit_s)
        data = self.opened.fetch(exposure)
        found = picture(data.payload, data.suffix)
        if found is None:
            pytest.skip(f"no decoder for {data.suffix} here: set the camera to JPEG for this test")
        return found

    def share(self, exposure):
        return shares(self.picture(exposure), self.dark, self.full)[0]

    def switched_within(self, after_s, *, on):
        """An exposure with the LED switched so long after it was asked for: asked, switched, exposure."""
        self.set(on=not on)
        self.opened.expose()  # so that the next begins as long after it is asked for as the last one did
        asked_s = self.rig.clock.now()
        running = self.rig.bench.start(lambda: self.opened.camera.expose(asked_s, 0.0))
        self.rig.bench.pass_time(max(0.0, asked_s + after_s - self.rig.clock.now()))
        before_s, by_s = self.set(on=on)
        return asked_s, (before_s + by_s) / 2, self.rig.bench.finish(running)


@pytest.fixture
def lamp(bench_rig, opened, file):
    return Lamp(bench_rig, opened, file)


@pytest.mark.needs("camera", "pins", "led")
def test_exposure_times_mean_what_they_say(lamp, opened, file, figure):
    """The LED is switched in the middle of exposures: where they truly begin and end."""
    random = np.random.default_rng(5)
    delays_s, takes_s = [], []
    for _ in range(FIRST):
        asked_s, _, exposure = lamp.switched_within(0.0, on=True)
        delays_s.append(exposure.start_s - asked_s)
        takes_s.append(exposure.end_s - exposure.start_s)
    delay_s, takes_s = float(np.median(delays_s)), float(np.median(takes_s))
    flashes, rows, claimed_s = [], [], []
    for number in range(file.numbers.led_frames):
        on = number % 2 == 0
        after_s = delay_s + takes_s * random.uniform(-BEYOND, 1 + BEYOND)
        _, switched_s, exposure = lamp.switched_within(max(0.0, after_s), on=on)
        seen = lamp.picture(exposure)
        after_s = switched_s - exposure.start_s
        flashes.append(Flash(after_s, on, shares(seen, lamp.dark, lamp.full)[0]))
        rows.append(shares(seen, lamp.dark, lamp.full, PARTS))
        claimed_s.append(exposure.end_s - exposure.start_s)
    found = shutter(flashes)
    wanted_s = opened.camera.capabilities.exposure_s
    tell(figure, file, found, flashes, claimed_s=float(np.median(claimed_s)), wanted_s=wanted_s)
    # What a part of the rows sees is later than what those above it see, by the time that reading them takes.
    each = [
        shutter([Flash(flash.after_s, flash.on, row[part]) for flash, row in zip(flashes, rows, strict=True)])
        for part in (0, PARTS - 1)
    ]
    readout_s = (each[1].start_s - each[0].start_s) * PARTS / (PARTS - 1)
    figure(
        "readout",
        1e3 * readout_s,
        "ms",
        error=1e3 * np.hypot(each[0].error_s, each[1].error_s),
        note="From the first row's exposure to the last row's: the rolling shutter. 0: all rows at once.",
    )


def tell(figure, file, found, flashes, *, claimed_s, wanted_s):
    """The figures of a fit."""
    may_ms = file.tolerances.timestamp_error_ms

    def seen(label, on):
        chosen = [flash for flash in flashes if flash.on is on]
        light = [max(0.0, flash.share) ** found.power for flash in chosen]
        return curve(label, [1e3 * flash.after_s for flash in chosen], light, "points")

    of_start = Plot(
        "the LED's light against when it was switched",
        "ms after the exposure is said to begin",
        "share of its light",
        (
            seen("switched on", True),
            seen("switched off", False),
            curve("fit", [1e3 * found.start_s, 1e3 * found.end_s], [1.0, 0.0]),
            curve("fit", [1e3 * found.start_s, 1e3 * found.end_s], [0.0, 1.0]),
        ),
    )
    figure(
        "timestamp_meaning",
        meaning(found.start_s, found.end_s - found.start_s),
        note="What the moment is that the camera gives as the start of an exposure.",
        plots=(of_start,),
    )
    figure(
        "exposure_start_offset",
        1e3 * found.start_s,
        "ms",
        at_least=None if may_ms is None else -may_ms,
        error=1e3 * found.error_s,
        note="True start less the start that the camera gives. Below 0 a frame may have begun before the rig was still.",
    )
    figure(
        "exposure_end_offset",
        1e3 * (found.end_s - claimed_s),
        "ms",
        limit=may_ms,
        error=1e3 * found.error_s,
        note="True end less the end that the camera gives. Above 0 the rail may move while the shutter is open.",
    )
    figure(
        "exposure_time_error",
        abs((found.end_s - found.start_s) / wanted_s - 1),
        limit=file.tolerances.exposure_error,
        better="lower",
        error=found.error_s * 2**0.5 / wanted_s,
        note=f"Light was let in for {1e3 * (found.end_s - found.start_s):.2f} ms, set were {1e3 * wanted_s:.2f} ms.",
    )


def meaning(offset_s, exposure_s):
    """An offset in words."""
    near_s = 0.2 * exposure_s
    if abs(offset_s) <= near_s:
        return "start of the exposure"
    if abs(offset_s + exposure_s) <= near_s:
        return "end of the exposure"
    if abs(offset_s - exposure_s) <= near_s:
        return "one exposure before its start"
    return f"{1e3 * abs(offset_s):.1f} ms {'before' if offset_s > 0 else 'after'} the start of the exposure"


@pytest.mark.needs("camera", "pins", "led")
def test_no_frame_is_stale(lamp, opened, file, figure):
    """The LED is switched, and a picture asked for at once: it must show what is, and not what was."""
    random = np.random.default_rng(6)
    wrong, lights = 0, []
    for _ in range(file.numbers.stale_tries):
        on = bool(random.integers(2))
        opened.bench.pass_time(random.uniform(0.0, 3 * opened.camera.capabilities.exposure_s + 0.1))
        _, by_s = lamp.set(on=on)
        opened.bench.pass_time(max(0.0, by_s - opened.bench.clock.now()))
        exposure = opened.expose(opened.bench.clock.now())
        light = lamp.share(exposure)
        lights.append(light if on else 1 - light)
        # Also one that began before it was asked for, and so saw some of both.
        wrong += lights[-1] < 1 - HALF / 5
        lamp.set(on=not on)
    figure(
        "stale_frames",
        float(wrong),
        "frames",
        limit=0.0,
        better="lower",
        note=f"Of {file.numbers.stale_tries} pictures asked for right after a change of light, those that show something of before.",
        plots=(in_order("1: all of the picture shows what is", lights, "share of the light"),),
    )


@pytest.mark.needs("rail", "home_switch", "camera", "subject")
@pytest.mark.usefixtures("lit")
def test_no_frame_is_of_the_position_before(bench_rig, homed, opened, file, figure):
    """The rail goes to and fro, and a picture asked for as soon as it has settled is one of where it is."""
    near, tries, random = (
        bench_rig.subject_um,
        max(4, file.numbers.stale_tries // 4),
        np.random.default_rng(9),
    )
    places = (near, near - AWAY_UM if near >= AWAY_UM else near + AWAY_UM)

    def shot(not_before_s):
        data = opened.fetch(opened.expose(not_before_s))
        found = picture(data.payload, data.suffix)
        return None if found is None else found.astype(np.float64) - found.mean()

    def there(place_um):
        homed.moved_to(homed.microsteps(place_um))
        return homed.rail.poll().ended_s or homed.bench.clock.now()

    known = []
    for place_um in places:
        there(place_um)
        settle(bench_rig)
        opened.bench.pass_time(1.0)
        known.append(shot(opened.bench.clock.now()))
    if known[0] is None:
        pytest.skip("no decoder for the camera's pictures here: set it to JPEG for this test")
    wrong, at = 0, 1
    for _ in range(tries):
        at = 1 - at
        ended_s = there(places[at])
        opened.bench.pass_time(random.uniform(0.0, 0.05))
        seen = shot(ended_s + bench_rig.config.settle.fixed_s)
        likeness = [float((seen * one).sum() / np.sqrt((seen**2).sum() * (one**2).sum())) for one in known]
        wrong += likeness[at] <= likeness[1 - at]
    figure(
        "stale_positions",
        float(wrong),
        "frames",
        limit=0.0,
        better="lower",
        note=f"Of {tries} pictures taken right after a move and its settle, those that are more like one of the position before.",
    )


@pytest.mark.needs("camera")
@pytest.mark.usefixtures("lit")
def test_trigger_latency(bench_rig, opened, file, figure):
    """From asking for a picture to the start of its exposure, and to having its data."""
    random = np.random.default_rng(11)
    waited_s, data_s = [], []
    limit_s = opened.camera.capabilities.exposure_s + file.numbers.hang_timeout_s
    for _ in range(file.numbers.triggers):
        opened.bench.pass_time(random.uniform(0.0, 0.25))
        asked_s = opened.bench.clock.now()
        try:
            exposure = exposed(opened.bench, opened.camera, limit_s, bench_rig.subject_um)
        except CameraTimeout:
            pytest.fail(f"no picture within {limit_s} s")
        opened.fetch(exposure)
        waited_s.append(exposure.start_s - asked_s)
        data_s.append(opened.bench.clock.now() - exposure.end_s)
    figure(
        "trigger_latency",
        percentile(waited_s, 0.95),
        "s",
        limit=file.tolerances.trigger_latency_s,
        samples=tuple(waited_s),
        better="lower",
        note="From asking for a picture to the start of its exposure, as the camera gives it; 95 of 100 are quicker.",
    )
    figure(
        "transfer_time",
        percentile(data_s, 0.95),
        "s",
        samples=tuple(data_s),
        better="lower",
        note="From the end of the exposure to the data being here.",
    )


@pytest.mark.needs("camera", "pins", "sync_contact")
@pytest.mark.usefixtures("lit")
def test_sync_contact(bench_rig, opened, file, figure):
    """The camera's own contact against what it says: every exposure once, and within its times."""
    contact, after_s, early_ms, open_ms = file.features.sync_contact, [], [], []
    closed = int(contact.closes_to == "supply")
    for _ in range(file.numbers.triggers):
        opened.bench.pass_time(0.05)
        asked_s = opened.bench.clock.now()
        with bench_rig.pins.watch(contact.pin, "down" if closed else "up") as watch:
            exposure = opened.expose(asked_s)
            opened.fetch(exposure)
            edges = watch.edges()
        closing = [edge.at_s for edge in edges if edge.level == closed]
        opening = [edge.at_s for edge in edges if edge.level != closed]
        assert closing, "the sync contact did not close: wire, or a camera that has none with this shutter"
        assert opening, "the sync contact did not open again"
        after_s.append(closing[0] - asked_s)
        early_ms.append(1e3 * (exposure.start_s - closing[0]))
        open_ms.append(1e3 * (opening[-1] - closing[0]))
    figure(
        "sync_latency",
        percentile(after_s, 0.95),
        "s",
        limit=file.tolerances.trigger_latency_s,
        samples=tuple(after_s),
        better="lower",
        note="From asking for a picture to the sync contact closing.",
    )
    figure(
        "sync_before_start",
        max(early_ms),
        "ms",
        limit=file.tolerances.timestamp_error_ms,
        samples=tuple(early_ms),
        note="How long before the start that the camera gives the contact closed; below 0: after it.",
    )
    figure(
        "sync_open_time",
        float(np.median(open_ms)),
        "ms",
        samples=tuple(open_ms),
        note="How long the contact stays closed.",
    )
