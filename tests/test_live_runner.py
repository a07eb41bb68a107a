"""Asking live TensorFlow, without any: the Pythons here are small programs that stand for one."""

import ast
import json
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import time

import pytest

import inspector
from inspector.errors import CodeRefused, LiveError, LiveUnavailable, NotFound
from inspector.live.process import find_python
from inspector.live.runner import LayerCounts, LiveTensor, run_live, run_live_many
from tests.builders import cases as c
from tests.builders import samples

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the programs are shell scripts")

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = os.path.join(ROOT, "inspector")
SCRIPTS = os.path.join(PACKAGE, "live", "scripts")
GIB = 1 << 30


def program(folder, text):
    """An executable file; a Python program runs in the Python of the tests."""
    path = str(folder / "python")
    with open(path, "w", encoding="utf-8") as file:
        file.write(textwrap.dedent(text))
    os.chmod(path, stat.S_IRWXU)
    return path


def shell(folder, text):
    """A program that is called as `program HARNESS REQUEST ANSWER`."""
    return program(folder, f"#!/bin/sh\n{text}\n")


def answering(folder, *results, versions=None, copy=None):
    """A program that answers so, whatever it is asked; `copy`: where to put what it was asked."""
    said = {"python": "3.11.7", "versions": versions or {}, "results": list(results)}
    text = json.dumps(said).replace("'", "'\\''")
    keep = f"cp \"$2\" '{copy}'\n" if copy else ""
    return shell(folder, f"{keep}printf '%s' '{text}' > \"$3\"")


def with_tensorflow(folder, text):
    """The Python of the tests, with a `tensorflow` that is this text and no other packages."""
    modules = folder / "modules"
    modules.mkdir()
    (modules / "tensorflow.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return shell(folder, f"PYTHONPATH='{modules}' exec '{sys.executable}' -S \"$@\"")


def ask(name, python, **options):
    path = samples.path(name)
    with inspector.open(path) as opened:
        return run_live(path, opened.artifact, python=python, **{"timeout": 60.0, **options})


def asked_of(name, folder):
    """The steps that a loader would be asked to take."""
    copy = folder / "request.json"
    ask(name, answering(folder, {}, copy=copy))
    request = json.loads(copy.read_text(encoding="utf-8"))
    (job,) = request["jobs"]
    return job["steps"]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


# --- what an answer becomes ---------------------------------------------------------------------


def test_an_answer_becomes_counts(tmp_path):
    layer = {"count_params": 1346, "trainable": 704, "non_trainable": 642}
    result = {
        "loader": "tf_keras 2.21.0",
        "count_params": 2638,
        "trainable": 1354,
        "non_trainable": 1284,
        "after_strip": None,
        "layers": {"prune_low_magnitude_dense": layer},
        "reasons": {"after_strip": "stripping\nfails"},
    }
    python = answering(tmp_path, result, versions={"tensorflow": "2.21.0"})
    found = ask("pruned.h5", python)
    assert (found.count_params, found.trainable, found.non_trainable) == (2638, 1354, 1284)
    assert found.after_strip is None
    assert found.reasons == {"after_strip": "stripping fails"}
    assert found.layers == {"prune_low_magnitude_dense": LayerCounts(1346, 704, 642)}
    assert (found.loader, found.error) == ("tf_keras 2.21.0", None)
    assert found.versions == {"tensorflow": "2.21.0"}
    assert found.tensors is None


def test_what_the_loader_refuses_is_told_in_its_words_in_one_line(tmp_path):
    result = {"error": "ValueError: expected 5 variables,\n  \x1b[31mreceived 3"}
    found = ask("pruned.h5", answering(tmp_path, result, versions={"tf_keras": "2.21.0"}))
    assert found.error == "ValueError: expected 5 variables, \ufffd[31mreceived 3"
    assert (found.count_params, found.layers) == (None, {})
    assert found.reasons["count_params"] == "it could not be loaded"
    assert found.loader == "tf_keras 2.21.0"


def test_of_a_long_error_both_ends_are_kept(tmp_path):
    error = f"TypeError: {'config ' * 1000} got an unexpected keyword"
    found = ask("pruned.h5", answering(tmp_path, {"error": error}))
    assert len(found.error) < 300
    assert found.error.startswith("TypeError: config")
    assert found.error.endswith("config got an unexpected keyword")


