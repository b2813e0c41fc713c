"""Commands that were acted on are known again: in this start of the daemon and in the next, whatever cut the last one off."""

from __future__ import annotations

import json
import os
from datetime import timedelta

import pytest

from drivers.clock import VirtualClock
from rigd.remote import ledger as ledger_module
from rigd.remote.ledger import KEPT_FOR, NAME, OLD, Ledger

OK = {"status": "ok", "data": {"frames": 5}, "error": None}


class Calendar(VirtualClock):
    """A clock whose wall time can be set."""

    ahead = timedelta()

    def utc(self):
        return super().utc() + self.ahead


@pytest.fixture
def clock():
    return Calendar()


def ledger_in(folder, clock) -> Ledger:
    """As after a kill: the one before is not closed in order."""
    return Ledger(folder, clock)


def test_an_answer_outlives_a_restart(tmp_path, clock):
    with_answer = ledger_in(tmp_path, clock)
    with_answer.answer(with_answer.begin("a", "home", "f1"), OK)
    again = ledger_in(tmp_path, clock).find("a")
    assert again is not None
    assert again.same("home", "f1")
    assert not again.same("home", "f2")
    assert not again.same("stop", "f1")
    assert again.answer == OK
    assert again.before
    assert ledger_in(tmp_path, clock).find("b") is None
    assert ledger_in(tmp_path, clock).find(None) is None


def test_a_command_that_was_begun_and_not_answered_is_known_too(tmp_path, clock):
    entry = ledger_in(tmp_path, clock).begin("a", "home", "f1")
    assert not entry.before
    again = ledger_in(tmp_path, clock).find("a")
    assert again is not None
    assert (again.answer, again.end, again.before) == (None, None, True)


def test_how_an_action_ended_outlives_a_restart(tmp_path, clock):
    ledger = ledger_in(tmp_path, clock)
    ledger.answer(ledger.begin("a", "home", "f1"), {**OK, "status": "accepted"})
    ledger.end("a", {"status": "ok"})
    ledger.end("never heard of", {"status": "ok"})
    again = ledger_in(tmp_path, clock).find("a")
    assert again is not None
    assert again.end == {"status": "ok"}


def test_a_command_that_did_nothing_may_come_again(tmp_path, clock):
    ledger = ledger_in(tmp_path, clock)
    ledger.void(ledger.begin("a", "home", "f1"))
    assert ledger.find("a") is None
    assert ledger_in(tmp_path, clock).find("a") is None
    ledger.answer(ledger.begin("a", "home", "f1"), OK)
    again = ledger_in(tmp_path, clock).find("a")
    assert again is not None
    assert again.answer == OK


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_that_was_cut_off_costs_no_other(tmp_path, clock, cut):
    ledger = ledger_in(tmp_path, clock)
    ledger.answer(ledger.begin("a", "home", "f1"), OK)
    ledger.begin("b", "home", "f2")
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-cut])
    cut_off = ledger_in(tmp_path, clock)
    assert cut_off.find("a").answer == OK
    cut_off.begin("c", "home", "f3")
    again = ledger_in(tmp_path, clock)
    assert again.find("a").answer == OK
    assert again.find("c") is not None


def test_lines_that_are_none_of_ours_are_left_out(tmp_path, clock):
    ledger = ledger_in(tmp_path, clock)
    ledger.answer(ledger.begin("a", "home", "f1"), OK)
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'\x00\xff\n[]\n{}\n{"t":"a","answer":5}\n{"t":"a","v":1}\n{"t":"z","answer":{}}\n')
    again = ledger_in(tmp_path, clock)
    assert again.find("a").answer == OK
    assert len(again) == 1


def test_it_is_bounded_in_memory_and_on_disk(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(ledger_module, "KEPT", 10)
    ledger = ledger_in(tmp_path, clock)
    for number in range(57):
        ledger.answer(ledger.begin(f"t{number}", "home", "f"), OK)
    assert len(ledger) == 10
    assert ledger.find("t46") is None
    assert ledger.find("t47").answer == OK
    lines = sum(len((tmp_path / name).read_bytes().splitlines()) for name in (NAME, OLD))
    assert lines <= 2 * 2 * 11
    again = ledger_in(tmp_path, clock)
    assert [f"t{number}" for number in range(57) if again.find(f"t{number}")] == [
        f"t{n}" for n in range(47, 57)
    ]
    assert again.find("t47").answer == OK


def test_an_answer_that_comes_after_the_file_was_changed_is_kept(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(ledger_module, "KEPT", 5)
    ledger = ledger_in(tmp_path, clock)
    first = ledger.begin("first", "home", "f")
    for number in range(5):
        ledger.begin(f"t{number}", "home", "f")
    last = ledger.begin("last", "home", "f")
    ledger.answer(first, OK)
    ledger.answer(last, OK)
    ledger.sync()
    again = ledger_in(tmp_path, clock)
    assert again.find("last").answer == OK
    assert again.find("first") is None


def test_old_commands_are_forgotten_at_a_start_but_never_the_newest(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(ledger_module, "KEPT_ALWAYS", 3)
    ledger = ledger_in(tmp_path, clock)
    for number in range(5):
        ledger.begin(f"t{number}", "home", "f")
    clock.ahead = KEPT_FOR + timedelta(hours=1)
    again = ledger_in(tmp_path, clock)
    # The wall clock may have been wrong: the last ones are kept whatever their dates say.
    assert [again.find(f"t{number}") is not None for number in range(5)] == [False, False, True, True, True]
    clock.ahead = KEPT_FOR - timedelta(hours=1)
    assert len(ledger_in(tmp_path, clock)) == 5


def test_nothing_may_be_done_when_it_cannot_be_written_down(tmp_path, clock, monkeypatch):
    ledger = ledger_in(tmp_path, clock)
    ledger.begin("a", "home", "f")
    before = (tmp_path / NAME).read_bytes()

    def half(descriptor, data):
        return real(descriptor, data[: len(data) // 2])

    real = os.write
    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space left on device; make room"):
        ledger.begin("b", "home", "f")
    monkeypatch.setattr(os, "write", real)
    assert ledger.find("b") is None
    assert (tmp_path / NAME).read_bytes() == before
    ledger.begin("c", "home", "f")
    assert ledger_in(tmp_path, clock).find("c") is not None


def test_an_answer_that_cannot_be_written_down_is_given_all_the_same(tmp_path, clock, monkeypatch):
    ledger = ledger_in(tmp_path, clock)
    entry = ledger.begin("a", "home", "f")

    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        ledger.answer(entry, OK)
    assert ledger.find("a").answer == OK


def test_what_is_written_is_brought_to_the_disk_later(tmp_path, clock):
    ledger = ledger_in(tmp_path, clock)
    assert not ledger.dirty
    ledger.begin("a", "home", "f")
    assert ledger.dirty
    ledger.sync()
    assert not ledger.dirty


def test_only_rigd_reads_it_and_it_is_json(tmp_path, clock):
    ledger = ledger_in(tmp_path / "deep" / "state", clock)
    ledger.begin("a", "home", "f")
    path = tmp_path / "deep" / "state" / NAME
    assert path.stat().st_mode & 0o077 == 0
    assert json.loads(path.read_bytes())["t"] == "a"
    ledger.close()
    ledger.close()
