"""How many bytes an artifact has, before it is opened."""

import os

from inspector import filesystem
from inspector.allowance import artifact_bytes
from tests.builders import samples


def test_all_files_of_a_model_s_folder_count():
    path = samples.path("saved_pruned")
    sizes = [
        os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names
    ]
    assert artifact_bytes(path) == sum(sizes) > 0


def test_a_folder_that_is_no_model_is_not_walked_through(tmp_path, monkeypatch):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "notes.txt").write_text("nothing")
    monkeypatch.setattr(filesystem, "walk", lambda *_: 1 / 0)
    assert artifact_bytes(str(tmp_path)) == 0


def test_a_file_counts_where_its_folder_may_not_be_listed(tmp_path, monkeypatch):
    path = tmp_path / "model.index"
    path.write_bytes(bytes(103))

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refused)
    assert artifact_bytes(str(path)) == 103
