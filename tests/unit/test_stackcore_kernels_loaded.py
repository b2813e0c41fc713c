"""Kernels that lie on disk are loaded without a compiler, and fit this Numba: a missing symbol would end the process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stackcore import _jit
from stackcore.catalogue import METHODS
from tests.unit._stacks import write_stack

RUN = """
import sys
from pathlib import Path
from stackcore.files import open_source
from stackcore.pipeline import FuseOptions, fuse

sums = []
for method in sys.argv[1].split(","):
    result = fuse(open_source(sorted(Path(sys.argv[2]).iterdir())), FuseOptions(method=method, align=method != "argmax", threads=2))
    sums.append(int(result.picture.sum()))
print(sums, "numba.cpython.heapq" in sys.modules)
"""
"""Heaps are of no use here: Numba imports what compiles them only together with all else that it compiles with."""


def run(stack: Path, cache: Path) -> tuple[str, bool]:
    """What the methods give, and whether something was compiled on the way."""
    methods = ",".join(name for name in METHODS if name != "labels")  # its solver is not always there
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", RUN, methods, str(stack)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, compiled = re.fullmatch(r"(\[.*\]) (True|False)\n", done.stdout).groups()
    return found, compiled == "True"


def test_a_second_process_loads_every_kernel_without_the_compiler(tmp_path):
    stack, cache = tmp_path / "stack", tmp_path / "cache"
    stack.mkdir()
    write_stack(stack)
    first, compiled = run(stack, cache)
    assert compiled
    second, compiled = run(stack, cache)
    assert not compiled
    assert second == first
    for path in cache.rglob("*divide*.nbc"):
        path.unlink()
    third, compiled = run(stack, cache)
    assert compiled, "what is not on disk is compiled beside what is"
    assert third == first


@pytest.mark.parametrize(
    ("version", "known"),
    [("0.60.0", False), ("0.61.2", True), ("0.68.1", True), ("0.69.0rc1", False), ("1.0.0", False)],
)
def test_a_numba_that_is_not_known_loads_in_its_own_way(monkeypatch, version, known):
    monkeypatch.setattr(_jit.numba, "__version__", version)
    assert _jit._numba_is_known() == known


def test_this_numba_is_known():
    assert _jit._numba_is_known(), "see whether `_Ready` fits it, and say so in `_KNOWN_NUMBA`"
