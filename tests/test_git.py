"""docs/git.md does what it says: its own commands, run by real git in a repository of a test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.builders.hdf5 import DENSE_BIAS, DENSE_KERNEL, whole_model
from tests.builders.samples import path

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "git.md").read_text(encoding="utf-8")
# Three values are others, and as many as before are 0.
CHANGED = DENSE_KERNEL + np.eye(4, 3, k=1, dtype="f4") + np.eye(4, 3, k=-3, dtype="f4")
SUM = re.compile(r"^[-+](?![-+])", re.MULTILINE)


def blocks(language):
    """The page's blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


class Repository:
    """A repository that is set up as the page says, with nobody's own settings."""

    def __init__(self, folder):
        assert shutil.which("git"), "these tests run git: put it on the PATH"
        self.folder = folder / "repo"
        self.folder.mkdir()
        tools = folder / "bin"
        tools.mkdir()
        self.command = tools / "inspect"
        script = f'#!/bin/sh\nexec "{sys.executable}" -m inspector "$@"\n'
        self.command.write_text(script, encoding="utf-8")
        self.command.chmod(0o755)
        root = str(Path(__file__).resolve().parents[1])
        self.environment = {
            **{name: os.environ[name] for name in ("TMPDIR", "LANG") if name in os.environ},
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": root,
            "HOME": str(folder),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.com",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.com",
            "GIT_PAGER": "cat",
        }
        self.git("init", "-q", "-b", "main")
        for line in blocks("sh")[0].splitlines() + blocks("sh")[1].splitlines():
            self.shell(line)
        (self.folder / ".gitattributes").write_text(blocks("gitattributes")[0], encoding="utf-8")
        self.commit()

    def shell(self, line):
        return self._run(["sh", "-c", line])

    def git(self, *arguments):
        return self._run(["git", *arguments])

    def _run(self, command):
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "A version")

    def model(self, kernel=DENSE_KERNEL, name="model.h5"):
        """A model of one Dense layer, written anew."""
        layers = {"dense": {"dense/kernel:0": kernel, "dense/bias:0": DENSE_BIAS}}
        (self.folder / name).unlink(missing_ok=True)
        return whole_model(self.folder / name, layers)


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


def lines(diff):
    """The lines that a diff takes away and adds."""
    return [line for line in diff.splitlines() if SUM.match(line)]


def test_a_changed_weight_is_one_changed_line(repository):
    repository.model()
    repository.commit()
    repository.model(CHANGED)
    gone, new = lines(repository.git("diff"))
    assert gone.startswith("-tensor dense/kernel")
    assert new.startswith("+tensor dense/kernel")


def test_the_diff_on_the_page_is_what_git_prints(repository):
    repository.model()
    repository.commit()
    repository.model(CHANGED)
    assert lines(blocks("diff")[0]) == lines(repository.git("diff"))


def test_git_log_shows_the_same_and_the_second_time_from_its_cache(repository):
    repository.model()
    repository.commit()
    repository.model(CHANGED)
    repository.commit()
    first = repository.git("log", "-p", "-1")
    assert len(lines(first)) == 2
    assert "refs/notes/textconv/inspect" in repository.git("for-each-ref")
    repository.command.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert repository.git("log", "-p", "-1") == first


def chunked(file, name, values):
    del file[name]
    file.create_dataset(name, data=values, chunks=(2, 3), compression="gzip", track_times=True)


def test_an_hdf5_file_of_the_same_content_stored_otherwise_shows_nothing(repository):
    target = repository.model()
    repository.commit()
    with h5py.File(target, "r+") as file:
        chunked(file["model_weights/dense"], "dense/kernel:0", DENSE_KERNEL)
    assert "model.h5" in repository.git("status", "--short")
    assert repository.git("diff") == ""


def test_a_zip_of_the_same_content_with_other_dates_shows_nothing(repository):
    for year in (1990, 2020):
        with (
            zipfile.ZipFile(path("k3.keras")) as old,
            zipfile.ZipFile(repository.folder / "model.keras", "w") as new,
        ):
            for name in old.namelist():
                new.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), old.read(name))
        if year == 1990:
            repository.commit()
    assert "model.keras" in repository.git("status", "--short")
    assert repository.git("diff") == ""


