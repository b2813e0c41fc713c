"""The state machine: `step(state, event) -> (state, effects)`. Pure: no clock, no I/O, no asyncio, no drivers."""

from rigd.machine.table import TABLE, Rule, refusal, step

__all__ = ["TABLE", "Rule", "refusal", "step"]
