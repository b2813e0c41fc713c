"""The driver's end: start the process, ask it, give it up."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TypeVar

from drivers.apart.wire import HEAD, JSON_LIMIT, Codec, Done, Leave, Message, Refused
from drivers.clock import Interrupt

LAST_WORDS = 400
"""Characters of what a process said on stderr before it died."""
SLICE = 1 << 20

Reply = TypeVar("Reply", bound=Message)


class GivenUp(Exception):
    """The interrupt was set while an answer was waited for. The process still owes it."""


class Hangs(Exception):
    """No answer in time. The process still owes it."""

    def __init__(self, asked: str, limit_s: float) -> None:
        super().__init__(f"no answer to {asked} in {limit_s:g} s")
        self.asked = asked
        self.limit_s = limit_s


class Died(Exception):
    """The process is gone: its library aborted, or somebody killed it."""


class Child:
    """A process for a library. It ends with this object's process, whatever it does at that moment.

    Args:
        command: from the descriptors of its socket and its lifeline to what is to be run.
        codec: of what passes.
        environment: of the process.
        handed: more descriptors that it inherits.
    """

    def __init__(
        self,
        command: Callable[[int, int], Sequence[str]],
        codec: Codec,
        environment: Mapping[str, str],
        handed: Sequence[int] = (),
    ) -> None:
        self._codec = codec
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        self._socket = ours
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed in kill)
        self._buffer = bytearray()
        self.owes = ""
        """The request whose answer has not come."""
        try:
            self._process = subprocess.Popen(  # noqa: S603  (our own worker)
                command(theirs.fileno(), lifeline),
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                pass_fds=(theirs.fileno(), lifeline, *handed),
                env=dict(environment),
                start_new_session=True,
            )
        except OSError:
            os.close(self._lifeline)
            for end in (self._socket, self._wake, self._woken, self._said):
                end.close()
            raise
        finally:
            theirs.close()
            os.close(lifeline)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(
        self, request: Message, kind: type[Reply], limit_s: float, interrupt: Interrupt | None = None
    ) -> tuple[Reply | Refused, memoryview]:
        """Ask, and wait for the answer: a `kind` or a refusal, and its raw bytes.

        Raises:
            GivenUp: `interrupt` was set.
            Hangs: no answer within `limit_s`, on the machine's clock.
            Died: the process is gone.
        """
        if self.owes:
            raise Hangs(self.owes, 0.0)
        if interrupt is not None and interrupt.is_set():
            raise GivenUp
        asked = type(request).__name__.lower()
        try:
            self._socket.sendall(self._codec.packed(request)[0])
        except OSError as error:
            raise Died(self._ending()) from error
        self.owes = asked
        message, raw = self._answer(limit_s, interrupt)
        if not isinstance(message, (kind, Refused)):
            raise Died(f"it answered {type(message).__name__} to {asked}")
        return message, raw

    def settle(self, limit_s: float, interrupt: Interrupt | None = None) -> Message | None:
        """Wait for an answer that was given up; None where none is owed.

        Raises as `ask`.
        """
        return self._answer(limit_s, interrupt)[0] if self.owes else None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None and self._process.poll() is None

    def leave(self, limit_s: float) -> bool:
        """End it in order where it lets itself be; False when it had to be killed."""
        until_s = time.monotonic() + limit_s
        try:
            if not self.alive:
                return False
            self.settle(limit_s)
            self.ask(Leave(), Done, max(0.0, until_s - time.monotonic()))
            self._process.wait(max(0.1, until_s - time.monotonic()))
        except (Hangs, Died, subprocess.TimeoutExpired):
            return False
        finally:
            self.kill()
        return True

    def kill(self) -> None:
        """End it now. One that the kernel cannot end, because it waits for a device, is left to the kernel."""
        if self._socket.fileno() < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        os.close(self._lifeline)
        for end in (self._socket, self._wake, self._woken, self._said):
            end.close()

    def last_words(self) -> str:
        """The end of what it has said on its terminal, in one line."""
        if self._said.closed:
            return ""
        # With a position of its own: the process goes on writing where it is.
        size = os.fstat(self._said.fileno()).st_size
        end = os.pread(self._said.fileno(), LAST_WORDS, max(0, size - LAST_WORDS))
        return " ".join(end.decode(errors="replace").split())

    # --------------------------------------------------------------------------------------------------------- answers

    def _answer(self, limit_s: float, interrupt: Interrupt | None) -> tuple[Message, memoryview]:
        until_s = time.monotonic() + limit_s
        if interrupt is not None:
            interrupt.call_when_set(self._wake_up)
        try:
            while (parted := self._whole()) is None:
                self._hear_more(until_s, limit_s, interrupt)
        finally:
            if interrupt is not None:
                interrupt.forget(self._wake_up)
        self.owes = ""
        return parted

    def _hear_more(self, until_s: float, limit_s: float, interrupt: Interrupt | None) -> None:
        watched = select.poll()
        watched.register(self._socket, select.POLLIN)
        watched.register(self._woken, select.POLLIN)
        ready = dict(watched.poll(max(0.0, until_s - time.monotonic()) * 1000))
        if interrupt is not None and interrupt.is_set():
            raise GivenUp
        if not ready:
            raise Hangs(self.owes, limit_s)
        if self._woken.fileno() in ready:
            self._woken.recv(SLICE)
        if self._socket.fileno() in ready:
            try:
                part = self._socket.recv(SLICE)
            except OSError:
                part = b""
            if not part:
                raise Died(self._ending())
            self._buffer += part

    def _whole(self) -> tuple[Message, memoryview] | None:
        """The message that the buffer holds, taken out; None while parts of it are missing."""
        if len(self._buffer) < HEAD.size:
            return None
        text_bytes, raw_bytes = HEAD.unpack_from(self._buffer)
        if text_bytes > JSON_LIMIT:
            raise Died("something else speaks where its answers should be")
        if len(self._buffer) < HEAD.size + text_bytes + raw_bytes:
            return None
        whole, self._buffer = self._buffer, bytearray()
        try:
            message = self._codec.unpacked(bytes(whole[HEAD.size : HEAD.size + text_bytes]))
        except ValueError as error:
            raise Died(str(error)) from error
        return message, memoryview(whole)[HEAD.size + text_bytes :]

    def _wake_up(self) -> None:
        """Any thread."""
        with contextlib.suppress(OSError):
            self._wake.send(b"!")

    def _ending(self) -> str:
        """How it ended, and what it said before."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        code = self._process.returncode
        if code is None:
            how = "its socket is closed"
        else:
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        said = self.last_words()
        return f"{how}: {said}" if said else how
