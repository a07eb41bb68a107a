import os
import subprocess
import sys

import pytest

from inspector import api
from inspector.classify import RULES
from inspector.cli.main import COMMANDS
from inspector.read import FORMATS, READERS
from tests.builders.terminal import call

SAMPLES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "sample_models")
PRUNED = os.path.join(SAMPLES, "pruned.h5")
HEAVY = ("numpy", "h5py", "msgspec", "ml_dtypes", "tensorflow")


def python(code, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, **kwargs
    )


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["formats"], ["show", "--help"]])
def test_light_commands_import_nothing_heavy(arguments):
    code = (
        "import sys; from inspector.cli import run; code = run(sys.argv[1:] or "
        f"{arguments!r}); print(sorted({set(HEAVY)!r} & set(sys.modules)), file=sys.stderr); "
        "sys.exit(code)"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "[]\n"


def test_importing_the_package_is_light():
    done = python(
        f"import inspector, sys; print(sorted({{'click', *{HEAVY!r}}} & set(sys.modules)))"
    )
    assert done.stdout == "[]\n", done.stderr


def test_a_reader_is_imported_when_its_format_is_met():
    held = [f"inspector.read.{one.module}" for one in READERS]
    names = f"print(*(name for name in {held!r} if name in sys.modules))"
    kept = python(f"import sys, inspector.read; {names}; inspector.read.read({PRUNED!r}); {names}")
    assert kept.stdout == "\ninspector.read.keras_h5\n", kept.stderr


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "inspector", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("inspect ")


def test_version_and_help_are_clean():
    assert call("--version").code == 0
    result = call("--help")
    assert result.code == 0
    assert all(command in result.out for command in COMMANDS)
    assert "Exit codes" in result.out


def test_nothing_at_all_is_bad_usage_with_help():
    result = call()
    assert (result.code, result.out) == (2, "")
    assert "Usage: inspect" in result.err


def test_formats_lists_what_is_read():
    out = call("formats").out
    assert all(one.name in out for one in FORMATS)


def test_rules_lists_every_rule_and_explains_one():
    out = call("rules").out
    assert all(rule.code in out for rule in RULES)
    rule = RULES[0]
    out = call("rules", rule.code).out
    assert out.startswith(f"{rule.code}: {rule.summary}")
    assert " ".join(rule.explanation.split())[:40] in " ".join(out.split())


def test_an_unknown_rule_is_bad_usage():
    result = call("rules", "nix")
    assert (result.code, result.out) == (2, "")


def test_a_bug_says_that_it_is_one(monkeypatch):
    def broken(*_, **__):
        raise KeyError("boom\x1b[31m")

    monkeypatch.setattr(api, "show", broken)
    result = call(PRUNED)
    assert (result.code, result.out) == (3, "")
    assert "bug in inspect" in result.err
    assert "KeyError at test_cli_main.py:" in result.err
    assert "Traceback" not in result.err
    assert "\x1b" not in result.err
    assert "Traceback" in call(PRUNED, INSPECT_DEBUG="1").err


def test_an_interrupt_is_130_and_no_traceback(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "show", interrupted)
    result = call(PRUNED)
    assert (result.code, result.out) == (130, "")
    assert "Traceback" not in result.err


def test_a_closed_pipe_is_quiet():
    command = f"{sys.executable} -m inspector {PRUNED} {PRUNED} {PRUNED} | true"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_stream_that_lacks_our_characters_still_gets_the_text():
    done = subprocess.run(
        [sys.executable, "-m", "inspector", PRUNED],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 0, done.stderr
    assert b"2,638 parameters" in done.stdout
