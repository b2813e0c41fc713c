"""Events are numbered, dated and complete."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from drivers.clock import VirtualClock
from rigd.messages import events
from rigd.messages.base import Error, ErrorCode
from rigd.remote.bus import Outgoing, Switchboard
from rigd.remote.reporter import LONGEST_ERROR, Reporter


class Box:
    """An outlet that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    def send(self, message: Outgoing) -> None:
        self.sent.append(message)


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def reporter(box: Box) -> Reporter:
    switchboard = Switchboard()
    switchboard.attach(box)
    return Reporter(switchboard, VirtualClock(), "boot")


def refusal() -> dict[str, object]:
    return {"topic": "request/goto", "error": Error(code=ErrorCode.EXPIRED, message="too late")}


def test_an_event_goes_to_its_topic_and_is_kept_for_a_transport_that_is_away(
    reporter: Reporter, box: Box
) -> None:
    reporter.event(events.FrameRetried, session="s", index=3, reason="dark")
    (sent,) = box.sent
    assert (sent.topic, sent.qos, sent.retain, sent.keep) == ("event/frame_retried", 1, False, True)
    read = events.FrameRetried.model_validate_json(sent.payload)
    assert (read.boot_id, read.seq, read.index) == ("boot", 1, 3)
    assert read.event_type == "frame_retried"
    assert read.time.tzinfo is not None


def test_everything_said_has_its_own_number(reporter: Reporter, box: Box) -> None:
    reporter.event(events.FaultCleared)
    state = reporter.next_seq()
    reporter.event(events.EStopped, why="pressed")
    assert [json.loads(sent.payload)["seq"] for sent in box.sent] == [1, 3]
    assert (state, reporter.seq) == (2, 3)


def test_refusals_are_counted(reporter: Reporter) -> None:
    reporter.event(events.CommandRefused, **refusal())
    reporter.event(events.FaultCleared)
    reporter.event(events.CommandRefused, **refusal())
    assert reporter.refused == 2


def test_an_event_that_lacks_something_is_a_bug_and_not_sent(reporter: Reporter, box: Box) -> None:
    with pytest.raises(ValidationError, match="reason"):
        reporter.event(events.FrameRetried, session="s", index=3)
    assert not box.sent


def test_the_last_error_is_kept_short(reporter: Reporter) -> None:
    assert reporter.last_error == ""
    reporter.note_error("x" * 5000)
    assert reporter.last_error == "x" * LONGEST_ERROR
