"""A link to a real broker: versions of MQTT, what messages carry, last will, last words, and the queue."""

import asyncio
import logging

import pytest

from rigd.link import Endpoint, Packet
from rigd.link import link as link_module
from tests.brokers import add_password, free_port, mosquitto, proxy, publish, subscribed
from tests.links import endpoint, going, party, scripted, text

OK5 = b"\x20\x03\x00\x00\x00"
"""CONNACK of MQTT 5: success, without properties."""
GRANTED = b"\x90\x04II\x00\x01"
"""SUBACK: QoS 1."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """A broker that everybody may use, and that nobody stops."""
    with mosquitto(tmp_path_factory.mktemp("broker")) as one:
        yield one


# --------------------------------------------------------------------------------------------------- what messages carry


def test_a_request_and_its_answer_carry_what_mqtt_5_has(broker):
    async def body():
        async with (
            party(endpoint(broker.port, "rig"), "r/request/+") as rig,
            party(endpoint(broker.port, "user"), "r/clients/user") as user,
        ):
            await rig.up()
            await user.up()
            assert (rig.link.speaks, rig.link.trouble) == ("5", "")
            asked = Packet(
                "r/request/home",
                b"{}",
                response_topic="r/clients/user",
                correlation=b"\x00\xff7",
                content_type="application/json",
                expiry_s=60,
                user={"who": "test", "sprache": "grün"},
            )
            user.link.send(asked)
            got = await rig.hears("r/request/home")
            assert (got.payload, got.qos, got.retain, got.dup) == (b"{}", 1, False, False)
            assert (got.response_topic, got.correlation) == ("r/clients/user", b"\x00\xff7")
            assert (got.content_type, got.user) == ("application/json", {"who": "test", "sprache": "grün"})
            assert 0 < got.expiry_s <= 60
            rig.link.send(Packet(got.response_topic, b"done", correlation=got.correlation, keep=False))
            answer = await user.hears("r/clients/user")
            assert (answer.payload, answer.correlation) == (b"done", b"\x00\xff7")

    going(body())


def test_a_message_without_properties_has_none(broker):
    async def body():
        async with party(endpoint(broker.port), "plain/#") as rig:
            await rig.up()
            await asyncio.to_thread(publish, broker.port, "plain/x", b"\x00\xff", "-V", "311")
            got = await rig.hears("plain/x")
            assert got.payload == b"\x00\xff"
            assert (got.response_topic, got.correlation, got.expiry_s, got.user) == (None, None, None, {})

    going(body())


def test_the_retained_flag_is_seen_live_and_our_own_messages_are_not(broker):
    async def body():
        async with party(endpoint(broker.port), "live/#") as rig:
            await rig.up()
            rig.link.send(text("live/own", "mine"))
            await asyncio.to_thread(publish, broker.port, "live/request", "go", "-r")
            assert (await rig.hears("live/request")).retain
            await asyncio.to_thread(publish, broker.port, "live/request", None, "-r")
            await rig.hears("live/request", b"")
            assert rig.payloads("live/own") == []
        async with party(endpoint(broker.port), "live/#") as rig:
            await rig.up()
            assert rig.received == []

    going(body())


def test_what_is_retained_is_heard_on_every_connection(broker):
    async def body():
        await asyncio.to_thread(publish, broker.port, "kept/state", "now", "-r")
        async with proxy(broker.port) as way, party(endpoint(way.port), "kept/state") as user:
            assert (await user.hears("kept/state")).retain
            way.cut()
            await user.until(lambda: len(user.received) == 2)

    going(body())


def test_what_is_longer_than_we_take_never_comes_and_costs_nothing(broker):
    async def body():
        async with party(endpoint(broker.port, max_packet_bytes=10_000), "long/#") as rig:
            await rig.up()
            await asyncio.to_thread(publish, broker.port, "long/x", b"x" * 20_000)
            await asyncio.to_thread(publish, broker.port, "long/y", b"y" * 5_000)
            await rig.hears("long/y")
            assert rig.payloads("long/x") == []
            assert rig.link.losses == 0

    going(body())


def test_a_topic_that_is_none_is_left_out_and_the_rest_goes_on(broker, caplog):
    async def body():
        async with (
            party(endpoint(broker.port)) as rig,
            party(endpoint(broker.port, "user"), "t/#") as user,
        ):
            await rig.up()
            await user.up()
            for topic in ("t/+", "t/\ud800", "x" * 70_000):
                rig.link.send(text(topic, "?"))
            rig.link.send(text("t/long", "?", response_topic="x" * 70_000))
            rig.link.send(text("t/good", "!"))
            await user.hears("t/good")
            assert [message.topic for message in user.received] == ["t/good"]

    going(body())
    assert sum("not sent" in record.message for record in caplog.records) == 4


def test_a_listener_that_fails_costs_a_line_in_the_log(broker, caplog):
    async def body():
        async with party(endpoint(broker.port), "t/#") as rig:
            rig.link._on_message = lambda received: 1 / 0
            await rig.up()
            await asyncio.to_thread(publish, broker.port, "t/x", "1")
            rig.link._on_message = rig.received.append
            await asyncio.to_thread(publish, broker.port, "t/x", "2")
            rig.link.send(text("u", "still here"))
            assert rig.link.connected

    going(body())
    assert "a listener of the link failed" in caplog.text


# -------------------------------------------------------------------------------------------------------- versions of MQTT


def test_mqtt_3_1_1_where_it_is_asked_for(broker):
    async def body():
        async with party(
            endpoint(broker.port, protocol="3.1.1"), "old/#", will=text("old/will", "gone")
        ) as rig:
            await rig.up()
            assert rig.link.speaks == "3.1.1"
            await asyncio.to_thread(
                publish, broker.port, "old/x", "hello", "-V", "5", "-D", "PUBLISH", "response-topic", "r"
            )
            got = await rig.hears("old/x")
            assert (got.response_topic, got.user) == (None, {})
            rig.link.send(text("new/x", "1", response_topic="ignored", user={"a": "b"}))
            await rig.link.close()

    going(body())


OLD_BROKERS = {
    "says so as 3.1.1 does": (b"\x20\x02\x00\x01", True),
    "says so as 5 does": (b"\x20\x03\x00\x84\x00", True),
    "hangs up": (b"", False),
    "says something that is no packet of MQTT 5": (b"\x20\x02\x00\x05", False),
}


@pytest.mark.parametrize(("answer", "sure"), OLD_BROKERS.values(), ids=OLD_BROKERS)
def test_a_broker_that_speaks_only_3_1_1_is_spoken_to_in_that(broker, answer, sure):
    async def body():
        async with proxy(broker.port, refuse_v5=answer) as way, party(endpoint(way.port), "v/#") as rig:
            await rig.up()
            # One that only hangs up is asked again, once it is known to be there.
            tries = 2 if sure else 4
            assert (rig.link.speaks, rig.failures, way.accepted) == ("3.1.1", [], tries)
            way.cut()
            await rig.up(2)
            assert (rig.link.speaks, way.accepted) == ("3.1.1", tries + 1)

    going(body())


def test_a_way_that_hangs_up_once_is_no_broker_of_old(broker):
    """As a broker that is being started, or a way that was dead for a while."""

    async def body():
        async with proxy(broker.port, refuse_v5=b"") as way:
            through = way._connect_through

            async def relent(reader, writer):
                way._refuse_v5 = b"" if way.accepted == 1 else None
                await through(reader, writer)

            way._connect_through = relent
            will = text("v/will", "gone", retain=True)
            async with party(endpoint(broker.port, "other"), "v/#") as other:
                await other.up()
                async with party(endpoint(way.port), "v/#", will=will) as rig:
                    await rig.up()
                    assert (rig.link.speaks, rig.link.losses, way.accepted) == ("5", 0, 3)
                    rig.link.send(text("v/x", "1"))
                    await other.hears("v/x")
                    assert other.payloads("v/will") == []

    going(body())


def test_a_broker_of_old_is_said_to_be_one_where_only_mqtt_5_is_wanted(broker):
    async def body():
        async with (
            proxy(broker.port, refuse_v5=b"\x20\x02\x00\x01") as way,
            party(endpoint(way.port, protocol="5")) as rig,
        ):
            await rig.until(lambda: rig.failures)
            assert rig.failures[0] == f"127.0.0.1:{way.port} does not speak MQTT 5"

    going(body())


def test_a_way_that_hangs_up_on_everybody_is_no_broker_of_old():
    async def body():
        async with scripted({}, hang_up_after=1) as way, party(endpoint(way.port)) as rig:
            await rig.until(lambda: len(rig.failures) == 3)
            assert set(rig.failures) == {
                "the broker ended the connection before it answered; perhaps it wants TLS on this port"
            }
            assert way.accepted >= 6

    going(body())


# ----------------------------------------------------------------------------------------------------- who we are to the broker


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A broker with a password file."""
    folder = tmp_path_factory.mktemp("guarded")
    add_password(folder / "passwords", "rig", "correct horse")
    acl = folder / "acl"
    acl.write_text("user rig\ntopic readwrite allowed/#\n")
    acl.chmod(0o600)
    with mosquitto(folder, f"password_file {folder / 'passwords'}", f"acl_file {acl}") as one:
        yield one


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_right_password_opens_and_is_never_logged(guarded, caplog, protocol):
    caplog.set_level(logging.DEBUG)

    async def body():
        where = endpoint(guarded.port, protocol=protocol, username="rig", password="correct horse")
        assert "correct" not in repr(where)
        async with party(where) as rig:
            await rig.up()

    going(body())
    assert caplog.records
    assert "correct horse" not in caplog.text


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("who", [{"username": "rig", "password": "guessed word"}, {}])
def test_a_wrong_password_is_said_without_it_and_not_tried_again_soon(
    guarded, caplog, monkeypatch, protocol, who
):
    caplog.set_level(logging.DEBUG)
    slow = []
    monkeypatch.setattr(link_module.Backoff, "longest_s", lambda self: slow.append(self) or 0.01)

    async def body():
        async with party(endpoint(guarded.port, protocol=protocol, **who)) as rig:
            await rig.until(lambda: len(rig.failures) == 3)
            assert set(rig.failures) == {f"127.0.0.1:{guarded.port} refuses us: not authorized"}
            assert rig.link.trouble == rig.failures[0]
            assert len(slow) >= 2

    going(body())
    assert "guessed word" not in caplog.text
    # Once for people, and then only for those who look closely.
    levels = [record.levelno for record in caplog.records if "refuses us" in record.message]
    assert levels[0] == logging.WARNING
    assert set(levels[1:]) == {logging.DEBUG}


