import dataclasses
import glob
import hashlib
import os
import shutil
import time

import pytest

from inspector import api, deadline
from inspector.auditing import configs, containers, run
from inspector.auditing import hdf5 as auditing_hdf5
from inspector.auditing.look import audit_context
from inspector.auditing.policy import Override, Policy, overridden
from inspector.auditing.rule import Found, Needs, longest, matches
from inspector.auditing.rules import RULES
from inspector.auditing.run import audit, conclude, selected, strictest
from inspector.errors import ArtifactError, Truncated
from inspector.limits import DEFAULT, Limits
from inspector.model import Severity
from tests.builders import samples
from tests.builders.audits import context, rule
from tests.builders.hdf5 import whole_model


def codes(findings):
    return [one.code for one in findings]


def of(audited):
    return [one.finding for one in audited.judged]


@pytest.mark.parametrize(
    ("prefix", "fits"),
    [
        ("all", True),
        ("size", True),
        ("size-", True),
        ("size-bytes", True),
        ("siz", False),
        ("size-byte", False),
        ("size-bytes-more", False),
    ],
)
def test_a_code_is_named_word_by_word(prefix, fits):
    assert matches("size-bytes", prefix) is fits


def test_of_prefixes_that_fit_the_longest_says_most():
    assert longest("size-bytes", ["all", "size", "number"]) == "size"
    assert longest("size-bytes", ["number"]) is None
    assert longest("ab-c", ["ab", "all"]) == "ab"  # "all" is longer, and says less


@pytest.mark.parametrize(
    ("select", "ignore", "left"),
    [
        (("all",), (), ["a-one", "a-two", "b-one"]),
        (("a",), (), ["a-one", "a-two"]),
        (("all",), ("a",), ["b-one"]),
        (("all", "a-two"), ("a",), ["a-two", "b-one"]),
        (("a-one",), ("a-one",), []),
        (("all",), ("all",), []),
        ((), (), []),
    ],
)
def test_what_says_most_of_a_code_decides_whether_it_is_asked(select, ignore, left):
    rules = [rule("a-one"), rule("a-two"), rule("b-one")]
    assert codes(selected(rules, Policy(select=select, ignore=ignore))) == left


def test_some_rules_are_asked_whatever_is_selected_and_left_out_only_by_name():
    rules = [rule("a-one"), rule("z-always", always=True)]
    assert codes(selected(rules, Policy(select=("a",)))) == ["a-one", "z-always"]
    assert codes(selected(rules, Policy(select=("a",), ignore=("z-always",)))) == ["a-one"]


def test_policy_says_how_severe_before_the_finding_and_that_before_the_rule():
    found = [Found("x", severity=Severity.WARNING)]
    rules = [rule("a-one"), rule("a-two", lambda _: found), rule("a-three", lambda _: found)]
    policy = {"severity": {"a-three": "info", "all": "warning"}}
    plain = of(audit(context(), rules))
    told = of(audit(context(policy=policy), rules))
    assert [one.severity.value for one in plain] == ["error", "warning", "warning"]
    assert [one.severity.value for one in told] == ["warning", "warning", "info"]


def test_a_finding_has_its_rule_s_fix_and_the_artifact_s_path_where_it_has_none():
    found = [Found("one"), Found("two", path="models/m/x.pb", offset=3, fix="mend", layer="d")]
    first, second = of(audit(context("models/m"), [rule("a-one", lambda _: found)]))
    assert (first.path, first.fix, first.offset) == ("models/m", "undo a-one", None)
    assert (second.path, second.fix, second.offset) == ("models/m/x.pb", "mend", 3)
    assert second.layer == "d"


def test_rules_that_lack_what_they_need_are_not_asked_and_are_named():
    rules = [
        rule("a-file", needs=Needs.FILE),
        rule("a-artifact", needs=Needs.ARTIFACT),
        rule("a-values", needs=Needs.VALUES),
        rule("a-original", needs=Needs.ORIGINAL),
        rule("a-nother", needs=Needs.ORIGINAL),
    ]
    policy = Policy(select=("all", "a-original"))
    with audit_context(samples.path("stripped.h5"), policy, measure=False) as seen:
        audited = audit(seen, rules)
    assert codes(of(audited)) == ["a-file", "a-artifact"]
    assert audited.asked == {"a-file", "a-artifact"}
    _, summary = conclude([audited], fail_on="error", policies={})
    assert summary.notes == (
        "1 rule not asked, for want of values, which --no-measure leaves unread: a-values",
        "1 rule not asked, for want of what the artifact was made from (--against): a-original",
    )


