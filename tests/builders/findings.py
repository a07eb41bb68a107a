"""Reports of audits made by hand, for renderers: no artifact is behind them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from inspector.model import Severity
from inspector.report import (
    ArtifactReport,
    AuditReport,
    AuditRuleReport,
    Finding,
    Report,
    Suppressed,
    Unasked,
    report,
)
from tests.builders import artifacts

# What a file may be called, or a layer in it, by somebody who wishes no good.
HOSTILE = (
    "\x1b[2J\x1b[31mred",
    "a\r\n::error::injected",
    "a%0A::warning::injected",
    "evil,title=x:y",
    "</failure></testcase><x a='\"&",
    "]]>",
    "a|b`c`<img src=x onerror=1>[click](https://evil.example)",
    "{0} and [words](1)",
    "\u202egnp.h5",
    "\x00\x0b\ufffe\U0001f600",
    "\ud800\udcff",
    "名" * 60,
    "x" * 5_000,
    " ",
    "=1+1",
)


def rule(code: str, severity: str = "error") -> AuditRuleReport:
    return AuditRuleReport(
        code,
        code.partition("-")[0],
        Severity(severity),
        f"What {code} is about.",
        f"Why {code} matters.",
        f"An artifact that has {code}.",
        f"Undo {code}.",
    )


def finding(
    code: str, severity: str = "error", artifact: str = "pruned.h5", **others: Any
) -> Finding:
    """A finding that fails where it is an error."""
    made = Finding(
        code,
        Severity(severity),
        f"{code} is so",
        artifact,
        None,
        None,
        f"Undo {code}.",
        fingerprint=f"{len(code) % 16:x}" * 64,
        artifact=artifact,
        fails=severity == "error",
    )
    return replace(made, **others)


def audit(
    findings: tuple[Finding, ...] = (),
    suppressed: tuple[Suppressed, ...] = (),
    paths: tuple[str, ...] = ("pruned.h5",),
    **others: Any,
) -> Report:
    """A report of an audit of artifacts at these paths; each rule with a finding was asked."""
    every = (*findings, *(one.finding for one in suppressed))
    codes = tuple(dict.fromkeys(one.code for one in every))
    times = [sum(one.severity.value == name for one in findings) for name in _NAMES]
    made = AuditReport(
        None,
        len(paths),
        len(codes),
        *times,
        "error",
        any(one.fails for one in findings),
        suppressed=suppressed,
        asked=codes,
        explained=tuple(map(rule, codes)),
    )
    return report(
        "audit",
        tuple(artifact(path) for path in paths),
        findings=findings,
        audit=replace(made, **others),
    )


_NAMES = ("error", "warning", "info")


def artifact(path: str) -> ArtifactReport:
    return replace(artifacts.plain().build(), path=path)


def usual() -> Report:
    """Five artifacts: three errors and a warning in two of them, four findings not shown."""
    mask = finding(
        "leftover-pruning",
        message="2 pruning wrappers with masks (1,280 elements)",
        evidence="layers: prune_low_magnitude_dense, prune_low_magnitude_dense_1",
        fingerprint="a1" * 32,
        fix="tfmot.sparsity.keras.strip_pruning(model), then save that.",
    )
    nan = finding(
        "number-nan",
        message="3 of 640 values are NaN",
        layer="dense",
        tensor="model_weights/dense/dense/kernel:0",
        offset=9424,
        fingerprint="b2" * 32,
    )
    lambda_ = finding(
        "safety-lambda",
        artifact="export",
        path="export/keras_metadata.pb",
        message="the Lambda layer scale has marshalled code, 118 bytes",
        evidence="sha256 of the code: 0d4a1185f5c8",
        layer="scale",
        fingerprint="c3" * 32,
    )
    constant = finding(
        "number-constant",
        "warning",
        message="all 64 values of dense/bias are 0.5",
        layer="dense",
        tensor="dense/bias",
        fingerprint="d4" * 32,
        fix=None,
    )
    known = replace(constant, message="all 10 values of dense_1/bias are 0.25", tensor="d/b")
    suppressed = (
        Suppressed(known, "baseline"),
        Suppressed(replace(known, fingerprint="e5" * 32), "baseline"),
        Suppressed(replace(mask, artifact="ok.h5", path="ok.h5"), "allowed: reviewed by QA"),
        Suppressed(replace(nan, artifact="ok.h5", path="ok.h5"), "allowed: reviewed by QA"),
    )
    rules = ("leftover-pruning", "number-nan", "number-constant", "safety-lambda", "size-nbytes")
    return audit(
        (mask, nan, lambda_, constant),
        suppressed,
        ("pruned.h5", "export", "ok.h5", "plain.keras", "lite.tflite"),
        rules=5,
        asked=rules,
        unasked=(Unasked("export", ("number-nan", "number-constant")),),
        explained=tuple(
            rule(code, "warning" if code == "number-constant" else "error") for code in rules[:4]
        ),
        notes=("export: it could not be read, so 2 rules could not be asked of it",),
        policy="inspector.toml",
    )


def clean() -> Report:
    """Two artifacts, and nothing to say of them."""
    return audit(paths=("plain.keras", "lite.tflite"), rules=5, asked=("number-nan",))


def many() -> Report:
    """More of everything than any list shows."""
    return audit(
        tuple(
            finding(code, severity, tensor=f"t{at}", message=f"t{at} is wrong")
            for code, severity in (("a-one", "error"), ("b-two", "warning"), ("c-three", "info"))
            for at in range(60)
        )
    )


def hostile(name: str) -> Report:
    """The name wherever a name may be."""
    made = finding(
        "safety-zip-name",
        artifact=name,
        path=f"{name}/{name}",
        message=f"the member {name} leads out",
        tensor=name,
        layer=f"l{name}",
        evidence=name,
        fix=f"Take {name} out.",
        offset=7,
    )
    also = replace(made, severity=Severity.WARNING, fails=False)
    return audit(
        (made, also),
        (Suppressed(made, f"allowed: {name}"),),
        (name, "plain.keras"),
        notes=(f"{name}: not looked into",),
        policy=name,
    )


CASES = {"usual": usual, "clean": clean, "many": many}