def test_a_denied_message_is_told_and_logged_once(guarded, caplog):
    async def body():
        async with party(
            endpoint(guarded.port, username="rig", password="correct horse"), "allowed/#"
        ) as rig:
            await rig.up()
            for _ in range(3):
                rig.link.send(text("forbidden", "x"))
            await rig.until(lambda: len(rig.denied) == 3)
            assert set(rig.denied) == {("forbidden", "not authorized")}
            assert rig.link.waiting == 0

    going(body())
    assert sum("does not take messages on forbidden" in record.message for record in caplog.records) == 1


def test_another_client_with_our_id_is_named_and_not_fought(monkeypatch):
    slow = []
    monkeypatch.setattr(link_module.Backoff, "longest_s", lambda self: slow.append(self) or 3600.0)

    async def body():
        taken_over = {1: OK5, 3: b"\xe0\x02\x8e\x00"}
        async with scripted(taken_over) as strict, party(endpoint(strict.port, "twin")) as rig:
            await rig.up()
            rig.link.send(text("t", "x"))
            await rig.until(lambda: rig.downs)
            assert rig.downs == ["another client came with our client id 'twin'"]
            await rig.until(lambda: slow)

    going(body())


def test_two_links_with_one_id_are_told_of_it_by_a_broker_that_says_nothing(broker, caplog):
    async def body():
        async with party(endpoint(broker.port, "twin")) as one, party(endpoint(broker.port, "twin")) as other:
            await one.until(lambda: len(one.downs) >= 4)
            assert other.downs

    going(body())
    assert "perhaps another client has our client id 'twin'" in caplog.text


