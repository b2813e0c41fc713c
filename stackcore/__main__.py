"""`python -m stackcore` and the `stackcore` command."""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    """Run the command line; its exit code."""
    # A short run makes hardly any garbage in cycles, but loads libraries of many objects: looking through them all again and again
    # takes a sixth of the time that it needs to start.
    gc.set_threshold(100_000, 50, 50)
    # Nothing here multiplies large matrices. Threads for that would be started all the same, and spin: a tenth of a second.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from stackcore.cli.parser import run_command_line

        return run_command_line(sys.argv[1:])
    except KeyboardInterrupt:  # before there was anything to interrupt
        return 130
    finally:
        # Nor is there anything to be had from looking through them once more at the end: another sixth.
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
