"""What a policy says: which rules, how severe, against which budgets and claims."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

Level = Literal["info", "warning", "error"]
FailOn = Literal["info", "warning", "error", "never"]
Amount = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Code = Annotated[str, Meta(min_length=1)]  # of a rule, or what codes begin with
Version = Annotated[str, Meta(pattern=r"^\d+(\.\d+)*([.-]?(a|b|rc|dev|post)\d+)?$")]
PatternName = Annotated[str, Meta(pattern=r"^[1-9]\d*[:x][1-9]\d*$")]


class Budgets(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The most an artifact may have of each; null is no budget.

    nbytes: of all files; count_params, stored_elements: elements; macs: multiply-accumulates of one
    call; activation_bytes: of activations that live at once; layer_params: elements of one layer;
    duplicate_bytes: of tensors that another one repeats.
    """

    nbytes: Amount | None = None
    count_params: Amount | None = None
    stored_elements: Amount | None = None
    macs: Amount | None = None
    activation_bytes: Amount | None = None
    layer_params: Amount | None = None
    duplicate_bytes: Amount | None = None


class Sparsity(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What the model claims: shares of zeros from 0 to 1, and patterns, by glob of the path.

    overall: of all weights together; tolerance: how far below a claim is still in it (rounding
    leaves a kernel of 10 values at 0.8 where 0.85 was asked for). patterns: "2:4" and the like.
    lost: how much less sparse than `--against` a layer may be.
    """

    overall: Share | None = None
    layers: dict[str, Share] = {}
    patterns: dict[str, PatternName] = {}
    tolerance: Share = 0.005
    lost: Share = 0.005


class Numbers(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Bounds of what values may be: the largest magnitude of a weight, the largest share of values
    at an end of their range, the least share of the integers' range that is used, the largest share
    of denormals.
    """

    largest: Annotated[float, Meta(gt=0)] = 1e4
    saturated: Share = 0.02
    used_range: Share = 0.5
    denormals: Share = 0.001


class Runtime(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Versions of what will load the artifact; null is not asked."""

    tensorflow: Version | None = None
    keras: Version | None = None
    litert: Version | None = None
    tfmot: Version | None = None


class Allowed(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Findings of one file that somebody looked at and took.

    digest: "sha256:..." of the artifact (of one file: of its bytes; of several: of their names and
    digests); codes: which rules, or prefixes of them, all where empty. until: the last day.
    """

    digest: Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    reason: Annotated[str, Meta(min_length=1)]
    until: dt.date | None = None
    codes: tuple[Code, ...] = ()


class Override(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What is otherwise for artifacts whose path matches one of the globs.

    paths: relative to the policy file's folder; "**" is any number of folders, a glob without "/"
    is of a name in any folder, and what matches a folder matches all in it.
    Each thing that is given stands in place of the policy's own, but for `ignore` and `severity`,
    which are added to it.
    """

    paths: Annotated[tuple[str, ...], Meta(min_length=1)]
    select: tuple[Code, ...] | None = None
    ignore: tuple[Code, ...] = ()
    severity: dict[str, Level] = {}
    budgets: Budgets | None = None
    sparsity: Sparsity | None = None
    numbers: Numbers | None = None
    runtime: Runtime | None = None
    integer: bool | None = None


class Policy(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """All of it. select, ignore: codes of rules, or what they begin with; "all" is all of them.

    The longest of those that fit a rule's code tells whether it is asked; of two as long, ignore.
    severity: of a rule, or of all that begin so, in place of the rule's own. integer: the model is
    said to be an integer model throughout. allow_custom: globs of custom objects and operators that
    are expected.
    """

    select: tuple[Code, ...] = ("all",)
    ignore: tuple[Code, ...] = ()
    severity: dict[str, Level] = {}
    fail_on: FailOn = "error"
    budgets: Budgets = Budgets()
    sparsity: Sparsity = Sparsity()
    numbers: Numbers = Numbers()
    runtime: Runtime = Runtime()
    integer: bool = False
    allow_custom: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    allow: tuple[Allowed, ...] = ()


_ADDED = ("ignore", "severity")  # of an override: to the policy's own, not in their place


def overridden(policy: Policy, overrides: Iterable[Override]) -> Policy:
    """The policy with what the overrides say, the later one in place of the earlier."""
    for override in overrides:
        given = {
            name: getattr(override, name)
            for name in Override.__struct_fields__
            if name not in ("paths", *_ADDED) and getattr(override, name) is not None
        }
        policy = replace(
            policy,
            ignore=(*policy.ignore, *override.ignore),
            severity={**policy.severity, **override.severity},
            **given,
        )
    return policy
