"""Tensors that are stored without their zeros, and where that does not pay."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.auditing.looks import agree, named
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.model import Severity
from inspector.words import count, some


def _dense(context: Context) -> Iterator[Found]:
    seen = context.seen
    sparse = [one for one in seen.artifact.tensors if one.sparse is not None]
    full = [one for one in sparse if any("DENSIFY" in (use.op, *use.through) for use in one.uses)]
    if full:
        more = sum(one.sparse.saved for one in full if one.sparse is not None)
        yield Found(
            f"{count(len(full), 'sparse tensor')} {agree(len(full), 'is', 'are')} written out in"
            " full when the model is loaded (DENSIFY)",
            evidence=f"{some([named(one) for one in full])}; the file is {more:,} bytes smaller for"
            " them, memory and time are those of a dense model",
            severity=Severity.INFO,
        )
    if context.original is not None and not sparse:
        stored = [one for one in context.original.artifact.tensors if one.sparse is not None]
        if stored:
            saved = sum(one.sparse.saved for one in stored if one.sparse is not None)
            yield Found(
                f"{count(len(stored), 'tensor')} {agree(len(stored), 'was', 'were')} stored without"
                " zeros, and none is now",
                evidence=f"{some([named(one) for one in stored])} of"
                f" {context.original.artifact.path}, which saved {saved:,} bytes",
            )


def _storage(context: Context) -> Iterator[Found]:
    for tensor in context.seen.artifact.tensors:
        sparse = tensor.sparse
        if sparse is not None and sparse.saved < 0:
            yield Found(
                f"sparse storage of {named(tensor)} takes {count(-sparse.saved, 'byte')} more than"
                " all values would",
                evidence=f"{sparse.format}: {sparse.stored:,} of {count(sparse.dense, 'value')}"
                " stored, and their indices",
                tensor=tensor.name,
                layer=tensor.layer,
            )


RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="sparsity-dense",
        severity=Severity.WARNING,
        summary="Sparse storage is lost, in the file or when it is loaded.",
        explanation="A LiteRT model may store weights without their zeros. Where no kernel computes"
        " with them so, a DENSIFY operator writes them out in full on loading: a smaller file, and"
        " nothing else, which is information. With --against ORIGINAL it is a warning where that"
        " has sparse tensors and this has none.",
        example="Two sparse kernels behind DENSIFY: 2 sparse tensors are written out in full when"
        " the model is loaded (DENSIFY).",
        fix="Prune in the blocks that the runtime has kernels for (1x4, 4x4 and 16x1 of XNNPACK and"
        " LiteRT), and convert with sparsity optimizations.",
        needs=Needs.ARTIFACT,
        check=_dense,
    ),
    AuditRule(
        code="sparsity-storage",
        severity=Severity.WARNING,
        summary="Sparse storage takes more bytes than dense would.",
        explanation="Each value that is stored sparsely takes an index, too. Below some half of"
        " zeros, and with small integers later, the indices take more than the zeros did.",
        example="A kernel of int8 with 40 % of zeros as CSR: sparse storage of dense/kernel takes"
        " 120 bytes more than all values would.",
        fix="Convert without sparsity optimizations, or prune in blocks, which share an index.",
        needs=Needs.ARTIFACT,
        check=_storage,
    ),
)