# ------------------------------------------------------------------------------------------------------------- nobody there


def test_a_broker_that_comes_later_is_found(tmp_path):
    async def body():
        port = free_port()
        async with party(endpoint(port), "t/#") as rig:
            rig.link.send(text("t/state", "now", retain=True))
            await rig.until(lambda: len(rig.failures) == 2)
            assert rig.failures[0] == f"nobody listens on 127.0.0.1:{port}"
            assert not rig.link.connected
            with mosquitto(tmp_path, port=port), subscribed(port, "t/state") as user:
                await rig.up()
                message = await asyncio.to_thread(user.wait, "t/state")
                assert message["payload"] == "now"
                assert rig.link.losses == 0

    going(body())


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("no-such-host.invalid", "the name 'no-such-host.invalid' cannot be resolved"),
        ("x" * 70, "is no name of a host"),
    ],
)
def test_a_name_that_nobody_knows_is_said(host, words):
    async def body():
        where = Endpoint(host, 1883, "rig", reconnect_min_s=0.02, reconnect_max_s=0.1)
        async with party(where) as rig:
            await rig.until(lambda: rig.failures)
            assert words in rig.failures[0]

    going(body())


def test_something_that_never_answers_is_given_up():
    async def body():
        async with (
            scripted({}) as deaf,
            party(endpoint(deaf.port, connect_timeout_s=0.05)) as rig,
            scripted({1: OK5}) as half,
            party(endpoint(half.port, connect_timeout_s=0.05), "t") as other,
        ):
            await rig.until(lambda: rig.failures)
            assert rig.failures[0].endswith("takes connections and does not answer as a broker does")
            await other.until(lambda: other.failures)
            assert other.failures[0].endswith("does not answer subscriptions")

    going(body())


