"""Lines of real controllers, and lines that suffered on their way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.grbl.codes import ALARMS, ERRORS, alarm_words, error_words
from drivers.grbl.protocol import (
    Alarm,
    Banner,
    Failure,
    Feedback,
    LineSplitter,
    Mode,
    Noise,
    Ok,
    Parser,
    Report,
    Setting,
)


def parsed(*lines):
    parser = Parser()
    return [parser.parse(line.encode("latin-1")) for line in lines][-1]


@pytest.mark.parametrize(
    ("line", "mode", "detail", "machine"),
    [
        ("<Idle|MPos:0.000,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000>", Mode.IDLE, None, (0.0, 0.0, 0.0)),
        ("<Idle|MPos:3.000,2.000,0.000|FS:0,0|Ov:100,100,100>", Mode.IDLE, None, (3.0, 2.0, 0.0)),
        ("<Run|MPos:23.036,1.620,0.000|FS:500,0>", Mode.RUN, None, (23.036, 1.62, 0.0)),
        ("<Jog|MPos:-5.529,0.560,7.000|Bf:15,128|F:600|Pn:XYZ>", Mode.JOG, None, (-5.529, 0.56, 7.0)),
        ("<Hold:0|MPos:0.000,0.000,0.000|F:0>", Mode.HOLD, 0, (0.0, 0.0, 0.0)),
        ("<Hold:1|MPos:0.000,0.000,0.000|F:90>", Mode.HOLD, 1, (0.0, 0.0, 0.0)),
        ("<Door:1|MPos:0.000,0.000,0.000|Pn:D>", Mode.DOOR, 1, (0.0, 0.0, 0.0)),
        ("<Alarm|Bf:15,128|FS:0,0|MPos:-0.0001,0.0000,0.0000>", Mode.ALARM, None, (-0.0001, 0.0, 0.0)),
        ("<Alarm:11|MPos:0.000,0.000,0.000,0.000|FS:0,0>", Mode.ALARM, 11, (0.0, 0.0, 0.0, 0.0)),
        ("<Home|MPos:1.000>", Mode.HOME, None, (1.0,)),
        ("<Check|MPos:0.000,0.000,0.000|FS:0,0>", Mode.CHECK, None, (0.0, 0.0, 0.0)),
        ("<Sleep|MPos:0.000,0.000,0.000|FS:0,0>", Mode.SLEEP, None, (0.0, 0.0, 0.0)),
    ],
)
def test_reports(line, mode, detail, machine):
    report = parsed(line)
    assert isinstance(report, Report)
    assert (report.mode, report.detail, report.machine) == (mode, detail, machine)


def test_work_positions_need_the_offset_which_is_told_now_and_then():
    parser = Parser()
    assert parser.parse(b"<Idle|WPos:1.000,0.000,0.000|FS:0,0>").machine is None
    report = parser.parse(b"<Idle|WPos:1.000,0.000,0.000|FS:0,0|WCO:-3.500,1.000,0.000>")
    assert (report.machine, report.summed) == ((-2.5, 1.0, 0.0), True)
    assert parser.parse(b"<Run|WPos:2.000,0.000,0.000>").machine == (-1.5, 1.0, 0.0)
    assert isinstance(parser.parse(b"Grbl 1.1h ['$' for help]"), Banner)
    assert parser.parse(b"<Idle|WPos:1.000,0.000,0.000>").machine is None


def test_pins():
    assert parsed("<Idle|MPos:0.000,0.000,0.000|Pn:PXZ>").pins == "PXZ"


@pytest.mark.parametrize(
    "line",
    [
        "<Idle|MPos:0.000,0.000,0.000|FS:0,0",
        "<Idle|MPos:0.00,0.000,0.000>",
        "<Idle|MPos:0.000,,0.000>",
        "<Idl|MPos:0.000,0.000,0.000>",
        "<Idle|MPos:0.000,0.000,0.000<Idle|MPos:0.000,0.000,0.000>",
        "<Idle|FS:0,0>",
        "<Hold:x|MPos:0.000,0.000,0.000>",
        "<>",
        "okay",
        "k",
        "rror:9",
        "LARM:1",
        "\xff\xfe",
        "$100",
    ],
)
def test_what_is_not_whole_says_nothing(line):
    assert isinstance(parsed(line), Noise)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ok", Ok()),
        ("error:9", Failure(9)),
        ("error: Bad number format", Failure(-1)),
        ("ALARM:1", Alarm(1)),
        ("ALARM: Hard limit", Alarm(-1)),
        ("$100=250.000", Setting(100, "250.000")),
        ("$0=10 (step pulse, usec)", Setting(0, "10")),
        ("[MSG:'$H'|'$X' to unlock]", Feedback("MSG", "'$H'|'$X' to unlock")),
        ("[VER:1.1h.20190830:]", Feedback("VER", "1.1h.20190830:")),
        ("[OPT:V,15,128]", Feedback("OPT", "V,15,128")),
        (">G54:ok", Noise(">G54:ok")),
    ],
)
def test_other_lines(line, message):
    assert parsed(line) == message


@pytest.mark.parametrize(
    ("line", "firmware", "version"),
    [
        ("Grbl 1.1h ['$' for help]", "Grbl", (1, 1)),
        ("Grbl 1.1f ['$' for help]", "Grbl", (1, 1)),
        ("Grbl 0.9j ['$' for help]", "Grbl", (0, 9)),
        ("GrblHAL 1.1f ['$' or '$HELP' for help]", "grblHAL", (1, 1)),
        ("Grbl 3.7 [FluidNC v3.7.15 (wifi) '$' for help]", "FluidNC", (3, 7)),
        ("Grl 1.1h ['$' for help]", "", None),
        ("l 1.1h ['$' for help]", "", None),
        ("Grbl 1.1h ['$' fr help]", "Grbl", (1, 1)),
    ],
)
def test_banners_also_mangled_ones(line, firmware, version):
    banner = parsed(line)
    assert isinstance(banner, Banner)
    assert (banner.firmware, banner.version) == (firmware, version)


def test_lines_come_in_pieces_with_any_end():
    splitter = LineSplitter()
    found = []
    for piece in (b"\r\nGr", b"bl 1.1h ['$' for help]\r", b"\nok\n", b"\x00ok", b"\r\r\n<Id"):
        found += splitter.feed(piece)
    assert found == [b"Grbl 1.1h ['$' for help]", b"ok", b"ok"]


def test_endless_lines_are_let_go():
    splitter = LineSplitter()
    for _ in range(100):
        assert splitter.feed(b"x" * 100) == []
    assert splitter.feed(b"\nok\n")[-1] == b"ok"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(data):
    splitter, parser = LineSplitter(), Parser()
    for line in splitter.feed(data + b"\n"):
        parser.parse(line)


@given(st.integers(0, 60), st.sampled_from([b"", b"0", b"\xff"]))
def test_a_report_with_one_byte_lost_or_changed_is_no_report_elsewhere(at, instead):
    """Whole millimetres may change; decimals, state and field names may not."""
    line = b"<Idle|MPos:-12.345,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000>"
    spoilt = line[:at] + instead + line[at + 1 :]
    report = Parser().parse(spoilt)
    if isinstance(report, Report) and report.machine is not None:
        assert report.mode is Mode.IDLE
        assert len(report.machine) == 3


def test_codes_have_words():
    assert all(ERRORS.values())
    assert all(ALARMS.values())
    assert set(range(1, 10)) <= set(ALARMS)
    assert set(range(1, 18)) | set(range(20, 39)) <= set(ERRORS)
    assert "switch" in alarm_words(1)
    assert error_words(999)
    assert alarm_words(None)
