"""Which class of colour a part of a file has: a few families, as an eye keeps no more apart."""

from __future__ import annotations

from collections.abc import Mapping

FAMILIES: Mapping[str, str] = {
    "weight": "model",
    "statistic": "model",
    "mask": "pruning",
    "threshold": "pruning",
    "pruning_step": "pruning",
    "quant_param": "quant",
    "quant_step": "quant",
    "centroids": "cluster",
    "cluster_indices": "cluster",
    "cluster_original": "cluster",
    "optimizer_slot": "optimizer",
    "optimizer_state": "optimizer",
    "metric": "training",
    "counter": "training",
    "alias": "data",
    "constant": "data",
    "lookup": "data",
    "activation": "data",
    "unknown": "unknown",
}


def css_of(role: str | None) -> str:
    """The class of a role's family, "f-pruning"; "f-file" of what is no tensor's."""
    return "f-file" if role is None else f"f-{FAMILIES.get(role, 'unknown')}"
