"""No name in a file steers a terminal, breaks a table, or becomes markup, a formula or a command.

Artifacts of every format, with hostile text wherever they can hold a name, through every command in
every format.
"""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import os
import re
import shutil
import unicodedata
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import inspector
from inspector.cli.environment import Environment
from inspector.cli.progress import progress
from tests.builders import bundles, saved_models, tflite
from tests.builders.hdf5 import sequential, v3_store, weights_file, whole_model
from tests.builders.keras import h5_weights, keras_folder, keras_zip, members, npz_weights, sharded
from tests.builders.pages import assert_page
from tests.builders.samples import SAMPLES
from tests.builders.terminal import Stream, call

# A colour, a C1 control, C0 ones, bidi marks, zero widths, a tag, a line separator, what Markdown,
# HTML, GitHub and GitHub's runner take for markup, wide characters and combining ones.
PARTS = (
    "=cmd|' /C calc'!A1", "\x1b[31m", "\x9b2J", "\r\n\t\b\x07", "\u202e\u2066\u200b\u200d\ufeff",
    "\U000e0041\u2028\x85", "|`*_#", "<b>&amp;</b>", "[x](http://x)", "@all #1", "::error::%0A",
    "層e\u0301",
)  # fmt: skip
EVIL = "".join(PARTS)
NAMES = (EVIL, *(f"{part}{at}" for at, part in enumerate(PARTS)), f"+{EVIL * 9}")
RNG = np.random.default_rng(0)


def values(*sides: int) -> np.ndarray:
    return RNG.standard_normal(sides, dtype="f4")


def unsplit(name: str) -> str:
    """The name without what would make several of it in a path."""
    return name.replace("/", "_")


# --- artifacts ---


def config(inside: str = "\ud800") -> dict:
    """A model's config, hostile in keys and values; JSON can hold a lone surrogate too."""
    layers = [
        (f"Dense{inside}" if at % 2 else "Dense", unsplit(name), {"units": 3, name: [name, inside]})
        for at, name in enumerate(NAMES)
    ]
    found = sequential(*layers, ("StringLookup", "look", {"vocabulary": list(NAMES)}))
    found["config"]["name"] = EVIL + inside
    found["registered_name"] = f"{EVIL}>{inside}"
    found["compile_config"] = {"optimizer": EVIL, "loss": {EVIL: [EVIL]}, "metrics": [EVIL]}
    return found


def layers() -> dict:
    return {
        unsplit(name): {f"{unsplit(name)}/kernel:0": values(4, 3), f"{unsplit(name)}:0": values(3)}
        for name in NAMES
    }


def legacy(folder: Path) -> str:
    slots = {unsplit(name): values(3) for name in NAMES}
    training = {"optimizer_config": {"class_name": EVIL, "config": {EVIL: EVIL}}, "loss": NAMES}
    path = whole_model(folder / unsplit(f"{EVIL}.h5"), layers(), config(), training, slots)
    return attributes(path)


def attributes(path: str) -> str:
    import h5py

    with h5py.File(path, "r+") as file:
        for key in ("keras_version", "backend", EVIL):
            file.attrs[key] = EVIL
        for at, name in enumerate(NAMES):
            place = f"more/{unsplit(name)}"
            file.create_dataset(place, data=values(2)).attrs[name] = name
            file[f"links/{unsplit(name)}"] = h5py.SoftLink(f"/{unsplit(name)}{at}")
            file[f"far/{unsplit(name)}"] = h5py.ExternalLink(EVIL, EVIL)
        file.create_dataset("strings", data=np.array([EVIL.encode()] * 3))
    return path


def weights(folder: Path) -> str:
    return attributes(weights_file(folder / "m.weights.h5", layers()))


def store(folder: Path) -> str:
    objects = {f"layers/{unsplit(name)}": [values(4, 3), values(3)] for name in NAMES}
    return attributes(v3_store(folder / unsplit(f"{EVIL[:40]}.weights.h5"), objects))


def keras3(weights: bytes, name: str) -> dict[str, bytes]:
    parts = members(weights, name)
    parts["config.json"] = json.dumps(config()).encode()
    parts["metadata.json"] = json.dumps({"keras_version": EVIL, "date_saved": EVIL}).encode()
    for one in NAMES:
        parts[f"assets/{unsplit(one)[:60]}/vocabulary.txt"] = EVIL.encode()
    return parts


def objects() -> dict:
    return {f"layers/{unsplit(name)}": [values(4, 3), values(3)] for name in NAMES}


def archive(folder: Path) -> str:
    return keras_zip(
        folder / unsplit(f"{EVIL}.keras"),
        keras3(h5_weights(folder, objects()), "model.weights.h5") | {f"../{EVIL}": b"x"},
    )


