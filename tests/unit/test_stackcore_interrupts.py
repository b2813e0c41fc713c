"""Signals of stackcore's commands."""

import signal
import sys
import threading
import weakref

import pytest

from stackcore.cli.interrupts import Interrupts

PATIENCE_S = 30.0


class Thing:
    pass


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_inside_a_finalizer_is_not_lost(number, capsys):
    said = []

    def finalizer():
        said.append("dying")
        signal.raise_signal(number)

    def die():
        thing = Thing()
        weakref.finalize(thing, finalizer)
        with interrupts.installed():
            del thing
            assert said == ["dying"]
            threading.Event().wait(PATIENCE_S)

    interrupts = Interrupts()
    with pytest.raises(KeyboardInterrupt):
        die()
    assert interrupts.seen == number
    assert "Traceback" not in capsys.readouterr().err


def test_other_things_raised_in_a_finalizer_are_said_as_before(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: seen.append(unraisable.exc_type))

    def finalizer():
        raise ValueError

    before = sys.unraisablehook
    with Interrupts().installed():
        thing = Thing()
        weakref.finalize(thing, finalizer)
        del thing
    assert seen == [ValueError]
    assert sys.unraisablehook is before
