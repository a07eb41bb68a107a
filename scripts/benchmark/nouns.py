"""The nouns of the benchmark: inputs, rows, goals, tables.

A command is a tuple of words. `{name}` is what `places.py` knows by that name (an interpreter, a
tool); `@path` is an input as a person names it, `@main` the file of it that some tools take,
`@files` all of its files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Metric = Literal["seconds", "megabytes", "cores"]


@dataclass(frozen=True)
class Scale:
    """A form of the benchmark. big, huge, graph: MiB, huge is 0 where that is left out; tensors:
    numbers of small tensors, rising; files: how many small files; rounds: how often each command
    runs; budget: seconds after which a command is not run again.
    """

    big: int
    huge: int
    graph: int
    tensors: tuple[int, ...]
    files: int
    rounds: int
    budget: float


@dataclass(frozen=True)
class Input:
    """What `inputs.py` or, with TensorFlow, `inputs_live.py` makes by that name in that size."""

    maker: str
    size: int
    live: bool = False

    @property
    def name(self) -> str:
        return f"{self.maker}-{self.size}"


@dataclass(frozen=True)
class Row:
    """A command in a table. does: what it does, for the legend; exits: codes that are no failure;
    inputs: in place of the scenario's.
    """

    name: str
    command: tuple[str, ...]
    does: str
    exits: tuple[int, ...] = (0,)
    inputs: tuple[Input, ...] | None = None


@dataclass(frozen=True)
class Goal:
    """A row's figure may be at most `limit`, or `limit` times the figure of the row `of`, and the
    figure of the row `plus` on top. at_least: or at least that much.
    """

    row: str
    metric: Metric
    limit: float
    of: str | None = None
    plus: str | None = None
    at_least: bool = False


@dataclass(frozen=True)
class Scenario:
    """A table. reference: the row that the others are given as ratios of. whole_tree: memory of all
    processes together is sampled, too.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    reference: str
    inputs: tuple[Input, ...] = ()
    goals: tuple[Goal, ...] = ()
    whole_tree: bool = False
