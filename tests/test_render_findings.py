"""What an audit found, as text, Markdown and CSV."""

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from inspector.render import RENDERERS, RenderOptions
from inspector.report import report
from tests.builders import findings
from tests.builders.findings import CASES, HOSTILE, audit, finding

ESCAPE = re.compile(r"\x1b\[\d+m")


def rendered(made, style="text", **options):
    return RENDERERS[style](made, RenderOptions(**options))


# As reviewed


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("name", CASES)
def test_text_is_as_reviewed(name, width, golden):
    golden(f"audit-made-{name}-{width}.txt", rendered(CASES[name](), width=width))


@pytest.mark.parametrize("name", CASES)
def test_markdown_is_as_reviewed(name, golden):
    golden(f"audit-made-{name}.md", rendered(CASES[name](), "markdown"))


def test_csv_is_as_reviewed(golden):
    golden("audit-made-usual.csv", rendered(findings.usual(), "csv"))


# The verdict


def test_the_last_line_says_how_it_went():
    last = rendered(findings.usual(), width=200).splitlines()[-2:]
    assert " ".join(line.strip() for line in last) == (
        "Audit failed: 3 errors, 1 warning in 2 of 5 artifacts; 5 rules; "
        "4 not shown: allowed (2), in the baseline (2); fails at error; policy: inspector.toml"
    )


def test_nothing_found_is_said_too():
    assert rendered(findings.clean()) == (
        "clean: plain.keras, lite.tflite\n"
        "Audit passed: nothing found in 2 artifacts; 5 rules; fails at error\n"
    )


@pytest.mark.parametrize(
    ("severities", "said"),
    [
        (("error",), "1 error in 1 artifact;"),
        (("error", "error", "warning"), "2 errors, 1 warning in 1 artifact;"),
        (("warning", "info", "info"), "1 warning, 2 info in 1 artifact;"),
    ],
)
def test_the_verdict_counts_by_severity(severities, said):
    made = audit(tuple(finding(f"a-{at}", one) for at, one in enumerate(severities)))
    assert said in rendered(made)


def test_an_audit_that_never_fails_says_so():
    assert "never fails" in rendered(audit(fail_on="never"))


# Each artifact


def test_each_artifact_has_its_findings_beneath_it_and_the_rest_is_clean():
    lines = rendered(findings.usual(), width=200).splitlines()
    heads = [line for line in lines if re.match(r"\S+: \d", line)]
    assert heads == ["pruned.h5: 2 errors, 1 warning", "export: 1 error"]
    assert "clean: ok.h5, plain.keras, lite.tflite" in lines


def test_a_file_of_an_artifact_is_named_and_stands_beneath_the_artifact():
    text = rendered(findings.usual())
    assert text.index("export: 1 error") < text.index("    in export/keras_metadata.pb\n")


def test_where_it_is_is_said_unless_the_message_says_it():
    text = rendered(findings.usual(), width=200)
    assert "    layer dense, tensor model_weights/dense/dense/kernel:0, byte 9,424\n" in text
    assert text.count("dense/bias") == 1


def test_what_mends_several_findings_in_a_row_is_said_once():
    same = tuple(finding("a-one", message=f"{at} is so", fix="Mend it.") for at in range(3))
    other = finding("b-one", fix="Mend that.")
    text = rendered(audit((*same, other)))
    assert text.count("fix: Mend it.") == 1
    assert text.index("2 is so") < text.index("Mend it.") < text.index("b-one is so")


def test_many_findings_of_one_rule_are_cut_short_and_counted():
    text = rendered(findings.many())
    assert text.count("[a-one]") == 10
    assert "50 more a-one, 50 more b-two and 50 more c-three" in " ".join(text.split())


def test_many_clean_artifacts_are_one_line():
    made = audit(paths=tuple(f"{at}.h5" for at in range(300)))
    assert "clean: 0.h5, 1.h5, 2.h5 and 297 more\n" in rendered(made)


def test_a_finding_of_a_report_without_artifacts_is_under_its_path():
    alone = finding("a-one", artifact=None, path="lost.h5")
    assert rendered(audit((alone,), paths=())).startswith("lost.h5: 1 error\n")


# Width and colour


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("name", CASES)
def test_no_line_is_wider_than_the_terminal(name, width):
    text = rendered(CASES[name](), width=width)
    assert max(map(len, text.splitlines())) <= width


def test_severities_have_colours_and_colours_change_no_word():
    plain, colored = rendered(findings.usual()), rendered(findings.usual(), color=True)
    assert ESCAPE.sub("", colored) == plain
    assert "\x1b[31m  error: 2 pruning" in colored
    assert "\x1b[33m  warning: all 64" in colored
    assert "\x1b" not in plain


# Markdown and CSV


def test_markdown_says_the_verdict_first_and_folds_the_rest_away():
    text = rendered(findings.usual(), "markdown")
    assert text.startswith("**Audit failed: 3 errors, 1 warning in 2 of 5 artifacts;")
    table, _, folded = text.partition("<details>")
    assert table.count("\n| error |") == 3
    assert "Fix: " not in table
    assert folded.count("Fix: ") == 3
    assert text.count("<details>") == text.count("</details>") == 2


def test_markdown_fits_a_comment_however_much_is_found():
    made = findings.many()
    long = tuple(
        replace(one, artifact=f"{at}.h5", evidence="e" * 150, fix="f" * 100)
        for at, one in enumerate(made.findings * 10)
    )
    text = rendered(audit(long, paths=tuple(f"{at}.h5" for at in range(len(long)))), "markdown")
    assert len(text) < 65_536
    assert "570 more errors" in text


def test_csv_has_a_row_a_finding():
    rows = list(csv.DictReader(io.StringIO(rendered(findings.usual(), "csv"))))
    assert [(one["code"], one["severity"], one["fails"]) for one in rows] == [
        ("leftover-pruning", "error", "True"),
        ("number-nan", "error", "True"),
        ("safety-lambda", "error", "True"),
        ("number-constant", "warning", "False"),
    ]
    assert (rows[2]["artifact"], rows[2]["path"]) == ("export", "export/keras_metadata.pb")
    assert rows[1]["offset"] == "9424"


# Hostile names


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("width", [40, 200])
def test_no_name_steers_a_terminal_or_breaks_a_line(name, width):
    text = rendered(findings.hostile(name), width=width)
    assert all(char == "\n" or char.isprintable() for char in text)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_markup(name):
    text = rendered(findings.hostile(name), "markdown")
    unescaped = re.sub(r"\\.", "", text)
    plain = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", unescaped)
    assert set(re.findall(r"<[^>]*>", plain)) <= {
        "<details>", "<summary>", "</summary>", "</details>", "<br>", "<!-- -->"
    }  # fmt: skip
    # Between the tags of a summary nothing but HTML means anything.
    assert "](" not in re.sub(r"<summary>.*</summary>", "", plain)
    assert text.count("\n| error |") == text.count("\n| warning |") == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_a_formula(name):
    for row in csv.reader(io.StringIO(rendered(findings.hostile(name), "csv"))):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60), st.sampled_from([40, 80, 200]))
def test_any_name_fits_every_way_of_showing_it(name, width):
    made = findings.hostile(name)
    assert max(map(len, rendered(made, width=width).splitlines())) <= width
    assert rendered(made, "markdown")
    assert len(list(csv.reader(io.StringIO(rendered(made, "csv"))))) == 3


@pytest.mark.parametrize("style", ["text", "markdown", "sarif", "junit", "github"])
def test_a_report_of_no_audit_has_nothing_of_one(style):
    assert rendered(report("audit"), style).strip() == ""
