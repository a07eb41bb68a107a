"""What `make docs` does beyond mkdocs.yml: pages from the top of the checkout, and links to them.

SECURITY.md and its like stay where a checkout is looked at first, and are pages of the site as
well. A link is written for the checkout ("../SECURITY.md") and is turned to where the site has it.
"""

from __future__ import annotations

import posixpath
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# In the checkout -> in the site.
PLACES = {
    "SECURITY.md": "project/security.md",
    "ARCHITECTURE.md": "project/architecture.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "LICENSE": "project/license.txt",
    "action.yml": "project/action.yml",
    "inspector/schema/report-1.0.json": "reference/report-1.0.json",
}
_HOME = {site: checkout for checkout, site in PLACES.items()}
_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[#)])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of PLACES."""
    top = posixpath.dirname(config.docs_dir)
    for checkout, site in PLACES.items():
        files.append(File.generated(config, site, abs_src_path=posixpath.join(top, checkout)))
    return files


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Give the search dialog the name that the theme leaves out, for who hears the page."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"', 1)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the checkout into links between pages."""
    here = page.file.src_uri
    home = _HOME.get(here, f"docs/{here}")

    def turned(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(home), match[1]))
        place = PLACES.get(target, target.removeprefix("docs/"))
        return posixpath.relpath(place, posixpath.dirname(here) or ".")

    return _LINK.sub(turned, markdown)
