"""What waits for a broker: bounded, states collapse, events keep their order. And how long a link waits between tries."""

import random
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigd.link import outbox
from rigd.link.backoff import Backoff
from rigd.link.endpoint import Packet
from rigd.link.outbox import MAX_PASSING, MAX_TRIES, Outbox


def event(name, **more):
    return Packet("r/event", name.encode(), **more)


def state(name, topic="r/state", **more):
    return Packet(topic, name.encode(), retain=True, **more)


def passing(name):
    return Packet("r/frame", name.encode(), qos=0, keep=False)


def fill(box, *packets):
    for packet in packets:
        box.put(packet, 0.0)
    return box


def drain(box, now_s=0.0):
    """Everything, as texts, and as it was taken."""
    taken = []
    while (one := box.take(now_s)) is not None:
        taken.append(one)
    return [packet.payload.decode() for _, packet in taken], [waiting for waiting, _ in taken]


def test_of_a_retained_topic_only_the_newest_waits():
    box = fill(Outbox(10), state("idle"), state("birth", "r/birth"), state("homing"), state("moving"))
    assert len(box) == 2
    assert drain(box)[0] == ["birth", "moving"]


def test_states_go_first_and_the_rest_in_its_order():
    box = fill(Outbox(10), event("1"), passing("frame"), event("2"), state("now"), event("3"))
    assert drain(box)[0] == ["now", "1", "frame", "2", "3"]


def test_of_too_many_events_the_oldest_are_dropped_and_counted():
    box = fill(Outbox(3), *(event(str(number)) for number in range(10)))
    assert box.dropped == 7
    assert drain(box)[0] == ["7", "8", "9"]


def test_what_is_not_to_be_kept_takes_no_event_s_place():
    box = fill(
        Outbox(2), event("1"), *(passing(str(number)) for number in range(MAX_PASSING + 5)), event("2")
    )
    texts, _ = drain(box)
    assert box.dropped == 0
    assert (texts[0], texts[-1]) == ("1", "2")
    assert texts[1] == "5"
    assert len(texts) == MAX_PASSING + 2


def test_a_rig_may_keep_no_events_at_all():
    box = fill(Outbox(0), event("1"), state("now"))
    assert drain(box)[0] == ["now"]
    assert box.dropped == 1


def test_what_was_not_acknowledged_comes_back_to_the_head_in_its_order():
    box = fill(Outbox(10), event("1"), event("2"), event("3"))
    first, second = box.take(0.0), box.take(0.0)
    box.lost([first[0], second[0]])
    assert drain(box)[0] == ["1", "2", "3"]


def test_what_is_not_to_be_kept_is_gone_with_the_connection():
    box = fill(Outbox(10), passing("on its way"), passing("waits"), event("1"))
    taken, _ = box.take(0.0)
    assert box.lost([taken]) == []
    assert drain(box)[0] == ["1"]


def test_a_state_on_its_way_comes_back_unless_a_newer_one_waits():
    box = fill(Outbox(10), state("old"), state("birth", "r/birth"))
    _, taken = drain(box)
    box.put(state("new"), 0.0)
    box.lost(taken)
    assert drain(box)[0] == ["birth", "new"]


def test_of_two_states_of_one_topic_on_their_way_the_newer_comes_back():
    box = fill(Outbox(10), state("old"))
    _, first = drain(box)
    box.put(state("new"), 0.0)
    _, second = drain(box)
    box.lost([*first, *second])
    assert drain(box)[0] == ["new"]


def test_a_message_that_breaks_the_connection_again_and_again_is_given_up():
    box = fill(Outbox(10), event("poison"), event("2"))
    for lost in range(MAX_TRIES):
        poison, _ = box.take(0.0)
        given_up = box.lost([poison])
        assert bool(given_up) is (lost == MAX_TRIES - 1)
    assert box.dropped == 1
    assert drain(box)[0] == ["2"]


def test_time_in_the_queue_counts_toward_the_expiry():
    box = fill(Outbox(10), event("long", expiry_s=60), event("short", expiry_s=5), event("never"))
    _, packet = box.take(20.0)
    assert (packet.payload, packet.expiry_s) == (b"long", 40)
    _, packet = box.take(20.0)
    assert (packet.payload, packet.expiry_s) == (b"never", None)


moves = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.integers(0, 3)),
        st.tuples(st.just("state"), st.integers(0, 3)),
        st.tuples(st.just("passing"), st.integers(0, 3)),
        st.tuples(st.just("take"), st.integers(0, 5)),
        st.tuples(st.just("acknowledge"), st.integers(0, 5)),
        st.tuples(st.just("lose"), st.just(0)),
    ),
    max_size=200,
)


@patch.object(outbox, "MAX_TRIES", 1000)
@given(moves, st.integers(0, 6))
def test_whatever_happens_events_keep_their_order_and_are_lost_only_if_counted(moves, bound):
    box, under_way, arrived, put_events = Outbox(bound), [], [], 0
    newest, told = {}, {}
    for number, (move, argument) in enumerate(moves):
        if move == "event":
            put_events += 1
            box.put(Packet("r/event", b"%d" % number), 0.0)
        elif move == "state":
            newest[f"r/{argument}"] = number
            box.put(Packet(f"r/{argument}", b"%d" % number, retain=True), 0.0)
        elif move == "passing":
            box.put(passing(str(number)), 0.0)
        elif move == "take":
            taken = [box.take(0.0) for _ in range(argument)]
            under_way += [one[0] for one in taken if one is not None]
        elif move == "acknowledge":
            arrived, under_way = arrived + under_way[:argument], under_way[argument:]
        else:
            box.lost(under_way)
            under_way = []
        assert box._kept <= bound
        assert box._kept == sum(waiting.packet.keep for waiting in box._rest)
    arrived += under_way + drain(box)[1]
    for waiting in arrived:
        told[waiting.packet.topic] = int(waiting.packet.payload)
    events = [int(waiting.packet.payload) for waiting in arrived if waiting.packet.topic == "r/event"]
    assert events == sorted(set(events))
    assert len(events) + box.dropped == put_events
    assert {topic: told[topic] for topic in newest} == newest


# ----------------------------------------------------------------------------------------------------------- the delays


def test_delays_grow_to_the_longest_and_begin_anew_when_it_worked():
    delays = Backoff(0.5, 30.0, chance=lambda: 1.0)
    assert [delays.next_s() for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    delays.reset()
    assert delays.next_s() == 0.5
    assert delays.longest_s() == 30.0


def test_a_delay_can_be_kept_short_and_grows_from_there():
    delays = Backoff(0.5, 30.0, chance=lambda: 1.0)
    assert [delays.next_s(0.7) for _ in range(5)] == [0.5, 0.7, 0.7, 0.7, 0.7]
    assert delays.next_s() == 1.4


def test_each_delay_is_jittered_within_its_bounds():
    chance = random.Random(1).random
    delays = [Backoff(0.5, 30.0, chance) for _ in range(50)]
    for expected in (0.5, 1.0, 2.0, 4.0):
        waits = [delay.next_s() for delay in delays]
        assert all(expected / 2 <= wait <= expected for wait in waits)
        assert max(waits) - min(waits) > expected / 4


@pytest.mark.parametrize("most_s", [0.1, 0.5])
def test_the_longest_delay_bounds_the_first_one_too(most_s):
    delays = Backoff(0.5, most_s, chance=lambda: 1.0)
    assert [delays.next_s(), delays.next_s()] == [most_s, most_s]
