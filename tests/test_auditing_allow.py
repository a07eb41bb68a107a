import datetime as dt
import hashlib
import os
import shutil

import pytest

from inspector import api
from inspector.auditing.allow import allow, artifact_digest
from inspector.auditing.policy import Allowed, Policy
from inspector.auditing.run import audit
from inspector.model import Severity
from tests.builders import samples
from tests.builders.audits import context, rule
from tests.builders.hdf5 import whole_model

TODAY = dt.date(2026, 6, 15)
RULES = [rule("a-one"), rule("a-two", severity=Severity.WARNING), rule("b-one")]


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.fixture
def model(tmp_path):
    return whole_model(tmp_path / "m.h5")


def allowed(path, *entries, today=TODAY):
    seen = context(path, policy=Policy(allow=entries))
    result = allow(audit(seen, RULES), seen, today)
    return (
        [one.finding.code for one in result.judged],
        [(one.finding.code, one.why) for one in result.suppressed],
        list(result.notes),
    )


def entry(path, **facts):
    return Allowed(**{"digest": f"sha256:{sha256(path)}", "reason": "looked at", **facts})


def test_what_is_allowed_is_listed_with_the_reason(model):
    kept, suppressed, notes = allowed(model, entry(model, codes=("a",)))
    assert kept == ["b-one"]
    assert suppressed == [("a-one", "allowed: looked at"), ("a-two", "allowed: looked at")]
    assert notes == []


def test_without_codes_all_of_it_is_allowed(model):
    assert allowed(model, entry(model))[0] == []


def test_another_artifact_s_digest_allows_nothing(model):
    other = Allowed(digest=f"sha256:{'0' * 64}", reason="x")
    assert allowed(model, other)[0] == ["a-one", "a-two", "b-one"]


def test_one_changed_byte_ends_what_was_allowed(model):
    known = entry(model)
    with open(model, "ab") as file:
        file.write(b"\0")
    assert allowed(model, known)[0] == ["a-one", "a-two", "b-one"]


@pytest.mark.parametrize(("until", "left"), [(TODAY, 0), (TODAY - dt.timedelta(days=1), 3)])
def test_an_entry_holds_to_the_end_of_its_last_day(model, until, left):
    kept, suppressed, notes = allowed(model, entry(model, until=until))
    assert (len(kept), len(suppressed)) == (left, 3 - left)
    said = f"{model}: was allowed until 2026-06-14, and is not any more (looked at)"
    assert notes == ([said] if left else [])


def test_an_entry_that_is_over_says_nothing_where_another_holds(model):
    over = entry(model, until=dt.date(2026, 1, 1))
    kept, suppressed, notes = allowed(model, over, entry(model, reason="anew"))
    assert (kept, notes) == ([], [])
    assert {why for _, why in suppressed} == {"allowed: anew"}


def test_the_digest_of_one_file_is_that_of_its_bytes(model):
    assert artifact_digest(model, [model]) == f"sha256:{sha256(model)}"
    assert artifact_digest(model) == f"sha256:{sha256(model)}"


def test_the_digest_of_a_folder_is_of_names_and_digests_and_the_same_elsewhere(tmp_path):
    names = sorted(["fingerprint.pb", "saved_model.pb"])
    names += ["variables/variables.data-00000-of-00001", "variables/variables.index"]
    sample = samples.path("saved_export")
    lines = [f"{name}\0{sha256(os.path.join(sample, name))}\n" for name in names]
    by_hand = f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
    copy = shutil.copytree(sample, tmp_path / "moved")
    for path in (sample, str(copy)):
        with api.open(path) as opened:
            files = [one.path for one in opened.artifact.files]
        assert artifact_digest(path, files) == by_hand
        assert artifact_digest(path) == by_hand


def test_a_checkpoint_s_digest_is_of_all_its_files():
    prefix = samples.path("ckpt_sharded")
    with api.open(prefix) as opened:
        files = [one.path for one in opened.artifact.files]
    lines = sorted(f"{os.path.basename(path)}\0{sha256(path)}\n" for path in files)
    assert len(lines) == 3
    assert artifact_digest(prefix, files) == (
        f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
    )


def test_a_file_or_a_link_that_is_put_in_a_folder_changes_its_digest(tmp_path):
    folder = shutil.copytree(samples.path("k3_dir"), tmp_path / "model")
    seen = []
    for change in (
        lambda: None,
        lambda: os.symlink("/x", folder / "link"),
        (folder / "a.py").touch,
    ):
        change()
        with api.open(folder) as opened:
            files = [one.path for one in opened.artifact.files]
        seen.append(artifact_digest(str(folder), files))
        assert artifact_digest(str(folder)) == seen[-1]
    assert len(set(seen)) == 3


def test_what_is_not_there_has_no_digest(tmp_path):
    assert artifact_digest(str(tmp_path / "nix")) is None


def test_what_cannot_be_read_as_a_model_can_be_allowed(tmp_path):
    path = tmp_path / "m.h5"
    path.write_text("no model")
    known = Policy(allow=(entry(path, until=TODAY),))
    assert not api.audit(path, policy=known, today=TODAY).audit.failed
    late = api.audit(path, policy=known, today=TODAY + dt.timedelta(days=1))
    assert late.audit.failed
    assert "was allowed until 2026-06-15" in " ".join(late.audit.notes)
