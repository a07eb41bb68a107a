import pytest

from inspector import api
from inspector.auditing.baseline import only_new, read_baseline
from inspector.auditing.policy import Policy
from inspector.auditing.rule import Found
from inspector.auditing.run import Audited, audit, conclude
from inspector.errors import UsageError
from inspector.limits import Limits
from inspector.render import RENDERERS, RenderOptions
from inspector.report import Suppressed, report
from tests.builders import samples
from tests.builders.audits import context, rule


def audited(*messages, path="models/m.h5"):
    found = [Found(message) for message in messages]
    return audit(context(path), [rule("a-one", lambda _: found)])


def saved(tmp_path, *each, name="known.json"):
    findings, summary = conclude(each, fail_on="error", policies={})
    whole = report("audit", (), findings=findings, audit=summary)
    path = tmp_path / name
    path.write_text(RENDERERS["json"](whole, RenderOptions(100)))
    return str(path)


def new(result):
    return [one.finding.message for one in result.judged]


def test_only_what_the_baseline_lacks_is_new(tmp_path):
    known = read_baseline(saved(tmp_path, audited("mask left", "slot left")))
    (result,), notes = only_new([audited("mask left", "metric left", "slot left")], known)
    assert new(result) == ["metric left"]
    assert [(one.finding.message, one.why) for one in result.suppressed] == [
        ("mask left", "baseline"),
        ("slot left", "baseline"),
    ]
    assert notes == []


def test_equal_findings_are_counted(tmp_path):
    known = read_baseline(saved(tmp_path, audited("mask 1", "mask 2")))
    (result,), _ = only_new([audited("mask 3", "mask 4", "mask 5")], known)
    assert new(result) == ["mask 5"]


def test_a_baseline_knows_an_artifact_that_moved(tmp_path):
    known = read_baseline(saved(tmp_path, audited("mask left", path="old/place/m.h5")))
    (result,), _ = only_new([audited("mask left", path="/new/m.h5")], known)
    assert new(result) == []


def test_what_is_gone_is_a_note(tmp_path):
    known = read_baseline(saved(tmp_path, audited("mask 1", "mask 2", "slot left")))
    _, notes = only_new([audited("mask 1")], known)
    assert notes == ["2 findings of the baseline not found any more: a-one ×2"]


def test_what_is_allowed_now_is_not_gone(tmp_path):
    known = read_baseline(saved(tmp_path, audited("mask left")))
    (judged,) = audited("mask left").judged
    allowed = Audited("m.h5", suppressed=(Suppressed(judged.finding, "allowed: x"),))
    assert only_new([allowed], known)[1] == []


def test_a_baseline_made_with_a_baseline_has_what_that_had(tmp_path):
    first = read_baseline(saved(tmp_path, audited("mask left")))
    (result,), _ = only_new([audited("mask left", "slot left")], first)
    second = read_baseline(saved(tmp_path, result, name="second.json"))
    (again,), notes = only_new([audited("mask left", "slot left")], second)
    assert (new(again), notes) == ([], [])


def test_only_what_is_new_fails_an_audit(tmp_path):
    broken = tmp_path / "m.h5"
    broken.write_bytes(b"")
    first = api.audit(broken, policy=Policy())
    path = tmp_path / "known.json"
    path.write_text(RENDERERS["json"](first, RenderOptions(100)))
    second = api.audit(broken, policy=Policy(), baseline=path)
    assert first.audit.failed
    assert not second.audit.failed
    assert {one.why for one in second.audit.suppressed} == {"baseline"}
    other = tmp_path / "other.h5"
    other.write_bytes(b"")
    assert api.audit(other, policy=Policy(), baseline=path).audit.failed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no saved report"),
        (b"[]", "no saved report"),
        (b"{}", "no saved report"),
        (b'{"command": "audit", "findings": 3}', "no saved report"),
        (b"[" * 100_000, "no saved report"),
        (b"\xff\xfe", "no saved report"),
    ],
)
def test_a_baseline_of_another_kind_is_bad_usage(tmp_path, content, message):
    path = tmp_path / "known.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_baseline(str(path))


def test_a_report_of_another_command_is_no_baseline(tmp_path):
    path = tmp_path / "shown.json"
    shown = api.show(samples.path("stripped.h5"), measure=False)
    path.write_text(RENDERERS["json"](shown, RenderOptions(100)))
    with pytest.raises(UsageError, match="a report of `inspect show`, not of an audit"):
        read_baseline(str(path))


def test_a_baseline_that_is_not_there_is_bad_usage(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_baseline(str(tmp_path / "nix.json"))


def test_a_baseline_as_a_windows_shell_writes_it_is_read(tmp_path):
    path = saved(tmp_path, audited("mask left"))
    text = (tmp_path / "known.json").read_text()
    (tmp_path / "known.json").write_bytes(text.encode("utf-16"))
    assert [one.message for one in read_baseline(path)] == ["mask left"]


@pytest.mark.parametrize("name", ["report_bytes", "report_values"])
def test_a_baseline_past_a_limit_names_the_option(tmp_path, name):
    path = saved(tmp_path, audited("mask left"))
    with pytest.raises(UsageError, match=f"known.json: limit {name}: .*--limit {name}="):
        read_baseline(path, Limits(**{name: 10}))
