"""`python -m stackcore` and the `stackcore` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; its exit code."""
    from stackcore.cli.parser import run_command_line

    return run_command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
