"""Completion of command lines: what is offered, and what three real shells make of it."""

import os
import resource
import shutil
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from inspector.cli import completing
from inspector.cli.main import COMMANDS
from inspector.cli.shells import SHELLS, script
from inspector.cli.shells.words import for_bash, split
from inspector.limits import CAPS
from inspector.model import Role
from inspector.render import AUDITS, REPORTS
from tests.builders.programs import program
from tests.builders.shells import ENTER, TAB, Shell
from tests.builders.terminal import call

ROOT = os.path.dirname(os.path.dirname(__file__))
SAMPLES = os.path.join(ROOT, "sample_models")
PRUNED = os.path.join(SAMPLES, "pruned.h5")
# Names of layers: what each would do if a shell took it for more than letters.
HOSTILE = (
    "$(touch pwned-a)",
    "`touch pwned-b`",
    "c;touch pwned-c",
    "d d",
    "e'e",
    'f"f',
    "*g",
    "!h",
    "i\\i",
    "{j,j}",
    "~k",
    "&l",
    "m:m",
    "-rf",
    "#n",
    "<o>",
    "ü",
)
UNPRINTABLE = ("p\np", "q\x1b[31mq", "r\tr", "s\u202es", "t" * 1000)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """What takes too long would end this process."""
    monkeypatch.setattr(completing, "_SECONDS", 300)


def offered(line, shell="fish"):
    """(kind, value) of each choice."""
    result = call(_INSPECT_COMPLETE=f"{shell}_complete", _INSPECT_LINE=line)
    assert (result.code, result.err) == (0, "")
    lines = [one.split("\t") for one in result.out.splitlines()]
    return [(one[0], one[1]) for one in lines if one[0] != "nospace"]


def words(line, shell="fish"):
    return [value for kind, value in offered(line, shell) if kind == "plain"]