def test_of_what_cannot_be_read_only_rules_of_bytes_are_asked(tmp_path):
    path = tmp_path / "m.h5"
    path.write_bytes(b"")
    with audit_context(path) as seen:
        audited = audit(seen, [rule("a-file"), rule("a-artifact", needs=Needs.ARTIFACT)])
    assert codes(of(audited)) == ["a-file"]
    assert audited.notes == (f"{path}: it could not be read, so 1 rule could not be asked of it",)


def test_a_rule_that_breaks_on_a_file_is_a_finding_and_the_rest_go_on():
    def broken(_):
        yield Found("first")
        raise Truncated("ends here", "m.h5", 7)

    rules = [rule("a-broken", broken), rule("b-one"), *RULES]
    only = context(policy={"select": ("a", "b")})
    first, second, third = of(audit(only, rules))
    assert (first.code, first.message) == ("a-broken", "first")
    assert (second.code, second.severity.value, second.offset) == (
        "integrity-unreadable",
        "error",
        7,
    )
    assert second.message == "a-broken could not look: ends here"
    assert third.code == "b-one"


def test_where_that_finding_is_ignored_it_is_a_note():
    def broken(_):
        raise Truncated("ends here", "m.h5", 7)
        yield

    policy = {"select": ("a",), "ignore": ("integrity-unreadable",)}
    audited = audit(context(policy=policy), [rule("a-broken", broken), *RULES])
    assert audited.judged == ()
    assert audited.notes == ("models/m.h5: a-broken could not look: ends here",)


def test_a_rule_that_breaks_after_many_findings_is_told_all_the_same():
    def broken(_):
        yield from [Found("again")] * 3
        raise Truncated("ends here", "m.h5", 7)

    limits = dataclasses.replace(DEFAULT, findings=3)
    only = context(policy={"select": ("a",)}, limits=limits)
    found = of(audit(only, [rule("a-broken", broken), *RULES]))
    assert codes(found) == ["a-broken"] * 3 + ["integrity-unreadable"]


def test_findings_of_one_rule_are_bounded():
    def endless(_):
        while True:
            yield Found("again")

    limits = dataclasses.replace(DEFAULT, findings=3)
    audited = audit(context(limits=limits), [rule("a-one", endless)])
    assert len(audited.judged) == 3
    (said,) = audited.notes
    assert said == (
        "models/m.h5: a-one finds more than 3 things; limit findings: 4 is over 3;"
        " --limit findings=6 allows twice as many"
    )


@pytest.mark.parametrize(
    ("fail_on", "fails"),
    [
        ("info", ["error", "warning", "info"]),
        ("warning", ["error", "warning"]),
        ("error", ["error"]),
        ("never", []),
    ],
)
def test_an_audit_fails_on_what_is_as_severe_or_worse(fail_on, fails):
    rules = [rule(f"a-{one}", severity=Severity(one)) for one in ("error", "warning", "info")]
    audited = audit(context(policy={"fail_on": fail_on}), rules)
    assert [one.severity.value for one in of(audited) if one.fails] == fails


def test_of_several_severities_to_fail_on_the_strictest_is_told():
    assert strictest(["never", "warning", "error"]) == "warning"
    assert strictest([]) == "error"


def test_findings_are_listed_by_severity_then_rule_then_artifact():
    rules = [
        rule("a-info", severity=Severity.INFO),
        rule("b-error"),
        rule("c-warning", severity=Severity.WARNING),
        rule("d-error"),
    ]
    audited = [audit(context(path), rules) for path in ("z.h5", "a.h5")]
    findings, summary = conclude(audited, fail_on="error", policies={"": 2})
    assert [(one.code, one.path) for one in findings] == [
        ("b-error", "z.h5"),
        ("b-error", "a.h5"),
        ("d-error", "z.h5"),
        ("d-error", "a.h5"),
        ("c-warning", "z.h5"),
        ("c-warning", "a.h5"),
        ("a-info", "z.h5"),
        ("a-info", "a.h5"),
    ]
    assert (summary.errors, summary.warnings, summary.infos) == (4, 2, 2)
    assert (summary.artifacts, summary.rules, summary.failed) == (2, 4, True)
    assert summary.policy is None


