"""`python -m inspector`, and the `inspect` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line on this process' arguments and exit with its code."""
    from inspector.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
