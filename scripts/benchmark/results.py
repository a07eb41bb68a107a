"""What runs come to: medians, spreads, ratios, and whether goals are met."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.nouns import Goal, Scenario
from benchmark.running import Outcome, Run

_UNITS = {"seconds": "s", "megabytes": "MB", "cores": "cores"}


@dataclass(frozen=True)
class Figures:
    """A row in figures. seconds, cpu: medians; low, high: the fastest and the slowest run's wall
    time; megabytes, tree: the largest peaks; cores: processor time over wall time, the median.
    """

    seconds: float
    low: float
    high: float
    cpu: float
    cores: float
    megabytes: float
    tree: float
    runs: int


def figures(runs: Sequence[Run]) -> Figures:
    """Raises StatisticsError where there are no runs."""
    seconds = [one.seconds for one in runs]
    return Figures(
        seconds=statistics.median(seconds),
        low=min(seconds),
        high=max(seconds),
        cpu=statistics.median(one.cpu for one in runs),
        cores=statistics.median(one.cpu / one.seconds for one in runs),
        megabytes=max(one.megabytes for one in runs),
        tree=max(one.tree for one in runs),
        runs=len(runs),
    )


@dataclass(frozen=True)
class Verdict:
    """A goal, and how it stands. met: None where a row that it needs has no figures."""

    text: str
    found: float | None
    allowed: float | None
    unit: str
    met: bool | None


def verdict(goal: Goal, rows: Mapping[str, Figures]) -> Verdict:
    """Hold a goal against the rows that have figures."""
    unit = _UNITS[goal.metric]
    names = [one for one in (goal.row, goal.of, goal.plus) if one is not None]
    if any(one not in rows for one in names):
        return Verdict(goal_text(goal), None, None, unit, None)
    of = {name: getattr(rows[name], goal.metric) for name in names}
    allowed = goal.limit * (of[goal.of] if goal.of else 1.0)
    allowed += of[goal.plus] if goal.plus else 0.0
    found = of[goal.row]
    met = found >= allowed if goal.at_least else found <= allowed
    return Verdict(goal_text(goal), found, allowed, unit, met)


def goal_text(goal: Goal) -> str:
    """A goal in words."""
    most = "at least" if goal.at_least else "at most"
    if goal.of is None:
        limit = f"{goal.limit:.3g} {_UNITS[goal.metric]}"
    elif goal.limit < 1:
        limit = f"1/{1 / goal.limit:.3g} of {goal.of}" + _which(goal)
    else:
        limit = f"{goal.limit:.3g} × {goal.of}" + _which(goal)
    plus = f", and {goal.plus} on top" if goal.plus else ""
    return f"{goal.row}: {most} {limit}{plus}"


def _which(goal: Goal) -> str:
    return {"seconds": "", "megabytes": " in memory", "cores": " in cores"}[goal.metric]


def table(scenario: Scenario, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A table as JSON has it: every run, the figures of each row, and the goals."""
    found = {one.row.name: figures(one.runs) for one in outcomes if one.runs and not one.failed}
    base = found.get(scenario.reference)
    rows = []
    for one in outcomes:
        has = found.get(one.row.name)
        rows.append(
            {
                "name": one.row.name,
                "does": one.row.does,
                "failed": one.failed,
                "figures": vars(has) if has else None,
                "ratio": has.seconds / base.seconds if has and base else None,
                "runs": [vars(run) for run in one.runs],
            }
        )
    goals = [vars(verdict(goal, found)) for goal in scenario.goals]
    return {
        "name": scenario.name,
        "title": scenario.title,
        "reference": scenario.reference,
        "rows": rows,
        "goals": goals,
    }
