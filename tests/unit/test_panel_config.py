"""The section `panel`: what is wrong with one is said, and one that is right comes back as it was."""

from __future__ import annotations

import json

import pytest

from rigd.config import examine, from_dict, load, resolved_yaml, to_dict

RIG = "rail: {driver: sim}\ncamera: {driver: sim}\nlimits: {max_um: 50000}\n"
PLAN = "plan: {near_um: 100, far_um: 1000, step_um: 10}\n"


def found(tmp_path, text):
    path = tmp_path / "rig.yaml"
    path.write_text(RIG + text)
    report = examine(path)
    return [(one.line, one.path, one.message, one.fix) for one in (*report.problems, *report.warnings)]


@pytest.mark.parametrize(
    ("panel", "line", "path", "message", "fix"),
    [
        ("panel: 7\n", 4, "panel", "not a mapping of keys", "buttons:"),
        ("panel: {buttons: [near]}\n", 4, "panel.buttons", "not a mapping of buttons", "start:"),
        ("panel: {hold: 3}\n", 4, "panel.hold", "unknown key 'hold'", "hold_s"),
        ("panel: {hold_s: 0.1}\n", 4, "panel.hold_s", "below 0.5", ""),
        ("panel:\n  buttons:\n    strt: {driver: sim}\n", 6, "panel.buttons.strt", "no button 'strt'", "'start'"),
        ("panel:\n  buttons:\n    zoom: {driver: sim}\n", 6, "panel.buttons.zoom", "no button", "stop, pause"),
        ("panel: {buttons: {near: {driver: gpoi}}}\n", 4, "panel.buttons.near.driver", "no switch driver", "gpio"),
        ("panel: {buttons: {stop: {driver: gpio, pin: 40}}}\n", 4, "panel.buttons.stop.pin", "above 27", ""),
        ("panel: {led: {driver: replay}}\n", 4, "panel.led.driver", "no light driver", "gpio"),
        (
            "panel: {buttons: {stop: {driver: gpio, pin: 5}}, led: {driver: gpio, pin: 5}}\n",
            4,
            "panel.led.pin",
            "pin 5 is taken by panel.buttons.stop.pin",
            "",
        ),
        (
            "switches: {estop: {driver: gpio, pin: 5}}\npanel: {led: {driver: gpio, pin: 5}}\n",
            5,
            "panel.led.pin",
            "taken by switches.estop.pin",
            "",
        ),
        (
            "panel: {buttons: {start: {driver: sim}, home: {driver: sim}}}\n",
            4,
            "panel.buttons.start",
            "knows no step",
            "step_um",
        ),
        (PLAN + "panel: {buttons: {near: {driver: sim}}}\n", 5, "panel.buttons.near", "needs a known position", "home"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path, panel, line, path, message, fix):
    (one,) = found(tmp_path, panel)
    assert one[:2] == (line, path)
    assert message in one[2]
    assert fix in one[3]


@pytest.mark.parametrize(
    "panel",
    [
        "panel:\n",
        "panel: {}\n",
        "panel: {buttons: {stop: {driver: sim}, pause: }, led: {driver: sim}}\n".replace("pause: ", "pause: {driver: sim}"),
        "panel: {step_um: 5, buttons: {start: {driver: sim}, home: {driver: sim}}}\n",
        PLAN + "service: {home_on_start: true}\npanel: {buttons: {start: {driver: sim}, near: {driver: sim}}, led: null}\n",
    ],
)  # fmt: skip
def test_what_is_right_comes_back(tmp_path, panel):
    assert found(tmp_path, panel) == []
    config = load(tmp_path / "rig.yaml")
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    again = tmp_path / "again.yaml"
    again.write_text(resolved_yaml(config))
    assert load(again) == config
