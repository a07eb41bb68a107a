"""A policy that artifacts pass as they are today: what `inspect audit --init` writes."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from inspector import filesystem
from inspector.auditing.allow import artifact_digest
from inspector.auditing.policy_file import NAME, Policies
from inspector.errors import UsageError
from inspector.globs import escaped
from inspector.limits import DEFAULT, Limits
from inspector.model import Severity
from inspector.report import ArtifactReport, Finding, LayerReport, TensorReport

ROOM = 10  # per cent that a budget is above what there is
_SPARSE = 0.25  # a share of zeros that somebody meant
# What may hide an attack is taken for the very bytes that are there, not for those of later ones.
_BY_DIGEST = ("safety", "integrity")
_RUNTIMES = {"keras": "keras", "tensorflow": "tensorflow", "tf_keras": "tensorflow"}
_VERSION = re.compile(r"\d++(\.\d++)*+")
_HEAD = """\
# What `inspect audit` asks of these artifacts, as `inspect audit --init` found them.
# Keep what is meant, and delete the rest. `inspect rules` lists what can be asked.
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """An artifact, and what the rules find in it without a policy."""

    report: ArtifactReport
    findings: tuple[Finding, ...]


def place(paths: Sequence[str], output: str | None, policies: Policies) -> str:
    """Where to write the policy of some artifacts: where it will be found above each of them.

    That is the current folder, if all lie in it, else the nearest one that they all lie in. Raises
    UsageError where something is there, or another policy is nearer to one of them.
    """
    here = os.getcwd()
    folders = [
        here if filesystem.is_far(path) else os.path.dirname(os.path.abspath(path))
        for path in paths
    ]
    try:
        common = os.path.commonpath(folders)
        home = here if os.path.commonpath([here, common]) == here else common
    except ValueError:  # several drives, or no path at all
        home = here
    chosen = output or os.path.normpath(os.path.join(os.path.relpath(home), NAME))
    if os.path.lexists(chosen):
        raise UsageError(f"{chosen}: is there already, and is not overwritten")
    for path in paths if output is None else ():
        nearest = policies.near(path).path
        if os.path.dirname(nearest).startswith(os.path.join(home, "")):
            raise UsageError(f"{nearest}: would be used for {path}, since it is nearer to it")
    return chosen


def suggest(subjects: Sequence[Subject], home: str, limits: Limits = DEFAULT) -> str:
    """A policy in TOML, with comments, that the artifacts pass. home: the folder it is for."""
    blocks = [_HEAD, _ignored(subjects)]
    readable = [one.report for one in subjects if one.report.readable]
    blocks.append(_table("budgets", _budgets(readable)))
    runtimes = [_runtime(report) for report in readable]
    shared = len(set(runtimes)) == 1
    if len(readable) == 1:
        blocks += _sparsity(readable[0], "sparsity")
    blocks.append(_table("runtime", runtimes[0] if shared else ()))
    if len(readable) > 1:
        for report, runtime in zip(readable, runtimes, strict=True):
            blocks += _override(report, home, () if shared else runtime)
    blocks += [block for one in subjects for block in _allowed(one, limits)]
    return "\n".join(block for block in blocks if block)


def _ignored(subjects: Sequence[Subject]) -> str:
    """The rules that find something, each with what it finds."""
    found: dict[str, list[Finding]] = {}
    for finding in (one for subject in subjects for one in subject.findings):
        if not _is_by_digest(finding):
            found.setdefault(finding.code, []).append(finding)
    lines = ['select = ["all"]']
    if found:
        lines.append("ignore = [")
        for code, findings in found.items():
            first = findings[0]
            more = f", and {len(findings) - 1:,} more" if len(findings) > 1 else ""
            lines += [
                f"  # {_comment(f'{first.severity.value}: {first.message}{more}')}",
                f"  {_string(code)},",
            ]
        lines.append("]")
    return "\n".join([*lines, 'fail-on = "error"', ""])


def _is_by_digest(finding: Finding) -> bool:
    return finding.code.partition("-")[0] in _BY_DIGEST


def _budgets(reports: Sequence[ArtifactReport]) -> Iterator[str]:
    """A line for each size: the largest of the artifacts, and some room."""
    sizes = {
        "nbytes": (one.nbytes for one in reports),
        "count-params": (one.totals.count_params for one in reports),
        "stored-elements": (one.totals.stored_elements for one in reports),
        "macs": (one.cost.macs for one in reports if one.cost),
        "activation-bytes": (one.cost.peak_activation_bytes for one in reports if one.cost),
        "layer-params": (_elements(layer) for one in reports for layer in one.layers),
    }
    for key, values in sizes.items():
        largest = max((value for value in values if value), default=0)
        if largest:
            yield f"{key} = {_roomy(largest):_}  # {largest:,} today, and {ROOM} % of room"


def _elements(layer: LayerReport) -> int:
    return max(layer.count_params or 0, sum(layer.roles.values()))


