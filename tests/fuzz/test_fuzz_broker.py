"""Whatever is sent over a real broker: the rig stays inside its limits, answers everything once, says nothing else, and goes on."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from rigd.messages.verbs import SETTINGS
from rigd.remote.ledger import KEPT
from tests.fuzz.guarded import MAX_UM, Report
from tests.fuzz.messages import Shot, shots
from tests.fuzz.payloads import Payload
from tests.fuzz.shooting import Range, shooting

VOLLEY, AT_ONCE = 250, 25
WILD = 4
"""Every so many-th volley is wild: there is whatever stops a rig in it."""
AT_REST, DEAD, ENGAGED = {"unhomed", "idle"}, {"fault", "estopped"}, {"capturing", "paused"}
ACTS = ("session.start", "goto", "capture.test", "session.start", "jog", "home")
"""What is begun before a volley; in spite of a calm one it comes to its end."""
FRAMES = 6
"""Of the stack that the config plans."""
FLAT = 1.03
"""By so much the count of what Python holds may change, with whatever just goes on."""
SEVERAL_MB = 12_000
"""In kilobytes; what the C library keeps in reserve comes in steps of 2 to 4 MB, and then stays as it is."""
SWEEPING = ("Goto", "TestShot")
MOVERS = {"Home": "home", "Goto": "goto", "Jog": "jog", "TestShot": "capture.test"}


def pile(count: int, number: int, *, calm: bool) -> list[Shot]:
    """So many messages, the same ones for the same number: a third of them drawn, the others crossed out of two of those."""
    drawn: list[Shot] = []

    @seed(number)
    @settings(
        max_examples=count // 3,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(shots(calm=calm))
    def collect(shot: Shot) -> None:
        drawn.append(shot)

    collect()
    dice = random.Random(number)
    crossed = [_crossed(*dice.choices(drawn, k=2), dice) for _ in range(count - len(drawn))]
    made = drawn + crossed
    dice.shuffle(made)
    return made


def _crossed(one: Shot, other: Shot, dice: random.Random) -> Shot:
    """One's way and topic with the other's payload, or with one that begins as its own and ends as the other's."""
    mine, others = one.payload.data, other.payload.data
    if dice.random() < 0.3:
        others = mine[: dice.randint(0, len(mine))] + others[dice.randint(0, len(others)) :]
    return replace(one, payload=Payload(others))


@dataclass
class Tally:
    """What came of a run."""

    ended: Counter[str] = field(default_factory=Counter)
    """Acts of the test's own that came to their end, by verb."""
    reports: list[Report] = field(default_factory=list)
    """After each tenth of the volleys."""

    @property
    def last(self) -> Report:
        return self.reports[-1]


def make_ready(target: Range) -> None:
    """By commands that are right: nobody holds the lease, nothing is under way, settings as the config says, home known."""
    token = target.ask("lease.take", {"holder": "range", "ttl_s": 60.0, "force": True}).data["lease"]
    while (mode := target.ask("ping").data["mode"]) not in AT_REST:
        if mode in DEAD:
            target.ask("fault.clear", lease=token)
        else:
            target.ask("session.abort" if mode in ENGAGED else "stop")
            target.until(lambda: target.mode in AT_REST | DEAD)
    target.ask("settings", dict.fromkeys(SETTINGS), lease=token)
    target.ask("lease.release", {"lease": token})
    if mode == "unhomed":
        assert target.run("home").status == "ok"


def exert(target: Range) -> None:
    """The largest things that it may be told to do: what it needs for them it needs from the start."""
    largest = {"near_um": 200.0, "far_um": MAX_UM - 200.0, "step_um": 1.0}
    make_ready(target)
    assert target.ask("plan.validate", largest).status == "ok"
    assert target.ask("session.start", largest).status == "accepted"
    target.ask("session.pause")
    target.until(lambda: target.mode == "paused")
    make_ready(target)


def fire(target: Range, messages: list[Shot]) -> None:
    """Little by little, so that the rig gets somewhere."""
    for at in range(0, len(messages), AT_ONCE):
        target.volley(messages[at : at + AT_ONCE])


