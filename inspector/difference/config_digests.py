"""Layers where one side is a saved report: it has classes, and digests of configs at best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inspector.assemble_digests import row_digest
from inspector.difference.config_layers import Node, Paired, pair_nodes
from inspector.difference.config_values import Writers, writers_of
from inspector.difference.layer_facts import layer_facts, wrapper_facts, wrapping
from inspector.difference.nouns import Subject
from inspector.keras.tfmot import CLASSES
from inspector.model import Layer
from inspector.pairing.names import bare
from inspector.report import DiffFact, LayerReport


def facts(a: Subject, b: Subject, layers: Mapping[str, str]) -> tuple[DiffFact, ...]:
    """What the rows of both reports tell: layers, wrappers, and whether configs are the same."""
    if not _comparable(a, b):
        return ()
    paired = pair_nodes(_nodes(a), _nodes(b), layers)
    writers = writers_of(a, b)
    return (
        *wrapper_facts(paired),
        *layer_facts(paired, writers, named=True),
        *_configs(a, b, paired, writers),
    )


def _comparable(a: Subject, b: Subject) -> bool:
    """Whether the rows are layers of a config in both, or of one format's own making."""
    return a.artifact.format == b.artifact.format or all(
        one.artifact.format.startswith("keras-") and one.artifact.model is not None
        for one in (a, b)
    )


def _nodes(subject: Subject) -> tuple[Node, ...]:
    return tuple(_node(row, at) for at, row in enumerate(subject.report.layers) if row.name)


def _node(row: LayerReport, place: int) -> Node:
    path = "/".join(map(bare, row.name.split("/")))
    name = row.name.rpartition("/")[2]
    layer = Layer(row.name, name, row.class_name)
    if row.wraps is None or row.class_name not in CLASSES:
        return Node(path, layer, (), None, place)
    return Node(path, Layer(path, bare(name), row.wraps), (layer,), None, place)


def _configs(a: Subject, b: Subject, paired: Paired, writers: Writers) -> Iterator[DiffFact]:
    ours, theirs = _digests(a), _digests(b)
    if not ours or not theirs:
        if ours or theirs:
            side = "B" if ours else "A"
            words = f"{side} has no digests of its layers' configs to compare"
            yield DiffFact("config", "config", None, None, words, counts=False)
        return
    for one, other in paired.pairs:
        # The digest is of the wrapper's config too.
        if wrapping(one) != wrapping(other) or one.class_name != other.class_name:
            continue
        a_path, b_path = ((n.wrappers or (n.layer,))[0].path for n in (one, other))
        digests = ours.get(a_path), theirs.get(b_path)
        if None in digests or digests[0] == digests[1]:
            continue
        words = f"{one.path}: its config differs (the saved report has only its digest)"
        if writers is not Writers.SAME:
            words += ", as it may between versions of Keras"
        yield DiffFact("config", one.path, *digests, words, counts=writers is Writers.SAME)


def _digests(subject: Subject) -> Mapping[str, str]:
    """Digests by the row's name; an open artifact's are made where its report has none."""
    rows = subject.report.layers
    found = {row.name: row.config_digest for row in rows if isinstance(row.config_digest, str)}
    if found or subject.saved or subject.artifact.model is None:
        return found
    names = {row.name for row in rows}
    layers = (layer for layer in subject.artifact.model.walk() if layer.path in names)
    made = {layer.path: row_digest(layer, names) for layer in layers}
    return {path: digest for path, digest in made.items() if digest is not None}
