"""Ask real TensorFlow: which scripts load an artifact, in which Python, within which limits.

The scripts (`scripts/`) run in a process of their own: TensorFlow is not imported here, what it
prints goes nowhere, and what it does to the process happens to that one. Nothing of the artifact is
believed on the way back either: the answer is checked against the types below.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import msgspec

from inspector.errors import CodeRefused, LiveError, LiveUnavailable, NotFound
from inspector.keras.tfmot import is_tfmot
from inspector.limits import DEFAULT
from inspector.live.dangers import dangers
from inspector.live.process import Died, find_python, run_script
from inspector.model import Artifact, Flavor

_HARNESS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts", "harness.py")
_INSTALL = "pip install 'tf-inspector[live]'"
_PACKAGES = {
    "ai_edge_litert": "TFLite interpreter (ai-edge-litert)",
    "keras": "Keras 3",
    "tensorflow": "TensorFlow",
    "tf_keras": "Keras 2 (tf-keras)",
    "tensorflow_model_optimization": "tensorflow-model-optimization",
}
_TOTALS = ("count_params", "trainable", "non_trainable", "after_strip")
_LONGEST = 299  # characters of a reason or an error
_NO_ARCHITECTURE = (
    "a weights-only file has no architecture: there is no model that TensorFlow could count"
)
Count = Annotated[int, msgspec.Meta(ge=0)]
_SUFFIXES = {"keras-h5": ".h5", "keras-zip": ".keras", "tflite": ".tflite"}


@dataclass(frozen=True, slots=True)
class LayerCounts:
    """What Keras counts of one layer; None where it cannot say."""

    count_params: Count | None = None
    trainable: Count | None = None
    non_trainable: Count | None = None


@dataclass(frozen=True, slots=True)
class LiveTensor:
    """A tensor as TensorFlow's own reader lists it."""

    dtype: str
    shape: tuple[Count, ...]

    @property
    def elements(self) -> int:
        """Number of values: 1 for a scalar."""
        size = 1
        for side in self.shape:
            size *= side
        return size


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """What real TensorFlow says of an artifact.

    loader: what loaded it, and its version ("tf_keras 2.21.0"). layers: by the layer's path, those
    that some model holds directly. tensors: by the names of `Artifact.tensors`; None where the
    loader lists none. reasons: why, by the name of each count that is None. error: why it could not
    be loaded, in the loader's own words; then all counts are None. versions: of packages used.
    """

    loader: str
    count_params: int | None = None
    trainable: int | None = None
    non_trainable: int | None = None
    after_strip: int | None = None
    layers: Mapping[str, LayerCounts] = field(default_factory=dict)
    tensors: Mapping[str, LiveTensor] | None = None
    error: str | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Row:
    """A tensor of a .tflite file. stored: None where the interpreter was not asked."""

    name: str
    dtype: str
    shape: tuple[Count, ...]
    stored: bool | None


@dataclass(frozen=True, slots=True)
class _Result:
    """What the harness says of one job: see scripts/harness.py."""

    loader: str = ""
    count_params: Count | None = None
    trainable: Count | None = None
    non_trainable: Count | None = None
    after_strip: Count | None = None
    layers: dict[str, LayerCounts] = field(default_factory=dict)
    tensors: dict[str, LiveTensor] | None = None
    rows: tuple[_Row, ...] | None = None
    error: str | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    missing: str | None = None
    memory: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    python: str
    versions: dict[str, str]
    results: tuple[_Result, ...]


def run_live(
    path: str,
    artifact: Artifact,
    *,
    python: str | None = None,
    timeout: float = DEFAULT.live_seconds,
    memory: int = DEFAULT.live_bytes,
    allow_code: bool = False,
) -> LiveCounts:
    """What real TensorFlow counts in the artifact at `path`.

    python: one that has TensorFlow, or the folder of its environment; else $INSPECT_LIVE_PYTHON,
    else this one. timeout: seconds; memory: bytes that the process may allocate. allow_code: load
    it even where that could run code of the artifact.

    Raises CodeRefused where it could and may not, LiveUnavailable where there is no such Python,
    LiveError where the process gave no answer. A file that TensorFlow refuses has its words in
    `error`.
    """
    (found,) = run_live_many(
        [(path, artifact)], python=python, timeout=timeout, memory=memory, allow_code=allow_code
    )
    return found


