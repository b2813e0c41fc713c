"""What a client knows of a rig: the newest of everything retained, and when that is to be believed."""

from __future__ import annotations

import logging

from rigd.client.errors import ContractMismatch
from rigd.client.hub import Denied, Hub, Restarted, WayDown, WayOpen, WayUp
from rigd.client.reading import Availability, Picture, SummaryCleared, Unreadable, contract_of, read
from rigd.client.transport import Message
from rigd.messages import topics
from rigd.messages.base import CONTRACT
from rigd.messages.reports import Birth, Health, Info, PreviewMeta, Settings, State, Summary

log = logging.getLogger(__name__)

MAX_SUMMARIES = 1000


class View:
    """Hears a transport (it is its `Listener`), remembers, and tells the hub."""

    def __init__(self, hub: Hub) -> None:
        self.open = False
        """Whether the way to the broker or socket is open."""
        self.online: bool | None = None
        """Whether the rig is there; None: not said yet."""
        self.why = ""
        """Why the way is closed."""
        self.unwelcome = False
        """It is closed for who we are, or whom we trust."""
        self.boot_id: str | None = None
        self.birth: Birth | None = None
        self.state: State | None = None
        self.info: Info | None = None
        self.settings: Settings | None = None
        self.health: Health | None = None
        self.preview: PreviewMeta | None = None
        self.picture: Picture | None = None
        self.summaries: dict[str, Summary] = {}
        self.contract: str | None = None
        self.unreadable = 0
        """Messages that were not what belongs on their topic."""
        self._hub = hub
        self._past_boots: set[str] = set()

    @property
    def reachable(self) -> bool:
        """Whether the rig can be reached, as far as is known here."""
        return self.open and self.online is not False

    def check_contract(self) -> None:
        """Raises `ContractMismatch` when the rig speaks another contract."""
        if self.contract is None:
            return
        theirs, ours = _major(self.contract), _major(CONTRACT)
        if theirs != ours:
            newer = (
                "rigd on the rig" if theirs is not None and theirs < (ours or 0) else "rigctl and rigd.client"
            )
            raise ContractMismatch(
                f"the rig speaks contract {self.contract}, this client {CONTRACT}; renew {newer}"
            )

    def message(self, message: Message) -> None:
        """Take what the rig said."""
        try:
            said = read(message.topic, message.payload, message.correlation)
        except Unreadable as error:
            self.unreadable += 1
            log.warning("%s is not readable: %s", message.topic, error)
            if message.topic == topics.BIRTH:
                self.contract = contract_of(message.payload)  # another contract may have another birth
            return
        if said is not None and self._take(said):
            self._hub.tell(said)

    def down(self, why: str, *, unwelcome: bool = False) -> None:
        """The way is closed."""
        self.open, self.unwelcome = False, unwelcome
        self.online = None  # by the time that the way is open again, the rig may be there or not
        self.why = why
        self._hub.tell(WayDown(why, unwelcome))

    def denied(self, transaction: str, why: str) -> None:
        """The broker does not let us send that command."""
        self._hub.tell(Denied(transaction, why))

    def up(self) -> None:
        """The way is open."""
        self.open, self.unwelcome = True, False
        self.why = ""
        self._hub.tell(WayOpen())
        if self.reachable:
            self._hub.tell(WayUp())

    def seen_boot(self, boot_id: str) -> bool:
        """Whether something of this start of the daemon counts; the first of a new one says that it was started anew."""
        if boot_id == self.boot_id:
            return True
        if boot_id in self._past_boots:
            return False
        before, self.boot_id = self.boot_id, boot_id
        if before is not None:
            self._past_boots.add(before)
            self.state = None
            self._hub.tell(Restarted(boot_id))
        return True

    def _take(self, said: object) -> bool:
        """Remember it; False when it is older than what is known."""
        match said:
            case Availability():
                self._available(said.online)
            case Birth():
                self.contract = said.contract
                if not self.seen_boot(said.boot_id):
                    return False
                self.birth = said
            case State():
                if not self.seen_boot(said.boot_id) or (self.state is not None and said.seq < self.state.seq):
                    return False
                self.state = said
            case Summary():
                self.summaries.pop(said.session, None)
                self.summaries[said.session] = said
                if len(self.summaries) > MAX_SUMMARIES:
                    del self.summaries[next(iter(self.summaries))]
            case SummaryCleared():
                self.summaries.pop(said.session, None)
            case _:
                self._keep(said)
        return True

    def _keep(self, said: object) -> None:
        match said:
            case Info():
                self.info = said
            case Settings():
                self.settings = said
            case Health():
                self.health = said
            case PreviewMeta():
                self.preview = said
            case Picture():
                self.picture = said

    def _available(self, online: bool) -> None:
        before, self.online = self.online, online
        if online and self.open:
            # Also when that was known: a rig that comes back to a broker that was killed is announced by nothing else.
            self._hub.tell(WayUp())
        elif not online and before is not False:
            self._hub.tell(WayDown("the rig is offline"))


def _major(contract: str) -> int | None:
    number = contract.partition(".")[0]
    return int(number) if number.isdecimal() else None