def test_tensors_of_a_tflite_file_have_our_names_and_those_the_interpreter_adds_their_own(tmp_path):
    with inspector.open(samples.path("lite_sparse.tflite")) as opened:
        tensors = opened.artifact.tensors
    rows = [
        {"name": one.stored_name, "dtype": "float32", "shape": [2, 3], "stored": one.made is None}
        for one in tensors
    ]
    rows.append({"name": "", "dtype": "int8", "shape": [7], "stored": True})
    result = {"loader": "ai_edge_litert", "rows": rows}
    python = answering(tmp_path, result, versions={"ai_edge_litert": "2.3.0"})
    found = ask("lite_sparse.tflite", python)
    stored = {one.name: LiveTensor("float32", (2, 3)) for one in tensors if one.made is None}
    extra = {f"unnamed ({len(tensors)})": LiveTensor("int8", (7,))}
    assert found.tensors == stored | extra
    assert {one.elements for one in stored.values()} == {6}
    assert found.loader == "ai-edge-litert 2.3.0"


def test_a_weights_only_file_has_nothing_to_load_and_starts_no_python(tmp_path):
    started = tmp_path / "started"
    python = shell(tmp_path, f"touch '{started}'")
    found = ask("pruned_weights.h5", python)
    assert (found.loader, found.count_params, found.error) == ("none", None, None)
    for count in ("count_params", "trainable", "non_trainable", "after_strip"):
        assert "has no architecture" in found.reasons[count]
    assert not started.exists()


def test_several_are_asked_of_one_process(tmp_path):
    names = ("pruned.h5", "pruned_weights.h5", "stripped.h5")
    python = answering(tmp_path, {"count_params": 2638}, {"count_params": 1354})
    opened = [inspector.open(samples.path(name)) for name in names]
    found = run_live_many([(one.artifact.path, one.artifact) for one in opened], python=python)
    assert [one.count_params for one in found] == [2638, None, 1354]


# --- what is asked ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scripts", "keras"),
    [
        ("pruned.h5", ["keras_models"], 2),
        ("k3.h5", ["keras_models"], 3),
        ("pruned.keras", ["keras_models"], 2),
        ("k3.keras", ["keras_models"], 3),
        ("k3_dir", ["keras_models"], 3),
        ("saved_pruned", ["keras_models", "checkpoint", "graph"], 2),
        ("saved_export", ["saved_model", "checkpoint", "graph"], 3),
        ("saved_module", ["saved_model", "checkpoint", "graph"], 2),
        ("saved_frozen", ["saved_model", "graph"], 2),
        ("ckpt_adam", ["checkpoint"], None),
        ("ckpt_v1_format.ckpt", ["checkpoint"], None),
        ("frozen_tiny.pb", ["graph"], None),
        ("lite_int8.tflite", ["tflite"], None),
    ],
)
def test_the_loader_is_chosen_by_what_wrote_the_file_and_its_format(name, scripts, keras, tmp_path):
    steps = asked_of(name, tmp_path)
    assert [step["script"] for step in steps] == scripts
    assert steps[0]["options"].get("keras") == keras
    for step in steps:
        assert os.path.exists(os.path.join(SCRIPTS, step["script"] + ".py"))


def test_a_pruned_file_needs_the_toolkit_and_a_stripped_one_does_not(tmp_path):
    for name, needed in (("pruned.h5", True), ("stripped.h5", False)):
        (step,) = asked_of(name, tmp_path)
        assert step["options"]["toolkit"] is needed


def test_of_several_graphs_the_one_that_serves_is_loaded(tmp_path):
    assert asked_of("saved_v1", tmp_path)[0]["options"]["tags"] == ["serve"]


@pytest.mark.parametrize(
    ("name", "message", "text"),
    [
        ("frozen_tiny.pb", "GraphDef", False),
        ("frozen_tiny.pbtxt", "GraphDef", True),
        ("ckpt_v1.meta", "MetaGraphDef", False),
    ],
)
def test_a_graph_is_parsed_as_what_it_is(name, message, text, tmp_path):
    (step,) = asked_of(name, tmp_path)
    assert (step["options"]["message"], step["options"]["text"]) == (message, text)


