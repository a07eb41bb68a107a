"""Options and fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

GOLDEN = os.path.join(os.path.dirname(__file__), "golden")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden anew; then read the diff"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Hold a text against the file of that name in tests/golden."""
    update = request.config.getoption("--update-golden")

    def check(name: str, text: str) -> None:
        path = os.path.join(GOLDEN, name)
        if update:
            with open(path, "w", encoding="utf-8", newline="") as out:
                out.write(text)
        with open(path, encoding="utf-8", newline="") as stored:
            assert text == stored.read()

    return check
