"""Datagrams, registers, currents and words of the TMC2209, by hand and against long division."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.tmc2209 import registers as r
from drivers.tmc2209.currents import CLOCK_HZ, highest_ma, rms_ma, scale_for, tstep_for
from drivers.tmc2209.health import Watcher, fault
from drivers.tmc2209.options import Tmc2209Options
from drivers.tmc2209.protocol import BadReply, crc8, read_reply, read_request, write_request
from drivers.tmc2209.registers import Register, mres_of
from tests.emulators.tmc2209 import check

PORT = "/dev/serial0"


def reply(register: int, value: int) -> bytes:
    body = bytes((0x05, 0xFF, register)) + value.to_bytes(4, "big")
    return body + bytes((check(body),))


def test_datagrams_that_real_chips_take():
    # Captured from working set-ups: CHOPCONF at its power-on value, and a read of GCONF and of IFCNT.
    assert write_request(0, Register.CHOPCONF, 0x10000053) == bytes.fromhex("0500ec100000539c")
    assert read_request(0, Register.GCONF) == bytes.fromhex("05000048")


@given(st.binary(min_size=1, max_size=12))
def test_crc_is_a_long_division(data):
    assert crc8(data) == check(data)


@given(st.integers(0, 127), st.integers(0, 2**32 - 1))
def test_a_reply_gives_its_value(register, value):
    assert read_reply(reply(register, value), register) == value


@given(st.integers(0, 127), st.integers(0, 2**32 - 1), st.integers(0, 63))
def test_no_single_wrong_bit_is_believed(register, value, bit):
    data = bytearray(reply(register, value))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadReply):
        read_reply(bytes(data), register)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "nothing"),
        (reply(1, 5)[:7], "7 bytes of 8"),
        (reply(2, 5), "register 0x02 instead of 0x01"),
        (write_request(0, 1, 5), "something else"),
    ],
)
def test_what_is_no_reply_says_why(data, why):
    with pytest.raises(BadReply, match=why):
        read_reply(data, 1)


@pytest.mark.parametrize("call", [(4, 0, 0), (0, 128, 0), (0, 0, 1 << 32), (0, 0, -1)])
def test_what_cannot_be_sent(call):
    with pytest.raises(ValueError):
        write_request(*call)


def test_fields():
    assert r.IRUN.at(31) == 0x1F00
    assert r.IRUN.of(0x51F10) == 31
    assert r.CS_ACTUAL.of(0x001F_0000) == 31
    with pytest.raises(ValueError, match="does not fit"):
        r.IRUN.at(32)


def test_microsteps():
    assert [mres_of(1 << power) for power in range(9)] == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    for wrong in (0, 3, 512):
        with pytest.raises(ValueError):
            mres_of(wrong)


@pytest.mark.parametrize(
    ("sense_ohm", "amperes"),
    [(1.00, 0.23), (0.50, 0.44), (0.33, 0.66), (0.22, 0.96), (0.15, 1.35), (0.12, 1.64), (0.10, 1.92)],
)
def test_highest_currents_are_those_of_the_datasheet(sense_ohm, amperes):
    """Section 8 has a table of resistors and currents, rounded to 10 mA."""
    assert highest_ma(sense_ohm) / 1000 == pytest.approx(amperes, abs=0.008)


@given(st.floats(60, 1700), st.floats(0.3, 1.0))
def test_a_current_is_never_more_than_asked_and_within_a_step(run_ma, share):
    hold_ma = max(60.0, run_ma * share)
    scale = scale_for(run_ma, min(hold_ma, run_ma), 0.11)
    step_ma = rms_ma(0, scale.vsense, 0.11)
    for asked, found in ((run_ma, scale.run), (min(hold_ma, run_ma), scale.hold)):
        given_ma = rms_ma(found, scale.vsense, 0.11)
        assert asked - step_ma - 1e-6 <= given_ma <= asked + 1e-6


def test_the_finer_range_where_it_reaches():
    assert scale_for(500, 500, 0.11).vsense == 1
    assert scale_for(1200, 1200, 0.11).vsense == 0
    assert scale_for(rms_ma(20, 0, 0.11), rms_ma(10, 0, 0.11), 0.11).run == 20


def test_speeds():
    assert tstep_for(CLOCK_HZ / 256) == 1
    assert tstep_for(100) == 469
    assert tstep_for(1e-9) == 2**20 - 1


def test_hold_is_run_unless_said_otherwise():
    assert Tmc2209Options(port=PORT, run_ma=800).scale.hold == Tmc2209Options(port=PORT, run_ma=800).scale.run
    reduced = Tmc2209Options(port=PORT, run_ma=800, hold_ma=400)
    assert reduced.scale.hold < reduced.scale.run
    assert reduced.idle_scale == reduced.scale


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"run_ma": 1900}, "cannot be set"),
        ({"run_ma": 20}, "cannot be set"),
        ({"run_ma": 500, "hold_ma": 600}, "hold_ma must not be more"),
        ({"run_ma": 500, "idle_ma": 600}, "idle_ma must not be more"),
        ({"run_ma": 500, "address": 4}, "address"),
        ({"run_ma": 500, "port": "ttyS0"}, "port"),
        ({"run_ma": 500, "microsteps": 10}, "microsteps"),
    ],
)
def test_options_that_cannot_be(wrong, why):
    with pytest.raises(ValueError, match=why):
        Tmc2209Options(**{"port": PORT, **wrong})


# --------------------------------------------------------------------------------------------------------------- words

STILL = r.STST.at(1)


@pytest.mark.parametrize(
    ("gstat", "drv_status", "words"),
    [
        (0, STILL, None),
        (r.RESET.at(1), STILL, "lost its power"),
        (r.DRV_ERR.at(1), STILL, "heat or a short"),
        (r.UV_CP.at(1), STILL, "supply is too low"),
        (r.DRV_ERR.at(1), r.OT.at(1) | r.T150.at(1) | r.T143.at(1), "over 150 °C"),
        (r.DRV_ERR.at(1), r.S2GA.at(1), "coil A is shorted to ground"),
        (r.DRV_ERR.at(1), r.S2VSB.at(1), r"coil B is shorted \(low side\)"),
    ],
)
def test_faults_in_words(gstat, drv_status, words):
    found = fault(gstat, drv_status)
    if words is None:
        assert found is None
    else:
        assert re.search(words, found)


def test_a_hot_chip_warns():
    status = Watcher().status(0, STILL | r.OTPW.at(1) | r.T120.at(1), 0)
    assert status.fault is None
    assert "over 120 °C" in status.warnings[0]


def test_an_open_coil_counts_in_motion_and_when_seen_twice():
    watcher = Watcher()
    open_b = r.OLB.at(1)
    assert watcher.status(0, STILL | open_b, 0).warnings == ()
    assert watcher.status(0, open_b, 0).warnings == ()
    assert "coil B" in watcher.status(0, open_b, 0).warnings[0]
    assert "coil B" in watcher.status(0, STILL, 0).warnings[0]
    assert watcher.status(0, 0, 0).warnings == ()


def test_the_enable_pin_is_active_low():
    assert Watcher().status(0, STILL, 0).enabled
    assert not Watcher().status(0, STILL, r.ENN.at(1)).enabled