def run_live_many(
    asked: Sequence[tuple[str, Artifact]],
    *,
    python: str | None = None,
    timeout: float = DEFAULT.live_seconds,
    memory: int = DEFAULT.live_bytes,
    allow_code: bool = False,
) -> tuple[LiveCounts, ...]:
    """`run_live` of several in one process: TensorFlow is imported once, the limits are for all."""
    if not allow_code:
        for path, artifact in asked:
            _refuse(path, artifact)
    answers: list[LiveCounts | None] = [
        _untold("none", _NO_ARCHITECTURE) if artifact.format == "keras-weights-h5" else None
        for _, artifact in asked
    ]
    pending = [at for at, answer in enumerate(answers) if answer is None]
    if pending:
        executable = find_python(python)
        jobs = [asked[at] for at in pending]
        found = _ask(jobs, executable, timeout, memory, allow_code)
        for at, counts in zip(pending, found, strict=True):
            answers[at] = counts
    return tuple(answer for answer in answers if answer is not None)


def _refuse(path: str, artifact: Artifact) -> None:
    found = dangers(artifact)
    if found:
        more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
        raise CodeRefused(
            f"loading it could run code: {found[0]}{more}; --allow-code loads it all the same", path
        )


def _untold(loader: str, reason: str) -> LiveCounts:
    return LiveCounts(loader, reasons=dict.fromkeys(_TOTALS, reason))


def _ask(
    asked: Sequence[tuple[str, Artifact]],
    python: str,
    timeout: float,
    memory: int,
    allow_code: bool,
) -> list[LiveCounts]:
    first = asked[0][0]
    with tempfile.TemporaryDirectory(prefix="inspect-live-", ignore_cleanup_errors=True) as folder:
        jobs = [
            {"steps": _steps(path, artifact, os.path.join(folder, str(at)), allow_code)}
            for at, (path, artifact) in enumerate(asked)
        ]
        request = {"memory": memory, "seconds": timeout, "jobs": jobs}
        try:
            said = run_script(python, _HARNESS, request, folder, timeout)
        except Died as death:
            raise LiveError(_about(death, timeout, memory), first) from death
    answer = _checked(said, len(asked))
    if answer is None:
        raise LiveError(f"{python} gave no answer that can be read", first)
    return [
        _counts(path, artifact, result, answer.versions, python, memory)
        for (path, artifact), result in zip(asked, answer.results, strict=True)
    ]


def _about(death: Died, timeout: float, memory: int) -> str:
    """What became of the process, in words."""
    if death.late:
        return f"TensorFlow was stopped: it took longer than {timeout:,.0f} seconds"
    if death.starved:
        return _too_large(memory)
    return f"TensorFlow died without an answer: {death.reason}"


def _too_large(memory: int) -> str:
    return f"TensorFlow was stopped: it took more than {memory / (1 << 30):,.1f} GiB of memory"


def _checked(said: object, jobs: int) -> _Answer | None:
    """The answer, if it is one to so many jobs."""
    try:
        answer = msgspec.convert(said, _Answer)
    except msgspec.ValidationError:
        return None
    return answer if len(answer.results) == jobs else None


def _counts(
    path: str,
    artifact: Artifact,
    result: _Result,
    versions: Mapping[str, str],
    python: str,
    memory: int,
) -> LiveCounts:
    if result.missing is not None:
        name = _line(result.missing)
        raise LiveUnavailable(
            f"{python} cannot load {path}, it has no {_PACKAGES.get(name, name)}: {_INSTALL}, "
            "or name a Python that has it with --live-python"
        )
    if result.memory:
        raise LiveError(_too_large(memory), path)
    loader = result.loader
    if loader in versions:  # the interpreters do not say their versions themselves
        loader = f"{loader.replace('_', '-')} {versions[loader]}"
    if result.error is not None:
        told = _untold(loader or _named(artifact, versions), "it could not be loaded")
        return replace(told, error=_line(result.error), versions=versions)
    return LiveCounts(
        loader,
        result.count_params,
        result.trainable,
        result.non_trainable,
        result.after_strip,
        result.layers,
        result.tensors if result.rows is None else _tensors(artifact, result.rows),
        reasons={key: _line(reason) for key, reason in result.reasons.items()},
        versions=versions,
    )