def fingerprint(at, **facts):
    found = Found(**{"message": "3 masks of 1,280 elements in m.h5", **facts})
    (finding,) = of(audit(context(at), [rule("a-one", lambda _: [found])]))
    return finding.fingerprint


def test_a_fingerprint_outlives_moves_and_counts():
    first = fingerprint("models/m.h5", layer="dense", path="models/m.h5")
    assert first == fingerprint("/elsewhere/m.h5", layer="dense", path="/elsewhere/m.h5")
    assert first == fingerprint(
        "m.h5", layer="dense", message="4 masks of 9e+3 elements in m.h5", evidence="other"
    )
    # What is summed up, written out: code, artifact, file, layer, tensor, message.
    parts = ("a-one", "m.h#", "m.h#", "dense", "", "# mask of # element in m.h#")
    assert first == hashlib.sha256("\0".join(parts).encode()).hexdigest()


def test_one_thing_and_several_have_one_fingerprint():
    one, several = "1 mask of 3 is zero", "2 masks of 3 are zero"
    assert fingerprint("m.h5", message=one) == fingerprint("m.h5", message=several)


@pytest.mark.parametrize(
    "other",
    [{"layer": "dense_1"}, {"tensor": "t"}, {"message": "masks"}, {"path": "models/x.data"}],
)
def test_a_fingerprint_tells_other_findings_apart(other):
    assert fingerprint("models/m.h5") != fingerprint("models/m.h5", **other)


def test_a_fingerprint_leaves_the_folder_out_of_the_message():
    assert fingerprint("a/b/m", message="a/b/m/x.pb is a link") == fingerprint(
        "c/m", message="c/m/x.pb is a link"
    )


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "integrity-unknown-format"),
        (b"<!doctype html><title>x</title>", "integrity-unknown-format"),
        (b"PK\x03\x04" + bytes(40), "integrity-truncated"),
    ],
)
def test_what_cannot_be_read_is_a_finding_by_why(tmp_path, content, code):
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    report = api.audit(path, policy=Policy(select=("number",)))
    assert code in codes(report.findings)
    assert report.audit.failed
    assert not report.artifacts[0].readable


def test_a_truncated_file_is_said_to_be(tmp_path):
    path = whole_model(tmp_path / "m.h5")
    with open(path, "r+b") as file:
        file.truncate(1000)
    (finding,) = api.audit(path, policy=Policy(select=("number",))).findings
    assert (finding.code, finding.path) == ("integrity-truncated", path)


def without_index(folder):
    for index in glob.glob(os.path.join(folder, "*.index")):
        os.unlink(index)


def with_directory_elsewhere(path):
    """The end record of a zip has the offset of the central directory at its byte 16."""
    with open(path, "r+b") as file:
        end = file.read().rindex(b"PK\x05\x06")
        file.seek(end + 16)
        file.write((5).to_bytes(4, "little"))


def in_chunks(folder):
    os.rename(os.path.join(folder, "saved_model.pb"), os.path.join(folder, "saved_model.cpb"))


@pytest.mark.parametrize(
    ("name", "broken", "code"),
    [
        ("ckpt_manager", without_index, "integrity-missing-file"),
        ("stripped.keras", with_directory_elsewhere, "integrity-corrupt"),
        ("saved_stripped", in_chunks, "integrity-unsupported"),
    ],
)
def test_a_sound_artifact_has_a_finding_once_it_is_broken(tmp_path, name, broken, code):
    path = str(tmp_path / name)
    sound = samples.path(name)
    (shutil.copytree if os.path.isdir(sound) else shutil.copy)(sound, path)
    policy = Policy(select=("number",))
    assert not api.audit(path, policy=policy).findings
    broken(path)
    assert codes(api.audit(path, policy=policy).findings) == [code]


def test_an_artifact_past_a_limit_has_a_finding_and_one_at_it_has_none():
    path, policy = samples.path("stripped.h5"), Policy(select=("number",))  # 4 tensors
    assert codes(api.audit(path, policy=policy, limits=Limits(tensors=3)).findings) == [
        "integrity-limit"
    ]
    assert not api.audit(path, policy=policy, limits=Limits(tensors=4)).findings


