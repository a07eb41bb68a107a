"""Runs the notebooks of docs/notebooks, and writes what they show as Markdown beside them.

python scripts/make_notebooks.py            write docs/notebooks/*.md
python scripts/make_notebooks.py --check    exit 1 where one of them would change

Notebooks are kept without outputs; the pages have them, and are what the documents show.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
_KERNEL = "inspect"
_SECONDS = 120  # for one cell: its imports, on a busy machine
_OURS = '<div class="tfi-card'
# A card brings its style along: a page needs one.
_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)


def run(path: Path) -> Any:
    """The notebook with its outputs, run by this Python whatever kernels are installed.

    Nothing goes over a network where there are sockets in files.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder, "kernels", _KERNEL)
        spec.mkdir(parents=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        said = {"argv": argv, "display_name": _KERNEL, "language": "python"}
        (spec / "kernel.json").write_text(json.dumps(said), "utf-8")
        manager = AsyncKernelManager(
            kernel_name=_KERNEL,
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(spec.parent)]),
            connection_file=str(Path(folder, "at.json")),
            **({"transport": "ipc", "ip": str(Path(folder, "at"))} if os.name == "posix" else {}),
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=_SECONDS,
            resources={"metadata": {"path": str(path.parent)}},
        )
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        client.execute(
            env={
                **os.environ,
                "IPYTHONDIR": folder,
                "JUPYTER_CONFIG_DIR": folder,
                "JUPYTER_PLATFORM_DIRS": "1",
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            }
        )
    return notebook


def page(notebook: Any, name: str) -> str:
    """It as Markdown: our own cards as HTML, all other outputs as text."""
    parts = [
        f"<!-- made by scripts/make_notebooks.py of {name} -->",
        *(part for cell in notebook.cells for part in _cell(cell)),
    ]
    text = "\n\n".join(parts)
    first = _STYLE.search(text)
    rest = text[first.end() :] if first else ""
    return (text[: first.end()] + _STYLE.sub("", rest) if first else text) + "\n"


def _cell(cell: Any) -> list[str]:
    if cell.cell_type == "markdown":
        return [cell.source]
    outputs = (_output(one) for one in cell.outputs)
    return [f"```python\n{cell.source}\n```", *filter(None, outputs)]


def _output(output: Any) -> str:
    data = output.get("data", {})
    html = data.get("text/html", "")
    if html.startswith(_OURS):
        return html
    text = output.get("text") or data.get("text/plain", "")
    lines = "\n".join(line.rstrip() for line in text.rstrip().splitlines())
    return f"```text\n{lines}\n```" if lines else ""


def main() -> int:
    stale = []
    for path in NOTEBOOKS:
        made, target = page(run(path), path.name), path.with_suffix(".md")
        if target.exists() and target.read_text("utf-8") == made:
            continue
        stale.append(target.name)
        if "--check" not in sys.argv[1:]:
            target.write_text(made, "utf-8")
    if stale and "--check" in sys.argv[1:]:
        print("\n".join(f"{name} is not what the notebook shows" for name in stale))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
