"""The site that `make docs` builds: its links lead somewhere, and it asks for no network."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import click
import pytest

import inspector
from inspector.cli.main import COMMANDS, group
from inspector.model import Role
from inspector.remote import failures, storages

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
WRITTEN = [
    DOCS / "index.md",
    DOCS / "tutorial.md",
    *sorted((DOCS / "howto").glob("*.md")),
    *sorted((DOCS / "explanation").glob("*.md")),
]
# A page of these fetches what they name; a link in it only leads there.
FETCHES = {"script", "img", "iframe", "source", "embed", "audio", "video", "object"}
LOUD = {"error", "warning"}
STYLES = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "manifest"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@dataclass
class Parsed(HTMLParser):
    """What the tests ask of a page."""

    title: str = ""
    headings: int = 0
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    inside: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag, attrs):
        has = dict(attrs)
        self.inside = tag
        self.headings += tag == "h1"
        self.anchors |= {has[name] for name in ("id", "name") if has.get(name)}
        target = has.get("href") or has.get("src") or has.get("data") or ""
        if target and tag in FETCHES | {"a", "link", "area"}:
            self.links.append(target)
            rel = set((has.get("rel") or "").split())
            if tag in FETCHES or (tag == "link" and rel & STYLES):
                self.fetched.append(target)

    def handle_data(self, data):
        if self.inside == "title":
            self.title += data.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, str]:
    """The site's folder, and what was said while it was built."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(built) -> dict[str, Parsed]:
    """Each page, by its path in the site."""
    folder, _ = built
    pages = {}
    for path in sorted(folder.rglob("*.html")):
        parsed = Parsed()
        parsed.feed(path.read_text("utf-8"))
        pages[path.relative_to(folder).as_posix()] = parsed
    pages.pop("404.html", None)  # its links are from the top of a server
    return pages


def test_the_build_warns_of_nothing(built):
    assert "WARNING" not in built[1]
    assert "ERROR" not in built[1]


def test_every_document_is_a_page(site):
    expected = {path.relative_to(DOCS).with_suffix(".html").as_posix() for path in PAGES}
    assert expected <= set(site)


def test_links_and_anchors_lead_somewhere(built, site):
    folder, _ = built
    lost, outside = [], set()
    for page, parsed in site.items():
        for link in parsed.links:
            if re.match(r"(https?|mailto):", link):
                outside.add(link)
                continue
            path, anchor = urldefrag(unquote(link))
            target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            known = site.get(target)
            if not (folder / target).is_file() or (
                anchor and known and anchor not in known.anchors
            ):
                lost.append(f"{page}: {link}")
    print(*sorted(outside), sep="\n")
    assert lost == []
    assert all(link.startswith("https://") for link in outside)


def test_nothing_is_fetched_from_elsewhere(built, site):
    folder, _ = built
    fetched = [(page, one) for page, parsed in site.items() for one in parsed.fetched]
    assert fetched
    assert [one for one in fetched if re.match(r"(\w+:)?//", one[1])] == []
    for style in folder.rglob("*.css"):
        text = style.read_text("utf-8")
        assert not re.search(r"@import|url\(['\"]?(https?:)?//", text), style