def test_an_ignored_code_lets_what_cannot_be_read_pass(tmp_path):
    path = tmp_path / "notes.h5"
    path.write_text("nothing")
    report = api.audit(path, policy=Policy(ignore=("integrity-unknown-format",)))
    assert not report.audit.failed


def test_overrides_replace_what_they_give_and_add_to_ignore_and_severity():
    policy = Policy(ignore=("a",), severity={"b": "info"}, select=("all",))
    first = Override(paths=("x",), ignore=("c",), severity={"d": "error"}, integer=True)
    second = Override(paths=("x",), select=("e",), integer=False)
    merged = overridden(policy, [first, second])
    assert merged.ignore == ("a", "c")
    assert merged.severity == {"b": "info", "d": "error"}
    assert (merged.select, merged.integer) == (("e",), False)


def test_codes_are_unique_begin_with_a_family_and_say_all_there_is_to_say():
    assert len({one.code for one in RULES}) == len(RULES)
    for one in RULES:
        assert one.family in {
            *("leftover", "sparsity", "number", "quant", "size", "safety", "integrity")
        }
        assert all((one.summary, one.explanation, one.example, one.fix))
        assert "\n" not in one.summary


def test_an_unreadable_original_is_an_error_of_its_own(tmp_path):
    broken = tmp_path / "o.h5"
    broken.write_bytes(b"")
    with pytest.raises(ArtifactError, match="empty file"):
        api.audit(samples.path("stripped.h5"), against=broken, policy=Policy())


# What renderers are told beside the findings


def test_a_finding_knows_its_artifact_and_whether_it_fails_by_its_policy():
    rules = [rule("a-one", lambda _: [Found("x", path="m/part.pb")])]
    (found,) = of(audit(context("m"), rules))
    (lenient,) = of(audit(context("m", policy={"fail_on": "never"}), rules))
    assert (found.artifact, found.path, found.fails) == ("m", "m/part.pb", True)
    assert not lenient.fails


def test_a_report_says_which_rules_were_asked_and_of_which_artifact_some_were_not():
    rules = [rule("b-file", needs=Needs.FILE), rule("a-artifact", needs=Needs.ARTIFACT)]
    with audit_context(samples.path("stripped.h5"), measure=False) as seen:
        readable = audit(seen, rules)
    unreadable = audit(context("broken.h5"), rules)
    _, summary = conclude([readable, unreadable], fail_on="error", policies={}, rules=rules)
    assert summary.asked == ("b-file", "a-artifact")
    assert [(one.artifact, one.codes) for one in summary.unasked] == [
        ("broken.h5", ("a-artifact",))
    ]


def test_a_report_explains_the_rules_of_its_findings_and_no_others():
    rules = [rule("a-one"), rule("b-quiet", lambda _: []), rule("c-two")]
    _, summary = conclude([audit(context(), rules)], fail_on="error", policies={}, rules=rules)
    assert [one.code for one in summary.explained] == ["a-one", "c-two"]
    assert summary.explained[0].family == "a"
    assert summary.explained[0].fix == rules[0].fix


# --- time ---------------------------------------------------------------------------------------

IN_TIME = dataclasses.replace(DEFAULT, seconds=30, gib_seconds=0)


def spend_all(monkeypatch, module, name):
    """From the first call of a function on, time is past any deadline that was set before."""
    clock, called = time.monotonic, getattr(module, name)
    late = []
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 1000 * len(late))
    monkeypatch.setattr(deadline, "EVERY", 1)

    def calling(*arguments):
        late[:] = [name]
        return called(*arguments)

    monkeypatch.setattr(module, name, calling)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (containers, "sniff"),  # of each file, and each member of a zip
        (auditing_hdf5, "_is_swollen"),
        (configs, "_walk"),
        (run, "_judged"),
    ],
)
def test_time_that_is_up_in_containers_or_rules_is_one_error(module, name, monkeypatch):
    spend_all(monkeypatch, module, name)
    path = samples.path("pruned.keras")
    report = api.audit(path, policy=Policy(), limits=IN_TIME)
    assert [(one.code, one.severity) for one in report.findings] == [("integrity-limit", "error")]
    assert "limit seconds" in report.findings[0].message
    assert report.audit.failed
