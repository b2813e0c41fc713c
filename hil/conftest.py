"""The suite on a bench: `make hil RIG=bench.yaml`, see docs/bench.md.

A test marks what it needs (`@pytest.mark.needs("rail", "loopback")`). What is not there, or broke in an earlier test, is skipped
with the reason. Figures go into the report.
"""

from __future__ import annotations

import os

import pytest

pytest.register_assert_rewrite("tests.contract.rails", "tests.contract.cameras", "tests.contract.parts")

from hil.benchfile import BenchError  # noqa: E402
from hil.compare import ReportError  # noqa: E402
from hil.figures import Figure  # noqa: E402
from hil.locking import BenchInUse  # noqa: E402
from hil.pins import PinError  # noqa: E402
from hil.report import Outcome  # noqa: E402
from hil.session import Session  # noqa: E402
from rigd.config import ConfigError  # noqa: E402

SESSION = pytest.StashKey[Session]()
PAGE = pytest.StashKey[str]()
ORDER = (
    "test_machine",
    "test_contracts",
    "test_rail",
    "test_pulses",
    "test_exposure",
    "test_play",
    "test_ringing",
    "test_hang",
    "test_stack",
)
"""Modules in this order: what others rely on comes first, what takes long comes last."""


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(*features): what of the bench a test needs, see docs/bench.md")


def pytest_sessionstart(session):
    if os.environ.get("PYTEST_XDIST_WORKER") or getattr(session.config.option, "numprocesses", None):
        raise pytest.UsageError("a bench is one thing at one place: run hil without -n")
    if session.config.option.collectonly:
        return
    try:
        session.config.stash[SESSION] = Session()
    except (BenchError, BenchInUse, ConfigError, PinError, ReportError) as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.module.__name__.rpartition(".")[2]
        return ORDER.index(name) if name in ORDER else len(ORDER) - 1.5

    items.sort(key=place)


def needs_of(item) -> set[str]:
    return {name for mark in item.iter_markers("needs") for name in mark.args}


def pytest_runtest_setup(item):
    if (why := item.config.stash[SESSION].why_not(needs_of(item))) is not None:
        pytest.skip(why)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    result = yield
    session = item.config.stash[SESSION]
    outcomes = session.report.outcomes
    if result.when == "setup":
        outcomes.append(Outcome(name_of(item), "passed"))
    outcome = outcomes[-1]
    outcome.seconds += result.duration
    if result.failed:
        outcome.result = "failed"
        outcome.reason = str(call.excinfo.value).strip().split("\n")[0][:300]
    elif result.skipped:
        outcome.result = "skipped"
        outcome.reason = (
            result.longrepr[2].removeprefix("Skipped: ") if isinstance(result.longrepr, tuple) else ""
        )
    if result.when == "teardown" and outcome.result == "failed":
        session.probe(needs_of(item), outcome.test)
    return result


def name_of(item) -> str:
    return item.nodeid.removeprefix("hil/")


def pytest_sessionfinish(session):
    bench = session.config.stash.get(SESSION, None)
    if bench is None:
        return
    try:
        if bench.report.outcomes:
            session.config.stash[PAGE] = str(bench.write())
    finally:
        bench.close()


def pytest_terminal_summary(terminalreporter, config):
    bench = config.stash.get(SESSION, None)
    if bench is None or not bench.report.outcomes:
        return
    terminalreporter.section("bench report")
    for part, why in bench.report.broken.items():
        terminalreporter.write_line(f"BROKEN {part}, found by {why}")
    for figure in bench.report.figures:
        error = "" if figure.error is None else f" ± {figure.error:.2g}"
        value = f"{figure.value:.4g}" if isinstance(figure.value, float) else str(figure.value)
        mark = {True: "", False: "   BEYOND ITS LIMIT", None: ""}[figure.kept]
        terminalreporter.write_line(f"{figure.name:32} {value}{error} {figure.unit}{mark}")
    terminalreporter.write_line(f"written to {config.stash.get(PAGE, 'nowhere')}")


@pytest.fixture
def bench_session(request) -> Session:
    return request.config.stash[SESSION]


@pytest.fixture
def bench_rig(bench_session):
    """The rig's parts, closed; whatever the test leaves open is closed."""
    rig = bench_session.rig()
    yield rig
    rig.close()


@pytest.fixture
def file(bench_session):
    """The bench file: features, numbers, tolerances."""
    return bench_session.file


@pytest.fixture
def figure(bench_session, request):
    """Keep a figure, then fail when it is beyond its limit: the report has it all the same."""

    def keep(name, value, unit="", **details):
        kept = Figure(name, value, unit, test=name_of(request.node), **details)
        bench_session.add(kept)
        assert kept.kept is not False, (
            f"{name} is {value} {unit}: limit {kept.limit}, at least {kept.at_least}"
        )
        return kept

    return keep


@pytest.fixture
def rail_rig(bench_rig):
    return bench_rig.rail_rig()


@pytest.fixture
def homed(rail_rig):
    """The rail, open and homed."""
    from tests.contract.bench import home  # noqa: PLC0415  (after its assertions are rewritten)

    rail_rig.rail.open()
    home(rail_rig.bench, rail_rig.rail)
    return rail_rig


@pytest.fixture
def camera_rig(bench_rig):
    return bench_rig.camera_rig()


@pytest.fixture
def lit(bench_rig):
    with bench_rig.lit():
        yield


@pytest.fixture
def opened(camera_rig):
    """The camera, open."""
    camera_rig.bench.run(camera_rig.camera.open)
    return camera_rig