def test_a_checkpoint_is_named_by_its_prefix_whatever_named_it_here(tmp_path):
    for name in ("ckpt_adam", "ckpt_adam.index"):
        assert asked_of(name, tmp_path)[0]["path"] == samples.path("ckpt_adam")
    wanted = samples.path(os.path.join("ckpt_manager", "ckpt-3"))
    assert asked_of("ckpt_manager", tmp_path)[0]["path"] == wanted


def test_a_file_with_another_suffix_is_handed_over_under_the_usual_one(tmp_path):
    other = str(tmp_path / "model.bin")
    shutil.copy(samples.path("pruned.h5"), other)
    copy = tmp_path / "request.json"
    python = shell(
        tmp_path,
        f"cp \"$2\" '{copy}'; readlink 0.h5 > '{tmp_path}/link'\n"
        'printf \'{"python": "", "versions": {}, "results": [{}]}\' > "$3"',
    )
    with inspector.open(other) as opened:
        run_live(other, opened.artifact, python=python)
    (step,) = json.loads(copy.read_text(encoding="utf-8"))["jobs"][0]["steps"]
    assert step["path"].endswith(".h5")
    assert (tmp_path / "link").read_text(encoding="utf-8").strip() == other


def test_a_file_that_is_gone_is_not_found(tmp_path):
    other = str(tmp_path / "model.h5")
    shutil.copy(samples.path("pruned.h5"), other)
    opened = inspector.open(other)
    os.unlink(other)
    with pytest.raises(NotFound):
        run_live(other, opened.artifact, python=answering(tmp_path, {}))
    opened.close()


# --- code ---------------------------------------------------------------------------------------


def lambda_model(folder):
    code = c.layer("Lambda", "twice", function=["4wEAAAA=", None, None], function_type="lambda")
    config = c.sequential(c.dense("a", 4), code)
    weights = {"a": {"a/kernel:0": c.values(4, 4), "a/bias:0": c.values(4)}, "twice": {}}
    return str(c.legacy(folder / "m.h5", weights, config))


def test_a_file_that_could_run_code_is_refused_before_anything_is_started(tmp_path):
    started = tmp_path / "started"
    python = shell(tmp_path, f"touch '{started}'")
    path = lambda_model(tmp_path)
    with inspector.open(path) as opened, pytest.raises(CodeRefused) as refused:
        run_live(path, opened.artifact, python=python)
    assert "the Lambda layer 'twice' keeps Python code" in refused.value.message
    assert "--allow-code" in refused.value.message
    assert refused.value.path == path
    assert not started.exists()


def test_it_is_loaded_where_that_is_allowed(tmp_path):
    copy = tmp_path / "request.json"
    path = lambda_model(tmp_path)
    with inspector.open(path) as opened:
        python = answering(tmp_path, {"count_params": 20}, copy=copy)
        found = run_live(path, opened.artifact, python=python, allow_code=True)
    assert found.count_params == 20
    (step,) = json.loads(copy.read_text(encoding="utf-8"))["jobs"][0]["steps"]
    assert step["options"]["allow_code"] is True


def test_one_refused_of_several_is_the_one_named(tmp_path):
    path = lambda_model(tmp_path)
    with inspector.open(path) as bad, inspector.open(samples.path("pruned.h5")) as good:
        asked = [(samples.path("pruned.h5"), good.artifact), (path, bad.artifact)]
        with pytest.raises(CodeRefused) as refused:
            run_live_many(asked, python=shell(tmp_path, "exit 1"))
    assert refused.value.path == path


# --- what may become of the process -------------------------------------------------------------


def test_what_takes_too_long_is_stopped_with_all_that_it_started(tmp_path):
    children = tmp_path / "children"
    python = shell(tmp_path, f"sleep 60 & echo $! > '{children}'; echo $$ >> '{children}'; wait")
    before = time.monotonic()
    with pytest.raises(LiveError, match="longer than 1 second") as late:
        ask("pruned.h5", python, timeout=1.0)
    assert time.monotonic() - before < 20
    assert late.value.path == samples.path("pruned.h5")
    if sys.platform == "linux":
        for pid in children.read_text(encoding="utf-8").split():
            assert not alive(int(pid))


