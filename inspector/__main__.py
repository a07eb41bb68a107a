"""`python -m inspector`, and the `inspect` command."""

from __future__ import annotations

import gc
import sys

_OBJECTS = 200_000  # made between two looks


def main() -> None:
    """Run the command line on this process' arguments and exit with its code."""
    # What is made here is needed until the report is written: to look through all of it for circles
    # again and again would take a sixth of the time.
    gc.set_threshold(_OBJECTS)
    from inspector.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