def npz(folder: Path) -> str:
    return keras_zip(folder / "n.keras", keras3(npz_weights(objects()), "model.weights.npz"))


def unpacked(folder: Path) -> str:
    content = keras3(h5_weights(folder, objects()), "model.weights.h5")
    return keras_folder(folder / unsplit(EVIL), content)


def shards(folder: Path) -> str:
    parts = {f"{unsplit(name)[:40]}_{at}.h5": objects() for at, name in enumerate(NAMES[:3])}
    return sharded(folder, parts, None)


def checkpoint(folder: Path) -> str:
    items = [
        bundles.Item(f"{name}/.ATTRIBUTES/VARIABLE_VALUE".encode(), values(3).tobytes(), 1, (3,))
        for name in sorted(NAMES)
    ]
    items += [bundles.Item(f"{name}/Adam".encode(), values(3).tobytes(), 1, (3,)) for name in NAMES]
    data, crc = bundles.strings(*(one.encode() for one in NAMES[:3]))
    items.append(bundles.Item(f"s{EVIL}".encode(), data, saved_models.STRING, (3,), crc=crc))
    items.append(
        saved_models.trackable(
            (dict.fromkeys(NAMES, 1), None),
            ({EVIL: 0}, (EVIL, f"{NAMES[0]}/.ATTRIBUTES/VARIABLE_VALUE")),
        )
    )
    prefix = unsplit(EVIL)
    for name, content in bundles.bundle(*items, prefix=prefix).items():
        (folder / name).write_bytes(content)
    return str(folder / prefix)


def graph() -> bytes:
    nodes = [saved_models.const(f"usual{at}", [1.0]) for at in range(64)]
    nodes += [saved_models.const(name, [1.0, 2.0]) for name in NAMES]
    nodes += [saved_models.node(f"n{name}", name, *NAMES, **{EVIL: b""}) for name in NAMES]
    nodes += [
        saved_models.node(f"m{at}", "MatMul", "x", name, T=saved_models.dtype(1))
        for at, name in enumerate(NAMES)
    ]
    nodes.append(saved_models.node("call", "PartitionedCall", f=saved_models.called(EVIL)))
    nodes.append(saved_models.node(f"read{EVIL}", "ReadFile", EVIL))
    body = [saved_models.const(EVIL, [1.0]), saved_models.node("py", "PyFunc", token=EVIL.encode())]
    return saved_models.graph(nodes, [saved_models.function(EVIL, NAMES, body, {EVIL: EVIL})])


def saved_model(folder: Path) -> str:
    sides = {name: saved_models.tensor_info(name, (2, 3)) for name in NAMES}
    held = saved_models.object_graph(
        [
            saved_models.saved_object(saved_models.user_object(EVIL, json.dumps(config())))
            + b"".join(
                bundles.chunk(1, bundles.number(1, 1) + bundles.chunk(2, one.encode()))
                for one in NAMES
            ),
            saved_models.saved_object(saved_models.variable(EVIL, 4, 3)),
            saved_models.saved_object(saved_models.user_object(f"_tf_keras_layer{EVIL}", EVIL)),
        ],
        {EVIL: [1]},
    )
    meta = saved_models.meta_graph(
        graph(),
        tags=NAMES,
        signatures={name: saved_models.signature(sides, sides) for name in NAMES},
        collections=[saved_models.collection(EVIL, saved_models.variable_def(EVIL, EVIL))],
        assets=[saved_models.asset(EVIL)],
        objects=held,
        version=EVIL,
    )
    files = {
        f"assets/{unsplit(EVIL)}": EVIL.encode(),
        f"assets.extra/{unsplit(EVIL)}.py": b"import os",
        unsplit(EVIL): b"",
        "keras_metadata.pb": EVIL.encode(),
    }
    items = [
        bundles.Item(f"{name}/.ATTRIBUTES/VARIABLE_VALUE".encode(), values(3).tobytes(), 1, (3,))
        for name in NAMES
    ]
    path = saved_models.write(folder / unsplit(f"s{EVIL}"), meta, items=items, files=files)
    os.symlink(EVIL[:30], os.path.join(path, f"link{unsplit(EVIL)[:60]}"))
    return path


def frozen(folder: Path) -> str:
    path = folder / unsplit(f"{EVIL}.pb")
    path.write_bytes(graph())
    return str(path)