def test_what_it_leaves_running_is_stopped_too(tmp_path):
    children = tmp_path / "children"
    text = '{"python": "", "versions": {}, "results": [{}]}'
    start = f"sleep 60 & echo $! > '{children}'"
    python = shell(tmp_path, f"{start}\nprintf '%s' '{text}' > \"$3\"")
    before = time.monotonic()
    ask("pruned.h5", python)
    assert time.monotonic() - before < 20
    if sys.platform == "linux":
        assert not alive(int(children.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo 'Fatal Python error: Segmentation fault' >&2; kill -SEGV $$", "SIGSEGV: Fatal"),
        ("kill -ABRT $$", "SIGABRT"),
        ("echo 'noise' >&2; exit 3", "exit code 3: noise"),
        ("printf 'ImportError: bad magic\\nlast noise\\n' >&2; exit 1", "ImportError: bad magic"),
        ("exit 0", "exit code 0"),
    ],
)
def test_a_process_that_dies_is_told_by_its_last_words(text, said, tmp_path):
    with pytest.raises(LiveError) as died:
        ask("pruned.h5", shell(tmp_path, text))
    assert "died without an answer" in died.value.message
    assert said in died.value.message


def test_a_process_that_dies_of_an_allocation_was_too_large(tmp_path):
    python = shell(tmp_path, 'echo "  what():  std::bad_alloc" >&2; kill -ABRT $$')
    with pytest.raises(LiveError, match=r"more than 2\.0 GiB of memory"):
        ask("pruned.h5", python, memory=2 * GIB)


@pytest.mark.parametrize(
    "said",
    [
        "[]",
        "null",
        '{"python": "3", "versions": {}, "results": []}',
        '{"python": "3", "versions": {}, "results": [{}, {}]}',
        '{"python": "3", "versions": {}, "results": [{"count_params": "12"}]}',
        '{"python": "3", "versions": {}, "results": [{"count_params": -1}]}',
        '{"python": "3", "versions": {}, "results": [{"count_params": true}]}',
        '{"python": "3", "versions": {}, "results": [{"layers": {"a": 3}}]}',
        '{"python": "3", "versions": {}, "results": [{"tensors": {"a": {"shape": [-1]}}}]}',
    ],
)
def test_an_answer_of_another_form_is_none(said, tmp_path):
    with pytest.raises(LiveError, match="no answer that can be read"):
        ask("pruned.h5", shell(tmp_path, f"printf '%s' '{said}' > \"$3\""))


@pytest.mark.parametrize("said", ["", "no JSON", '{"python":', "[" * 100_000])
def test_what_is_no_json_is_no_answer(said, tmp_path):
    (tmp_path / "said").write_text(said, encoding="utf-8")
    with pytest.raises(LiveError, match="died without an answer"):
        ask("pruned.h5", shell(tmp_path, f"cp '{tmp_path}/said' \"$3\""))


def test_noise_goes_nowhere(tmp_path, capfd):
    loud = "yes 'W0000 rebuild TensorFlow with the right flags' | head -n 200000"
    text = '{"python": "", "versions": {}, "results": [{"count_params": 7}]}'
    python = shell(tmp_path, f"{loud}\n{loud} >&2\nprintf '%s' '{text}' > \"$3\"")
    assert ask("pruned.h5", python).count_params == 7
    assert capfd.readouterr() == ("", "")


def test_tensorflow_is_told_to_be_quiet_and_to_leave_the_gpu_alone(tmp_path):
    kept = tmp_path / "variables"
    ask("pruned_weights.h5", None)
    with pytest.raises(LiveError):
        ask("pruned.h5", shell(tmp_path, f"env > '{kept}'"))
    said = kept.read_text(encoding="utf-8").splitlines()
    assert {"TF_CPP_MIN_LOG_LEVEL=3", "CUDA_VISIBLE_DEVICES=-1"} <= set(said)


def test_it_works_in_a_folder_of_its_own_that_is_gone_afterwards(tmp_path):
    kept = tmp_path / "where"
    with pytest.raises(LiveError):
        ask("pruned.h5", shell(tmp_path, f"pwd > '{kept}'; touch left behind; echo $TMPDIR >&2"))
    where = kept.read_text(encoding="utf-8").strip()
    assert where not in (os.getcwd(), str(tmp_path))
    assert not os.path.exists(where)


