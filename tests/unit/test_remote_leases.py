"""One commands at a time; who holds the token holds the lease, until it lapses by the monotonic clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

from drivers.clock import VirtualClock
from rigd.remote.leases import LeaseHeld, Leases, NoLease


class Bench:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.changes = 0
        self.leases = Leases(self.clock, self.note)

    def note(self) -> None:
        self.changes += 1

    def passes(self, seconds: float) -> None:
        assert self.clock.advance(self.clock.now() + seconds)


@pytest.fixture
def bench():
    return Bench()


def test_nobody_holds_it_at_first(bench):
    assert bench.leases.now() is None
    assert bench.leases.held is None
    assert bench.leases.lapse() is None
    with pytest.raises(NoLease):
        bench.leases.renew("anything")
    with pytest.raises(NoLease):
        bench.leases.release(None)


def test_taken_it_is_shown_without_its_token(bench):
    lease, overtaken = bench.leases.take("me", 30.0)
    assert overtaken is None
    shown = bench.leases.now()
    assert shown.holder == "me"
    assert shown.expires == bench.clock.utc() + timedelta(seconds=30)
    assert lease.token not in shown.model_dump_json()
    assert lease.granted().lease == lease.token
    assert bench.changes == 1


def test_somebody_else_does_not_get_it_unless_by_force(bench):
    mine, _ = bench.leases.take("me", 30.0)
    for token in (None, "guessed"):
        with pytest.raises(LeaseHeld, match="'me'"):
            bench.leases.take("you", 30.0, token)
    assert bench.leases.held == mine
    yours, overtaken = bench.leases.take("you", 30.0, force=True)
    assert overtaken == mine
    assert yours.token != mine.token
    with pytest.raises(NoLease):
        bench.leases.renew(mine.token)


def test_its_holder_takes_it_again_under_the_same_token(bench):
    first, _ = bench.leases.take("me", 30.0)
    bench.passes(20)
    second, overtaken = bench.leases.take("me, later", 60.0, first.token)
    assert overtaken is None
    assert second.token == first.token
    assert second.until_s == bench.clock.now() + 60
    assert bench.leases.now().holder == "me, later"


def test_renewed_it_lasts_as_long_again(bench):
    lease, _ = bench.leases.take("me", 30.0)
    bench.passes(29)
    renewed = bench.leases.renew(lease.token)
    assert renewed.until_s == bench.clock.now() + 30
    bench.passes(29)
    assert bench.leases.lapse() is None
    bench.passes(1)
    assert bench.leases.lapse() == renewed
    assert bench.leases.lapse() is None
    with pytest.raises(NoLease):
        bench.leases.renew(lease.token)


def test_released_it_is_free(bench):
    lease, _ = bench.leases.take("me", 30.0)
    with pytest.raises(NoLease):
        bench.leases.release("guessed")
    bench.leases.release(lease.token)
    assert bench.leases.now() is None
    assert bench.changes == 2
    bench.leases.take("you", 30.0)


def test_the_wall_clock_does_not_end_it():
    class Jumping(VirtualClock):
        ahead = timedelta()

        def utc(self):
            return super().utc() + self.ahead

    clock = Jumping()
    leases = Leases(clock)
    lease, _ = leases.take("me", 30.0)
    clock.ahead = timedelta(days=400)
    assert leases.lapse() is None
    clock.ahead = -timedelta(days=400)
    clock.advance(clock.now() + 30)
    assert leases.lapse() == lease
