"""Whole messages: where they go, how they travel, where their answers may go, and what is known of them beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hypothesis import strategies as st

from rigd.messages.verbs import SETTINGS, VERBS
from tests.fuzz import payloads
from tests.fuzz.payloads import Payload
from tests.fuzz.raw import MOST
from tests.remote import PREFIX, RIG

Way = Literal["5", "3.1.1", "straight"]
"""MQTT 5 or 3.1.1 through the broker; or handed to the adapter as a broker that checks nothing would."""
CALM = frozenset(
    {"stop", "session.pause", "session.abort", "release", "lease.take", "fault.clear", "home", "jog.renew"}
)
"""Verbs that are left out while something is to come to its end."""
HOME_ASSISTANT = "homeassistant/status"
"""Where Home Assistant says that it is there: the rig listens to that too, and answers nothing."""
WILD_TOPICS = (
    HOME_ASSISTANT,
    *(
        "request",
        "request/",
        "request//",
        "request/home/",
        "request/home/x",
        "set",
        "set/",
        "set/x/y",
        "estop/",
        "estop/x",
        "/estop",
    ),
    *(
        "Request/home",
        "REQUEST/home",
        "state",
        "availability",
        "response/home",
        "event/estop",
        "home",
        "preview/image",
        "x",
    ),
)
"""Topics with levels too many or too few. What of them is not `request/<one level>` or `set/<one level>` is not heard at all."""


@dataclass(frozen=True)
class Shot:
    """One message, and what is to come of it."""

    topic: str
    """Below the rig's own."""
    payload: Payload
    way: Way = "5"
    qos: int = 1
    retain: bool = False
    dup: bool = False
    response_topic: str | None = None
    goes: bool = True
    """Whether an answer may go to that response topic."""
    correlation: bytes | None = None
    expiry_s: int | None = None
    user: tuple[tuple[str, str], ...] = field(default=())

    @property
    def whole_topic(self) -> str:
        """As it goes over the broker."""
        return HOME_ASSISTANT if self.topic == HOME_ASSISTANT else PREFIX + self.topic

    @property
    def heard(self) -> bool:
        """Whether it is a command, by its topic."""
        levels = self.topic.split("/")
        return self.topic == "estop" or (len(levels) == 2 and levels[0] in {"request", "set"})

    @property
    def answered_on(self) -> str | None:
        """The whole topic on which the one answer comes; None: there is none."""
        if not self.heard or (self.retain and not self.payload.data and self.topic != "estop" and self.goes):
            return None
        if self.response_topic and self.goes:
            return self.response_topic
        level, _, rest = self.topic.partition("/")
        return f"{PREFIX}response/{rest if level == 'request' else level}"

    @property
    def refused(self) -> bool:
        """Whether it certainly is: the answer is an error, or that of the same command before."""
        if self.topic == "estop":
            return False
        verb = self.topic.partition("/")[2]
        known = verb in (SETTINGS if self.topic.startswith("set/") else VERBS)
        broken = self.payload.sound is False or self.payload.late or len(self.payload.data) > MOST
        return broken or self.retain or not known or not self.goes

    @property
    def right(self) -> bool:
        """Whether it certainly is a request that is right in itself, and its answer may go where it says."""
        return self.payload.sound is True and self.goes and not self.retain and not self.dup


# ------------------------------------------------------------------------------------------------------------------ answers

_levels = st.text(
    st.characters(codec="utf-8", exclude_characters="+#/$", exclude_categories=("Cc", "Cs", "Cn", "Co")),
    max_size=12,
)
OPEN = st.one_of(
    st.sampled_from(
        [
            *(f"rigd/clients/{name}" for name in ("fuzz/response", "x", "a/b/c", "fuzz/../state")),
            *(f"{PREFIX}response/{name}" for name in ("home", "", "a/b", "x")),
            *(
                "elsewhere",
                "answers/here",
                "/",
                "//",
                "rigdx/a",
                "/rigd/bench/request/home",
                "homeassistantx",
                "Homeassistant/x",
            ),
            *("a" * 1024, "é" * 1000, "a/" * 99 + "b", "\ufeffx", "x" * 1023 + "y", "clients/fuzz"),
        ]
    ),
    _levels.map(lambda level: f"rigd/clients/{level}"),
    _levels.map(lambda level: f"answers/{level}"),
)
SHUT = st.one_of(
    st.sampled_from(
        [
            *(
                f"{PREFIX}{topic}"
                for topic in ("request/home", "request/goto", "estop", "set/step_um", "state", "event/estop")
            ),
            *(
                f"{PREFIX}{topic}"
                for topic in ("", "response", "responses/x", "availability", "session/x/summary")
            ),
            *(
                "rigd",
                "rigd/",
                "rigd/bench",
                "rigd//request/home",
                "rigd/other/request/home",
                "rigd/other/estop",
                "rigd/clients",
            ),
            *(
                "rigd/clientsx/a",
                "rigd/+",
                "homeassistant",
                f"homeassistant/device/{RIG}/config",
                "homeassistant/status",
            ),
            *(
                "a" * 1025,
                "x" * 65_000,
                "é" * 1025,
                "a/" * 100 + "b",
                "a/" * 250 + "b",
                "rigd/other/response/home",
            ),
        ]
    ),
    st.sampled_from(sorted(VERBS)).map(lambda verb: f"{PREFIX}request/{verb}"),
).filter(lambda topic: "+" not in topic)
UNCHECKED = st.sampled_from(
    [
        *(
            "#",
            "+",
            "a/#",
            "rigd/+/estop",
            "$SYS/broker/uptime",
            "$share/x/y",
            "\0",
            "a\0b",
            "a\nb",
            "\x7f",
            "a\x85b",
            "\ufeff#",
            "\ufdd0",
        ),
        *(
            "rigd/clients/\0",
            f"{PREFIX}response/#",
            f"{PREFIX}response/a\tb",
            "x" * 65_535,
            "\ufffe",
            "a\uffffb",
        ),
    ]
)
"""Response topics that a broker worth its name does not pass on."""
correlations = st.one_of(
    st.just(b""),
    st.binary(max_size=8),
    st.binary(min_size=1, max_size=4).map(lambda raw: (raw * 1024)[:1024]),
)


