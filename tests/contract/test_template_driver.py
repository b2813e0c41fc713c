"""The driver that people copy keeps every contract: its own tests are run here as they are."""

import importlib.util
import sys
from pathlib import Path

TEMPLATE = Path(__file__).parents[2] / "templates" / "driver"

sys.path.insert(0, str(TEMPLATE))
spec = importlib.util.spec_from_file_location("template_driver_tests", TEMPLATE / "tests" / "test_plain.py")
assert spec is not None
assert spec.loader is not None
theirs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(theirs)

kit = theirs.kit
TestRail = theirs.TestRail
TestStops = theirs.TestStops
TestWire = theirs.TestWire
test_lines_and_what_they_say = theirs.test_lines_and_what_they_say


def test_nothing_of_theirs_is_left_out():
    suites = {name for name in vars(theirs) if name.startswith(("Test", "test_"))}
    assert suites <= set(globals())
