"""The rules of the state machine hold in every life of a rig that Hypothesis can think of.

The rules themselves are asserted in `machine_world`, after each event; what can happen is in `machine_acts`. Here Hypothesis
chooses what happens, and at the end of each life somebody brings the rig back and captures a stack with it.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from rigd.machine import events as ev
from rigd.machine import refusal
from rigd.machine.state import EndAction, Mode, Stack
from rigd.plan import PlanRequest, make_plan
from tests.property import machine_acts as acts
from tests.property.machine_rig import RAIL_MODEL
from tests.property.machine_world import World

LIVES = settings(
    max_examples=300,
    stateful_step_count=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Drawn:
    """Chance from Hypothesis."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def pick(self, of):
        return self._data.draw(st.sampled_from(of))

    def between(self, low, high):
        return self._data.draw(st.integers(low, high))


class Lives(RuleBasedStateMachine):
    """One life of a rig, from power-on."""

    @initialize(data=st.data())
    def power_on(self, data):
        self.world = World(Drawn(data))

    @rule(data=st.data(), act=st.sampled_from(acts.ACTS))
    def anything(self, data, act):
        self.do(act, data)

    @rule(data=st.data())
    def capture(self, data):
        self.do(acts.capture, data)

    @rule(data=st.data())
    def work(self, data):
        self.do(acts.work, data)

    @rule(data=st.data())
    def blot(self, data):
        self.do(acts.blot, data)

    @rule(data=st.data())
    def work_on(self, data):
        """As often again as the others: a stack needs many answers to get anywhere."""
        self.do(acts.work, data)

    @rule(data=st.data())
    def try_out(self, data):
        self.do(acts.try_out, data)

    @rule(data=st.data())
    def steer(self, data):
        self.do(acts.steer, data)

    def do(self, act, data):
        self.choices = self.world.rig.choices = Drawn(data)
        act(self.world, self.choices)

    def teardown(self):
        if not hasattr(self, "world"):
            return
        self.world.rig.choices = acts.Dice(0)
        under_way = self.world.job
        leaving = self.world.state.mode is Mode.STOPPING or self.world.state.fault is not None
        self.world.rescue(resume=True)
        if under_way is not None and not leaving:
            assert under_way.outcome == "complete"
        assert_captures(self.world, near_first=self.world.top_serial % 2 == 0)


def assert_captures(world: World, *, near_first: bool) -> None:
    """A rig that is idle and does what it is told completes a stack."""
    plan = make_plan(PlanRequest(300, 380, frames=5, margin_frames=1, near_first=near_first), RAIL_MODEL)
    order = tuple(range(plan.frames))
    stack = Stack(plan=plan, order=order, end=EndAction.RETURN, park=0, max_retries=0, rehome=True)
    assert refusal(world.send(ev.StartStack(stack))) is None
    job = world.job
    assert job is not None
    world.rescue(resume=False)
    assert job.outcome == "complete"
    assert job.accepted == Counter(order)
    assert world.state.position == plan.positions[0]


TestLives = Lives.TestCase
TestLives.settings = LIVES


def test_the_random_lives_are_eventful():
    """Guard against a world in which nothing happens any more: the rare moments that the rules are about do occur."""
    outcomes: Counter[str | None] = Counter()
    moments: Counter[str] = Counter()
    for seed in range(400):
        *_, world = acts.life(seed, acts=60)
        outcomes.update(job.outcome for job in world.finished)
        moments.update(world.moments)
    assert {"complete", "aborted", "suspended"} <= set(outcomes)
    rare = (
        *(
            "early",
            "again",
            "backward",
            "late answer",
            "retake",
            "two in flight",
            "comparison",
            "backing off",
        ),
        *("paused by failure", "position boasted", "refused while the next is exposed"),
        *("test shot taken", "test shot failed", "test shot given up"),
    )
    assert {moment: moments[moment] for moment in rare if moments[moment] < 5} == {}
