"""Links whose broker dies, whose network is cut, freezes, or is slow: nothing that counts is lost, and what is old is not said."""

import asyncio
import re

from tests.brokers import mosquitto, proxy, subscribed
from tests.links import endpoint, going, party, text

RECEIVED = re.compile(r"Received PUBLISH from rig \(d0, q1, r0, m\d+, 'r/event/(\d+)'")


def arrived(broker):
    """The numbers of the events that any life of the broker has received, in order."""
    return [int(found[1]) for found in RECEIVED.finditer(broker.log())]


def without_repeats(numbers):
    return list(dict.fromkeys(numbers))


def test_twenty_deaths_of_the_broker_cost_no_event_and_leave_no_old_state(tmp_path):
    deaths, sent = 20, 0

    async def body():
        nonlocal sent
        now = ["born"]

        def tell(link):
            link.send(text("r/availability", "online", retain=True))
            link.send(text("r/state", now[0], retain=True))

        def event(rig):
            nonlocal sent
            rig.link.send(text(f"r/event/{sent}", "x"))
            sent += 1

        async with party(
            endpoint(broker.port),
            "r/request/+",
            on_up=tell,
            will=text("r/availability", "offline", retain=True),
        ) as rig:
            await rig.up()
            for death in range(deaths):
                for _ in range(30):
                    event(rig)
                # Some are acknowledged by now, some under way, some wait; the last few are said to nobody.
                await asyncio.to_thread(broker.wait_for, f"'r/event/{sent - 20}'")
                await asyncio.to_thread(broker.kill)
                await rig.until(lambda death=death: len(rig.downs) == death + 1)
                for number in range(10):
                    event(rig)
                    now[0] = f"{death}.{number}"
                    rig.link.send(text("r/state", now[0], retain=True))
                await asyncio.to_thread(broker.start)
                await rig.up(death + 2)
                with subscribed(broker.port, "r/state", "r/availability") as user:
                    newest = now[0]
                    await asyncio.to_thread(
                        user.wait, "r/state", lambda m, newest=newest: m["payload"] == newest
                    )
                    # A new broker has never heard of an older one.
                    assert {m["payload"] for m in user.messages if m["topic"] == "r/state"} == {newest}
                    await asyncio.to_thread(user.wait, "r/availability", lambda m: m["payload"] == "online")
            await asyncio.to_thread(broker.wait_for, f"'r/event/{sent - 1}'")
            assert rig.link.losses == deaths
            assert rig.link.dropped == 0

    with mosquitto(tmp_path) as broker:
        going(body())
        assert without_repeats(arrived(broker)) == list(range(sent))


def test_what_nobody_acknowledged_is_sent_again_after_a_cut(tmp_path):
    async def body():
        async with proxy(broker.port) as way, party(endpoint(way.port, "rig")) as rig:
            await rig.up()
            way.freeze()
            for number in range(50):
                rig.link.send(text(f"r/event/{number}", "x"))
            rig.link.send(text("r/answer", "late", keep=False))
            assert rig.link.waiting == 51
            way.cut()
            await rig.until(lambda: rig.downs)
            way.thaw()
            await asyncio.to_thread(broker.wait_for, "'r/event/49'")

    with mosquitto(tmp_path) as broker:
        going(body())
        assert without_repeats(arrived(broker)) == list(range(50))
        assert "r/answer" not in broker.log()


def test_a_link_that_is_half_open_is_found_by_its_silence(tmp_path):
    async def body():
        async with (
            proxy(broker.port) as way,
            party(endpoint(way.port, keepalive_s=2), "r/request/+", will=text("r/will", "gone")) as rig,
        ):
            await rig.up()
            way.freeze()
            rig.link.send(text("r/event/0", "x"))
            await rig.until(lambda: rig.downs)
            assert rig.downs == ["the broker has been silent for too long"]
            way.thaw()
            await rig.up(2)
            await asyncio.to_thread(broker.wait_for, "'r/event/0'")

    with mosquitto(tmp_path) as broker:
        going(body())
        # The broker, too, hears nothing: it does not wait for us for ever.
        assert "(p5, c1, k1)" in broker.log()


def test_a_link_at_rest_is_kept_up_by_pings(tmp_path):
    async def body():
        async with party(endpoint(broker.port, keepalive_s=2)) as rig:
            await rig.up()
            for _ in range(2):
                await asyncio.to_thread(broker.wait_for, "Received PINGREQ from rig", broker.logged)
            assert rig.downs == []

    with mosquitto(tmp_path) as broker:
        going(body())


def test_over_a_slow_link_only_the_newest_state_is_still_to_be_said(tmp_path):
    async def body():
        async with proxy(broker.port) as way, party(endpoint(way.port, keepalive_s=60)) as rig:
            with subscribed(broker.port, "r/#") as user:
                await rig.up()
                way.freeze()
                for number in range(1000):
                    rig.link.send(text("r/state", str(number), retain=True))
                    rig.link.send(text("r/picture", "x" * 100_000, retain=True, qos=0))
                    # As many times as a loop has turns: the socket takes what it can.
                    await asyncio.sleep(0)
                assert rig.link.waiting <= 22
                way.thaw()
                await asyncio.to_thread(user.wait, "r/state", lambda m: m["payload"] == "999")
                states = [int(m["payload"]) for m in user.messages if m["topic"] == "r/state"]
                assert states == sorted(states)
                assert len(states) < 200

    with mosquitto(tmp_path) as broker:
        going(body())


def test_a_network_that_is_cut_again_and_again_loses_no_event(tmp_path):
    async def body():
        async with proxy(broker.port) as way, party(endpoint(way.port), queue_events=5000) as rig:
            await rig.up()
            for cut in range(10):
                for number in range(100):
                    rig.link.send(text(f"r/event/{cut * 100 + number}", "x"))
                await asyncio.to_thread(broker.wait_for, f"'r/event/{cut * 100}'")
                way.cut()
                await rig.until(lambda cut=cut: len(rig.downs) > cut)
                await rig.up(cut + 2)
            await asyncio.to_thread(broker.wait_for, "'r/event/999'")

    with mosquitto(tmp_path) as broker:
        going(body())
        assert without_repeats(arrived(broker)) == list(range(1000))
