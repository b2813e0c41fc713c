"""What cameras call things, and whose report is whose."""

import pytest
from pydantic import ValidationError

from drivers.apart.wire import HEAD
from drivers.base import AlarmResponse, DriverError, DriverNotAvailable, Unplugged
from drivers.gphoto2 import failures, holders, messages, recovery, widgets
from drivers.gphoto2.choosing import Absent, candidates, only
from drivers.gphoto2.events import File, Reports, Shot
from drivers.gphoto2.messages import Heard, Refused, Tree, Widget
from drivers.gphoto2.options import Gphoto2Options
from drivers.gphoto2.recovery import Step


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("1/125", 1 / 125),
        ("0.0100s", 0.01),
        ("1.3", 1.3),
        ('4"', 4.0),
        ("10/1600", 1 / 160),
        ("1/2.5", 0.4),
        ("30", 30.0),
        ("bulb", None),
        ("Time", None),
        ("Auto", None),
        ("1/0", None),
        ("0", None),
        ("", None),
    ],
)
def test_exposure_times(words, value):
    assert widgets.seconds(words) == (value if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("words", "value"),
    [("f/5.6", 5.6), ("5.6", 5.6), ("F8", 8.0), ("Auto", None), ("f/0", None), ("--", None)],
)
def test_apertures(words, value):
    assert widgets.f_number(words) == value


@pytest.mark.parametrize(
    ("words", "value"),
    [("100", 100.0), ("ISO 200", 200.0), ("Auto", None), ("Auto ISO", None), ("100 (expanded)", 100.0)],
)
def test_sensitivities(words, value):
    assert widgets.iso(words) == value


@pytest.mark.parametrize(
    ("words", "value"),
    [("50%", 50.0), ("7", 7.0), ("Low", 10.0), ("Full", 100.0), ("AC power", None), ("", None)],
)
def test_batteries(words, value):
    assert widgets.percent(words) == value


def test_the_nearest_setting_is_chosen_when_it_is_meant():
    choices = ("bulb", "1/50", "1/60", "1/80")
    assert widgets.nearest(choices, 0.0167, widgets.seconds) == "1/60"
    assert widgets.nearest(choices, 0.019, widgets.seconds) == "1/50"
    assert widgets.nearest(choices, 1.0, widgets.seconds) is None
    assert widgets.nearest((), 1.0, widgets.seconds) is None
    assert widgets.around(choices, 0.0167, widgets.seconds)[0] == "1/60"


def test_a_setting_that_can_be_changed_comes_before_one_that_cannot():
    settings = widgets.Settings(
        [Widget("shutterspeed", "", True, "1/50"), Widget("shutterspeed2", "", False, "1/50")]
    )
    assert settings.find(widgets.SHUTTER).name == "shutterspeed2"
    assert settings.find(("iso",)) is None


# ------------------------------------------------------------------------------------------------------------- reports


def file(name, at_s=0.0, folder="/card"):
    return Heard("file", at_s, folder, name)


COMPLETE = Heard("complete", 0.0)


def begun(reports, number):
    shot = Shot(number)
    reports.begin(shot)
    return shot


def test_a_file_is_the_picture():
    reports = Reports(".jpg", None)
    shot = begun(reports, 1)
    reports.heard(file("A.JPG"))
    assert shot.frame == File("/card", "A.JPG")
    assert not reports.odd


def test_a_late_report_that_the_picture_before_is_complete_does_not_end_this_one():
    reports = Reports(".jpg", None)
    begun(reports, 1)
    reports.heard(file("A.JPG"))
    second = begun(reports, 2)
    reports.heard(COMPLETE)
    assert not second.complete
    reports.heard(COMPLETE)
    assert second.complete


def test_a_camera_that_says_complete_too_often_is_not_believed():
    reports = Reports(".jpg", None)
    first = begun(reports, 1)
    reports.heard(COMPLETE)
    assert first.complete
    reports.heard(COMPLETE)
    second = begun(reports, 2)
    reports.heard(COMPLETE)
    assert not second.complete


def test_a_camera_that_raises_its_mirror_is_not_believed():
    reports = Reports(".jpg", None, trusting=False)
    shot = begun(reports, 1)
    reports.heard(COMPLETE)
    assert not shot.complete


def test_a_refused_trigger_is_no_picture():
    reports = Reports(".jpg", None)
    begun(reports, 1)
    reports.taken_back()
    assert reports.shots == 0
    assert reports.last is None
    second = begun(reports, 2)
    reports.heard(COMPLETE)
    assert second.complete


def test_raw_and_jpeg():
    reports = Reports(".nef", ".jpg")
    first = begun(reports, 1)
    reports.heard(file("A.JPG"))
    assert first.frame is None
    reports.heard(file("A.NEF"))
    assert (first.frame.name, [each.name for each in first.others]) == ("A.NEF", ["A.JPG"])
    second = begun(reports, 2)
    reports.heard(file("A.NEF", folder="/other card"))
    reports.heard(file("B.NEF"))
    assert second.frame.name == "B.NEF"
    reports.heard(file("B.CR2"))
    assert [each.name for each in reports.odd] == ["B.CR2"]


def test_jpeg_is_jpg():
    assert File("/", "A.JPEG").suffix == ".jpg"


