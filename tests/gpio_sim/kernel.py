"""A kernel of its own for the parts on pins: user-mode Linux with a simulated gpiochip, on the files of this machine.

`make gpio-sim` builds it and keeps it; here it is found, started once, and what pytest found inside is read.
"""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PI_4 = "c03115"
"""Revision code of a Pi 4 with 4 GB."""
BOOT_S = 120.0
"""Of real time, for boot and all tests."""


class CannotRun(Exception):
    """Why there is no such kernel here."""


@dataclass(frozen=True)
class Outcome:
    """Of one test inside."""

    name: str
    """With its parameters."""
    trouble: str
    """Empty: it passed."""


def cached() -> tuple[Path, Path]:
    """The kernel, and the folder with lgpio for this Python. Raises `CannotRun`."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rigd" / "gpio-sim"
    kernel, site = base / "linux", base / f"site-cp{sys.version_info.major}{sys.version_info.minor}"
    for path in (kernel, site / "lgpio.py"):
        if not path.exists():
            raise CannotRun(f"there is no {path}: `make gpio-sim` makes it, in two or three minutes")
    return kernel, site


def written() -> list[tuple[str, str]]:
    """The tests that are to be run inside: file, and name of the function or class."""
    return [
        (path.stem, node.name)
        for path in sorted(HERE.glob("inside_*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.startswith(("test_", "Test"))
    ]


def run(out: Path) -> dict[tuple[str, str], list[Outcome]]:
    """Start the kernel, run every test inside, and wait for the end; outcomes by file and by function or class.

    Raises:
        CannotRun: the kernel is not there, or does not start on this machine.
    """
    kernel, site = cached()
    environment = {
        "RIGD_PYTHON": sys.executable,
        "RIGD_ROOT": str(ROOT),
        "RIGD_SITE": str(site),
        "RIGD_OUT": str(out),
        "RIGD_PI": PI_4,
    }
    command = [
        str(kernel),
        *("rootfstype=hostfs", "rootflags=/", "rw", "mem=512M", "quiet", "con=null", "con0=null,fd:1"),
        f"init={HERE / 'init'}",
        *(f"{name}={value}" for name, value in environment.items()),
    ]
    (out / "seed").write_bytes(os.urandom(32))
    said = _run(command)
    if not (out / "booted").exists():
        raise CannotRun(f"the kernel does not come up here: {said[-500:]}")
    results = out / "results.xml"
    if not results.exists():
        log = out / "pytest.log"
        raise AssertionError(f"nothing was run inside:\n{log.read_text() if log.exists() else said}")
    return read(results)


def _run(command: list[str]) -> str:
    """Run the kernel to its end, or for as long as it may take; what it said. Raises `CannotRun`."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise CannotRun(f"the kernel cannot be started: {error}") from error
    try:
        said, _ = process.communicate(timeout=BOOT_S)
    except subprocess.TimeoutExpired:
        said = b"it did not end in time"
    finally:
        # All at once: what runs inside is held by the first of them, and would go on by itself, outside.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return said.decode(errors="replace")


def read(results: Path) -> dict[tuple[str, str], list[Outcome]]:
    """JUnit's XML as outcomes."""
    found: dict[tuple[str, str], list[Outcome]] = {}
    for case in ET.parse(results).iter("testcase"):
        *_, module, owner = ["", *case.get("classname", "").split(".")]
        name = case.get("name", "")
        if not module.startswith("inside_"):
            module, owner = owner, name.partition("[")[0]
        bad = next((child for child in case if child.tag in {"failure", "error"}), None)
        trouble = "" if bad is None else f"{bad.get('message')}\n{bad.text}"
        found.setdefault((module, owner), []).append(Outcome(name, trouble))
    return found
