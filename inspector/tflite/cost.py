"""What one call of a .tflite model costs: multiply-accumulates, and memory of activations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inspector.errors import ArtifactError
from inspector.model import Cost
from inspector.tflite import memory
from inspector.tflite.macs import Macs, macs
from inspector.tflite.names import Key
from inspector.wire.tflite_model import Subgraph, TfliteModel, TfliteOperator
from inspector.wire.tflite_operators import OPERATORS
from inspector.wire.tflite_values import stored_bytes

# Past this, numbers are made up: no processor could count so far.
MOST = (1 << 63) - 1

_MACS = "products that convolutions, matrix products and recurrent layers sum up, by their shapes"


def macs_of(model: TfliteModel) -> dict[Key, Macs]:
    """Those of every operator that has any, by subgraph and index."""
    found: dict[Key, Macs] = {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            if not 0 <= operator.code < len(model.codes):
                continue
            one = macs(model, graph, operator)
            if one is not None:
                known = one.count if one.count is not None and one.count <= MOST else None
                found[graph.index, operator.index] = Macs(known, one.rule, one.assumed)
    return found


def output_bytes(graph: Subgraph, operator: TfliteOperator) -> int | None:
    """Bytes of what an operator puts out; None where the size of one is not fixed."""
    made = [graph.tensors[one] for one in operator.outputs if 0 <= one < len(graph.tensors)]
    sizes = [stored_bytes(one) if one.shape or one.has_rank else None for one in made]
    known = [size for size in sizes if size is not None]
    total = sum(known)
    return total if len(known) == len(sizes) and total <= MOST else None


def cost_of(model: TfliteModel, counts: Mapping[Key, Macs]) -> Cost | None:
    """The cost of a call of the first subgraph, those that it runs in it once each.

    counts: what `macs_of` gives. None where the model has no operators there.
    """
    if not model.subgraphs or not model.subgraphs[0].operators:
        return None
    run = list(_run(model, model.subgraphs[0]))
    inside = [
        counts[graph.index, operator.index]
        for graph in run
        for operator in graph.operators
        if (graph.index, operator.index) in counts
    ]
    known = [one.count for one in inside if one.count is not None]
    total = sum(known)
    uncounted = len(inside) - len(known) + sum(_opaque(model, graph) for graph in run)
    peak, peak_rule = _peak(model)
    return Cost(
        # Where nothing could be counted, 0 would be a number that nobody knows to be right.
        macs=total
        if len(known) == len(inside) and total <= MOST and (known or not uncounted)
        else None,
        macs_rule=_MACS
        + (", a side that is not fixed as 1" if any(one.assumed for one in inside) else "")
        + (", each subgraph as run once" if len(run) > 1 else ""),
        uncounted=uncounted,
        peak=peak,
        peak_rule=peak_rule,
    )


def _opaque(model: TfliteModel, graph: Subgraph) -> int:
    """Operators of which nobody knows what they compute: custom ones, and unknown numbers."""
    known = frozenset(OPERATORS) - {"CUSTOM"}
    return sum(
        not 0 <= one.code < len(model.codes) or model.codes[one.code].name not in known
        for one in graph.operators
    )


def _run(model: TfliteModel, graph: Subgraph) -> Iterator[Subgraph]:
    """A subgraph and all that it runs, each once."""
    waiting, seen = [graph], {graph.index}
    while waiting:
        one = waiting.pop()
        yield one
        for operator in one.operators:
            if not 0 <= operator.code < len(model.codes):
                continue
            for inner in memory.called(model, operator):
                if inner.index not in seen:
                    seen.add(inner.index)
                    waiting.append(inner)


def _peak(model: TfliteModel) -> tuple[int | None, str]:
    try:
        plan = memory.plan(model, model.subgraphs[0])
    except ArtifactError:  # an operator without a code
        return None, memory.RULE
    left_out = f", {plan.unknown:,} of no fixed size left out" if plan.unknown else ""
    return (plan.peak if plan.peak <= MOST else None), memory.RULE + left_out
