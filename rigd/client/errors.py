"""What can go wrong between a program and a rig, one class for each thing that a program would do about it."""

from __future__ import annotations

from rigd.messages.base import ErrorCode


class RigError(Exception):
    """Base of all of them."""


class BadAddress(RigError, ValueError):
    """The address of a rig is wrong; the text says what an address is."""


class BadCredentials(RigError):
    """User and password cannot be read; the text names the file and what is wrong with it."""


class NotReachable(RigError):
    """No way there: the broker or the socket cannot be reached, or (`NotLetIn`) does not let this user in."""


class NotLetIn(NotReachable):
    """The broker does not take this user, password or certificate, or its own certificate is not trusted here."""


class NoSuchRig(RigError):
    """The broker is there, and has never heard of this rig; or it has several and none was named."""

    def __init__(self, message: str, rigs: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.rigs = rigs
        """Those that there are."""


class RigOffline(RigError):
    """The rig is known, and not there now."""


class ContractMismatch(RigError):
    """Rig and client speak different versions of the contract."""


class CommandTimeout(RigError):
    """No answer in time. Whether the command was acted on is not known; after its time limit it will not be."""


class _Told(RigError):
    def __init__(self, verb: str, code: str, message: str, field: str | None = None) -> None:
        super().__init__(f"{verb}: {message}")
        self.verb = verb
        self.code = code
        """An `ErrorCode`; from a newer rig perhaps one that is not known here."""
        self.message = message
        self.field = field
        """Which part of the request it is about."""


class CommandRefused(_Told):
    """The rig did not act, and says why."""


class ActionFailed(_Told):
    """It was begun, and did not come to its end."""


class RigRestarted(ActionFailed):
    """The daemon was started anew while the action was under way, and so ended it."""

    def __init__(self, verb: str, message: str = "rigd was started anew, which ended it") -> None:
        super().__init__(verb, ErrorCode.INTERRUPTED, message)