def _named(artifact: Artifact, versions: Mapping[str, str]) -> str:
    """What would have loaded it."""
    name = "tensorflow"
    if artifact.format == "tflite":
        name = "ai_edge_litert"
    elif artifact.format.startswith("keras") or artifact.model is not None:
        name = "keras" if artifact.flavor is Flavor.KERAS3 else "tf_keras"
        name = name if name in versions else "keras"
    return f"{name} {versions[name]}" if name in versions else name


def _line(text: str) -> str:
    """Printable, in one line, and not too long: it may quote the file."""
    line = "".join(one if one.isprintable() else "\ufffd" for one in " ".join(text.split()))
    half = _LONGEST // 2  # Keras quotes whole configs, and says at the end what was wrong
    return line if len(line) <= _LONGEST else f"{line[:half]}…{line[-half:]}"


def _tensors(artifact: Artifact, rows: Sequence[_Row]) -> dict[str, LiveTensor]:
    """Constants of a .tflite file, by our names: both list all tensors in the file's order.

    The interpreter has more: those that operators make for themselves, without names.
    """
    ours = deque(artifact.tensors)
    found: dict[str, LiveTensor] = {}
    for at, row in enumerate(rows):
        if ours and (ours[0].stored_name or "") == row.name:
            name = ours.popleft().name
        else:
            name = f"{row.name or 'unnamed'} ({at})"
        if row.stored:
            found[name] = LiveTensor(row.dtype, row.shape)
    return found


# --- what is run for which artifact -------------------------------------------------------------


def _steps(path: str, artifact: Artifact, scratch: str, allow_code: bool) -> list[dict[str, Any]]:
    """The scripts that count in this artifact, each with the path and the options it takes."""
    if not os.path.exists(artifact.files[0].path if artifact.files else artifact.path):
        raise NotFound("there is no such file any more", path)
    where = _fitting(os.path.abspath(artifact.path), artifact, scratch)
    line = 3 if artifact.flavor is Flavor.KERAS3 else 2
    toolkit = artifact.model is not None and any(map(is_tfmot, artifact.model.walk()))
    keras = _step("keras_models", where, keras=line, toolkit=toolkit, allow_code=allow_code)
    alone = artifact.format != "saved-model"
    bundle = [_step("checkpoint", prefix, alone=alone) for prefix in _prefixes(artifact)]
    match artifact.format:
        case "keras-h5" | "keras-zip" | "keras-dir":
            return [keras]
        case "saved-model":
            has_metadata = any(e.path.endswith("keras_metadata.pb") for e in artifact.files)
            is_keras = line == 2 and (artifact.model is not None or has_metadata)
            plain = _step("saved_model", where, keras=line, tags=_tags(artifact))
            graph = _step("graph", where, message="SavedModel", text=False, alone=False)
            return [keras if is_keras else plain, *bundle, graph]
        case "checkpoint":
            return bundle
        case "frozen-graph":
            message = "MetaGraphDef" if artifact.kind.startswith("MetaGraphDef") else "GraphDef"
            text = artifact.kind.endswith("as text")
            return [_step("graph", where, message=message, text=text, alone=True)]
        case "tflite":
            return [_step("tflite", where)]
    raise LiveError(f"nothing of TensorFlow's loads the format {artifact.format}", path)


def _step(script: str, path: str, **options: Any) -> dict[str, Any]:
    return {"script": script, "path": path, "options": options}


def _fitting(path: str, artifact: Artifact, scratch: str) -> str:
    """A path whose suffix is the format's: Keras goes by that, and this tool by content."""
    suffix = _SUFFIXES.get(artifact.format, "")
    usual = (suffix, ".hdf5") if suffix == ".h5" else (suffix,)
    if path.endswith(usual):
        return path
    try:
        os.symlink(path, scratch + suffix)
    except OSError:
        return path
    return scratch + suffix


def _tags(artifact: Artifact) -> list[str]:
    """Those of the meta graph that serves, where there is one, else of the first."""
    graphs = [list(tags) for tags in artifact.tags]
    return next((tags for tags in graphs if "serve" in tags), graphs[0] if graphs else [])


def _prefixes(artifact: Artifact) -> list[str]:
    """What TensorFlow calls a checkpoint: the path of its index without the suffix."""
    files = [os.path.abspath(entry.path) for entry in artifact.files]
    found = [name.removesuffix(".index") for name in files if name.endswith(".index")]
    return found or ([os.path.abspath(artifact.path)] if artifact.format == "checkpoint" else [])
