"""Reports of differences made by hand, for renderers: no artifact is behind them."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from inspector.report import (
    Diff,
    DiffFact,
    DiffPair,
    DiffPlace,
    DiffSummary,
    DiffTensor,
    DiffValues,
    Report,
    report,
)
from tests.builders import artifacts


def tensor(
    path: str, role: str = "weight", shape: tuple[int, ...] = (10,), **others: Any
) -> DiffTensor:
    """One side: "dense/kernel" is the kernel of the layer dense."""
    layer, _, variable = path.rpartition("/")
    elements = 1
    for side in shape:
        elements *= side
    made = DiffTensor(path, layer, variable, role, True, "float32", shape, elements, elements * 4)
    return replace(made, **others)


def pair(
    status: str, a: DiffTensor | None, b: DiffTensor | None = None, words: str = "", **others: Any
) -> DiffPair:
    """A pair; b is None for one that only A has, and is A's again unless given."""
    made = DiffPair(status, a, b, "same name", "name", (), words, None, None, True)
    return replace(made, **others)


def values(elements: int, differing: int, **others: Any) -> DiffValues:
    made = DiffValues(
        elements, differing, differing == 0, 0.125, 0.0003, 0.0021, 0.9999, 1, 40, 42, 3, 1
    )
    return replace(made, **others)


def difference(
    pairs: tuple[DiffPair, ...], facts: tuple[DiffFact, ...] = (), **others: Any
) -> Report:
    """A report of the difference between pruned.h5 and plain.h5."""
    summary = DiffSummary(
        *(
            sum(one.status == status for one in pairs)
            for status in ("added", "removed", "changed", "unchanged", "unread")
        )
    )
    same = not any(one.counts and one.status != "unchanged" for one in pairs)
    diff = Diff(summary, pairs, same and not any(one.counts for one in facts), facts=facts)
    both = artifacts.pruned().build(), artifacts.plain().build()
    return report("diff", both, diff=replace(diff, **others))


