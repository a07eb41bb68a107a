"""Floats where integers were meant: which operators of a LiteRT model compute with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from inspector.auditing.looks import KERNELS, agree, short
from inspector.auditing.operators import Operators
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.model import Severity
from inspector.words import count, some

_SHOWN = 6


def _float_activation(context: Context) -> Iterator[Found]:
    artifact = context.seen.artifact
    if not artifact.tensors or artifact.scheme is None:
        return
    asked = context.policy.integer
    if not asked and not artifact.scheme.startswith(("full integer", "16x8")):
        return
    operators = Operators.of(artifact)
    # A custom operator's results are what its authors chose; only the policy may object.
    blamed = [one for one in operators.floating if asked or one not in operators.custom]
    if blamed:
        yield Found(
            f"{len(blamed):,} of {count(len(operators.words), 'operator')}"
            f" {agree(len(blamed), 'computes', 'compute')} with floats:"
            f" {_words(operators.words, blamed)}",
            evidence=f"{some([short(one) for one in blamed], _SHOWN)}; the model is"
            f" {'said to be an integer model by the policy' if asked else artifact.scheme}",
            layer=blamed[0] if len(blamed) == 1 else None,
            severity=Severity.ERROR if asked else None,
        )
    if asked:
        yield from _float_ports(context)


def _float_ports(context: Context) -> Iterator[Found]:
    for signature in context.seen.artifact.signatures:
        for kind, ports in (("input", signature.inputs), ("output", signature.outputs)):
            floats = [one for one in ports if (one.dtype or "").startswith(("float", "bfloat"))]
            if floats:
                yield Found(
                    f"{count(len(floats), kind)} of {signature.name}"
                    f" {agree(len(floats), 'is', 'are')} {floats[0].dtype}",
                    evidence=some([one.name for one in floats], _SHOWN),
                    severity=Severity.ERROR,
                )


def _words(words: Mapping[str, str], operators: Sequence[str]) -> str:
    """What operators do, the most used first: "3 SOFTMAX, 1 ADD"."""
    counts = Counter(words[one] for one in operators)
    return some([f"{number:,} {word}" for word, number in counts.most_common()], _SHOWN)


def _island(context: Context) -> Iterator[Found]:
    operators = Operators.of(context.seen.artifact)
    for island in operators.islands():
        yield Found(
            f"{count(len(island), 'operator')} between DEQUANTIZE and QUANTIZE"
            f" {agree(len(island), 'computes', 'compute')} with floats:"
            f" {_words(operators.words, island)}",
            evidence=some([short(one) for one in island], _SHOWN),
            layer=island[0] if len(island) == 1 else None,
        )


def _hybrid(context: Context) -> Iterator[Found]:
    artifact = context.seen.artifact
    asked = context.policy.integer
    if artifact.scheme is None or not (asked or artifact.scheme.startswith("mixed")):
        return
    operators = Operators.of(artifact)
    floating = frozenset(operators.floating)
    hybrid = dict.fromkeys(
        use.node
        for tensor in artifact.tensors
        if tensor.made is None and tensor.quantized is not None and "int" in tensor.dtype
        for use in tensor.uses
        if use.node in floating and "DEQUANTIZE" not in use.through and tensor.variable in KERNELS
    )
    if hybrid:
        yield Found(
            f"{len(hybrid):,} of {count(len(operators.words), 'operator')}"
            f" {agree(len(hybrid), 'is', 'are')} hybrid, integer weights with float activations:"
            f" {_words(operators.words, list(hybrid))}",
            evidence=some([short(one) for one in hybrid], _SHOWN),
            layer=next(iter(hybrid)) if len(hybrid) == 1 else None,
            severity=Severity.WARNING if asked else None,
        )


RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="quant-float-activation",
        severity=Severity.WARNING,
        summary="Operators of an integer model compute with floats.",
        explanation="A processor without floats cannot run them, and others lose the speed that"
        " quantization was for. Looked at are LiteRT models whose weights are all computed with as"
        " integers, and all where the policy has integer = true: then it is an error, and inputs"
        " and outputs count, too. DEQUANTIZE is not to blame, but what reads its result.",
        example="An int8 model that ends in a float SOFTMAX: 1 of 9 operators computes with floats:"
        " 1 SOFTMAX.",
        fix="Convert with target_spec.supported_ops = [TFLITE_BUILTINS_INT8] and int8 input and"
        " output, which fails where an operator has no integer form.",
        needs=Needs.ARTIFACT,
        check=_float_activation,
    ),
    AuditRule(
        code="quant-float-island",
        severity=Severity.INFO,
        summary="Operators between a DEQUANTIZE and a QUANTIZE compute with floats.",
        explanation="Values are turned into floats, worked on and turned back: two more passes over"
        " the data, and a stop for accelerators. An operator without an integer form is in the"
        " middle of integer ones, or was left out of quantization.",
        example="CONV_2D, DEQUANTIZE, ELU, QUANTIZE, CONV_2D: 1 operator between DEQUANTIZE and"
        " QUANTIZE computes with floats: 1 ELU.",
        fix="Use an operator that has an integer form (RELU6, HARD_SWISH), or move it to the end.",
        needs=Needs.ARTIFACT,
        check=_island,
    ),
    AuditRule(
        code="quant-hybrid",
        severity=Severity.INFO,
        summary="Operators have integer weights and float activations, in a model of integers.",
        explanation="A hybrid operator turns its input into integers each time it runs. A model in"
        " which that is the scheme (dynamic range) is meant so; here some operators are hybrid and"
        " others compute in integers, or the policy has integer = true (then it is a warning).",
        example="A CONV_2D in int8 and a FULLY_CONNECTED with an int8 kernel and a float input: 1"
        " of 4 operators is hybrid.",
        fix="Give representative data to the converter, so that activations are quantized, too.",
        needs=Needs.ARTIFACT,
        check=_hybrid,
    ),
)
