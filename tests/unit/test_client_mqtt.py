"""The Python client and rigctl over a real mosquitto, against a rig that only talks."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from drivers.clock import SystemClock
from rigd.client import (
    CommandRefused,
    ContractMismatch,
    NoSuchRig,
    NotReachable,
    RigOffline,
    connect,
    fleet,
)
from rigd.ctl.__main__ import main
from rigd.ctl.exits import Exit
from rigd.mqtt.adapter import MqttAdapter
from tests.brokers import HOST, add_password, free_port, mosquitto, proxy, publish
from tests.fake_rig import FRAMES, WAIT_S, FakeRig, served
from tests.rigs import SMALL, small_rig


@pytest.fixture
def broker(tmp_path):
    with mosquitto(tmp_path) as one:
        yield one


def adapter(fake, folder, port, rig="fake", extra=""):
    place = folder / rig
    place.mkdir(exist_ok=True)
    text = (
        SMALL.replace("id: small", f"id: {rig}")
        + f"mqtt: {{host: {HOST}, port: {port}, reconnect_max_s: 1{extra}}}\n"
    )
    return MqttAdapter(small_rig(place, text=text), fake, fake.switchboard, SystemClock())


def talk(folder, port, body, *, rig_port=None, contract=None, rig_extra="", url=None, **options):
    async def go():
        fake = FakeRig() if contract is None else FakeRig(contract=contract)
        address = url or f"mqtt://{HOST}:{port}/fake"
        way = adapter(fake, folder, rig_port or port, extra=rig_extra)
        async with asyncio.timeout(WAIT_S), way, connect(address, **options) as rig:
            return await body(rig, fake)

    return asyncio.run(go())


def test_commands_progress_and_results(tmp_path, broker):
    async def body(rig, fake):
        assert rig.online
        assert rig.info.rig == "fake"
        await rig.home()
        await rig.goto(3000)
        with pytest.raises(CommandRefused, match="20000 um is the end"):
            await rig.goto(99_999)
        assert (await rig.test_shot()).width == 96
        run = await rig.start("beetle")
        frames = [progress.frame async for progress in run]
        assert frames[-1] == FRAMES
        assert (await run.result()).complete
        assert fake.acted.count("goto") == 1

    talk(tmp_path, broker.port, body)


@pytest.mark.parametrize(("rig_speaks", "refuse_v5"), [("3.1.1", None), ("5", b"\x20\x03\x00\x84\x00")])
def test_without_mqtt_5_on_either_side(tmp_path, broker, rig_speaks, refuse_v5):
    async def go():
        fake = FakeRig()
        async with (
            asyncio.timeout(WAIT_S),
            proxy(broker.port, refuse_v5=refuse_v5) as way,
            adapter(fake, tmp_path, broker.port, extra=f', protocol: "{rig_speaks}"'),
            connect(f"mqtt://{HOST}:{way.port}/fake") as rig,
        ):
            await rig.goto(2000)
            assert (await rig.set("end", "stay")).end == "stay"

    asyncio.run(go())


def test_a_client_that_lost_its_broker_asks_again_and_the_rig_acts_once(tmp_path, broker):
    async def go():
        fake = FakeRig()
        async with (
            asyncio.timeout(WAIT_S),
            proxy(broker.port) as way,
            adapter(fake, tmp_path, broker.port),
            connect(f"mqtt://{HOST}:{way.port}/fake") as rig,
        ):
            fake.hold = {"session.start"}
            run = await rig.start("beetle")
            fake.silent = {"goto"}
            moving = asyncio.create_task(rig.goto(4000))
            await fake.told("goto")
            way.cut()
            fake.silent = set()
            await moving
            assert fake.acted.count("goto") == 1
            asked = fake.requests("goto")
            assert asked[0] == asked[-1]
            way.cut()
            fake.left("session.start", "complete")
            assert (await run.result()).complete

    asyncio.run(go())


def test_a_broker_that_is_killed_and_comes_back_costs_nothing(tmp_path, broker):
    async def body(rig, fake):
        fake.hold = {"session.start"}
        run = await rig.start("beetle")
        fake.frame(0)
        await asyncio.to_thread(broker.kill)
        fake.frame(1)
        homing = asyncio.create_task(rig.home())
        await asyncio.to_thread(broker.start)
        await homing
        async for progress in run:
            if progress.frame == 2 and progress.reachable:
                break
        fake.left("session.start", "complete")
        assert (await run.result()).complete

    talk(tmp_path, broker.port, body)


def test_a_rig_that_goes_offline_is_said_to_be(tmp_path, broker):
    async def go():
        fake = FakeRig()
        url = f"mqtt://{HOST}:{broker.port}/fake"
        async with asyncio.timeout(WAIT_S):
            async with adapter(fake, tmp_path, broker.port), connect(url, timeout_s=0.5) as rig:
                await rig.ping()
                feed = rig.everything()
            with pytest.raises(NotReachable):
                async for _ in feed:
                    pass
            with pytest.raises(RigOffline):
                async with connect(url):
                    pass

    asyncio.run(go())


def test_which_rigs_there_are(tmp_path, broker):
    async def go():
        one, two = FakeRig("one"), FakeRig("two")
        url = f"mqtt://{HOST}:{broker.port}"
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(NoSuchRig, match="no rig has ever been here"):
                async with connect(url):
                    pass
            with pytest.raises(NoSuchRig, match="ever been here"):
                async with connect(f"{url}/three", welcome_s=0.3):
                    pass
            async with fleet(url) as seen, adapter(one, tmp_path, broker.port, "one"):
                while "one" not in seen.rigs or seen.rigs["one"].state is None:
                    await seen.changed()
                async with connect(url) as rig:
                    assert rig.info.rig == "one"
                async with adapter(two, tmp_path, broker.port, "two"):
                    while "two" not in seen.rigs or not seen.rigs["two"].online:
                        await seen.changed()
                    with pytest.raises(NoSuchRig, match="one, two"):
                        async with connect(url):
                            pass
                while seen.rigs["two"].online:
                    await seen.changed()
                assert seen.rigs["two"].last_seen is not None

    asyncio.run(go())


def test_another_contract(tmp_path, broker):
    async def body(rig, fake):
        raise AssertionError("connected")

    with pytest.raises(ContractMismatch):
        talk(tmp_path, broker.port, body, contract="2.3")


def test_who_may_not_command_is_told_so(tmp_path):
    passwords, access = tmp_path / "passwords", tmp_path / "access"
    for user in ("rig", "eye"):
        add_password(passwords, user, f"secret-{user}")
        (tmp_path / user).write_text(f"username: {user}\npassword: secret-{user}\n")
        (tmp_path / user).chmod(0o600)
    access.write_text("user rig\ntopic readwrite #\nuser eye\ntopic read rigd/#\n")
    access.chmod(0o600)
    with mosquitto(tmp_path, f"password_file {passwords}", f"acl_file {access}") as broker:

        async def body(rig, fake):
            assert rig.state.mode == "idle"
            with pytest.raises(CommandRefused, match="does not let this user") as refused:
                await rig.home()
            assert refused.value.code == "not_allowed"
            assert fake.heard == []

        extra = f", credentials: {tmp_path / 'rig'}"
        talk(tmp_path, broker.port, body, rig_extra=extra, credentials=tmp_path / "eye")
        (tmp_path / "eye").write_text("username: eye\npassword: wrong\n")
        with pytest.raises(NotReachable) as denied:
            talk(tmp_path, broker.port, body, rig_extra=extra, credentials=tmp_path / "eye")
        assert "wrong" not in str(denied.value)


def test_an_estop_goes_out_even_where_the_rig_is_said_to_be_offline(tmp_path, broker):
    async def go():
        fake = FakeRig()
        way, up = adapter(fake, tmp_path, broker.port), asyncio.Event()
        way.on_up.append(up.set)
        async with asyncio.timeout(WAIT_S), way:
            await up.wait()
            await asyncio.to_thread(publish, broker.port, "rigd/fake/availability", "offline", "-r")
            async with connect(f"mqtt://{HOST}:{broker.port}/fake", welcome_s=None) as rig:
                await rig.estop()
        assert fake.mode == "estopped"

    asyncio.run(go())


# ----------------------------------------------------------------------------------------------------------------- rigctl


@pytest.fixture
def environ(tmp_path, monkeypatch):
    for name in (
        "RIGD_URL",
        "RIGD_LEASE",
        "RIGD_CREDENTIALS",
        "RIGD_CA",
        "RIGD_CERT",
        "RIGD_KEY",
        "XDG_RUNTIME_DIR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("rigd.client.address.RUNTIME", tmp_path / "none")
    monkeypatch.chdir(tmp_path)


def test_rigctl_over_a_broker(tmp_path, broker, environ, monkeypatch, capsys):
    @asynccontextmanager
    async def reach(fake):
        way, up = adapter(fake, tmp_path, broker.port), asyncio.Event()
        way.on_up.append(up.set)
        async with way:
            async with asyncio.timeout(WAIT_S):
                await up.wait()
            yield

    monkeypatch.setenv("RIGD_URL", f"mqtt://{HOST}:{broker.port}")
    with served(reach) as rig:
        assert main(["status", "--json"]) == Exit.DONE
        assert json.loads(capsys.readouterr().out)["info"]["rig"] == "fake"
        assert main(["home"]) == Exit.DONE
        assert main(["start", "--wait"]) == Exit.DONE
        assert "is complete" in capsys.readouterr().out
        assert main(["rigs"]) == Exit.DONE
        head, row = capsys.readouterr().out.splitlines()
        assert head.split() == [
            "rig",
            "there",
            "mode",
            "position",
            "session",
            "version",
            "contract",
            "last",
            "seen",
            "way",
        ]
        assert row.split()[:3] == ["fake", "online", "idle"]
        publish(broker.port, "rigd/other/availability", "offline", "-r")
        assert main(["home"]) == Exit.UNREACHABLE
        assert "there are several rigs, name one: fake, other" in capsys.readouterr().err
        assert main(["home", "--rig", "fake"]) == Exit.DONE
        assert main(["home", "--rig", "other"]) == Exit.UNREACHABLE
        assert "offline" in capsys.readouterr().err
        assert main(["estop", "--rig", "fake"]) == Exit.DONE
        assert rig.call(lambda fake: fake.mode) == "estopped"


def test_rigctl_without_a_broker_says_so(environ, capsys):
    assert main(["status", "--url", f"mqtt://{HOST}:{free_port()}/fake"]) == Exit.UNREACHABLE
    assert "nobody listens on" in capsys.readouterr().err