# ------------------------------------------------------------------------------------------------------------ choosing

TWO = (("Canon EOS R", "usb:001,004"), ("Canon EOS R", "usb:001,005"))


def test_several_cameras_are_named():
    with pytest.raises(
        DriverError, match=r"Canon EOS R \(usb:001,004\) and Canon EOS R \(usb:001,005\).*serial"
    ):
        only(candidates(TWO, Gphoto2Options()), Gphoto2Options())


def test_one_is_chosen_by_port_or_model():
    options = Gphoto2Options(port="usb:001,005")
    assert only(candidates(TWO, options), options) == TWO[1]
    others = (*TWO[:1], ("Nikon Z 6", "usb:001,009"), ("Mass Storage Camera", "disk:/media/card"))
    options = Gphoto2Options(model="Nikon Z 6")
    assert only(candidates(others, options), options) == others[1]
    options = Gphoto2Options(port="ptpip:192.168.1.1")
    assert only(candidates((), options), options) == ("PTP/IP Camera", "ptpip:192.168.1.1")


def test_a_camera_that_is_not_there_is_named_beside_what_is():
    with pytest.raises(Absent, match=r"Sony A7 is not there; there is Canon EOS R \(usb:001,004\) and"):
        candidates(TWO, Gphoto2Options(model="Sony A7"))
    with pytest.raises(Absent, match="switch it on"):
        candidates((("Mass Storage Camera", "disk:/media/card"),), Gphoto2Options())


@pytest.mark.parametrize(
    "options",
    [
        {"companion": ".jpg", "capture_target": "card"},
        {"companion": ".nef"},
        {"port": "/dev/ttyUSB0"},
        {"power_cycle": []},
    ],
)
def test_options_that_cannot_be(options):
    with pytest.raises(ValidationError):
        Gphoto2Options(**options)


# ------------------------------------------------------------------------------------------------------------ failures


def test_codes_are_said_in_words():
    error = failures.failure(
        "Canon on usb:001,004", "releasing the shutter", Refused(-110, "I/O in progress")
    )
    assert isinstance(error, AlarmResponse)
    assert "usb:001,004" in str(error)
    assert "busy" in str(error)
    assert isinstance(failures.failure("x", "opening", Refused(-52, "")), Unplugged)
    assert "its own words" in str(failures.failure("x", "opening", Refused(-999, "its own words")))


def test_a_missing_wheel_says_how_to_get_it():
    error = failures.failure("x", "looking", Refused(1, "No module named 'gphoto2'"))
    assert isinstance(error, DriverNotAvailable)
    assert "pip install gphoto2" in str(error)


def processes(folder, **fds):
    """A /proc with these processes; each has one file open."""
    for pid, (name, target) in enumerate(fds.values(), start=100):
        (folder / str(pid) / "fd").mkdir(parents=True)
        (folder / str(pid) / "comm").write_text(name + "\n")
        (folder / str(pid) / "fd" / "3").symlink_to(target)
    (folder / "meminfo").write_text("")
    return folder


def test_who_holds_the_camera_is_named_with_how_to_stop_it(tmp_path):
    proc = processes(
        tmp_path,
        a=("gvfs-gphoto2-vo", "/dev/null"),
        b=("bash", "/dev/tty1"),
        c=("entangle", "/dev/bus/usb/001/004"),
    )
    assert holders.advice("Canon on usb:001,004", proc) == (
        "another program holds the camera: entangle (process 102): end that program"
    )
    likely = holders.advice("Canon on usb:001,009", proc)
    assert "gvfs-gphoto2-vo (process 100)" in likely
    assert "systemctl --user stop gvfs-gphoto2-volume-monitor" in likely


def test_a_camera_that_nobody_seems_to_hold(tmp_path):
    assert "plugdev" in holders.advice("Canon on usb:001,004", processes(tmp_path))


def test_the_ladder():
    plain, powered = Gphoto2Options(), Gphoto2Options(power_cycle=("cycle",))
    assert recovery.steps(0, plain) == (Step.NONE, Step.RESET)
    assert recovery.steps(1, plain) == recovery.steps(9, plain) == (Step.RESET,)
    assert recovery.steps(0, powered) == (Step.NONE, Step.RESET, Step.POWER)
    assert recovery.steps(1, powered) == (Step.RESET, Step.POWER)
    assert recovery.steps(5, powered) == (Step.POWER,)


# ------------------------------------------------------------------------------------------------------------ messages


@pytest.mark.parametrize(
    "message",
    [
        messages.Detect(),
        messages.Open("Canon EOS R", "usb:001,004"),
        messages.Read(("iso", "aperture")),
        messages.Cameras(TWO),
        Tree((Widget("iso", "ISO", False, "100", ("100", "200")),)),
        messages.Values({"iso": "100"}),
        Heard("file", 12.5, "/card", "A.JPG"),
        messages.Data(None),
    ],
)
def test_messages_come_out_as_they_went_in(message):
    head, _ = messages.CODEC.packed(message)
    assert messages.CODEC.unpacked(head[HEAD.size :]) == message


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'{"type": "Nonsense"}', b'{"type": "Open"}', b'"x"', b"\xff"]
)
def test_what_is_no_message(text):
    with pytest.raises(ValueError):
        messages.CODEC.unpacked(text)
