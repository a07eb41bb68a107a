"""A static inspector for saved TensorFlow-family models.

    import inspector

    m = inspector.open("model.h5")  # shows itself in a notebook
    m.tensors["dense/kernel"].numpy()
    m.to_frame().groupby("role").nbytes.sum()
    inspector.diff("model.h5", "stripped.h5")

Everything is loaded when first asked for: `import inspector` imports nothing heavy.
"""

from __future__ import annotations

from inspector._version import __version__

TYPE_CHECKING = False  # `typing` would take longer than all else here

if TYPE_CHECKING:
    from inspector.api import audit, diff, explain, open, reconcile, show
    from inspector.errors import (
        ArtifactError,
        Changed,
        ChecksumMismatch,
        CodeRefused,
        Corrupt,
        InspectorError,
        LimitExceeded,
        LiveError,
        LiveUnavailable,
        NoSuchTensor,
        NotFound,
        Truncated,
        UnknownFormat,
        Unsupported,
        UsageError,
    )
    from inspector.filesystem import keep_copies
    from inspector.inspected import Inspected, InspectedTensor, Tensors
    from inspector.limits import Limits
    from inspector.model import (
        Artifact,
        Extent,
        Layer,
        Measurement,
        Problem,
        Role,
        Tensor,
        Totals,
        Verdict,
    )
    from inspector.report import (
        ArtifactReport,
        Explanation,
        Finding,
        LayerReport,
        MeasureReport,
        Report,
        TensorReport,
    )

_HOME = {
    "inspector.api": ("audit", "diff", "explain", "open", "reconcile", "show"),
    "inspector.filesystem": ("keep_copies",),
    "inspector.errors": (
        "ArtifactError",
        "Changed",
        "ChecksumMismatch",
        "CodeRefused",
        "Corrupt",
        "InspectorError",
        "LimitExceeded",
        "LiveError",
        "LiveUnavailable",
        "NoSuchTensor",
        "NotFound",
        "Truncated",
        "UnknownFormat",
        "Unsupported",
        "UsageError",
    ),
    "inspector.inspected": ("Inspected", "InspectedTensor", "Tensors"),
    "inspector.limits": ("Limits",),
    "inspector.model": (
        "Artifact",
        "Extent",
        "Layer",
        "Measurement",
        "Problem",
        "Role",
        "Tensor",
        "Totals",
        "Verdict",
    ),
    "inspector.report": (
        "ArtifactReport",
        "Explanation",
        "Finding",
        "LayerReport",
        "MeasureReport",
        "Report",
        "TensorReport",
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Artifact",
    "ArtifactError",
    "ArtifactReport",
    "Changed",
    "ChecksumMismatch",
    "CodeRefused",
    "Corrupt",
    "Explanation",
    "Extent",
    "Finding",
    "Inspected",
    "InspectedTensor",
    "InspectorError",
    "Layer",
    "LayerReport",
    "LimitExceeded",
    "Limits",
    "LiveError",
    "LiveUnavailable",
    "MeasureReport",
    "Measurement",
    "NoSuchTensor",
    "NotFound",
    "Problem",
    "Report",
    "Role",
    "Tensor",
    "TensorReport",
    "Tensors",
    "Totals",
    "Truncated",
    "UnknownFormat",
    "Unsupported",
    "UsageError",
    "Verdict",
    "__version__",
    "audit",
    "diff",
    "explain",
    "keep_copies",
    "open",
    "reconcile",
    "show",
]


def __getattr__(name: str) -> object:
    import importlib

    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
