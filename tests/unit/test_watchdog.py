"""The service manager's protocol against a real datagram socket, and the watchdog on virtual time."""

import itertools
import os
import socket

import pytest

from drivers.clock import VirtualClock
from rigd.watchdog import Notifier, ProgressWatchdog, watchdog_interval_s


@pytest.fixture
def manager(tmp_path):
    """The receiving end, as the service manager has it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        yield receiver


def pending(receiver: socket.socket) -> list[str]:
    receiver.setblocking(False)
    messages = []
    while True:
        try:
            messages.append(receiver.recv(4096).decode())
        except BlockingIOError:
            return messages


def notifier_to(receiver: socket.socket) -> Notifier:
    return Notifier.from_environ({"NOTIFY_SOCKET": receiver.getsockname()})


def at(clock: VirtualClock, seconds: float) -> None:
    assert clock.advance(clock.now() + seconds)


def test_each_verb_is_one_datagram(manager):
    notifier = notifier_to(manager)
    assert notifier.active
    assert notifier.ready("homing is possible")
    assert notifier.status("frame 3 of 40")
    assert notifier.watchdog()
    assert notifier.extend_timeout(1.5)
    assert notifier.stopping()
    assert pending(manager) == [
        "READY=1\nSTATUS=homing is possible",
        "STATUS=frame 3 of 40",
        "WATCHDOG=1",
        "EXTEND_TIMEOUT_USEC=1500000",
        "STOPPING=1",
    ]


def test_ready_without_text_carries_no_status(manager):
    assert notifier_to(manager).ready()
    assert pending(manager) == ["READY=1"]


def test_a_line_break_in_a_status_cannot_become_an_assignment(manager):
    assert notifier_to(manager).status("frame 3\nMAINPID=1\r\nWATCHDOG=trigger")
    assert pending(manager) == ["STATUS=frame 3 MAINPID=1 WATCHDOG=trigger"]


def test_an_empty_status_is_not_sent(manager):
    assert not notifier_to(manager).status(" \n")
    assert pending(manager) == []


def test_abstract_socket():
    name = f"rigd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name)
        assert Notifier(f"@{name}").ready()
        assert pending(receiver) == ["READY=1"]


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "relative/path"])
def test_without_a_manager_nothing_happens(address):
    notifier = Notifier(address)
    assert not notifier.active
    assert not notifier.ready("up")
    assert not notifier.watchdog()


def test_a_manager_that_is_gone_is_no_error(tmp_path, caplog):
    assert not Notifier(str(tmp_path / "gone")).ready()
    assert "not told READY=1" in caplog.text


def test_a_manager_that_does_not_read_does_not_block_the_loop(manager):
    notifier = notifier_to(manager)
    sent = 0
    while notifier.watchdog():
        sent += 1
        assert sent < 100_000
    assert len(pending(manager)) == sent
    assert notifier.watchdog()


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "20000000"}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "77"}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "78"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "me"}, None),
    ],
)
def test_interval(environ, interval_s):
    assert watchdog_interval_s(environ, pid=77) == interval_s


def test_interval_is_for_this_process_by_default():
    assert watchdog_interval_s({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}) == 1.0
    assert watchdog_interval_s({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getppid())}) is None


def test_first_progress_is_a_sign_and_busy_loops_do_not_flood(manager):
    clock = VirtualClock()
    watchdog = ProgressWatchdog(notifier_to(manager), clock, interval_s=9.0)
    for _ in range(100):
        watchdog.progress()
    assert len(pending(manager)) == 1
    at(clock, 2.99)
    watchdog.progress()
    assert pending(manager) == []
    at(clock, 0.02)
    watchdog.progress()
    assert pending(manager) == ["WATCHDOG=1"]


def test_a_hung_loop_sends_nothing(manager):
    clock = VirtualClock()
    watchdog = ProgressWatchdog(notifier_to(manager), clock, interval_s=9.0)
    watchdog.progress()
    assert len(pending(manager)) == 1
    at(clock, 1000.0)
    assert pending(manager) == []


def test_an_idle_loop_at_its_tick_is_never_late(manager):
    clock, interval_s = VirtualClock(), 9.0
    watchdog = ProgressWatchdog(notifier_to(manager), clock, interval_s)
    assert watchdog.tick_s is not None
    signs_s = []
    for _ in range(200):
        watchdog.progress()
        signs_s += [clock.now()] * len(pending(manager))
        at(clock, watchdog.tick_s)
    gaps = [later - earlier for earlier, later in itertools.pairwise(signs_s)]
    assert len(gaps) > 40
    assert max(gaps) < interval_s / 2
    assert min(gaps) >= interval_s / 3


def test_a_sign_that_was_not_taken_is_sent_again_at_the_next_progress(tmp_path):
    clock, address = VirtualClock(), str(tmp_path / "late")
    watchdog = ProgressWatchdog(Notifier(address), clock, interval_s=9.0)
    watchdog.progress()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        watchdog.progress()
        assert pending(receiver) == ["WATCHDOG=1"]


def test_unwatched(manager):
    watchdog = ProgressWatchdog(notifier_to(manager), VirtualClock(), None)
    watchdog.progress()
    assert watchdog.tick_s is None
    assert pending(manager) == []
