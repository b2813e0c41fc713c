"""A controller at the end of a TCP connection, as ser2net and network boards give it."""

import contextlib
import os
import socket
import threading
import tty
from contextlib import ExitStack

import pytest

from drivers.base import DriverError, Unplugged
from drivers.clock import SystemClock
from drivers.grbl.options import GrblOptions
from drivers.grbl.rail import GrblRail
from drivers.registry import Context
from tests.emulators.grbl_rails import OPTIONS, Kit, emulated


class Ser2net:
    """One connection to one port."""

    def __init__(self, path):
        self._tty = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._tty)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"socket:127.0.0.1:{self._listening.getsockname()[1]}"
        self._connection = None
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self):
        self._connection, _ = self._listening.accept()
        back = threading.Thread(target=self._back, daemon=True)
        back.start()
        with contextlib.suppress(OSError):
            while data := self._connection.recv(100):
                os.write(self._tty, data)
        back.join(5)

    def _back(self):
        with contextlib.suppress(OSError):
            while data := os.read(self._tty, 100):
                self._connection.sendall(data)

    def cut(self):
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.cut()
        self._listening.close()
        self._threads[0].join(10)
        self._connection.close()
        os.close(self._tty)


def test_over_a_socket(tmp_path):
    with ExitStack() as stack:
        emulator, _ = emulated(Kit(), tmp_path / "grbl", SystemClock(), stack, speed=10.0)
        bridge = Ser2net(emulator.port)
        try:
            rail = GrblRail(GrblOptions(port=bridge.address, **OPTIONS), Context(SystemClock()))
            rail.open()
            rail.start_home()
            while rail.poll().moving:
                pass
            rail.start_move(2000)
            while (status := rail.poll()).moving:
                pass
            assert status.position == emulator.true_steps() == 2000
            rail.start_move(0)
            bridge.cut()
            with pytest.raises(Unplugged) as caught:  # noqa: PT012  (some answers may still be on their way)
                while True:
                    rail.poll()
            assert caught.value.port == bridge.address
            assert "$J=" in caught.value.command
            with pytest.raises(DriverError):
                rail.start_home()
        finally:
            rail.close()
            emulator.unplug()
            bridge.close()