def test_each_page_has_a_title_and_one_heading(site):
    assert {page: parsed.headings for page, parsed in site.items() if parsed.headings != 1} == {}
    titles = [parsed.title for parsed in site.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


def test_it_can_be_read_and_searched_from_a_disk_in_a_browser(built):
    from playwright.sync_api import sync_playwright

    from tests.browser.driving import NARROW, WIDE, launch
    from tests.browser.probes import barriers, too_wide

    here = built[0].as_uri()
    asked: list[str] = []
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for scheme, size in (("light", WIDE), ("dark", NARROW)):
            context = browser.new_context(viewport=size, color_scheme=scheme)
            page = context.new_page()
            page.on("request", lambda one: asked.append(one.url))
            page.on("console", lambda one: one.type in LOUD and said.append(one.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            for name in ("index", "reference/json", "explanation/counts", "tutorial"):
                page.goto(f"{here}/{name}.html")
                assert too_wide(page) == [], name
            page.locator("[for=__search]:visible, .md-search__input:visible").first.click()
            page.locator(".md-search__input").press_sequentially("threshold")
            page.locator(".md-search-result__item").first.wait_for(timeout=20_000)
            assert said == []
            assert [url for url in asked if not url.startswith((here, "data:"))] == []
            probed = context.new_page()  # axe reads the styles once more, and is refused
            for name in ("tutorial", "explanation/counts"):
                probed.goto(f"{here}/{name}.html")
                assert barriers(probed) == [], name
        browser.close()


# What the pages say


# Numbers that no command prints: of the question, of the model's definition, of tfmot, of NumPy.
GIVEN = {
    "index.md": {1354},
    "pruning.md": {64, 999},
    "storage.md": {*failures.PASSING, *failures.REFUSING, int(storages.PATIENCE)},
    "zero.md": {168},
}
EQUATION = re.compile(r"[\d,]+(?: [-+×] [\d,]+)+ = [\d,]+|[\d,]+ = [\d,]+(?: [-+×] [\d,]+)+")
NUMBER = re.compile(r"(?<![\w.])\d{1,3}(?:,\d{3})+(?![\d.]\d)|(?<![\w.,])\d+(?![\w.]\d|\w)")


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_each_number_was_printed_or_follows_from_what_was(page):
    text = page.read_text("utf-8")
    prose = re.sub(r"(?ms)^```.*?^```$|`[^`]*`|\]\([^)]*\)", " ", text)
    known = set(_numbers(" ".join(re.findall(r"(?ms)^```console\n.*?^```$", text))))
    known |= GIVEN.get(page.name, set())
    for equation in EQUATION.findall(prose):
        left, right = (_value(side.strip(", ")) for side in equation.split("="))
        assert left == right, equation
        known |= set(_numbers(equation))
    unknown = {one for one in _numbers(prose) if one not in known and one >= 20}
    assert unknown == set()


def _numbers(text: str) -> Iterator[int]:
    yield from (int(one.replace(",", "")) for one in NUMBER.findall(text))


def _value(side: str) -> int:
    """Sums and products of whole numbers."""
    return eval(side.replace(",", "").replace("×", "*"))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_each_command_of_a_recipe_is_one(page):
    for block in re.findall(r"(?ms)^```(?:sh|make)\n(.*?)^```$", page.read_text("utf-8")):
        for line in re.findall(r"(?m)^\s*(inspect [^>|\n]*)", block):
            words = shlex.split(re.sub(r"\$\((\w+)\)", r"\1", line), comments=True)[1:]
            if words == ["--version"] or "..." in words:
                continue
            name = words[0] if words[0] in COMMANDS else "show"
            command = group.get_command(click.Context(group), name)
            arguments = words[words[0] in COMMANDS :]
            command.make_context(name, arguments, parent=click.Context(group))


@pytest.mark.parametrize(
    "page", ["howto/notebooks.md", "explanation/zero.md", "explanation/pruning.md"]
)
def test_python_that_is_shown_gives_what_stands_beside_it(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    checked = 0
    for block in re.findall(r"(?ms)^```python\n(.*?)^```$", (DOCS / page).read_text("utf-8")):
        exec(compile(block, page, "exec"), names)
        for shown, comment in re.findall(r"(?m)^(\S.*?)\s{2,}# (.+)$", block):
            try:
                expected = ast.literal_eval(comment)
            except (ValueError, SyntaxError):
                continue
            assert eval(shown, names) == expected, shown
            checked += 1
    assert checked


def test_the_makefile_that_is_shown_stops_a_wrapped_model(tmp_path):
    page = (DOCS / "howto" / "makefile.md").read_text("utf-8")
    (tmp_path / "Makefile").write_text(re.findall(r"(?ms)^```make\n(.*?)^```$", page)[0])
    command = tmp_path / "inspect"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m inspector "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    (tmp_path / "build").mkdir()
    for sample, code in (("pruned.h5", 2), ("stripped.h5", 0)):
        (tmp_path / "build" / "model.h5").write_bytes(
            (ROOT / "sample_models" / sample).read_bytes()
        )
        done = subprocess.run(
            ["make", "audit-model"], cwd=tmp_path, env=environment, capture_output=True, check=False
        )
        assert done.returncode == code, done.stderr


def test_every_role_is_explained():
    page = (DOCS / "explanation" / "roles.md").read_text("utf-8")
    assert {f"`{role.value}`" for role in Role} <= set(re.findall(r"(?m)^\| (`\w+`) \|", page))


def test_every_label_of_bytes_is_explained():
    page = (DOCS / "explanation" / "bytes.md").read_text("utf-8")
    samples = (
        "pruned.h5 k3.keras k3_npz.keras k3_normalization.keras k3_sharded.weights.json saved_adam"
        " saved_export saved_module ckpt_manager ckpt_v1 frozen_tiny.pb lite_metadata.tflite"
        " lite_sparse.tflite lite_lstm.tflite lite_compiled.tflite"
    )
    paths = [str(ROOT / "sample_models" / name) for name in samples.split()]
    shown = inspector.show(paths, measure=False).artifacts
    tensors = {"copies", "statistics", "counters", "constants", "metrics", "lookup tables"}
    labels = {label for artifact in shown for label in artifact.bytes} - tensors
    assert len(labels) > 25
    assert {label for label in labels if not re.search(rf"\b{label}\b", page)} == set()


def test_every_variable_that_is_read_is_in_the_reference():
    page = (DOCS / "reference" / "environment.md").read_text("utf-8")
    source = " ".join(path.read_text("utf-8") for path in (ROOT / "inspector").rglob("*.py"))
    named = set(re.findall(r"\bINSPECT_[A-Z_]+\b", source))
    cli = (ROOT / "inspector" / "cli" / "environment.py").read_text("utf-8")
    named |= set(re.findall(r'"([A-Z]{3}[A-Z_]*)"', cli))
    assert len(named) > 5
    assert {name for name in named if f"`{name}`" not in page} == set()


def test_every_field_of_the_report_is_described():
    page = (DOCS / "reference" / "json.md").read_text("utf-8")
    schema = json.loads((ROOT / "inspector/schema/report-1.0.json").read_text("utf-8"))["$defs"]
    fields = sum(len(one.get("properties", {})) for one in schema.values())
    rows = re.findall(r"(?m)^\| `\w+` \| .* \| (?:yes)? ?\| (.*) \|$", page)
    assert len(rows) == fields
    assert all(row.strip() for row in rows), "say it in the type's docstring (field: words)"


def test_docstrings_that_speak_of_names_become_lists(built):
    page = (built[0] / "reference" / "python.html").read_text("utf-8")
    text = re.sub(r"<[^>]+>", "", page)
    # Of `show`: "measure: read the values (zeros, range, patterns); digest: read them, and ..."
    assert "\nmeasure: read the values (zeros, range, patterns).\ndigest: read them, and" in text
    # A word that is no parameter stays a word, and what is raised is no part of the last name.
    assert re.search(r"\nallow_code: [^\n]*\bRaises", text) is None


def test_every_public_name_is_in_the_reference(built):
    page = (built[0] / "reference" / "python.html").read_text("utf-8")
    names = set(inspector.__all__) - {"__version__"}
    assert {
        name for name in names if f"inspector.{name}" not in re.sub("<[^>]+>", "", page)
    } == set()
