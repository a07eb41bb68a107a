import re

import pytest

from inspector.assemble import build_unreadable
from inspector.errors import Truncated
from inspector.render import RENDERERS, RenderOptions
from inspector.render.markdown import code, prose
from inspector.report import report
from tests.builders import artifacts
from tests.builders.artifacts import CASES


def markdown(*built, **options):
    return RENDERERS["markdown"](report("show", built), RenderOptions(**options))


@pytest.mark.parametrize("tensors", [False, True])
def test_markdown_is_as_reviewed(tensors, golden):
    built = [builder().build() for builder in CASES.values()]
    golden(f"cases{'-tensors' if tensors else ''}.md", markdown(*built, tensors=tensors))


@pytest.mark.parametrize("tensors", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_every_row_of_a_table_has_as_many_cells_as_its_head(name, tensors):
    rows = [
        line
        for line in markdown(CASES[name]().build(), tensors=tensors).split("\n")
        if line.startswith("|")
    ]
    # A pipe behind a backslash is no border (GitHub-flavoured Markdown, tables).
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1


def test_a_code_span_is_fenced_by_more_backticks_than_it_holds():
    assert code("a`b``c") == "```a`b``c```"
    assert code("`a") == "`` `a ``"
    assert code("a|b") == "`a\\|b`"


def test_markup_in_prose_means_itself():
    assert prose("*a* <b> [c](d) # @") == r"\*a\* \<b\> \[c\](d) \# \@"
    assert prose("tf_keras _x_") == r"tf_keras \_x\_"


def test_nobody_is_mentioned_and_nothing_linked_by_a_name():
    # GitHub links what is left once escapes and entities are read; an empty comment parts it.
    shown = prose("@all #1 http://x WWW.x.org a@b")
    assert shown == (r"\@<!-- -->all \#<!-- -->1 http:<!-- -->//x WWW<!-- -->.x.org a\@<!-- -->b")


def test_an_unreadable_artifact_is_shown_in_its_place():
    shown = markdown(build_unreadable("a*.h5", Truncated("ends", "a*.h5")))
    assert shown == "**a\\*.h5**: ends\n"


def test_a_newline_in_a_name_breaks_no_table():
    shown = markdown(artifacts.hostile().build())
    assert r"\x0anew" in shown
