"""The manual page: made of the command line's help, sound roff, installed with the package."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from inspector.cli.main import COMMANDS, group
from tests.builders.programs import program

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "man" / "inspect.1"


@pytest.fixture(scope="module")
def shown():
    """The page as it is read, without backspaces."""
    done = subprocess.run(
        [program("mandoc"), "-T", "utf8", "-O", "width=300", str(PAGE)],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    # Sentences end with two spaces where a line of the source does.
    return re.sub(r"(?<=\.)  (?=\S)", " ", re.sub(".\b", "", done.stdout))


def options(name):
    context = click.Context(group)
    command = group.get_command(context, name)
    return [one for one in command.get_params(context) if isinstance(one, click.Option)]


def test_it_is_as_the_command_line_s_help_is_today():
    done = subprocess.run(
        [sys.executable, "scripts/make_man.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_sound():
    done = subprocess.run(
        [program("mandoc"), "-T", "lint", "-W", "warning", str(PAGE)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # A page without a date: it would be another one each day.
    found = [line for line in done.stdout.splitlines() if "missing date" not in line]
    assert found == []


def test_it_has_the_parts_that_pages_have(shown):
    assert re.findall(r"(?m)^[A-Z][A-Z ]+$", shown) == [
        "NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "EXIT STATUS", "ENVIRONMENT",
        "FILES", "EXAMPLES", "SEE ALSO",
    ]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_it_has_every_command_and_option_with_its_help(name, shown):
    assert f"inspect {name} " in shown
    for option in options(name):
        for word in option.opts:
            assert re.search(rf"(?m)^ +.*{re.escape(word)}\b", shown), word
        assert " ".join(option.help.split()) in shown, option.name


def test_letters_are_those_that_were_written(shown):
    assert "inspect explain pruned.h5 '*_1/mask:0' --format json" in shown
    assert "~/.local/share/bash-completion/completions/inspect" in shown
    assert '"${fpath[1]}/_inspect"' in shown
    # What is copied from the page must be typed as it stands.
    assert not re.search("[\u2010-\u2015\u2018-\u201d]", shown)


def test_roff_takes_no_word_of_a_help_for_a_request(tmp_path):
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import make_man
    finally:
        sys.path.pop(0)
    words = ".so /etc/passwd\n\n'br\n\na \\fBb\\n(.z ^~`-\n\n\b\n.in 5\n  'x"
    page = tmp_path / "x.1"
    text = '.TH X 1 "" "x" "x"\n.SH NAME\nx\n.SH A\n' + "\n".join(make_man.prose(words)) + "\n"
    page.write_text(text)
    command = [program("mandoc"), "-T", "utf8", str(page)]
    shown = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    shown = re.sub(".\b", "", shown)
    for line in (".so /etc/passwd", "'br", "a \\fBb\\n(.z ^~`-", ".in 5", "  'x"):
        assert line in shown


def test_it_names_every_variable_that_is_looked_at(shown):
    source = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("inspector/**/*.py"))
    looked = set(re.findall(r"\b(?:INSPECT_[A-Z_]+|NO_COLOR|[A-Z]*_?FORCE_?[A-Z]*COLOR)\b", source))
    assert {"INSPECT_DEBUG", "NO_COLOR", "FORCE_COLOR"} <= looked
    assert [name for name in looked if name not in shown] == []


def test_the_wheel_has_what_the_system_looks_for():
    with (ROOT / "pyproject.toml").open("rb") as file:
        wheel = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]
    shared = wheel["shared-data"]
    assert shared["docs/man/inspect.1"] == "share/man/man1/inspect.1"
    assert all((ROOT / path).is_file() for path in shared)
