"""What Grbl's numbers mean, in words. Sources: Grbl 1.1 `doc/csv`; grblHAL `errors.h`, `alarms.h`; FluidNC `Error.h`.

Where the three differ, the number is said to be what Grbl or, above Grbl's own, grblHAL makes of it.
"""

from __future__ import annotations

ERRORS: dict[int, str] = {
    1: "a letter was expected",
    2: "a number is missing or malformed",
    3: "unknown $ command",
    4: "a negative value where only positive ones are allowed",
    5: "homing is switched off ($22)",
    6: "step pulse too short ($0)",
    7: "the stored settings could not be read and are back at their defaults",
    8: "only possible when idle",
    9: "locked by an alarm or a jog: home or unlock first",
    10: "soft limits need homing ($20 needs $22)",
    11: "line too long",
    12: "more steps a second than the controller can make",
    13: "the safety door is open",
    14: "line too long to be stored",
    15: "the target lies outside the controller's travel ($130 to $132)",
    16: "malformed jog command",
    17: "laser mode is not possible",
    18: "reset was asserted",
    19: "a value must be more than 0",
    20: "unsupported G-code",
    21: "two G-codes of one group",
    22: "no feed rate",
    23: "a whole number was expected",
    24: "two commands want the axis words",
    25: "a word was repeated",
    26: "axis words are missing",
    27: "line number out of range",
    28: "a value word is missing",
    29: "no such work coordinate system",
    30: "G53 needs G0 or G1",
    31: "axis words that nothing uses",
    32: "an arc without axis words",
    33: "the target makes no sense",
    34: "no such arc radius",
    35: "an arc without its centre",
    36: "value words that nothing uses",
    37: "tool length on another axis than the tool's",
    38: "tool number too high",
    39: "value out of range",
    45: "a limit switch is pressed: only homing is allowed",
    46: "home first",
    49: "the controller failed its self-test",
    50: "emergency stop at the controller",
    51: "motor fault",
    52: "the value of the setting is out of range",
    53: "this setting cannot be changed on this controller",
    152: "the controller's configuration is wrong: read its boot messages",
    160: "this setting can only be read; change it in the controller's configuration file",
}

ALARMS: dict[int, str] = {
    1: "a limit switch was hit",
    2: "a target lay outside the controller's travel",
    3: "reset while moving",
    4: "probe not ready",
    5: "probe found nothing",
    6: "homing was interrupted by a reset",
    7: "the safety door was opened while homing",
    8: "homing: the switch stays pressed after pull-off; more pull-off ($27), or look at the wiring",
    9: "homing: no switch was found; look at the wiring, the direction ($23) and the travel ($130 to $132)",
    10: "emergency stop at the controller",
    11: "homing required",
    12: "a limit switch is pressed",
    13: "probe protection",
    14: "spindle or coolant did not come up",
    15: "homing: the second switch was not found",
    16: "the controller failed its self-test",
    17: "motor fault",
    18: "homing is set up wrongly",
}

CRITICAL = frozenset({1, 2})
"""After these Grbl answers nothing, not even `?`, until it is reset."""


def error_words(code: int | None) -> str:
    """The meaning of `error:code`."""
    return ERRORS.get(code, "not in any list") if code is not None else "malformed"


def alarm_words(code: int | None) -> str:
    """The meaning of `ALARM:code`."""
    return ALARMS.get(code, "not in any list") if code is not None else "alarm"