def every_kind(*, places: bool = False) -> Report:
    """A pair of each kind, and a fact of each kind."""
    kernel = tensor("dense/kernel", shape=(2028, 10))
    conv = tensor("conv2d/kernel", shape=(3, 3, 1, 12))
    bias = tensor("dense_1/bias")
    gamma = tensor("batch_normalization/gamma", shape=(12,))
    pairs = (
        pair(
            "changed",
            kernel,
            kernel,
            "3 of 20,280 values differ, by up to 0.125",
            changes=("values",),
            clauses=("3 of 20,280 values differ, by up to 0.125",),
            values=values(20280, 3),
        ),
        pair(
            "changed",
            conv,
            replace(conv, dtype="int8", shape=(12, 3, 3, 1)),
            "97 of 108 values differ, by up to 0.00171; float32 -> int8; quantized per channel",
            changes=("values", "retyped", "quantization"),
            clauses=(
                "97 of 108 values differ, by up to 0.00171",
                "float32 -> int8",
                "quantized per channel",
            ),
            values=values(108, 97, in_scale_units=0.4987, largest=0.00171),
        ),
        pair(
            "changed",
            bias,
            replace(bias, layer="head"),
            "dense_1 is now head",
            changes=("renamed",),
            clauses=("dense_1 is now head",),
            values=values(10, 0, zeros_a=10, zeros_b=10),
        ),
        pair(
            "changed",
            gamma,
            replace(gamma, trainable=False),
            "trainable -> frozen",
            changes=("trainable",),
            clauses=("trainable -> frozen",),
            values=values(12, 0, zeros_a=0, zeros_b=0),
        ),
        pair(
            "unread",
            tensor("dense_2/kernel"),
            tensor("dense_2/kernel"),
            "B's values: truncated",
            counts=False,
        ),
        pair("removed", tensor("dense/mask", "mask", (2028, 10)), why="pruning was stripped"),
        pair("removed", tensor("dense/threshold", "threshold", ()), why="pruning was stripped"),
        pair("added", None, tensor("new/kernel", shape=(10, 4)), why="layer new is only in B"),
        *(
            pair("removed", tensor(f"adam/m_{at}", "optimizer_slot"), why="B has no training state")
            for at in range(400)
        ),
        pair(
            "removed",
            tensor("conv2d/bias", shape=(12,)),
            why="all zero: the converter leaves it out",
            counts=False,
        ),
        pair("unchanged", tensor("dense/bias"), tensor("dense/bias"), values=values(10, 0)),
    )
    facts = (
        DiffFact("layers", "new added", None, "Dense", "B has a layer new (Dense)", True),
        DiffFact("config", "dense.activation", "relu", "gelu", "dense: relu -> gelu", True),
        DiffFact("config", "dense.units", 10, 12, "dense: 10 -> 12 units", True),
        DiffFact("config", "dense.use_bias", True, None, "dense: use_bias is gone", True),
        DiffFact(
            "training-config",
            "optimizer",
            {"class_name": "Adam", "config": {"learning_rate": 0.001}},
            None,
            "B has no optimizer",
            True,
        ),
        DiffFact("totals", "count_params", 2638, 1354, "count_params", False),
        DiffFact("totals", "after_strip", 1354, None, "after_strip", False),
        DiffFact("totals", "nbytes", 26496, 10512, "bytes", False),
        DiffFact(
            "roles", "mask", {"tensors": 2, "elements": 1280, "nbytes": 5120}, None, "", False
        ),
        DiffFact("patterns", "2:4 input", 2, 0, "2:4 holds in none of B", False),
        DiffFact("bytes", "masks", 5120, 0, "masks", False),
        DiffFact(
            "producer",
            "version",
            "tf_keras 2.21.0",
            "tf_keras 2.20.0",
            "tf_keras 2.21.0 -> 2.20.0",
            False,
        ),
        DiffFact("format", "format", "keras-h5", "saved-model", "another format", False),
    )
    spots = (
        DiffPlace("pruned.h5", "plain.h5", 2048, 40, "dense/kernel"),
        DiffPlace("pruned.h5", "plain.h5", 96, 4, "HDF5 structure"),
        DiffPlace("pruned.h5", None, 30000, 20000, "the end of A's file"),
    )
    answer = (
        "Pruning was stripped: 1 mask, 1 threshold gone; 3 values of dense/kernel differ.",
        "B is 22,740 bytes smaller, of which 5,120 are masks.",
    )
    return difference(pairs, facts, answer=answer, places=spots if places else UNSET)


def nothing() -> Report:
    """Two that say the same, though they were written in other ways."""
    pairs = tuple(
        pair("unchanged", tensor(path), tensor(path), values=values(10, 0))
        for path in ("dense/kernel", "dense/bias")
    )
    facts = (
        DiffFact(
            "producer", "version", "tf_keras 2.21.0", "tf_keras 2.20.0", "another version", False
        ),
    )
    return difference(pairs, facts)


def many(times: int = 5_000) -> Report:
    """So many kernels, of each of which one value differs, as many layers of other configs."""
    pairs = tuple(
        pair(
            "changed",
            tensor(f"block_{at}/dense/kernel"),
            tensor(f"block_{at}/dense/kernel"),
            "1 of 10 values differ",
            changes=("values",),
            clauses=("1 of 10 values differ",),
            values=values(10, 1),
        )
        for at in range(times)
    )
    facts = tuple(
        DiffFact("config", f"block_{at}.dense.units", at, at + 1, "units", True)
        for at in range(times)
    )
    return difference(pairs, facts)


def hostile() -> Report:
    """Names and values that would steer a terminal, break a table, or be a formula."""
    name = "=cmd|'/c calc'!A1\x1b[31m\n\u202e`x`|<b>" + "y" * 5_000
    one = tensor(f"{name}/kernel", variable=name, dtype="float32")
    pairs = (
        pair("changed", one, replace(one, layer="\x07"), name, changes=("values",), why=name),
        pair("added", None, tensor("", layer=None, variable=None), why=name),
    )
    facts = (DiffFact("config", name, name, {name: [name]}, name, True),)
    return difference(pairs, facts, answer=(name,), places=(DiffPlace(name, "b", 0, 1, name),))


CASES: dict[str, Any] = {
    "every-kind": every_kind,
    "places": lambda: every_kind(places=True),
    "nothing": nothing,
    "many": many,
    "hostile": hostile,
}