def test_a_new_file_is_all_added_and_a_gone_one_all_removed(repository):
    repository.model()
    repository.git("add", "-A")
    added = lines(repository.git("diff", "--cached"))
    assert {line[0] for line in added} == {"+"}
    assert any(line.startswith("+tensor dense/kernel") for line in added)
    repository.commit()
    (repository.folder / "model.h5").unlink()
    removed = lines(repository.git("diff"))
    assert [line[1:] for line in removed] == [line[1:] for line in added]
    assert {line[0] for line in removed} == {"-"}


@pytest.mark.parametrize("content", [b"", b"no model at all\n", b"\x89HDF\r\n\x1a\n cut off"])
def test_a_broken_file_does_not_end_the_diff_of_the_others(content, repository):
    repository.model()
    repository.model(name="z.h5")
    repository.commit()
    (repository.folder / "model.h5").write_bytes(content)
    repository.model(CHANGED, "z.h5")
    shown = repository.git("diff")
    assert "a/model.h5" in shown
    assert "+tensor dense/kernel" in shown.partition("a/z.h5")[2]


def test_a_truncated_model_says_so_in_the_diff(repository):
    target = Path(repository.model())
    repository.commit()
    target.write_bytes(target.read_bytes()[:-100])
    assert "truncated" in repository.git("diff").lower()


def test_difftool_prints_the_comparison(repository):
    repository.model()
    repository.commit()
    repository.model(CHANGED)
    shown = repository.git("difftool", "--tool=inspect")
    assert "dense/kernel" in shown
    assert re.search(r"\b3 of 12\b", shown)


def test_difftool_holds_a_new_file_and_a_gone_one_against_nothing(repository):
    repository.model()
    repository.commit()
    (repository.folder / "model.h5").rename(repository.folder / "other.h5")
    repository.git("add", "-A")
    shown = repository.git("difftool", "--tool=inspect", "--cached", "--no-renames")
    assert shown.count("dense/kernel") >= 2


def test_difftool_goes_on_after_the_first_model_that_differs(repository):
    for name in ("a.h5", "b.h5"):
        repository.model(name=name)
    repository.commit()
    for name in ("a.h5", "b.h5"):
        repository.model(CHANGED, name)
    shown = repository.git("difftool", "--tool=inspect")
    assert len(re.findall(r"(?m)^A: ", shown)) == 2


def test_a_folder_is_compared_with_its_former_self_in_a_worktree(repository):
    shutil.copytree(path("saved_stripped"), repository.folder / "export")
    repository.commit()
    add, compare, remove = next(b for b in blocks("sh") if "worktree" in b).splitlines()
    (repository.folder / "note.txt").write_text("another version", encoding="utf-8")
    repository.commit()
    repository.shell(add)
    assert "The two are the same" in repository.shell(compare)
    repository.shell(remove)
    shown = repository.shell("git worktree list")
    assert "before" not in shown


def test_what_a_filter_keeps_elsewhere_is_the_model_when_it_is_shown(repository):
    """As Git LFS does: what the repository has is no model, and the filter makes it one."""
    repository.git("config", "filter.lfs.clean", "gzip -nc")
    repository.git("config", "filter.lfs.smudge", "gzip -dc")
    line = next(block for block in blocks("gitattributes") if "filter=lfs" in block)
    (repository.folder / ".gitattributes").write_text(line, encoding="utf-8")
    repository.model()
    repository.commit()
    repository.model(CHANGED)
    repository.commit()
    assert len(lines(repository.git("diff", "HEAD~1", "HEAD"))) == 2


def test_a_pointer_of_git_lfs_says_that_it_is_one(repository):
    repository.model()
    repository.commit()
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
    (repository.folder / "model.h5").write_text(pointer, encoding="utf-8")
    assert "lfs" in repository.git("diff").lower()
