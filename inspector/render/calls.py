"""How a model is called and which operators it needs, as lines: label and text, unescaped."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.report import ArtifactReport, OperatorReport, PortReport, SignatureReport
from inspector.words import count, listing, number

_SIGNATURES = 20  # signatures that are written out
_PORTS = 40  # inputs or outputs of one signature
_CUSTOM = 20  # custom operators that are named
_KINDS = 6  # of the most used operators
_VERSIONED = 40  # of operators that have versions, which decide whether a runtime has them


def calls(artifact: ArtifactReport) -> list[tuple[str, str]]:
    """(label, text) of tags, signatures, operators, and the digest; empty where it has none."""
    lines: list[tuple[str, str]] = []
    graphs = [", ".join(tags) or "no tag" for tags in artifact.tags]
    if graphs:
        lines.append(("tags", " · ".join(graphs)))
    several = len(artifact.tags) > 1
    for signature in artifact.signatures[:_SIGNATURES]:
        tags = f" [{', '.join(signature.tags)}]" if several and signature.tags else ""
        if artifact.format == "frozen-graph":
            # A graph has no signatures: these are what it is fed, and what nothing in it reads.
            lines.append(
                ("graph", f"{_ports(signature.inputs) or 'nothing'} → {_outputs(signature)}")
            )
        else:
            lines.append(("signature", f"{_signature(signature)}{tags}"))
    more = len(artifact.signatures) - _SIGNATURES
    if more > 0:
        lines.append(("signature", f"... and {number(more)} more (all in --format json)"))
    if artifact.operators:
        lines.append(("operators", _operators(artifact)))
    if artifact.min_runtime_version:
        lines.append(("runtime", f"{artifact.min_runtime_version} or later, as the file says"))
    if artifact.cost is not None:
        rules = f"multiply-accumulates: {artifact.cost.macs_rule}"
        lines.append(("cost", f"{rules}; activations: {artifact.cost.peak_rule}"))
    if artifact.attached:
        files = [f"{name} {number(size)}" for name, size in artifact.attached.items()]
        named = listing([*files[:_CUSTOM], *_rest(len(files) - _CUSTOM)])
        lines.append(("files inside", named))
    custom = [one.name for one in artifact.operators if one.custom]
    if custom:
        named = listing([*custom[:_CUSTOM], *_rest(len(custom) - _CUSTOM)])
        lines.append(
            ("custom", f"{named}: not TensorFlow's own, so the runtime must register them")
        )
    return lines + _content(artifact)


def _content(artifact: ArtifactReport) -> list[tuple[str, str]]:
    return [("content", artifact.content_digest)] if artifact.content_digest else []


def _rest(more: int) -> list[str]:
    return [f"{number(more)} more"] if more > 0 else []


def _operators(artifact: ArtifactReport) -> str:
    versioned = any(one.version is not None for one in artifact.operators)
    top = artifact.operators[: _VERSIONED if versioned else _KINDS]
    total = sum(one.count for one in artifact.operators)
    named = ", ".join(f"{_versioned(one)} {number(one.count)}" for one in top)
    kinds = len(artifact.operators)
    rest = f", and {count(kinds - len(top), 'more kind')}" if kinds > len(top) else ""
    return f"{number(total)} in the graph: {named}{rest}"


def _versioned(operator: OperatorReport) -> str:
    return operator.name if operator.version is None else f"{operator.name} v{operator.version}"


def _signature(signature: SignatureReport) -> str:
    return f"{signature.name}({_ports(signature.inputs)}) → {_outputs(signature)}"


def _outputs(signature: SignatureReport) -> str:
    return _ports(signature.outputs) or "nothing"


def _ports(ports: Sequence[PortReport]) -> str:
    words = [_port(port) for port in ports[:_PORTS]]
    return ", ".join([*words, *(f"... {one}" for one in _rest(len(ports) - _PORTS))])


def _port(port: PortReport) -> str:
    tensor = f" ({port.tensor})" if port.tensor and port.tensor != port.name else ""
    if port.dtype is None and port.shape is None:
        return f"{port.name}: unknown{tensor}"
    return f"{port.name}: {port.dtype or 'unknown'}{_shape(port.shape)}{tensor}"


def _shape(sides: tuple[int | None, ...] | None) -> str:
    """(None, 10) -> "[?, 10]"; a scalar " scalar", an unknown rank " of unknown shape"."""
    if sides is None:
        return " of unknown shape"
    if not sides:
        return " scalar"
    return f"[{', '.join('?' if side is None else str(side) for side in sides)}]"