def _roomy(value: int) -> int:
    """ROOM per cent more, rounded up to three digits."""
    more = -(-value * (100 + ROOM) // 100)
    step = 10 ** max(len(str(more)) - 3, 0)
    return int(-(-more // step) * step)


def _sparsity(report: ArtifactReport, name: str) -> Iterator[str]:
    """The tables of what an artifact has of zeros and patterns, where it is sparse."""
    overall = report.weights.sparsity if report.weights else None
    layers = {layer.name: _zeros(layer, report) for layer in report.layers}
    sparse = {layer: share for layer, share in layers.items() if share >= _SPARSE}
    globs = {layer: _glob(_path(layer, layers)) for layer in sparse}
    if sparse and overall:
        line = f"overall = {_share(overall)}  # {overall * 100:.1f} % of all weights today"
        yield _table(name, [line])
        lines = (f"{globs[layer]} = {_share(share)}" for layer, share in sparse.items())
        yield _table(f"{name}.layers", lines)
    patterns = {layer: _pattern(layer, report) for layer in sparse}
    lines = (f"{globs[layer]} = {_string(one)}" for layer, one in patterns.items() if one)
    yield _table(f"{name}.patterns", lines)


def _path(layer: str, layers: Iterable[str]) -> str:
    """The layer's path so that, as a glob, it is of no other layer with that name."""
    inside = any(layer in other.split("/")[1:] for other in layers)
    return f"./{layer}" if inside else layer


def _zeros(layer: LayerReport, report: ArtifactReport) -> float:
    """The share of zeros in a layer's weights, or in the largest of them, where that is less."""
    whole = layer.weights.sparsity if layer.weights else None
    kernel = _kernel(layer.name, report)
    of_kernel = kernel.measure.sparsity if kernel and kernel.measure else None
    return min(whole or 0.0, of_kernel or 0.0)


def _kernel(layer: str, report: ArtifactReport) -> TensorReport | None:
    # A wrapper's row has the weights of the layer inside it.
    weights = [
        one
        for one in report.tensors
        if one.role == "weight" and f"{one.layer}/".startswith(f"{layer}/")
    ]
    return max(weights, key=lambda one: one.elements, default=None)


def _pattern(layer: str, report: ArtifactReport) -> str | None:
    """The first pattern that holds throughout the layer's largest weight, along its inputs."""
    kernel = _kernel(layer, report)
    if kernel is None or kernel.measure is None or kernel.measure.sparsity == 1:
        return None
    patterns = kernel.measure.patterns.items()
    holding = (key.split(" ") for key, one in patterns if one.holds)
    return next((name for name, axis in holding if axis != "output"), None)


def _share(value: float) -> str:
    return f"{math.floor(value * 100) / 100:g}"


def _runtime(report: ArtifactReport) -> tuple[str, ...]:
    """A line for each version that an artifact comes from, or asks for, by what loads it."""
    made = report.producer
    versions = {
        _RUNTIMES.get(made.name) if made else None: made.version if made else None,
        "litert": report.min_runtime_version,
    }
    return tuple(
        f"{key} = {_string(version)}  # what it is from: an older one may not load it"
        for key, version in versions.items()
        if key and version and _VERSION.fullmatch(version)
    )


def _override(report: ArtifactReport, home: str, own: Iterable[str]) -> Iterator[str]:
    """What is said of one artifact among several. own: lines of its runtime."""
    tables = [*_sparsity(report, "overrides.sparsity"), _table("overrides.runtime", own)]
    if any(tables):
        path = filesystem.relpath(filesystem.abspath(report.path), home).replace(os.sep, "/")
        yield f"[[overrides]]\npaths = [{_glob(f'./{path}')}]\n"
        yield from tables


def _allowed(subject: Subject, limits: Limits) -> Iterator[str]:
    """An entry of the allow-list for what is to be looked at before the artifact ships."""
    risky = [
        one for one in subject.findings if _is_by_digest(one) and one.severity is not Severity.INFO
    ]
    report = subject.report
    files = [one.path for one in report.files] if report.readable else None
    digest = artifact_digest(report.path, files, limits) if risky else None
    if digest is None:
        return
    lines = ["[[allow]]", f"# {_comment(report.path)}, byte for byte as it is now"]
    lines += [f"# {_comment(f'{one.code}: {one.message}')}" for one in risky]
    codes = ", ".join(map(_string, dict.fromkeys(one.code for one in risky)))
    yield "\n".join(
        [
            *lines,
            f"digest = {_string(digest)}",
            f"codes = [{codes}]",
            'reason = "there when this policy was written, and not yet looked at"',
            "",
        ]
    )


def _table(name: str, lines: Iterable[str]) -> str:
    inside = list(lines)
    return "\n".join([f"[{name}]", *inside, ""]) if inside else ""


def _glob(text: str) -> str:
    return _string(escaped(text))


_ESCAPES: Mapping[str, str] = {'"': '\\"', "\\": "\\\\"}


def _string(text: str) -> str:
    """A basic string of TOML. What no file of UTF-8 can hold becomes a question mark."""
    return f'"{"".join(map(_character, text))}"'


def _character(one: str) -> str:
    if one in _ESCAPES:
        return _ESCAPES[one]
    if one.isprintable():
        return one
    return "?" if "\ud800" <= one <= "\udfff" else f"\\U{ord(one):08x}"


def _comment(text: str) -> str:
    """Text from a file in a comment, which it must not leave."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
