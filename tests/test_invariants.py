"""What holds for the whole package, read from its source and seen from outside.

The contracts of `pyproject.toml` say who may import whom; these say what nobody may do.
"""

import ast
import os
import re
import subprocess
import sys

import pytest

import inspector
from inspector.errors import ArtifactError
from tests.builders import samples

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = os.path.join(ROOT, "inspector")
SAMPLES = os.path.join(ROOT, "sample_models")
# Scripts that run in a process of their own, with real TensorFlow.
OUTSIDE = ("live/scripts/",)


def modules(*under):
    """(path from the package, tree) of each module, or of those under some folders."""
    for folder, _, files in os.walk(PACKAGE):
        for name in sorted(files):
            path = os.path.join(folder, name)
            short = os.path.relpath(path, PACKAGE).replace(os.sep, "/")
            if not name.endswith(".py") or short.startswith(OUTSIDE):
                continue
            if under and not short.startswith(under):
                continue
            with open(path, encoding="utf-8") as file:
                yield short, ast.parse(file.read(), path)


def imports(tree):
    """(dotted module, imported name or None) of every import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.module or "", alias.name


def at_run_time(tree):
    """The tree without what only type checkers see."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return tree


def called(tree):
    """(what is called, as written; the call) of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def own_functions(tree):
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def references(tree, word):
    return [
        node
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == word)
        or (isinstance(node, ast.Attribute) and node.attr == word)
    ]


def test_the_walk_over_the_package_sees_it():
    names = {name for name, _ in modules()}
    assert {"storage.py", "read/keras_h5.py", "classify/rule.py", "cli/main.py"} <= names


# --- who does what ------------------------------------------------------------------------------


def test_readers_assign_no_roles():
    for name, tree in modules("read/", "wire/", "storage.py", "detect.py"):
        assert not {"Role", "Verdict"} & {imported for _, imported in imports(tree)}, name
        assert not references(tree, "Role"), name
        assert not any(module.startswith("inspector.classify") for module, _ in imports(tree)), name


def test_rules_do_no_io_and_look_at_no_values():
    for name, tree in modules("classify/", "keras/"):
        for module, _ in imports(tree):
            top, _, rest = module.partition(".")
            # What places the nodes of an object graph knows them, as plain values.
            if name.startswith("keras/objects") and rest == "wire.object_graph":
                continue
            assert top not in {"os", "io", "mmap", "h5py", "zipfile", "pathlib", "socket"}, name
            assert rest.partition(".")[0] not in {
                "storage",
                "payloads",
                "read",
                "wire",
                "measure",
            }, name
        assert not references(tree, "payload"), name
        assert not references(tree, "blocks"), name


def test_renderers_compute_nothing():
    steps = {
        "measure",
        "count",
        "read",
        "classify",
        "detect",
        "storage",
        "payloads",
        "wire",
        "api",
        "keras",
    }
    for name, tree in modules("render/"):
        for module, _ in imports(at_run_time(tree)):
            top, _, rest = module.partition(".")
            assert rest.partition(".")[0] not in steps or top != "inspector", f"{name}: {module}"
            assert top not in {"numpy", "h5py"}, name


OPENERS = {
    "os.open", "os.fdopen", "io.open", "io.FileIO", "mmap.mmap", "np.memmap", "np.fromfile",
    "np.load", "np.loadtxt", "numpy.memmap", "numpy.fromfile", "h5py.File", "zipfile.ZipFile",
    "tarfile.open", "gzip.open", "codecs.open", "Path",
}  # fmt: skip


def test_only_storage_opens_files_and_maps_memory():
    # The command line writes to nowhere, and reports are written to files; the live runner hands a
    # request to another process and reads its answer; a stripped file's size is that of one in
    # memory; a worker asks the system how many addresses it takes, and who counts memory how much
    # of it; who asks a worker reads what it says last from a pipe.
    allowed = {
        "storage.py",
        "cli/environment.py",
        "writing.py",
        "live/process.py",
        "reconciliation/skeleton.py",
        "worker.py",
        "deadline.py",
        "asking.py",
    }
    for name, tree in modules():
        if name in allowed:
            continue
        opening = OPENERS if "open" in own_functions(tree) else OPENERS | {"open"}
        assert not [what for what, _ in called(tree) if what in opening], name


def test_files_are_opened_only_to_write_but_for_storage():
    for name, tree in modules("cli/environment.py", "writing.py"):
        for what, call in called(tree):
            if what == "open":
                assert ast.literal_eval(call.args[1]) == "w", name
            assert what not in OPENERS - {"os.open", "os.fdopen"}, name


def test_hdf5_is_given_no_file_name():
    """libhdf5 opens the bytes that we hand it; the name is a word that leads nowhere."""
    calls = [
        (name, call)
        for name, tree in modules()
        for what, call in called(tree)
        if what.startswith("h5f.") and what != "h5f.close"
    ]
    assert calls
    for name, call in calls:
        assert name == "wire/hdf5_library.py"
        if ast.unparse(call.func) == "h5f.open":
            assert ast.literal_eval(call.args[0]) == b"artifact"
            assert len(call.args) == 3  # with an access list: the driver over our source


def test_nothing_that_runs_code_is_imported_or_called():
    running = {
        "pickle", "marshal", "dill", "cloudpickle", "joblib", "shelve", "runpy", "tensorflow",
        "keras", "tf_keras", "tensorflow_model_optimization", "tflite_runtime", "ai_edge_litert",
        "ctypes", "code", "codeop", "yaml",
    }  # fmt: skip
    for name, tree in modules():
        assert not running & {module.partition(".")[0] for module, _ in imports(tree)}, name
        names = [what for what, _ in called(tree)]
        assert not {"eval", "exec", "compile", "__import__"} & set(names), name
        assert not any(what.endswith(".load") and "np" in what for what in names), name
        # Public names, readers, rules, renderers, commands: imported by tables in the source.
        lazy = {"__init__.py", "classify/__init__.py", "read/formats.py", "render/__init__.py"}
        lazy |= {"cli/main.py"}
        assert "importlib.import_module" not in names or name in lazy, name


def test_steps_print_nothing():
    for name, tree in modules():
        if name.startswith("cli/"):
            continue
        names = {what for what, _ in called(tree)}
        assert "print" not in names, name
        assert not {what for what in names if what.startswith(("sys.stdout", "sys.stderr"))}, name


def test_every_error_is_one_of_ours():
    """A bare `except` would hide a bug; raising a plain Exception would not be typed."""
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, name
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                assert ast.unparse(node.exc.func) not in {"Exception", "BaseException"}, name


# --- the light path -----------------------------------------------------------------------------

HEAVY = ("numpy", "h5py", "ml_dtypes", "tabulate", "tqdm", "google_crc32c")


def loaded_by(code):
    """Which heavy packages are imported once this has run, and what it printed."""
    script = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit as end:\n    assert not end.code\n"
        f"found = [name for name in {HEAVY} if name in sys.modules]\n"
        "print('\\nheavy:', *found)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ran.returncode == 0, ran.stderr
    printed, _, heavy = ran.stdout.rpartition("heavy:")
    return heavy.split(), printed.strip()


def test_importing_the_package_imports_nothing_heavy():
    assert loaded_by("import inspector, inspector.model, inspector.errors") == ([], "")


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_asking_about_the_command_imports_nothing_heavy(option):
    code = f"sys.argv = ['inspect', '{option}']; from inspector.__main__ import main; main()"
    heavy, printed = loaded_by(code)
    assert heavy == []
    assert printed


@pytest.mark.parametrize("command", ["formats", "rules"])
def test_lists_of_what_is_known_need_no_numpy(command):
    code = f"sys.argv = ['inspect', '{command}']; from inspector.__main__ import main; main()"
    heavy, printed = loaded_by(code)
    assert not {"numpy", "h5py", "ml_dtypes"} & set(heavy)
    assert printed


def test_the_measure_of_heavy_sees_numpy():
    assert loaded_by("import numpy")[0] == ["numpy"]


# --- the files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", samples.KERAS)
def test_every_byte_of_a_sample_is_a_tensors_or_has_a_label(name):
    with inspector.open(os.path.join(SAMPLES, name)) as opened:
        artifact = opened.artifact
        marks = {entry.path: bytearray(entry.nbytes) for entry in artifact.files}
        for tensor in artifact.tensors:
            for extent in tensor.extents:
                end = extent.offset + extent.length
                assert end <= len(marks[extent.file])
                marks[extent.file][extent.offset : end] = b"\1" * extent.length
        taken = sum(map(sum, marks.values()))
        assert taken + sum(artifact.overhead.values()) == artifact.nbytes
        assert artifact.nbytes == sum(os.path.getsize(path) for path in marks)


@pytest.mark.parametrize("name", ["pruned.h5", "pruned.keras", "k3_sharded.weights.json", "k3_dir"])
def test_opening_reads_no_values(name, monkeypatch):
    """Values are read when somebody asks for them, and not before."""

    def refuse(self, max_bytes):
        raise AssertionError("values were read")

    from inspector import payloads

    for one in (payloads.RawPayload, payloads.FilledPayload):
        monkeypatch.setattr(one, "blocks", refuse)
    with inspector.open(os.path.join(SAMPLES, name)) as opened:
        assert opened.artifact.tensors
    report = inspector.show([os.path.join(SAMPLES, name)], measure=False).artifacts[0]
    assert report.totals.count_params is not None


@pytest.mark.parametrize("name", ["pruned.h5", "k3.keras"])
def test_a_report_is_the_same_whenever_it_is_made(name):
    path = os.path.join(SAMPLES, name)
    assert inspector.show([path]) == inspector.show([path])


@pytest.mark.parametrize("name", ["pruned.h5", "k3.keras", "k3_npz.keras"])
def test_inspecting_changes_no_file(name, tmp_path):
    path = os.path.join(SAMPLES, name)
    with open(path, "rb") as file:
        content = file.read()
    copy = tmp_path / name
    copy.write_bytes(content)
    copy.chmod(0o444)
    inspector.show([copy])
    assert copy.read_bytes() == content
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["pruned.h5", "k3.keras", "k3_sharded.weights.json"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_ends_in_a_typed_error_or_a_problem(name, share, tmp_path):
    with open(os.path.join(SAMPLES, name), "rb") as file:
        content = file.read()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * share)])
    try:
        opened = inspector.open(path)
    except ArtifactError:
        return
    with opened:
        assert opened.artifact.problems


# --- patterns -------------------------------------------------------------------------------------


COMPILED = {f"re.{how}" for how in ("compile", "match", "fullmatch", "search", "sub", "finditer")}


def patterns():
    """(module, pattern) of every regular expression that stands in the code as a literal."""
    for name, tree in modules():
        for what, node in called(tree):
            if what in COMPILED and node.args and isinstance(node.args[0], ast.Constant):
                text = node.args[0].value
                yield name, text if isinstance(text, str) else text.decode("latin-1")


def gives_back(parsed, repeated=False):
    """Whether a repeat without end, inside another, may try again with less: the text of a hostile
    file can then be taken in exponentially many ways.
    """
    for operator, argument in parsed:
        kind = str(operator)
        if kind == "POSSESSIVE_REPEAT":
            if gives_back(argument[2]):
                return True
        elif kind in {"MAX_REPEAT", "MIN_REPEAT"}:
            endless = str(argument[1]) == "MAXREPEAT"
            if (endless and repeated) or gives_back(argument[2], repeated or endless):
                return True
        elif kind == "SUBPATTERN":
            if gives_back(argument[3], repeated):
                return True
        elif kind == "BRANCH" and any(gives_back(one, repeated) for one in argument[1]):
            return True
    return False


def test_no_pattern_can_be_tried_in_exponentially_many_ways():
    parser = re._parser
    assert gives_back(parser.parse(r"(?:\s+|#)*x"))
    assert not gives_back(parser.parse(r"(?:\s++|#)*+x"))
    found = list(patterns())
    assert len(found) > 80
    for name, text in found:
        assert not gives_back(parser.parse(text)), f"{name}: {text}"