# ------------------------------------------------------------------------------------------------------------------- topics


@st.composite
def _commands(draw: st.DrawFn, *, calm: bool) -> tuple[str, Payload]:
    """A topic that the rig hears, and what is sent there."""
    verbs = [verb for verb in VERBS if not (calm and verb in CALM)]
    verb = draw(st.sampled_from(verbs))
    request = payloads.requests(verb)
    kind = draw(st.integers(0, 19))
    if kind < 11:
        return f"request/{verb}", draw(request)
    if kind < 13:
        return f"request/{verb}", draw(payloads.mutated(request))
    if kind < 14:
        return f"request/{verb}", draw(st.one_of(payloads.plain, payloads.doubled()))
    if kind < 15:
        return f"request/{verb}", draw(payloads.raws)
    name = draw(st.sampled_from(SETTINGS))
    setting = payloads.settings(name)
    if kind < 18:
        return f"set/{name}", draw(setting)
    return f"set/{name}", draw(st.one_of(payloads.mutated(setting), payloads.raws, payloads.plain))


@st.composite
def _strange(draw: st.DrawFn) -> tuple[str, Payload]:
    """A topic that is no command's."""
    level = draw(_levels)
    near = draw(
        st.sampled_from(
            ["Home", "hom", "home ", "session.stop", "__class__", "estop", "x" * 300, "step_um", "*"]
        )
    )
    topic = draw(
        st.sampled_from(
            [
                *WILD_TOPICS,
                f"request/{level}",
                f"set/{level}",
                f"request/{near}",
                f"set/{near}",
                f"request/{level}/{near}",
            ]
        )
    )
    known = topic.partition("/")[2] in (SETTINGS if topic.startswith("set/") else VERBS)
    if topic == HOME_ASSISTANT:
        return topic, draw(
            st.one_of(st.sampled_from([b"online", b"offline", b""]).map(Payload), payloads.raws)
        )
    request = payloads.requests("home").map(lambda payload: Payload(payload.data, None if known else False))
    return topic, draw(st.one_of(request, payloads.raws))


_estops = st.one_of(
    payloads.raws, payloads.plain, payloads.requests("home").map(lambda payload: Payload(payload.data))
)


@st.composite
def shots(draw: st.DrawFn, *, calm: bool = False) -> Shot:
    """Any message. `calm`: none that stops what goes on."""
    kind = draw(st.integers(0, 99))
    if kind < 88:
        topic, payload = draw(_commands(calm=calm))
    elif kind < 97 or calm:
        topic, payload = draw(_strange())
    else:
        topic, payload = "estop", draw(_estops)
    if calm and topic == "estop":
        topic = "x"
    way: Way = draw(st.sampled_from(["5"] * 8 + ["3.1.1"] * 2 + ["straight"]))
    if way == "straight" and not Shot(topic, payload).heard:
        way = "5"
    dice = draw(st.integers(0, 39))
    shot = Shot(topic, payload, way, qos=draw(st.integers(0, 1)), retain=dice == 20 and way == "5")
    if way == "3.1.1":
        return shot
    answers = draw(st.integers(0, 9))
    response_topic, goes = None, True
    if answers < 6:
        response_topic = draw(OPEN) if way == "5" or answers else ""
    elif answers < 8:
        response_topic, goes = draw(UNCHECKED if way == "straight" and draw(st.booleans()) else SHUT), False
    return Shot(
        topic,
        payload,
        way,
        qos=shot.qos,
        retain=shot.retain or (way == "straight" and 10 < dice < 14),
        dup=way == "straight" and dice % 2 == 0,
        response_topic=response_topic,
        goes=goes,
        correlation=draw(correlations) if dice % 8 != 7 else None,
        expiry_s=draw(st.sampled_from([None, None, 60, 2**32 - 1])),
        user=draw(
            st.sampled_from(
                [(), (), (("a", "b"), ("a", "c")), (("", "\ufeff"),), (("k" * 1000, "é" * 1000),)]
            )
        ),
    )