FILE = [("file", "")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with models, and one whose tensors have hostile names."""
    here = tmp_path_factory.mktemp("models")
    (here / "sub").mkdir()
    (here / "audit").mkdir()
    shutil.copy(PRUNED, here / "pruned.h5")
    shutil.copy(PRUNED, here / "sub" / "a b$(touch pwned-z).h5")
    with h5py.File(here / "hostile.weights.h5", "w") as file:
        for name in ("dense", *HOSTILE, *UNPRINTABLE):
            group = file.create_group(f"layers/{name}/vars")
            group.create_dataset("0", data=np.zeros(2, "f4"))
    return here


# --- what is offered ----------------------------------------------------------------------------


def test_the_first_word_is_a_command_or_a_file():
    assert words("inspect ") == list(COMMANDS)
    assert offered("inspect ")[-1:] == FILE
    assert offered("inspect di") == [("plain", "diff"), *FILE]
    assert offered("inspect sample_models/pr") == FILE


def test_options_are_those_of_the_command_which_may_be_left_out():
    first = words("inspect --")
    assert {"--version", "--help", "--format", "--tensors"} <= set(first)
    assert len(first) == len(set(first))
    assert words("inspect model.h5 --te") == words("inspect show model.h5 --te") == ["--tensors"]
    assert words("inspect diff a b --rt") == ["--rtol"]
    assert "--tensors" not in words("inspect diff --")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("inspect show --format ", list(REPORTS)),
        ("inspect audit --format s", ["sarif"]),
        ("inspect --format=ma", ["--format=markdown"]),
        ("inspect show --role optimizer", ["optimizer_slot", "optimizer_state"]),
        ("inspect show --role ", [role.value for role in Role]),
        ("inspect audit --fail-on w", ["warning"]),
        ("inspect audit --select safety-lam", ["safety-lambda"]),
        ("inspect audit x --ignore leftover-pr", ["leftover-pruning"]),
        ("inspect rules leftover-pr", ["leftover-pruning"]),
        ("inspect a --limit dep", ["depth="]),
        ("inspect a --limit depth=", ["depth=128"]),
        ("inspect a --limit ", [f"{cap.name}=" for cap in CAPS]),
        ("inspect audit a --also ", [f"{name}=" for name in AUDITS]),
        ("inspect diff --only weigh", ["weight", "weights"]),
        ("inspect diff --ignore training-", ["training-config"]),
        ("inspect completion ", list(SHELLS)),
        ("inspect show --width ", []),
        (
            f"inspect {PRUNED} --layer prune_low_magnitude_dense_1/",
            ["prune_low_magnitude_dense_1/dense_1"],
        ),
        (f"inspect explain {PRUNED} dense/", ["dense/kernel:0", "dense/bias:0"]),
        (f'inspect explain "{PRUNED}" dense_1/k', ["dense_1/kernel:0"]),
        (f"inspect explain {PRUNED} zzz", []),
        (f"inspect explain {PRUNED} a b", []),
        ("inspect --format", ["--format"]),
        ("inspect completion fish ", []),
    ],
)
def test_words_are_offered(line, expected):
    assert words(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("inspect a.h5 ", FILE),
        ("inspect diff a.h5 ", FILE),
        ("inspect diff a.h5 b.h5 ", []),
        ("inspect reconcile a.h5 ", FILE),
        ("inspect audit a.h5 --policy ", FILE),
        ("inspect show --output=x", [("file", "--output=")]),
        ("inspect audit a --also sarif=x", [("file", "sarif=")]),
        ("inspect audit a --also=sarif=x", [("file", "--also=sarif=")]),
        ("inspect explain ", FILE),
        ("inspect formats ", []),
    ],
)
def test_files_are_offered_where_they_stand(line, expected):
    assert offered(line) == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_what_cannot_be_printed_or_read_is_left_out(shell, folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = words("inspect explain hostile.weights.h5 ", shell)
    assert len(found) == len(HOSTILE) + 1
    assert all(value.isprintable() for value in found)


@pytest.mark.parametrize(
    "line", ["inspect explain missing.h5 ", "inspect explain . ", "", "'", "\\"]
)
def test_what_fails_says_nothing(line):
    result = call(_INSPECT_COMPLETE="fish_complete", _INSPECT_LINE=line)
    assert result.err == ""
    assert "Error" not in result.out


def test_a_file_that_does_not_end_is_given_up(tmp_path):
    # A pipe that nobody writes into; and a folder in its place is no artifact either.
    os.mkfifo(tmp_path / "model.h5")
    start = time.monotonic()
    assert ask(f"inspect explain {tmp_path}/model.h5 ").stdout == b""
    assert time.monotonic() - start < 15


def test_reading_that_hangs_ends_the_process():
    code = (
        "from inspector.cli import completing; completing._SECONDS = 0.2\n"
        "import time\n"
        "with completing._not_for_long(): time.sleep(60)"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT)
    assert done.returncode != 0
    assert time.monotonic() - start < 20


# --- what it costs ------------------------------------------------------------------------------


def ask(line, *python):
    environment = {**os.environ, "_INSPECT_COMPLETE": "zsh_complete", "_INSPECT_LINE": line}
    command = [sys.executable, *python, "-m", "inspector"]
    return subprocess.run(command, env=environment, capture_output=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("line", ["inspect ", "inspect --", "inspect audit --select "])
def test_nothing_heavy_is_imported(line):
    done = ask(line, "-X", "importtime")
    assert done.stdout
    modules = {one.rpartition(b"|")[2].strip() for one in done.stderr.splitlines()}
    assert not modules & {b"numpy", b"h5py", b"jinja2", b"textual", b"pandas"}


def test_options_cost_little_more_than_python():
    def cost(run):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    nothing = [sys.executable, "-c", "import click"]
    base = min(cost(lambda: subprocess.run(nothing, check=True)) for _ in range(3))
    ours = min(cost(lambda: ask("inspect --")) for _ in range(3))
    assert ours < 5 * base + 0.05


# --- words of a line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "before", "word", "quote"),
    [
        ("inspect a b", ("inspect", "a"), "b", ""),
        ("inspect  a ", ("inspect", "a"), "", ""),
        ("inspect 'a b", ("inspect",), "a b", "'"),
        ('inspect "a \\" $x\\n', ("inspect",), 'a " $x\\n', '"'),
        ("inspect a\\ b c\\", ("inspect", "a b"), "c", ""),
        ("inspect '' x", ("inspect", ""), "x", ""),
        ("inspect '\\' \"'\"", ("inspect", "\\"), "'", ""),
    ],
)
def test_a_line_is_taken_apart_as_shells_do(line, before, word, quote):
    found = split(line)
    assert (found.words, found.word, found.quote) == (before, word, quote)


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_bash_takes_what_it_is_given_as_letters(quote, tmp_path):
    ascii_ = [f"x{chr(code)}{chr(other)}" for code in range(32, 127) for other in (36, 39, 97)]
    values = [*HOSTILE, *ascii_, "\\", "a\\", "''", "$", "${HOME}", "~", "~root/x", "日本"]
    line = split(f"inspect explain x {quote}")
    put = [(value, for_bash(value, line)) for value in values]
    # History is not looked into in a script; between double quotes nothing can hold it off.
    assert [value for value, text in put if text is None] == [
        value for value in values if "!" in value and quote == '"'
    ]
    put = [(value, text) for value, text in put if text is not None]
    (tmp_path / "xa").touch()  # for a glob to find
    source = "\n".join(f"printf '%s\\0' {quote}{text}{quote}" for _, text in put)
    done = subprocess.run(
        [program("bash"), "--norc"], input=source.encode(), capture_output=True, check=True,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.decode().split("\0")[:-1] == [value for value, _ in put]
    assert os.listdir(tmp_path) == ["xa"]


@pytest.mark.parametrize(
    ("typed", "value", "put"),
    [
        ("dense/ker", "dense/kernel:0", "dense/kernel:0"),
        ("dense/kernel:", "dense/kernel:0", "0"),  # bash replaces what is behind the colon
        ("--format=js", "--format=json", "json"),
        (r"a\:b", "a:bc", "a:bc"),  # one with a backslash parts nothing
        ("'a:b", "a:bc", "a:bc"),
        ('"a b"c', "a bcd", "cd"),
        ("x", "y", "y"),
        ("x:", "y", None),
    ],
)
def test_bash_gets_the_part_that_it_replaces(typed, value, put):
    assert for_bash(value, split(f"inspect {typed}")) == put


# --- real shells --------------------------------------------------------------------------------

LINES = (
    (f"inspect di{TAB} x", ["diff", "x"]),
    (f"inspect aud{TAB}", ["audit"]),  # though there is a folder of that name
    (f"inspect pru{TAB}", ["pruned.h5"]),
    (f"inspect x --form{TAB}js{TAB}", ["x", "--format", "json"]),
    (f"inspect x --format=js{TAB}", ["x", "--format=json"]),
    (f"inspect x --limit dept{TAB}3", ["x", "--limit", "depth=3"]),
    (f"inspect x --output=pru{TAB}", ["x", "--output=pruned.h5"]),
    (f"inspect audit --also sar{TAB}pru{TAB}", ["audit", "--also", "sarif=pruned.h5"]),
    (
        f"inspect explain sub/a{TAB}dense_1/kernel:{TAB}",
        ["explain", "sub/a b$(touch pwned-z).h5", "dense_1/kernel:0"],
    ),
    # Control characters in names: nothing is offered.
    ("inspect explain hostile.weights.h5 layers/p" + TAB, ["layers/p"]),
)
EXPLAIN = "inspect explain hostile.weights.h5 "
NAMES = (  # what is typed, and of which name
    (r"layers/\$", 0),
    ("'layers/$", 0),
    (r"layers/\`", 1),
    ("layers/c", 2),
    ('"layers/e', 4),
    ("'layers/i", 8),
    ("layers/m:", 12),
)


@pytest.mark.parametrize("name", SHELLS)
def test_a_real_shell_completes_and_runs_nothing(name, folder):
    program(name)
    before = sorted(os.listdir(folder))
    with Shell(name, folder) as shell:
        for keys, expected in LINES:
            assert shell.called(keys + ENTER)[-len(expected) :] == expected, keys
        for typed, number in NAMES:
            expected = f"layers/{HOSTILE[number]}/vars/0"
            assert shell.called(f"{EXPLAIN}{typed}{TAB}{ENTER}")[-1] == expected, typed
        if name != "fish":  # which moves about in its list
            shell.typed(f"{EXPLAIN}layers/{TAB}{TAB}")
            shown = shell.until("dense/vars/0")
            assert "\x1b[31m" not in shown
    left = sorted(one for one in os.listdir(folder) if not one.startswith(".home"))
    assert left == [one for one in before if not one.startswith(".home")]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_the_script(shell):
    result = call("completion", shell)
    assert (result.code, result.err, result.out) == (0, "", script(shell))
    assert call(_INSPECT_COMPLETE=f"{shell}_source").out == script(shell)
    done = subprocess.run([program(shell), "-n"], input=result.out.encode(), check=False)
    assert done.returncode == 0


def test_fish_says_what_it_completes(folder):
    """As a user would ask it: without a terminal."""
    home = folder / ".home-asked"
    home.mkdir()
    command = home / "inspect"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m inspector "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{home}:{os.environ['PATH']}", "PYTHONPATH": ROOT}
    source = "inspect completion fish | source; complete -C'inspect di'"
    done = subprocess.run(
        [program("fish"), "--no-config", "-c", source],
        capture_output=True, check=True, cwd=folder, env=environment, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["diff\tWhat changed between two models"]
