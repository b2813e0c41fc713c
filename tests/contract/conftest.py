import pytest

pytest.register_assert_rewrite("tests.contract.rails", "tests.contract.cameras", "tests.contract.parts")
