"""The stepper driver chip TMC2209 on its one-wire UART: currents, microsteps, StallGuard, and what it says of itself.

Sections and registers are those of its datasheet, revision 1.09. It moves nothing: a rail driver or a motion controller gives
it steps, and `drivers.attended` ties the two together. Why it is a part of its own: `docs/adr/0012`.
"""