def test_closing_does_not_wait_for_a_broker_that_is_not_there():
    async def body():
        async with scripted({}) as deaf, party(endpoint(deaf.port, connect_timeout_s=3600.0)) as rig:
            await asyncio.wait({asyncio.ensure_future(rig.link.close([text("t", "bye")]))})
            assert not rig.failures

    going(body())


# --------------------------------------------------------------------------------------------- what a broker says of itself


def test_a_broker_s_bounds_are_kept():
    """Receive maximum 2, packets of 400 bytes, QoS 0 at most, nothing retained: section 3.2.2.3 of the specification."""
    bounds = b"\x21\x00\x02" + b"\x27\x00\x00\x01\x90" + b"\x24\x00" + b"\x25\x00"
    hello = b"\x20" + bytes([3 + len(bounds)]) + b"\x00\x00" + bytes([len(bounds)]) + bounds

    async def body():
        async with scripted({1: hello}) as narrow, party(endpoint(narrow.port)) as rig:
            await rig.up()
            rig.link.send(text("t/long", "x" * 500))
            rig.link.send(text("t/short", "x", retain=True))
            await rig.link.close()
            published = [packet for packet in narrow.packets if packet[0] >> 4 == 3]
            assert [packet[0] for packet in published] == [0x30]
            assert b"t/short" in published[0]

    going(body())


def test_no_more_is_under_way_than_the_broker_takes():
    hello = b"\x20\x06\x00\x00\x03\x21\x00\x02"

    async def body():
        async with scripted({1: hello}) as slow, party(endpoint(slow.port)) as rig:
            await rig.up()
            for number in range(5):
                rig.link.send(text("t", str(number)))
            assert len(rig.link._under_way) == 2
            assert rig.link.waiting == 5
            rig.link._closing = True  # nobody acknowledges: do not wait for it

    going(body())


def test_a_refused_subscription_is_named(caplog):
    async def body():
        refusing = {1: OK5, 8: b"\x90\x05II\x00\x01\x87"}
        async with scripted(refusing) as strict, party(endpoint(strict.port), "mine", "theirs") as rig:
            await rig.up()
            assert rig.link.refused_subscriptions == ("theirs",)

    going(body())
    assert "refuses the subscription of theirs" in caplog.text


@pytest.mark.parametrize(
    ("last_word", "why"),
    [
        (b"\xe0\x02\x8b\x00", "the broker ended the connection: server shutting down"),
        (b"\xf0\x00", "the broker sent something that is no MQTT"),
        (b"\x32\x02\xff\xff", "the broker sent something that is no MQTT"),
    ],
)
def test_how_a_broker_ends_it_is_told(last_word, why):
    async def body():
        async with (
            scripted({1: OK5, 3: last_word}, hang_up_after=3) as rude,
            party(endpoint(rude.port)) as rig,
        ):
            await rig.up()
            rig.link.send(text("t", "x", qos=0))
            await rig.until(lambda: rig.downs)
            assert rig.downs[0] == why
            await rig.up(2)
            assert rig.link.losses >= 1

    going(body())


def test_what_comes_just_before_the_end_is_heard():
    """With acknowledgements awaited, paho reads on, to the end of the connection, before it returns."""

    def say(link):
        for number in range(3):
            link.send(text("t", str(number)))

    async def body():
        last = {1: OK5, 8: GRANTED, 3: b"\x30\x08\x00\x05estop\x00"}
        async with (
            scripted(last, hang_up_after=3) as dying,
            party(endpoint(dying.port, reconnect_min_s=60, reconnect_max_s=60), "estop", on_up=say) as rig,
        ):
            await rig.until(lambda: rig.downs)
            assert [message.topic for message in rig.received] == ["estop"]

    going(body())


