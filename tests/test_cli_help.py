"""Help: its examples run, it fits its place; what colours, and how wide."""

import glob
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import termios

import click
import pytest

from inspector.cli.main import COMMANDS, group
from tests.builders import fleets
from tests.builders.terminal import call

ROOT = os.path.dirname(os.path.dirname(__file__))
SAMPLES = os.path.join(ROOT, "sample_models")
PRUNED = os.path.join(SAMPLES, "pruned.h5")
EVERY = ["", *COMMANDS]

# The files that examples speak of, as samples.
FILES = {
    "pruned.h5": "pruned.h5",
    "stripped.h5": "stripped.h5",
    "model.h5": "stripped.h5",
    "a.h5": "stripped.h5",
    "b.keras": "stripped.keras",
    "model.keras": "stripped.keras",
    "monday.keras": "stripped.keras",
    "friday.keras": "pruned.keras",
    "model.tflite": "lite_float.tflite",
    "exports/model.h5": "stripped.h5",
    "models/model.keras": "stripped.keras",
}
# TensorFlow is not here, no cluster and no storage either, and nobody sits at the terminal: such
# examples are only parsed.
NOT_RUN = re.compile(r"--live|--cluster tcp|^inspect browse|s3://")


def helped(command, **variables):
    return call(*([command] if command else []), "--help", **variables).out


def examples(text):
    """The command lines of a help text, without comments and redirections."""
    for line in re.findall(r"(?m)^ {4}(inspect .*)$", text):
        yield re.split(r" {2,}| > ", line)[0].strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    here = tmp_path_factory.mktemp("examples")
    for name, sample in FILES.items():
        (here / name).parent.mkdir(exist_ok=True)
        shutil.copy(os.path.join(SAMPLES, sample), here / name)
    fleets.write(str(here / "results"), [PRUNED])
    return here


@pytest.mark.parametrize("command", EVERY)
def test_every_example_runs(command, folder, monkeypatch):
    """In the order of the commands: one saves what another takes."""
    monkeypatch.chdir(folder)
    lines = list(examples(helped(command)))
    assert lines
    for line in lines:
        words = [
            found
            for word in shlex.split(line)[1:]
            for found in (sorted(glob.glob(word)) if "*." in word and "://" not in word else [word])
        ]
        if NOT_RUN.search(line):
            parsed(words)
            continue
        result = call(*words)
        assert result.err == "", line
        assert result.code in {0, 1}, line
        assert result.out or "-o" in words, line


def parsed(words):
    with group.make_context("inspect", list(words)) as context:
        name, command, rest = group.resolve_command(context, context._protected_args + context.args)
        with command.make_context(name, rest, context):
            pass


def test_saved_reports_stand_for_their_files(folder, monkeypatch):
    """What the example with baseline.json takes, the example before it wrote."""
    monkeypatch.chdir(folder)
    assert call(*shlex.split("show model.keras --digest --format json -o baseline.json")).code == 0
    assert call("diff", "baseline.json", "model.h5").code == 0


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("command", EVERY)
def test_help_fits(command, columns):
    lines = helped(command, COLUMNS=str(columns)).splitlines()
    # Examples are not wrapped: who copies one wants it whole.
    most = min(columns, 100)
    assert [line for line in lines if len(line) > most and not line.startswith("    ")] == []
    if columns >= 80:
        assert max(map(len, lines)) <= most
    if columns == 200:
        assert max(map(len, lines)) > 80


@pytest.mark.parametrize("command", EVERY)
def test_every_option_says_what_it_is_for(command):
    context = click.Context(group)
    found = group if not command else group.get_command(context, command)
    for option in found.get_params(context):
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert option.help.endswith("."), option.name


def test_piped_help_is_as_wide_as_a_pager():
    assert helped("show") == helped("show", COLUMNS="80")


COLOURED = [
    ({}, True, True),
    ({}, False, False),
    ({"NO_COLOR": "1"}, True, False),
    ({"NO_COLOR": ""}, True, True),  # as no-color.org has it: set and not empty
    ({"TERM": "dumb"}, True, False),
    ({"CLICOLOR": "0"}, True, False),
    ({"CLICOLOR": "1"}, False, False),
    ({"FORCE_COLOR": "1"}, False, True),
    ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
    ({"FORCE_COLOR": "0"}, False, False),
    ({"FORCE_COLOR": ""}, False, False),
    ({"CLICOLOR_FORCE": "1"}, False, True),
    ({"CLICOLOR_FORCE": "0"}, False, False),
    ({"CLICOLOR_FORCE": "1", "CLICOLOR": "0"}, False, True),
    ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
]


@pytest.mark.parametrize(("variables", "terminal", "coloured"), COLOURED)
def test_colour_is_as_the_variables_say(variables, terminal, coloured):
    out = call(PRUNED, "--no-measure", terminal=terminal, **variables).out
    assert ("\x1b[" in out) == coloured


def test_an_option_goes_before_variables(tmp_path):
    out = tmp_path / "out"
    assert "\x1b" in call(PRUNED, "--color", "always", NO_COLOR="1").out
    assert "\x1b" not in call(PRUNED, "--color", "never", FORCE_COLOR="1").out
    assert call(PRUNED, "-o", str(out), FORCE_COLOR="1").code == 0
    assert "\x1b" not in out.read_text(encoding="utf-8")


def in_terminal(*arguments, columns, **variables):
    """What a real pseudo-terminal of so many columns is sent."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, columns))
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-m", "inspector", *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env={**kept, **variables},
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        while select.select([ours], [], [], 30)[0]:
            try:
                more = os.read(ours, 1 << 16)
            except OSError:  # the other side is closed
                break
            shown += more
        process.wait()
    os.close(ours)
    return shown.decode("utf-8").replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [64, 90, 200])
def test_a_terminal_is_as_wide_as_it_is(columns):
    report = in_terminal(PRUNED, columns=columns, TERM="xterm", LANG="C.UTF-8")
    assert "\x1b[" in report
    plain = re.sub(r"\x1b\[[0-9;]*m", "", report)
    longest = max(map(len, plain.splitlines()))
    assert min(columns, 100) - 25 < longest <= columns
    text = in_terminal("show", "--help", columns=columns, TERM="xterm").splitlines()
    longest = max(len(line) for line in text if not line.startswith("    inspect"))
    assert min(columns, 100) - 12 < longest <= min(columns, 100)


def test_a_dumb_terminal_gets_no_escapes_and_columns_goes_before_its_width():
    report = in_terminal(PRUNED, columns=200, TERM="dumb", LANG="C.UTF-8", COLUMNS="70")
    assert "\x1b" not in report
    assert max(map(len, report.splitlines())) <= 70
