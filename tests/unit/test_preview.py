"""The growing picture: in order whatever order frames come in, and never a reason to lose a session."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.clock import VirtualClock
from rigd.config.model import Preview as PreviewConfig
from rigd.machine.state import Mode
from rigd.pictures import Decoder
from rigd.plan import PlanRequest, RailModel, make_plan
from rigd.preview import AHEAD, PREVIEW, Preview, viewpoint_um, zoom
from rigd.session import verify
from rigd.session.store import Session
from tests.rigs import FRAMES, capture, resume, small_rig

CONFIG = PreviewConfig(threads=1, interval_s=0)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return capture(small_rig(tmp_path_factory.mktemp("preview"))).session


def merged(session, order, decode=lambda image: image):
    preview = Preview(session, Decoder(), CONFIG, VirtualClock())
    for frame in order:
        preview.add(frame, decode(Decoder().decode_file(session.path / session.frames[frame].file)))
    preview.flush()
    picture = preview._merger.picture.copy()
    frames = preview.frames
    preview.close()
    return picture, frames


def test_a_frame_taken_again_comes_late_and_is_merged_in_its_place(session):
    usual, _ = merged(session, range(FRAMES))
    late, frames = merged(session, [0, 1, 3, 4, 2, *range(5, FRAMES)])
    assert frames == FRAMES
    np.testing.assert_array_equal(late, usual)


def test_what_waits_is_not_kept_in_memory_but_read_again(session):
    usual, _ = merged(session, range(FRAMES))
    from_disk, _ = merged(session, range(FRAMES), decode=lambda image: None)
    np.testing.assert_array_equal(from_disk, usual)


def test_a_gap_is_passed_over_at_the_end(session):
    _, frames = merged(session, [0, 1, *range(3, FRAMES)])
    assert frames == FRAMES - 1


def test_a_frame_twice_counts_once(session):
    _, frames = merged(session, [0, 0, 1, 1, 2])
    assert frames == 3


def test_a_frame_that_cannot_be_merged_costs_only_itself(session, caplog):
    counter = iter(range(FRAMES))

    def broken(image):
        return image[:-1] if next(counter) == 4 else image

    _, frames = merged(session, range(FRAMES), decode=broken)
    assert frames == FRAMES - 1
    assert "frame 5 is not in the preview" in caplog.text


def test_a_disk_that_fills_while_the_results_are_written_leaves_a_session_that_can_be_finished(
    tmp_path, monkeypatch
):
    real = Session.add_result

    def full(self, name, data, *, durable=True):
        if name != PREVIEW:
            raise OSError(28, "No space left on device", name)
        real(self, name, data, durable=durable)

    monkeypatch.setattr(Session, "add_result", full)
    ran = capture(small_rig(tmp_path))
    assert ran.state.mode is Mode.FAULT
    assert ran.state.fault is not None
    assert "No space left" in ran.state.fault.message
    assert verify(ran.path).overview.frames == FRAMES
    monkeypatch.undo()
    resume(small_rig(tmp_path), ran.path)
    assert verify(ran.path).overview.outcome == "complete"


def test_seen_from_the_viewpoint_every_frame_covers_the_preview_and_none_is_left_as_it_is():
    plan = make_plan(PlanRequest(near_um=1000, far_um=3000, frames=9), RailModel(0.5, 0, 9000, 10))
    distance_um = 80_000.0
    for position in plan.positions:
        behind_um = viewpoint_um(plan, distance_um) - plan.um(position)
        assert behind_um >= AHEAD * distance_um
        corner = zoom((101, 201), (distance_um - behind_um) / distance_um) @ [200, 100, 1]
        assert 150 < corner[0] < 200
        assert 75 < corner[1] < 100
