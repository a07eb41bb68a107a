"""`inspect browse` as a command, and in a real terminal: tmux plays it."""

import os
import shlex
import subprocess
import sys
import tempfile
import time

import pytest

from tests.builders.programs import program
from tests.builders.samples import SAMPLES
from tests.builders.terminal import call

ROOT = os.path.dirname(SAMPLES)
PRUNED = "sample_models/pruned.h5"


class Terminal:
    """A shell in a terminal of its own. Gone at the end, with all that runs in it."""

    def __init__(self, columns, rows, **variables):
        # A server of its own: its socket lies in a folder that goes with it.
        self._folder = tempfile.TemporaryDirectory(prefix="inspect-")
        socket = os.path.join(self._folder.name, "tmux")
        self._tmux = [program("tmux"), "-S", socket, "-f", os.devnull]
        settings = {"PS1": "ready> ", "PYTHONPATH": ROOT, **variables}
        # readline, which pytest imports, sets COLUMNS and LINES for whatever a process starts.
        unset = [part for name in ("ENV", "COLUMNS", "LINES") for part in ("-u", name)]
        shell = ["env", *unset, *(f"{name}={value}" for name, value in settings.items()), "sh"]
        size = ["-x", str(columns), "-y", str(rows)]
        self._ask("new-session", "-d", *size, "-c", ROOT, shlex.join(shell))

    def __enter__(self):
        self.until(lambda text: "ready>" in text)
        return self

    def __exit__(self, *_):
        self._ask("kill-server")
        self._folder.cleanup()

    def _ask(self, *arguments):
        done = subprocess.run([*self._tmux, *arguments], capture_output=True, check=True)
        return done.stdout.decode()

    def keys(self, *keys):
        self._ask("send-keys", *keys)

    def browse(self, *arguments):
        command = shlex.join([sys.executable, "-m", "inspector", "browse", *arguments])
        self.keys(command, "Enter")

    def screen(self, *options):
        return self._ask("capture-pane", "-p", *options)

    def until(self, true):
        """What the screen has, once that is what is waited for."""
        end = time.monotonic() + 60
        while not true(text := self.screen()):
            assert time.monotonic() < end, text
            time.sleep(0.1)
        return text

    def says(self, *texts):
        return self.until(lambda screen: all(text in screen for text in texts))


def test_in_a_small_terminal_it_answers_and_leaves_it_as_it_was():
    with Terminal(80, 24) as it:
        it.keys("echo before", "Enter")
        it.says("\nbefore")
        it.browse(PRUNED)
        screen = it.says("2,638 parameters", "5,347", "q Quit")
        assert "before" not in screen
        assert max(map(len, screen.split("\n"))) <= 80
        it.keys("j", "j", "Right", "Right")
        screen = it.says("dense/kernel", "threshold ±0.139098", "320 of 640 (50 %)")
        assert "ready>" not in screen
        it.keys("q")
        # The shell's own screen is back, the cursor behind its prompt; nothing of ours is left.
        screen = it.until(lambda text: text.rstrip().endswith("ready>"))
        assert "\nbefore" in screen
        assert "2,638" not in screen
        # Lines and the cursor's keys are the shell's again, and nothing reports the mouse.
        it.keys("echo $?", "Enter")
        it.says("\n0\n")
        modes = it._ask("display-message", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}")
        assert modes.split() == ["0", "0", "1"]


def test_in_a_large_terminal_without_colours_there_is_no_colour():
    with Terminal(200, 60, NO_COLOR="1") as it:
        it.browse(PRUNED, "sample_models/stripped.h5")
        it.says("stripped.h5", "Keras counts")
        it.keys("m")
        it.says("714 are not zero")
        codes = it.screen("-e").split("\x1b[")[1:]
        styles = {part for code in codes for part in code.partition("m")[0].split(";")}
        assert styles <= {"", "0", "1", "2", "7", "39", "49"}  # bold, dim, reverse, the defaults
        it.keys("c")
        it.says("A → B", "Pruning overhead was stripped", "unchanged")
        it.keys("C-c")
        it.says("ready>")


def test_it_needs_a_terminal():
    result = call("browse", PRUNED)
    assert result.code == 2
    assert result.err == (
        "inspect: browse needs a terminal; `inspect show` writes to files and pipes\n"
    )
    assert result.out == ""


@pytest.fixture
def at_a_terminal(monkeypatch):
    from inspector.cli import browse

    monkeypatch.setattr(browse, "_need_terminal", lambda env: None)
    monkeypatch.chdir(ROOT)


def test_where_nothing_can_be_read_there_is_nothing_to_browse(at_a_terminal, tmp_path):
    (tmp_path / "a.h5").write_bytes(b"no model")
    result = call("browse", str(tmp_path / "a.h5"), "none.h5")
    assert result.code == 2
    assert len(result.err.splitlines()) == 2
    assert "none.h5: no such file" in result.err


def test_what_is_missing_is_named(at_a_terminal, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = call("browse", PRUNED)
    assert (result.code, result.out) == (2, "")
    assert 'pip install "tf-inspector[tui]"' in result.err
    assert len(result.err.splitlines()) == 1


def test_a_bug_of_the_screen_is_told_as_one(at_a_terminal, monkeypatch):
    from inspector.browse import app

    def run(self):
        self.crash = KeyError("whoops")

    monkeypatch.setattr(app.BrowseApp, "run", run)
    result = call("browse", PRUNED)
    assert result.code == 3
    assert "please report it: KeyError" in result.err


def test_a_page_is_written_over_no_artifact(at_a_terminal, tmp_path):
    from inspector.cli import browse
    from inspector.errors import UsageError

    path = tmp_path / "a.h5"
    path.write_bytes(b"x")
    with pytest.raises(UsageError, match="would write the report over"):
        browse._save((str(path),), str(path), ["page"])
    browse._save((str(path),), str(tmp_path / "a.html"), ["pa", "ge"])
    assert (tmp_path / "a.html").read_text() == "page"


@pytest.mark.parametrize("command", ["show", "explain", "diff", "audit"])
def test_no_other_command_imports_textual(command):
    more = {"explain": ["dense/kernel"], "diff": ["sample_models/stripped.h5"]}.get(command, [])
    code = (
        "import sys; from inspector.cli import run; "
        f"run({[command, PRUNED, *more]!r}); assert not {{'textual', 'rich'}} & set(sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ran.returncode == 0, ran.stderr