# ---------------------------------------------------------------------------------------------------- last will, last words


WILL = Packet("life/availability", b"offline", retain=True)


def test_a_link_that_is_cut_off_leaves_its_will(broker):
    async def body():
        with subscribed(broker.port, "life/#") as user:
            async with party(endpoint(broker.port, "mortal"), will=WILL) as rig:
                await rig.up()
                rig.link.send(text("life/availability", "online", retain=True))
                await asyncio.to_thread(user.wait, "life/availability", lambda m: m["payload"] == "online")
                rig.running.cancel()
                await asyncio.gather(rig.running, return_exceptions=True)
                await asyncio.to_thread(user.wait, "life/availability", lambda m: m["payload"] == "offline")
                rig.running = asyncio.ensure_future(asyncio.sleep(0))

    going(body())


def test_a_link_that_is_closed_says_its_last_words_after_all_that_waited(broker):
    async def body():
        with subscribed(broker.port, "order/#") as user:
            async with party(endpoint(broker.port, "orderly"), will=text("order/will", "!")) as rig:
                await rig.up()
                for number in range(100):
                    rig.link.send(text("order/event", str(number)))
                await rig.link.close([text("order/availability", "goodbye", retain=True)])
                rig.link.send(text("order/event", "too late"))
            await asyncio.to_thread(user.wait, "order/availability", lambda m: m["payload"] == "goodbye")
            publish(broker.port, "order/end", "x")
            await asyncio.to_thread(user.wait, "order/end")
            said = [message["payload"] for message in user.messages]
            assert said == [*(str(number) for number in range(100)), "goodbye", "x"]

    going(body())


def test_last_words_are_not_waited_for_for_ever(broker, monkeypatch):
    monkeypatch.setattr(link_module, "LAST_WORDS_S", 0.02)
    monkeypatch.setattr(link_module, "GOODBYE_S", 0.02)

    async def body():
        async with proxy(broker.port) as way, party(endpoint(way.port)) as rig:
            await rig.up()
            way.freeze()
            await rig.link.close([text("t", "bye")])
            await rig.running
            assert rig.downs == []

    going(body())


# ------------------------------------------------------------------------------------------------------------- the queue


def test_what_waited_arrives_in_order_and_states_only_as_they_are_now(broker):
    async def body():
        async with proxy(broker.port) as way, party(endpoint(broker.port, "user"), "q/#") as user:
            await user.up()
            way.freeze()
            async with party(endpoint(way.port), queue_events=5) as rig:
                for number in range(8):
                    rig.link.send(text("q/state", str(number), retain=True))
                    rig.link.send(text("q/event", str(number)))
                    rig.link.send(text("q/frame", str(number), keep=False))
                assert rig.link.dropped == 3
                way.thaw()
                await user.hears("q/event", b"7")
                assert user.payloads("q/state") == [b"7"]
                assert user.payloads("q/event") == [b"3", b"4", b"5", b"6", b"7"]
                assert user.payloads("q/frame") == []
                assert user.received[0].topic == "q/state"

    going(body())


def test_an_answer_to_what_comes_before_the_link_is_up_is_sent(broker):
    """The broker hands out what it has kept as soon as it is asked, before it acknowledges the subscription."""

    async def body():
        await asyncio.to_thread(publish, broker.port, "early/request", "go", "-r")
        with subscribed(broker.port, "early/response") as user:
            async with party(endpoint(broker.port), "early/request") as rig:
                rig.link._on_message = lambda received: rig.link.send(
                    text("early/response", "no", keep=False)
                )
                await rig.up()
                await asyncio.to_thread(user.wait, "early/response")

    going(body())


def test_no_thread_and_no_task_is_left(broker):
    import threading

    async def body():
        async with party(endpoint(broker.port)) as rig:
            await rig.up()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    going(body())
    connecting = [thread for thread in threading.enumerate() if thread.name == "mqtt-connect"]
    for thread in connecting:  # it has handed its socket over, and may not have come to its own end yet
        thread.join(10)
    assert not [thread for thread in connecting if thread.is_alive()]
