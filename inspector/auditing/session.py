"""One audit of many artifacts: each under its own policy, all in one verdict."""

from __future__ import annotations

import datetime as dt
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from msgspec import to_builtins
from msgspec.structs import replace

from inspector.assemble import build_unreadable
from inspector.auditing.allow import allow
from inspector.auditing.baseline import only_new, read_baseline
from inspector.auditing.policy import FailOn, Policy
from inspector.auditing.policy_check import unknown_code, unknown_codes
from inspector.auditing.policy_file import Policies, PolicyFile, came_along
from inspector.auditing.rule import AuditRule, Context
from inspector.auditing.rules import RULES
from inspector.auditing.run import (
    Audited,
    audit,
    conclude,
    milder_on_safety,
    shown,
    strictest,
)
from inspector.auditing.tally import Tally, few
from inspector.discover import discover, is_said_to_be_model
from inspector.errors import UsageError
from inspector.limits import DEFAULT, Limits
from inspector.report import ArtifactReport, Finding, Report, report
from inspector.words import count, some

_NAMED = 5  # files that are no models in a note


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants of an audit.

    policy: a file, or a policy itself; None for the nearest above each artifact. select: in place
    of the policy's; ignore: beside it; fail_on: in place of it. rules: all that may be asked.
    """

    policy: str | Policy | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: FailOn | None = None
    baseline: str | None = None
    today: dt.date | None = None
    rules: Sequence[AuditRule] = RULES
    limits: Limits = DEFAULT


@dataclass(frozen=True, slots=True)
class Looked:
    """What there is to say of one artifact once it is closed. report: what `show` says of it.
    lasts: False where a storage did not give all that was asked of it.
    """

    audited: Audited
    report: ArtifactReport
    lasts: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """An artifact to look at. policy: that of its path; today: what the allow-list is held against;
    may_be_no_model: nobody said that it is one, its name neither. number: its place among all.
    """

    path: str
    policy: Policy
    today: dt.date
    may_be_no_model: bool
    number: int = 0


@dataclass(frozen=True, slots=True)
class AllWanted:
    """All artifacts to look at, each made when it is asked for: there may be many.

    make: of a path and its place among all.
    """

    paths: Sequence[str]
    make: Callable[[str, int], Wanted]

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Wanted]:
        return (self.make(path, number) for number, path in enumerate(self.paths))


# What there is to say of each as it is done, in any order; None for a file that is no model.
Answers = Iterator[tuple[Wanted, Looked | None]]
Look = Callable[[AllWanted], Answers]


def sum_up(context: Context, rules: Sequence[AuditRule], today: dt.date) -> Looked:
    """Ask the rules of an artifact while it is open. today: what the allow-list is held against."""
    said = allow(audit(context, rules), context, today)
    if context.error is not None:
        return Looked(said, build_unreadable(context.path, context.error))
    return Looked(said, context.seen.report)


@dataclass(slots=True)
class _Gathered:
    """What there is so far. policies: how many artifacts each was for, by its path; no_models: how
    many files are none, and the first of them; milder: which rules of safety those take back that
    came along with artifacts.
    """

    audited: list[Audited] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    policies: Counter[str] = field(default_factory=Counter)
    fail_ons: set[FailOn] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    no_models: int = 0
    named: list[str] = field(default_factory=list)
    milder: dict[str, dict[str, None]] = field(default_factory=dict)


class Session:
    """Artifacts in, one report out. Raises UsageError for a wrong code, policy or baseline.

    most: findings to keep, of those that fail, where all are written somewhere else.
    """

    def __init__(self, asked: Asked, most: int | None = None) -> None:
        self._asked = asked
        self._most = most
        self._codes = tuple(rule.code for rule in asked.rules)
        for code in (*asked.select, *asked.ignore):
            fault = unknown_code(code, self._codes)
            if fault:
                raise UsageError(fault)
        self._policies = Policies(self._codes, asked.limits)
        self._given = self._read(asked.policy)
        self._baseline: tuple[Finding, ...] | None = None
        if asked.baseline is not None:
            self._baseline = read_baseline(asked.baseline, asked.limits)
        self._found: frozenset[str] = frozenset()
        self._effective: dict[tuple[str, tuple[int, ...]], Policy] = {}
        self._so_far = _Gathered()

    def _read(self, policy: str | Policy | None) -> PolicyFile | None:
        if isinstance(policy, str):
            return self._policies.read(policy)
        if policy is None:
            return None
        for fault in unknown_codes(to_builtins(policy), self._codes):
            raise UsageError(fault.message)
        return PolicyFile(policy)

    def discover(self, paths: Iterable[str], recursive: bool) -> tuple[str, ...]:
        """The artifacts that the paths mean, whose policies are read before any is looked at."""
        discovered = discover(paths, recursive=recursive, limits=self._asked.limits)
        self._found = discovered.found
        self._so_far.notes += discovered.notes
        for path in discovered.paths:
            self._policy_file(path)
        return discovered.paths

    @property
    def policies(self) -> Policies:
        """What finds the policies of artifacts."""
        return self._policies

    @property
    def last(self) -> tuple[Finding, ...]:
        """What the rules found in the artifact that was asked last."""
        audited = self._so_far.audited
        return tuple(one.finding for one in audited[-1].judged) if audited else ()

    def _policy_file(self, path: str) -> PolicyFile:
        return self._given or self._policies.near(path)

    def policy_of(self, path: str) -> Policy:
        """The policy that an artifact is held to: one object for all that are held to the same."""
        file = self._policy_file(path)
        overrides = file.overrides(path)
        known = self._effective.get((file.path, overrides))
        if known is None:
            known = self._effective[file.path, overrides] = self._asked_of(file.with_(overrides))
        return known

    def _asked_of(self, policy: Policy) -> Policy:
        return replace(
            policy,
            select=self._asked.select or policy.select,
            ignore=(*policy.ignore, *self._asked.ignore),
            fail_on=self._asked.fail_on or policy.fail_on,
        )

    def wanted(self, paths: Sequence[str]) -> AllWanted:
        """What is to be looked at of these paths."""
        today = self._asked.today or dt.datetime.now().astimezone().date()
        return AllWanted(paths, functools.partial(self._wanted, today))

    def ask(self, paths: Sequence[str], look: Look) -> Iterator[ArtifactReport]:
        """What `show` says of each artifact, in their order, once its rules were asked: `last` is
        of the same. A file that is no model is left out.
        """
        waiting: dict[int, tuple[Wanted, Looked | None]] = {}
        following = 0
        for wanted, looked in look(self.wanted(paths)):
            waiting[wanted.number] = wanted, looked
            while following in waiting:
                one, found = waiting.pop(following)
                following += 1
                self.take(one, found)
                if found is not None:
                    yield found.report

    def _wanted(self, today: dt.date, path: str, number: int) -> Wanted:
        may_be_no_model = path in self._found and not is_said_to_be_model(path)
        return Wanted(path, self.policy_of(path), today, may_be_no_model, number)

    def take(self, wanted: Wanted, looked: Looked | None) -> None:
        """Let what there is to say of an artifact count. None for a file that is no model."""
        so_far = self._so_far
        if looked is None:
            self._no_model(wanted.path)
            return
        if self._most is None:
            so_far.audited.append(looked.audited)
        else:
            so_far.audited = [few([*so_far.audited, looked.audited], self._most)]
        so_far.tally.take(looked.audited)
        self._held(wanted)

    def take_before(self, wanted: Wanted, found: Tally | None) -> None:
        """Let what an earlier run found of an artifact count. None for a file that is no model."""
        if found is None:
            self._no_model(wanted.path)
            return
        self._so_far.tally.add(found)
        self._held(wanted)

    def recall(self, found: Audited) -> None:
        """Report what was found earlier, as far as there is room; `take_before` counted it."""
        self._so_far.audited = [few([*self._so_far.audited, found], self._most or 0)]

    @property
    def tally(self) -> Tally:
        """The numbers so far."""
        return self._so_far.tally

    @property
    def no_models(self) -> int:
        """How many files were no models so far."""
        return self._so_far.no_models

    def _no_model(self, path: str) -> None:
        so_far = self._so_far
        so_far.no_models += 1
        if len(so_far.named) < _NAMED:
            so_far.named.append(path)

    def _held(self, wanted: Wanted) -> None:
        """An artifact was held to its policy."""
        so_far = self._so_far
        file = self._policy_file(wanted.path)
        at = shown(file.path)
        so_far.policies[at] += 1
        if self._given is None and at not in so_far.milder and came_along(file.path):
            so_far.milder[at] = {}
        if at in so_far.milder:
            milder = milder_on_safety(file.of(wanted.path), self._asked.rules)
            so_far.milder[at].update(dict.fromkeys(milder))
        so_far.fail_ons.add(wanted.policy.fail_on)

    def report(self, artifacts: tuple[ArtifactReport, ...]) -> Report:
        """The report of all of them. artifacts: what `show` says of each. Raises UsageError where
        none of the files found was a model.
        """
        so_far = self._so_far
        audited, notes = so_far.audited, [*so_far.notes]
        if so_far.no_models:
            more = ", ..." if so_far.no_models > _NAMED else ""
            no = "is no model" if so_far.no_models == 1 else "are no models"
            named = ", ".join(so_far.named)
            said = f"{count(so_far.no_models, 'file')} {no}: {named}{more}"
            if not so_far.tally.artifacts:
                raise UsageError(said)
            notes.append(said)
        for at, codes in so_far.milder.items():
            if codes:
                notes.append(
                    f"{at} came along with the models, and what {some(list(codes))} would find does"
                    " not fail by it; --no-policy goes by none"
                )
        if self._baseline is not None:
            audited, gone = only_new(audited, self._baseline)
            notes += gone
        findings, summary = conclude(
            audited,
            fail_on=self._asked.fail_on or strictest(so_far.fail_ons),
            policies=so_far.policies,
            rules=self._asked.rules,
            notes=notes,
        )
        if self._most is not None:
            summary = so_far.tally.over(summary)
        return report("audit", artifacts, findings=findings, audit=summary)