# --- the scripts' own program, with a TensorFlow that is none -------------------------------------

LISTING = """
    __version__ = "9.9"
    class _Reader:
        def get_variable_to_dtype_map(self):
            return {"a": type("dtype", (), {"name": "float32"})}
    class train:
        load_checkpoint = staticmethod(lambda path: _Reader())
        list_variables = staticmethod(lambda path: [("a", [3, 4])])
"""


def test_the_program_gives_what_a_script_says(tmp_path):
    found = ask("ckpt_adam", with_tensorflow(tmp_path, LISTING))
    assert found.loader == "tensorflow 9.9"
    assert found.tensors == {"a": LiveTensor("float32", (3, 4))}
    assert "counts none" in found.reasons["count_params"]


def test_a_python_without_tensorflow_is_told_with_the_way_to_install_it(tmp_path):
    python = shell(tmp_path, f"exec '{sys.executable}' -S \"$@\"")
    with pytest.raises(LiveUnavailable) as missing:
        ask("ckpt_adam", python)
    said = str(missing.value)
    assert "has no TensorFlow" in said
    assert "pip install 'tf-inspector[live]'" in said
    assert "--live-python" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "module"),
    [("pruned.h5", "TensorFlow"), ("k3.h5", "TensorFlow"), ("lite_int8.tflite", "numpy")],
)
def test_each_loader_says_what_it_misses(name, module, tmp_path):
    python = shell(tmp_path, f"exec '{sys.executable}' -S \"$@\"")
    with pytest.raises(LiveUnavailable, match=f"has no ({module}):"):
        ask(name, python)


def test_a_module_that_only_the_artifact_wants_is_the_loaders_error(tmp_path):
    text = LISTING.replace('[("a", [3, 4])]', '__import__("vitis_of_nobody")')
    found = ask("ckpt_adam", with_tensorflow(tmp_path, text))
    assert "No module named 'vitis_of_nobody'" in found.error


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts mappings on Linux alone")
def test_the_memory_limit_holds(tmp_path):
    text = LISTING.replace('[("a", [3, 4])]', '[("a", [len(bytearray(2 << 30))])]')
    python = with_tensorflow(tmp_path, text)
    with pytest.raises(LiveError, match=r"more than 1\.0 GiB of memory"):
        ask("ckpt_adam", python, memory=GIB)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts mappings on Linux alone")
def test_what_is_loaded_cannot_lift_the_limit(tmp_path):
    lift = "[__import__('resource').setrlimit(__import__('resource').RLIMIT_DATA, (-1, -1))]"
    text = LISTING.replace('[("a", [3, 4])]', lift)
    python = with_tensorflow(tmp_path, text)
    if os.geteuid() == 0:
        pytest.skip("the superuser may lift any limit")
    found = ask("ckpt_adam", python, memory=GIB)
    assert "ValueError: not allowed to raise maximum limit" in found.error


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an alarm ends it, later")
def test_it_ends_with_the_process_that_asked(tmp_path):
    pid = tmp_path / "pid"
    wait = (
        f"open('{pid}', 'w').write(str(__import__('os').getpid())) and __import__('time').sleep(60)"
    )
    python = with_tensorflow(tmp_path, LISTING.replace('[("a", [3, 4])]', wait))
    asking = (
        "import inspector, sys\n"
        "from inspector.live.runner import run_live\n"
        "with inspector.open(sys.argv[1]) as opened:\n"
        "    run_live(sys.argv[1], opened.artifact, python=sys.argv[2])\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", asking, samples.path("ckpt_adam"), python])
    until(lambda: pid.exists() and pid.read_text(encoding="utf-8"))
    parent.kill()
    parent.wait()
    until(lambda: not alive(int(pid.read_text(encoding="utf-8"))))


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_error_of_several_lines_is_passed_on_in_one(tmp_path):
    text = LISTING.replace('[("a", [3, 4])]', "int('many\\nlines')")
    found = ask("ckpt_adam", with_tensorflow(tmp_path, text))
    assert found.error.startswith("ValueError: invalid literal for int()")
    assert "\n" not in found.error


