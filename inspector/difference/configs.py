"""What changed in the layers and their settings.

Layers of both models are paired (`config_layers`), then their settings are held against each other
(`config_values`), then how they are connected (`connections`). What counts: every change of what
the model is, and a new name of a layer, since code and files know layers by it. The name of the
model itself, and names that Keras makes for the input of a Sequential, do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from inspector.difference import config_digests
from inspector.difference.config_layers import (
    Node,
    Paired,
    nodes_of,
    own_config,
    pair_nodes,
)
from inspector.difference.config_values import (
    Difference,
    Writers,
    clause,
    differences,
    kept,
    said,
    writers_of,
)
from inspector.difference.connections import Rewired, rewired
from inspector.difference.layer_facts import called, class_of, layer_facts, wrapper_facts, wrapping
from inspector.difference.nouns import Subject
from inspector.report import DiffFact


def config_facts(a: Subject, b: Subject, layers: Mapping[str, str]) -> tuple[DiffFact, ...]:
    """Layers added, removed, renamed ... (part "layers"), and settings that differ ("config").

    layers: paths of A -> paths of B, without wrappers, of layers that pairing found under another
    name. `what` of a setting is the layer's path, "." and its key: "dense.activation".
    """
    if any(one.saved and not one.report.configs for one in (a, b)):
        return config_digests.facts(a, b, layers)
    ours, theirs = _nodes(a, b)
    told = [
        one.artifact.model is not None and any(node.layer.config for node in nodes)
        for one, nodes in ((a, ours), (b, theirs))
    ]
    if told[0] != told[1]:
        return (_untold("A" if told[1] else "B"),)
    models = [one.artifact.model for one in (a, b)]
    if not told[0] and (a.artifact.format != b.artifact.format or None in models):
        return ()  # names of the formats' own making, or told from tensors, which are compared
    paired = pair_nodes(ours, theirs, layers)
    return tuple(_facts(paired, ours, theirs, writers_of(a, b), named=told[0]))


def _nodes(a: Subject, b: Subject) -> tuple[Sequence[Node], Sequence[Node]]:
    """The layers of both. A saved report has those that the artifact was shown with: of a
    SavedModel its objects, and none for an input.
    """
    reread = not (a.saved or b.saved)
    ours, theirs = (nodes_of(one.artifact, reread=reread) for one in (a, b))
    if reread or a.artifact.store is b.artifact.store:
        return ours, theirs
    return [one for one in ours if not one.is_input], [one for one in theirs if not one.is_input]


def _untold(side: str) -> DiffFact:
    here = {"A": "none", "B": "a config"} if side == "A" else {"A": "a config", "B": "none"}
    words = f"{side} has no config of its layers to compare"
    return DiffFact("config", "config", here["A"], here["B"], words, counts=False)


def _facts(
    paired: Paired, ours: Sequence[Node], theirs: Sequence[Node], writers: Writers, *, named: bool
) -> Iterator[DiffFact]:
    yield from wrapper_facts(paired)
    yield from layer_facts(paired, writers, named=named)
    connections: dict[int, list[Rewired]] = {}
    for found in rewired(ours, theirs, paired, writers):
        connections.setdefault(id(found.pair[0]), []).append(found)
    for a, b in paired.pairs:
        if class_of(a, writers) == class_of(b, writers):
            found_here = list(differences(a.config(), b.config(), writers))
            yield from (_setting(called(a), a.path or "model", one) for one in found_here)
        if wrapping(a) == wrapping(b):
            for around, other in zip(a.wrappers, b.wrappers, strict=True):
                settings = differences(own_config(around), own_config(other), writers)
                yield from (_setting(around.name, around.path, one) for one in settings)
        yield from map(_connection, connections.get(id(a), ()))


def _setting(called: str, path: str, found: Difference) -> DiffFact:
    words = f"{called}: {clause(found)}"
    what = f"{path}.{found.key}" if found.key else path
    return DiffFact("config", what, kept(found.a), kept(found.b), words, found.counts)


def _connection(found: Rewired) -> DiffFact:
    node = found.pair[0]
    what = f"{node.path or 'model'}.{found.what}"
    noun = {"call": "called with"}.get(found.what, found.what)
    words = f"{called(node)}: {noun} {_ends(found.a)} -> {_ends(found.b)}"
    return DiffFact("config", what, kept(found.a), kept(found.b), words, found.counts)


def _ends(value: str) -> str:
    return said(value) or "nothing"
