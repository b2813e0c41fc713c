"""Properties of incoming messages: read as paho writes them, whatever they are, in a time that grows with their length only."""

from __future__ import annotations

import asyncio

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties, VariableByteIntegers

from rigd.link.incoming import MOST_USER_PROPERTIES, read_properties
from tests.brokers import HOST, mosquitto
from tests.links import endpoint, going, party

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
KINDS = {
    "ResponseTopic": words,
    "CorrelationData": st.binary(max_size=1024),
    "ContentType": words,
    "MessageExpiryInterval": st.integers(0, 2**32 - 1),
    "PayloadFormatIndicator": st.integers(0, 1),
    "TopicAlias": st.integers(1, 65535),
    "SubscriptionIdentifier": st.integers(1, 268_435_455),
    "UserProperty": st.lists(st.tuples(words, words), max_size=5),
}
OURS = {
    "response_topic": "ResponseTopic",
    "correlation": "CorrelationData",
    "content_type": "ContentType",
    "expiry_s": "MessageExpiryInterval",
}


@given(st.fixed_dictionaries({}, optional=KINDS), st.binary(max_size=20), st.binary(max_size=20))
def test_what_paho_writes_is_read(values, before, after):
    packed = Properties(PacketTypes.PUBLISH)
    for name, value in values.items():
        setattr(packed, name, value)
    raw = bytes(packed.pack())
    found, end = read_properties(before + raw + after, len(before))
    assert end == len(before) + len(raw)
    assert {ours: getattr(found, ours) for ours in OURS} == {
        ours: values.get(theirs) for ours, theirs in OURS.items()
    }
    assert found.user == dict(values.get("UserProperty", ()))


@given(st.binary(max_size=80), st.integers(0, 90))
def test_any_bytes_are_properties_or_none(packet, begin):
    try:
        _, end = read_properties(packet, begin)
    except ValueError:
        return
    assert begin < end <= len(packet)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x01",
        b"\x02\x01",
        b"\x05\x08\x00\x05ab",
        b"\x03\x08\x00\x01a",
        b"\x08\x08\x00\x01a\x08\x00\x01b",
        b"\x04\x08\x00\x01\xff",
        b"\x02\x7f\x00",
        b"\xff\xff\xff\xff\x01",
        b"\x03\x09\x00\x09",
        b"\x04\x26\x00\x00\x00",
    ],
)
def test_what_is_cut_off_twice_or_unknown_is_none(raw):
    with pytest.raises(ValueError):
        read_properties(raw, 0)


def test_of_a_great_many_user_properties_the_first_are_read():
    pairs = b"".join(b"\x26\x00\x03%03d\x00\x00" % number for number in range(1000))
    found, end = read_properties(VariableByteIntegers.encode(len(pairs)) + pairs, 0)
    assert [*found.user] == [f"{number:03d}" for number in range(MOST_USER_PROPERTIES)]
    assert end == len(pairs) + 2


class Flood(Properties):
    """A hundred thousand user properties: paho's own reading of them would take longer than a test may."""

    def pack(self):
        raw = b"\x26\x00\x00\x00\x00" * 100_000
        return VariableByteIntegers.encode(len(raw)) + raw


def test_a_message_of_properties_and_one_with_a_feff_cost_nothing(tmp_path):
    async def body(port):
        async with party(endpoint(port, "hears"), "t/#") as one:
            await one.up()
            odd = Properties(PacketTypes.PUBLISH)
            odd.ResponseTopic, odd.UserProperty = "\ufeffanswers", ("\ufeff", "\ufeff")
            client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
            client.connect(HOST, port)
            client.loop_start()
            try:
                client.publish("t/1", b"many", 1, properties=Flood(PacketTypes.PUBLISH))
                client.publish("t/2", b"odd", 1, properties=odd)
                client.publish("t/3", b"last", 1)
                await one.hears("t/3", b"last")
            finally:
                client.disconnect()
                await asyncio.to_thread(client.loop_stop)
            assert [message.payload for message in one.received] == [b"many", b"odd", b"last"]
            many, odd_one, last = one.received
            assert many.user == {"": ""}
            assert (odd_one.response_topic, odd_one.user) == ("\ufeffanswers", {"\ufeff": "\ufeff"})
            assert (last.response_topic, last.user) == (None, {})
            assert one.link.losses == 0

    with mosquitto(tmp_path) as broker:
        going(body(broker.port))
