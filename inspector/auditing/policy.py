"""What a policy says: which rules, how severe, against which budgets and claims."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from msgspec import Struct

Level = Literal["info", "warning", "error"]


class Budgets(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The most an artifact may have of each; null is no budget.

    nbytes: of all files; count_params, stored_elements: elements; macs: multiply-accumulates of one
    call; activation_bytes: of activations that live at once; layer_params: elements of one layer;
    duplicate_bytes: of tensors that another one repeats.
    """

    nbytes: int | None = None
    count_params: int | None = None
    stored_elements: int | None = None
    macs: int | None = None
    activation_bytes: int | None = None
    layer_params: int | None = None
    duplicate_bytes: int | None = None


class Sparsity(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What the model claims: shares of zeros from 0 to 1, and patterns, by glob of the path.

    overall: of all weights together; tolerance: how far below a claim is still in it (rounding
    leaves a kernel of 10 values at 0.8 where 0.85 was asked for). patterns: "2:4" and the like.
    lost: how much less sparse than `--against` a layer may be.
    """

    overall: float | None = None
    layers: dict[str, float] = {}
    patterns: dict[str, str] = {}
    tolerance: float = 0.005
    lost: float = 0.005


class Numbers(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Bounds of what values may be: the largest magnitude of a weight, the largest share of values
    at an end of their range, the least share of the integers' range that is used, the largest share
    of denormals.
    """

    largest: float = 1e4
    saturated: float = 0.02
    used_range: float = 0.5
    denormals: float = 0.001


class Runtime(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Versions of what will load the artifact; null is not asked."""

    tensorflow: str | None = None
    keras: str | None = None
    litert: str | None = None
    tfmot: str | None = None


class Allowed(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Findings of one file that somebody looked at and took.

    digest: "sha256:..." of the artifact (of one file: of its bytes; of several: of their names and
    digests); codes: which rules, or prefixes of them, all where empty. until: the last day.
    """

    digest: str
    reason: str
    until: dt.date | None = None
    codes: tuple[str, ...] = ()


class Override(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What is otherwise for artifacts whose path matches one of the globs.

    Each thing that is given stands in place of the policy's own, but for `ignore` and `severity`,
    which are added to it.
    """

    paths: tuple[str, ...]
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    severity: dict[str, Level] = {}
    budgets: Budgets | None = None
    sparsity: Sparsity | None = None
    numbers: Numbers | None = None
    runtime: Runtime | None = None
    integer: bool | None = None


class Policy(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """All of it. select, ignore: codes of rules, or what they begin with; "all" is all of them.

    severity: of a rule, or of all that begin so, in place of the rule's own. integer: the model is
    said to be an integer model throughout. allow_custom: globs of custom objects and operators that
    are expected.
    """

    select: tuple[str, ...] = ("all",)
    ignore: tuple[str, ...] = ()
    severity: dict[str, Level] = {}
    fail_on: Level = "error"
    budgets: Budgets = Budgets()
    sparsity: Sparsity = Sparsity()
    numbers: Numbers = Numbers()
    runtime: Runtime = Runtime()
    integer: bool = False
    allow_custom: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    allow: tuple[Allowed, ...] = ()