def bombard(target: Range, volleys: int, first: int) -> Tally:
    """So many volleys, each in the middle of something that the rig does."""
    tally = Tally()
    exert(target)
    for number in range(volleys):
        calm, act = number % WILD != WILD - 1, ACTS[number % len(ACTS)]
        messages = pile(VOLLEY, first + number, calm=calm)
        make_ready(target)
        inward_um = 150.0 if target.position_um < MAX_UM / 2 else -150.0
        params = {"goto": {"position_um": 1000.0 + 977 * (number % 13)}, "jog": {"distance_um": inward_um}}
        accepted = target.ask(act, params.get(act))
        assert accepted.status == "accepted", accepted
        half = VOLLEY // 2 // AT_ONCE * AT_ONCE
        fire(target, messages[:half])
        end = target.end_of(accepted, or_in=() if calm else ("paused",))
        fire(target, messages[half:])  # for a rig that is free to do what it is told
        if calm:
            assert end.status == "ok", end
            tally.ended[act] += 1
        if (number + 1) % max(1, volleys // 10) == 0:
            tally.reports.append(target.rig.report())
            assert tally.last.wrong == []
    make_ready(target)
    tally.reports.append(target.rig.report())
    return tally


def judge(target: Range, tally: Tally) -> None:
    """Nothing went wrong, and it was no easy time."""
    last = tally.last
    assert last.wrong == []
    assert last.losses == 0
    for act, verb in MOVERS.items():
        acted, accepted = last.acts.get(act, 0), target.done[verb]
        # A sweep goes and takes pictures too, as often as it likes.
        swept = act in SWEEPING and target.done["sweep"] > 0
        assert acted >= accepted if swept else acted == accepted, act
    stacks = last.acts.get("StartStack", 0) + last.acts.get("Resume", 0)
    assert stacks <= target.done["session.start"] + target.done["session.resume"]
    assert last.acts.get("ClearFault", 0) <= target.done["fault.clear"]
    assert last.waiting == 0
    assert last.ledger <= KEPT
    assert last.ledger_bytes < 4_000_000
    # It really moved, took pictures, and was stopped.
    assert all(tally.ended[act] for act in ACTS)
    assert last.motions > 10 * tally.ended["session.start"]
    assert last.stored >= FRAMES * tally.ended["session.start"]
    assert last.looks > 100
    assert target.events["estop"] > 0
    assert target.announced > 1


def is_flat(reports: list[Report]) -> None:
    """From the second tenth on."""
    early, last = reports[1], reports[-1]
    for what in ("tasks", "threads", "descriptors", "retained"):
        assert getattr(last, what) <= getattr(early, what) + 20, what
    for what in ("objects", "blocks"):
        assert getattr(last, what) <= FLAT * getattr(early, what), what
    assert last.rss_kb <= early.rss_kb + SEVERAL_MB, [report.rss_kb for report in reports]


def figures(target: Range, tally: Tally, folder: Path) -> None:
    """For whoever runs it with `-s`."""
    last = tally.last
    print(
        f"\n{target.sent} messages in {target.shooting_s:.1f} s of shooting: {target.sent / target.shooting_s:.0f}/s"
    )
    print(f"answers: {sum(target.replies.values())}", dict(target.replies.most_common()))
    print("done:", dict(target.done.most_common()))
    print("events:", dict(target.events.most_common()))
    print("acts:", last.acts, "ended:", dict(tally.ended), "stored:", last.stored, "motions:", last.motions)
    print(
        f"{last.travelled_um / 1000:.0f} mm, {last.exposures} exposures, {last.looks} looks, warnings {last.warnings}"
    )
    for what in (
        "rss_kb",
        "objects",
        "tasks",
        "threads",
        "descriptors",
        "ledger",
        "ledger_bytes",
        "retained",
    ):
        print(f"{what}: {[getattr(report, what) for report in tally.reports]}")


def test_five_thousand_messages_and_the_rig_goes_on(tmp_path):
    with shooting(tmp_path) as target:
        tally = bombard(target, 5_000 // VOLLEY, first=1)
        figures(target, tally, tmp_path)
        judge(target, tally)
        is_flat(tally.reports)


def test_a_rig_that_speaks_the_older_mqtt(tmp_path):
    with shooting(tmp_path, old=True) as target:
        tally = bombard(target, 4, first=100)
        assert tally.last.wrong == []
        assert tally.last.losses == 0
        assert tally.last.stored >= FRAMES


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_messages_and_the_memory_is_flat(tmp_path):
    first = random.SystemRandom().randrange(10**9)
    print(f"first: {first}")
    with shooting(tmp_path) as target:
        tally = bombard(target, 100_000 // VOLLEY, first)
        figures(target, tally, tmp_path)
        judge(target, tally)
        is_flat(tally.reports)