def test_of_an_error_of_a_graph_the_frames_are_left_out(tmp_path):
    # As TensorFlow 2.21 words it where a checkpoint's shard is missing.
    message = (
        "Graph execution error:\\n\\nDetected at node save/RestoreV2 defined at (most recent call "
        'last):\\n  File "harness.py", line 1, in <module>\\n\\nUnsuccessful TensorSliceReader '
        "constructor: Failed to find any matching files for variables\\n\\t [[{{node save}}]]"
    )
    text = LISTING.replace('[("a", [3, 4])]', f"_fail('{message}')")
    fail = "\n    def _fail(message):\n        raise ValueError(message)\n"
    found = ask("ckpt_adam", with_tensorflow(tmp_path, text + fail))
    wanted = "Unsuccessful TensorSliceReader constructor: Failed to find any matching files for"
    assert found.error == f"ValueError: {wanted} variables"


def test_leaving_the_process_is_an_error_like_any_other(tmp_path):
    text = LISTING.replace('[("a", [3, 4])]', "__import__('sys').exit(0)")
    assert ask("ckpt_adam", with_tensorflow(tmp_path, text)).error == "SystemExit: 0"


def test_printing_is_harmless(tmp_path, capfd):
    text = LISTING.replace('[("a", [3, 4])]', 'print("{}") or [("a", [2])]')
    assert ask("ckpt_adam", with_tensorflow(tmp_path, text)).tensors["a"].elements == 2
    assert capfd.readouterr() == ("", "")


# --- which Python -------------------------------------------------------------------------------


def test_the_python_is_the_one_wanted_else_the_variables_else_this_one(tmp_path):
    path = shell(tmp_path, "exit 0")
    assert find_python(path, {}) == path
    assert find_python(None, {"INSPECT_LIVE_PYTHON": path}) == path
    assert find_python(None, {}) == os.path.abspath(sys.executable)


def test_a_folder_stands_for_the_environment_in_it(tmp_path):
    (tmp_path / "bin").mkdir()
    path = shell(tmp_path / "bin", "exit 0")
    assert find_python(str(tmp_path), {}) == path


def test_a_link_to_a_python_stays_one_because_an_environment_is_told_by_it(tmp_path):
    link = str(tmp_path / "python")
    os.symlink(sys.executable, link)
    assert find_python(link, {}) == link


@pytest.mark.parametrize("wanted", ["/nowhere/bin/python", "no-such-python-anywhere"])
def test_a_python_that_is_not_there_is_told(wanted):
    with pytest.raises(LiveUnavailable, match="there is no Python at"):
        find_python(wanted, {})


def test_a_python_that_cannot_be_started_is_told(tmp_path):
    python = program(tmp_path, "#!/nowhere/interpreter\n")
    with pytest.raises(LiveUnavailable, match="cannot be started"):
        ask("pruned.h5", python)


# --- the scripts themselves ---------------------------------------------------------------------


def sources(folder):
    for where, _, files in os.walk(folder):
        for name in sorted(files):
            if name.endswith(".py"):
                path = os.path.join(where, name)
                with open(path, encoding="utf-8") as file:
                    yield path, file.read()


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_in_the_package_imports_the_scripts():
    for path, text in sources(PACKAGE):
        names = set(imported(ast.parse(text, path)))
        assert not any(name.startswith("inspector.live.scripts") for name in names), path


def test_the_scripts_import_nothing_of_the_package_or_of_each_other():
    own = {os.path.basename(path).removesuffix(".py") for path, _ in sources(SCRIPTS)}
    for path, text in sources(SCRIPTS):
        roots = {name.partition(".")[0] for name in imported(ast.parse(text, path))}
        assert not roots & {"inspector", *own}, path


def test_the_scripts_can_be_read_by_older_pythons():
    for path, text in sources(SCRIPTS):
        assert ast.parse(text, path, feature_version=(3, 8))
        assert "from __future__ import annotations" in text or path.endswith("__init__.py")


@pytest.mark.parametrize(("name", "line"), [("k3.h5", "Keras 3"), ("pruned.h5", "Keras 2")])
def test_a_tensorflow_without_the_files_line_of_keras_is_told(name, line, tmp_path):
    with pytest.raises(LiveUnavailable, match=f"has no {line}"):
        ask(name, with_tensorflow(tmp_path, "__version__ = '2.21.0'"))