def lite(folder: Path) -> str:
    tensors = [
        tflite.tensor(name, (3,), "float32", at + 1, shape_signature=[-1])
        for at, name in enumerate(NAMES)
    ]
    operators = [
        tflite.op(f"custom:{name}", [at], [at], custom_options=list(EVIL.encode()))
        for at, name in enumerate(NAMES)
    ]
    content = tflite.model(
        tflite.graph(tensors, operators, [0], [1], EVIL),
        tflite.graph(tensors[:2], name=EVIL),
        buffers=[values(3) for _ in NAMES],
        description=EVIL,
        metadata=[{"name": name, "buffer": 1} for name in NAMES],
        signature_defs=[
            {
                "signature_key": EVIL,
                "inputs": [{"name": EVIL, "tensor_index": 0}],
                "outputs": [{"name": EVIL, "tensor_index": 1}],
                "subgraph_index": 0,
            }
        ],
    )
    path = folder / unsplit(f"{EVIL}.tflite")
    path.write_bytes(content)
    return str(path)


def replaced(content: bytes, part: int) -> bytes:
    """A third of all words in a binary file, each wherever it stands, as hostile and as long."""

    def evil(found: re.Match[bytes]) -> bytes:
        word = found[0]
        if zlib.crc32(word) % 3 != part:
            return word
        text = itertools.cycle(PARTS[1:])
        said = b""
        while len(said) < len(word):
            said += next(text).encode()
        return said[: len(word)]

    return re.sub(rb"[A-Za-z_]{5,}", evil, content)


def sample(name: str, file: str, part: int):
    def make(folder: Path) -> str:
        path = folder / "m"
        copy = shutil.copytree if os.path.isdir(os.path.join(SAMPLES, name)) else shutil.copy
        copy(os.path.join(SAMPLES, name), path)
        target = path / file if file else path
        target.write_bytes(replaced(target.read_bytes(), part))
        return str(path)

    make.__name__ = f"{name}-{part}"
    return make


FILES = (
    ("saved_adam", "saved_model.pb"), ("frozen_convnet.pb", ""), ("lite_dynamic.tflite", ""),
    ("frozen_tiny.pbtxt", ""), ("pruned.h5", ""), ("k3_dir", "config.json"),
)  # fmt: skip
HAND_MADE = (
    legacy, weights, store, archive, npz, unpacked, shards, checkpoint, saved_model, frozen, lite,
)  # fmt: skip
SAMPLED = tuple(sample(name, file, part) for name, file in FILES for part in range(3))


# --- what is held ---

FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def columns(line: str) -> int:
    """How many a terminal takes for it (Unicode Standard Annex 11; combining characters none)."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in line
    )


def assert_harmless(text: str, end: str = "\n") -> None:
    text.encode("utf-8")  # no lone surrogates
    wrong = {char for char in text.replace(end, "") if unicodedata.category(char) in FORBIDDEN}
    assert not wrong, (wrong, text[:2000])


def assert_text(text: str) -> None:
    assert_harmless(text)
    for line in text.split("\n"):
        assert columns(line) <= 100, line


def assert_json(text: str) -> None:
    assert_harmless(text)
    json.loads(text)


def assert_csv(text: str) -> None:
    assert_harmless(text, "\r\n")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len({len(row) for row in rows}) == 1
    for cell in itertools.chain.from_iterable(rows):
        # What a spreadsheet takes for a formula (OWASP, "CSV Injection"), but for numbers.
        if cell[:1] in tuple("=+-@\t\r\n") and cell:
            float(cell)


# GitHub-flavoured Markdown: code spans mean themselves, and escaped characters are no markup; but
# who is mentioned, issues and addresses are looked for in what is left (github/markup#1168).
TOKEN = re.compile(r"\\([!-/:-@\[-`{-~])|(`+)(?!`).*?(?<!`)\2(?!`)")
OURS = re.compile(r"^<details><summary>|^</details>$|</summary>$|<br>|<!-- -->")
LINKS = re.compile(r"@\w|#\d|://|www\.", re.IGNORECASE)


def assert_markdown(text: str) -> None:
    assert_harmless(text)
    width, fence = 0, ""
    for line in text.split("\n"):
        marks = re.match("`{3,}|", line)[0]
        if fence or marks:
            fence = "" if marks and len(marks) >= len(fence) > 0 else fence or marks
            continue
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not width or not cells or cells == width, line
        width = cells
        shown = TOKEN.sub(lambda found: found[1] or "", line)
        assert not LINKS.search(html.unescape(shown)), line
        # Markdown means nothing in the line of a tag.
        markup = OURS.sub("", TOKEN.sub("", line))
        assert not re.search(r"<[a-zA-Z/!]", markup), line
        assert line.startswith("<details>") or not re.search(r"\]\(|`", markup), line
    assert not fence


def assert_github(text: str) -> None:
    assert_harmless(text)
    for line in text.splitlines():
        assert re.match(r"::(error|warning|notice) (?:file=[^:]*,)?title=[^:]*::", line), line


def assert_xml(text: str) -> None:
    assert_harmless(text)
    ET.fromstring(text)


HELD = {
    "text": assert_text,
    "json": assert_json,
    "csv": assert_csv,
    "markdown": assert_markdown,
    "sarif": assert_json,
    "junit": assert_xml,
    "github": assert_github,
    "html": assert_page,
}
REPORTS = ("text", "json", "csv", "markdown")


def run(held, *arguments: str) -> None:
    done = call(*arguments)
    assert done.code in (0, 1), (arguments, done)
    held(done.out)
    assert_harmless(done.err)


def every_command(path: str, other: str, names: list[str]) -> None:
    for form in REPORTS:
        as_form = ("--format", form)
        run(HELD[form], "show", path, "--digest", *as_form)
        run(HELD[form], "show", path, "--tensors", *as_form)
        run(HELD[form], "reconcile", path, *as_form)
        run(HELD[form], "reconcile", path, other, *as_form)
        run(HELD[form], "diff", path, other, "--all", *as_form)
        run(HELD[form], "diff", other, path, *as_form)
        for name in names:
            run(HELD[form], "explain", *as_form, path, "--", name)
    for arguments in (("show", path), ("reconcile", path, other), ("diff", path, other, "--all")):
        run(assert_page, *arguments, "--format", "html")
    run(assert_text, "show", path, "--no-measure", "--width", "60")
    run(assert_harmless, "show", path, "--stable")
    run(assert_text, "diff", path, other, "--stat")
    run(assert_text, "diff", path, other, "--bytes")
    for form, held in HELD.items():
        run(held, "audit", path, "--no-policy", "--no-isolate", "--format", form)


@pytest.mark.parametrize("make", HAND_MADE, ids=lambda make: make.__name__)
def test_hostile_names_wherever_a_format_holds_one(make, tmp_path):
    path = make(tmp_path)
    with inspector.open(path) as opened:
        names = [one.name for one in opened.artifact.tensors]
    hostile = [name for name in names if "<b>" in name]
    assert hostile
    (tmp_path / "other").mkdir()
    every_command(path, legacy(tmp_path / "other"), hostile[:2])


@pytest.mark.parametrize("make", SAMPLED, ids=lambda make: make.__name__)
def test_hostile_words_in_place_of_a_samples_own(make, tmp_path):
    path = make(tmp_path)
    for arguments, held in (
        (("show", "--tensors"), assert_text),
        (("show", "--stable"), assert_harmless),
        (("show", "--format", "json"), assert_json),
        (("show", "--format", "markdown"), assert_markdown),
        (("audit", "--no-policy", "--no-isolate"), assert_text),
        (("audit", "--no-policy", "--no-isolate", "--format", "github"), assert_github),
    ):
        done = call(arguments[0], path, *arguments[1:])
        assert done.code in (0, 1, 2), done
        assert_harmless(done.err)
        if done.out:
            held(done.out)


@pytest.mark.parametrize("command", ["show", "audit", "reconcile", "explain", "diff"])
def test_a_hostile_name_of_what_cannot_be_read_is_one_harmless_line(command, tmp_path):
    path = tmp_path / unsplit(f"{EVIL}.h5")
    more = {"explain": ("kernel",), "diff": (str(path),)}.get(command, ())
    for content in (None, b"no model", b"\x89HDF\r\n\x1a\n"):
        if content is not None:
            path.write_bytes(content)
        done = call(command, str(path), *more)
        assert done.code in (1, 2)
        assert_text(done.out)
        assert_harmless(done.err)
        assert command == "audit" or done.err.count("\n") == 1


def test_hostile_arguments_are_said_harmlessly(tmp_path):
    path = legacy(tmp_path)
    for arguments in (
        ("explain", path, EVIL),
        ("show", path, f"--{EVIL}"),
        ("show", path, "--format", EVIL),
        ("audit", path, "--select", EVIL),
        ("diff", path, path, "--only", EVIL),
        ("show", path, "-o", str(tmp_path / unsplit(EVIL) / "report")),
        ("rules", EVIL),
    ):
        done = call(*arguments)
        assert done.code == 2, arguments
        assert_harmless(done.err)


def test_a_progress_bar_says_nothing_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("inspector.cli.progress._DELAY", 0.0)
    env = Environment(Stream(), Stream(terminal=True), {})
    inspector.show(legacy(tmp_path), progress=progress(env, quiet=False))
    shown = env.stderr.getvalue()
    assert "measuring" in shown
    assert_harmless(shown.replace("\r", ""))
