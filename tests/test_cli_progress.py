import pytest

from inspector.cli import progress
from inspector.cli.environment import Environment
from inspector.examine import Silent
from tests.builders.terminal import Stream


def env(terminal):
    return Environment(Stream(), Stream(terminal), {})


def watched(bar):
    bar.start(100)
    bar.advance(60)
    bar.advance(40)
    bar.finish()


@pytest.mark.parametrize(("terminal", "quiet"), [(False, False), (False, True), (True, True)])
def test_no_bar_where_nobody_wants_one(terminal, quiet):
    assert isinstance(progress.progress(env(terminal), quiet), Silent)


def test_short_work_shows_no_bar():
    here = env(True)
    watched(progress.progress(here, quiet=False))
    assert here.stderr.getvalue() == ""


def test_long_work_shows_a_bar_and_takes_it_away(monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 0)
    here = env(True)
    watched(progress.progress(here, quiet=False))
    written = here.stderr.getvalue()
    assert "measuring" in written
    assert written.endswith("\r")
