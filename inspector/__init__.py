"""A static inspector for saved TensorFlow-family models.

    import inspector

    report = inspector.show(["model.h5"])
    with inspector.open("model.h5") as opened:
        print(opened.artifact.tensors)

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
        NotFound,
        Truncated,
        UnknownFormat,
        Unsupported,
        UsageError,
    )
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
    from inspector.report import Report

_HOME = {
    "inspector.api": ("audit", "diff", "explain", "open", "reconcile", "show"),
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
        "NotFound",
        "Truncated",
        "UnknownFormat",
        "Unsupported",
        "UsageError",
    ),
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
    "inspector.report": ("Report",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Artifact",
    "ArtifactError",
    "Changed",
    "ChecksumMismatch",
    "CodeRefused",
    "Corrupt",
    "Extent",
    "InspectorError",
    "Layer",
    "LimitExceeded",
    "Limits",
    "LiveError",
    "LiveUnavailable",
    "Measurement",
    "NotFound",
    "Problem",
    "Report",
    "Role",
    "Tensor",
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
