"""The parts on pins on a real Linux gpiochip: each test here tells what became of those of that name inside the kernel."""

from __future__ import annotations

import pytest

from tests.gpio_sim import kernel


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    try:
        return kernel.run(tmp_path_factory.mktemp("kernel"))
    except kernel.CannotRun as why:
        pytest.skip(str(why))


@pytest.mark.parametrize(("module", "name"), kernel.written())
def test_on_a_gpiochip(outcomes, module, name):
    of_that_name = outcomes.get((module, name), [])
    assert of_that_name, "it was not run"
    troubles = [f"{one.name}: {one.trouble}" for one in of_that_name if one.trouble]
    assert not troubles, "\n".join(troubles)
