"""Who reads a constant or a variable: values followed to the operators that work on them.

A value is followed through the operators of `passing`, through calls of functions, and out of a
function again where it returns what it was given. Every body (the graph, and each function) is
indexed once; what becomes of an argument is worked out once for each function, callees first, so
that calls cost what they are and no more. A function that calls itself is not followed into.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import NamedTuple

from inspector import deadline
from inspector.errors import LimitExceeded
from inspector.graph.bodies import SOURCES, Body, Outputs, Value
from inspector.graph.passing import ARITHMETIC, CALLS, PASSING, RETURNED, Call, To
from inspector.limits import DEFAULT, Limits
from inspector.model import Use
from inspector.wire.graph_def import Graph, Node, attr_func, attr_funcs

_ONWARD = frozenset({*PASSING, *ARITHMETIC})  # all others work on what they read

_LONGEST = 16  # operators on a value's way that are named

_Use = tuple[str, int, str, tuple[str, ...]]  # what a Use is made of


class _Reach:
    """Where a value goes: uses, in the order found, and the results that it is returned as."""

    __slots__ = ("returned", "uses")

    def __init__(self) -> None:
        self.uses: dict[_Use, None] = {}
        self.returned: set[int] = set()


_NOWHERE = _Reach()


class _Site(NamedTuple):
    """A node that calls functions."""

    body: Body
    node: int
    call: Call
    functions: tuple[str, ...]


_BY_NAME = Call(())  # a node whose operator is a function's name


class _Tracer:
    def __init__(
        self, graph: Graph, captured: Mapping[tuple[str, int], Hashable], limits: Limits
    ) -> None:
        self._steps = self._unchecked = 0
        self._limits = limits
        self._path = graph.message.source.path
        self.top = Body("", graph.nodes)
        # "" stands for the graph itself; no node can call a function of that name.
        self.functions = {
            name: Body(name, one.nodes, one.arguments, one.outputs, one.returns)
            for name, one in graph.functions.items()
            if name
        }
        given: dict[str, list[int]] = {}
        for function, argument in captured:
            given.setdefault(function, []).append(argument)
        self.sites: dict[str, dict[int, _Site]] = {}
        self._callers: dict[str, list[_Site]] = {}
        named = Outputs(self.functions)
        for body in self.bodies():
            body.index(named)
            body.find_static(given.get(body.name, ()))
            self._find_calls(body)
        self.inward: dict[tuple[str, int], _Reach] = {}
        self.outward: dict[tuple[str, int], _Reach] = {}
        order = self._callees_first()
        self._whole: set[str] = set()  # functions whose callees were all followed before them
        for body in order:
            if self._whole.issuperset(self._calls(body.name)):
                self._whole.add(body.name)
            for at, name in enumerate(body.arguments):
                self.inward[body.name, at] = self.walk(body, (name, 0))
        for body in reversed(order):
            for at, name in enumerate(body.output_names):
                self.outward[body.name, at] = self._after(body, at, name)

    def bodies(self) -> Iterator[Body]:
        yield self.top
        yield from self.functions.values()

    def _find_calls(self, body: Body) -> None:
        sites = self.sites[body.name] = {}
        calling = {op for op in body.by_op if op in self.functions or op in CALLS}
        for at in body.of_ops(calling):
            node = body.nodes[at]
            call = _BY_NAME if node.op in self.functions else CALLS[node.op]
            named = [node.op] if call is _BY_NAME else _called(node, call)
            known = tuple(name for name in named if name in self.functions)
            if known:
                site = sites[at] = _Site(body, at, call, known)
                for name in known:
                    self._callers.setdefault(name, []).append(site)

    def _callees_first(self) -> list[Body]:
        """The functions, each behind those that it calls; a ring of them is cut somewhere."""
        order: list[Body] = []
        seen: set[str] = set()
        for start in self.functions:
            path = [(start, self._calls(start))] if start not in seen else []
            seen.add(start)
            while path:
                name, calls = path[-1]
                callee = next((one for one in calls if one not in seen), None)
                if callee is None:
                    path.pop()
                    order.append(self.functions[name])
                else:
                    seen.add(callee)
                    path.append((callee, self._calls(callee)))
        return order

    def _calls(self, name: str) -> Iterator[str]:
        return (one for site in self.sites[name].values() for one in site.functions)

    def walk(self, body: Body, start: Value) -> _Reach:
        """Where a value of a body goes, inside it and the functions that it calls."""
        reach = _Reach()
        uses, nodes, sites = reach.uses, body.nodes, self.sites[body.name]
        seen = {start}
        waiting: list[tuple[str, int, tuple[str, ...]]] = [(*start, ())]
        for name, output, through in waiting:  # it grows meanwhile
            if name in body.returned:
                returned = body.returned[name].get(output, ())
                self._spend(len(returned))
                reach.returned.update(returned)
            found = body.readers.get(name, {}).get(output, ())
            steps = len(found)
            for at, place in found:
                node = nodes[at]
                op = node.op
                if op not in _ONWARD and at not in sites:
                    uses[op, place, node.name, through] = None
                    continue
                outputs, longer = self._onward(body, at, place, through, reach)
                steps += len(outputs)
                if steps > deadline.EVERY:
                    self._spend(steps)
                    steps = 0
                for one in outputs:
                    if (node.name, one) not in seen:
                        seen.add((node.name, one))
                        waiting.append((node.name, one, longer))
            self._spend(steps)
        return reach

    def _onward(
        self, body: Body, at: int, place: int, through: tuple[str, ...], reach: _Reach
    ) -> tuple[list[int], tuple[str, ...]]:
        """The outputs by which a node hands on its input `place`, and the way to there.

        Adds the node to the uses where it works on the value, or where nothing takes it further.
        """
        node = body.nodes[at]
        use = node.op, place, node.name, through
        site = self.sites[body.name].get(at)
        if site is not None and place >= site.call.first:
            inside = self._inside(site, place)
            # What a loop changes is only its first value; what it leaves alone is what it was.
            longer = through if self._keeps(site, place) else _longer(through, node.op)
            self._spend(len(inside.uses))
            for op, number, name, way_on in inside.uses:
                reach.uses[op, number, name, (longer + way_on)[:_LONGEST]] = None
            outputs = [one for one in inside.returned if body.leads_on(node.name, one)]
            if not inside.uses and not outputs:
                reach.uses[use] = None
            return outputs, longer
        way = PASSING.get(node.op)
        if way is None or not way.takes(place, body.counts[at]):
            reach.uses[use] = None
            on = way is None and node.op in ARITHMETIC and at in body.static
            return ([0] if on else []), _longer(through, node.op)
        outputs = body.outputs_taken(node.name)
        if way.outputs is not To.EVERY:
            outputs = [place if way.outputs is To.SAME else 0]
        outputs = [one for one in outputs if body.leads_on(node.name, one)]
        if not outputs:
            reach.uses[use] = None
        return outputs, _longer(through, node.op)

    def _keeps(self, site: _Site, place: int) -> bool:
        """Whether input `place` is the same value all the time that a call lasts."""
        if not site.call.loop:
            return True
        argument = place - site.call.first + site.call.argument
        reach = self.inward.get((site.functions[0], argument))
        return reach is not None and reach.returned == {argument}

    def _inside(self, site: _Site, place: int) -> _Reach:
        """What the functions that a node calls do with its input `place`; not to be changed."""
        call = site.call
        first = place - call.first + call.argument
        if len(site.functions) == 1 and not call.loop:
            only = self.inward.get((site.functions[0], first), _NOWHERE)
            self._spend(1 + len(only.uses) + len(only.returned))
            return only
        found = _Reach()
        waiting, seen = [first], {first}
        while waiting:
            argument = waiting.pop()
            for name in site.functions:
                self._spend(1)
                reach = self.inward.get((name, argument))
                if reach is None:
                    continue
                self._spend(len(reach.uses) + len(reach.returned))
                found.uses |= reach.uses
                # The condition of a loop returns whether to go on, and none of its arguments.
                if call.loop and name != site.functions[0]:
                    continue
                found.returned |= reach.returned
                if call.loop:
                    waiting += reach.returned - seen
                    seen |= reach.returned
        if call.loop:
            found.returned |= seen  # it may go round no time at all
        return found

    def _after(self, body: Body, at: int, output: str) -> _Reach:
        """Where a function's result `at` goes in those that call it."""
        found = _Reach()
        for site in self._callers.get(body.name, ()):
            self._spend(1)
            if site.call.loop and body.name != site.functions[0]:
                continue
            caller = site.body
            name = caller.nodes[site.node].name
            reach = self.walk(caller, (name, at))
            if site.call.loop:
                reach.uses |= self._inside(site, at).uses
            self._finish(caller, reach)
            self._spend(len(reach.uses))
            found.uses |= reach.uses
        if body.name not in self._callers:
            found.uses[RETURNED, at, f"{body.name}:{output}", ()] = None
        return found

    def _finish(self, body: Body, reach: _Reach) -> None:
        """Follow what a body returns into its callers."""
        for at in sorted(reach.returned):
            after = self.outward.get((body.name, at))
            if after is not None:
                self._spend(len(after.uses))
                reach.uses |= after.uses

    def uses(self, body: Body, name: str) -> tuple[Use, ...]:
        """All uses of a value that a body makes."""
        reach = self.walk(body, (name, 0))
        if body is not self.top:
            self._finish(body, reach)
        return tuple([Use(*one) for one in reach.uses])

    def uses_of_argument(self, body: Body, at: int) -> tuple[Use, ...]:
        """All uses of what a function is given as its argument `at`."""
        if body.name not in self._whole:
            return self.uses(body, body.arguments[at])
        reach, known = _Reach(), self.inward[body.name, at]
        reach.uses, reach.returned = known.uses.copy(), known.returned
        self._spend(len(reach.uses))
        self._finish(body, reach)
        return tuple([Use(*one) for one in reach.uses])

    def _spend(self, count: int) -> None:
        self._steps += count
        self._unchecked += count
        if self._unchecked > deadline.EVERY:
            self._unchecked = 0
            deadline.check()
        limit = self._limits.graph_steps
        if self._steps > limit:
            raise LimitExceeded("graph_steps", self._steps, limit, self._path)


def _longer(through: tuple[str, ...], op: str) -> tuple[str, ...]:
    return (*through, op) if len(through) < _LONGEST else through


def _called(node: Node, call: Call) -> list[str]:
    """Names of the functions that a node's attributes give."""
    found: list[str] = []
    for name in call.attrs:
        attr = node.attr(name)
        if attr is not None:
            one = attr_func(attr)
            found += attr_funcs(attr) if one is None else (one,)
    return found


def uses_of(
    graph: Graph,
    captured: Mapping[tuple[str, int], Hashable] | None = None,
    limits: Limits = DEFAULT,
) -> Mapping[Hashable, tuple[Use, ...]]:
    """Where each constant and variable of a graph, and of its functions, is read.

    Keys: (function's name or "", node's name) of each node of CONSTANTS and VARIABLES; empty where
    nothing reads it. captured: (function's name, number of the argument) -> key of what is bound
    to it, as a SavedModel does with variables and tensors; those keys have uses too. A graph may be
    broken (inputs that are not there, names given twice, rings): what cannot be followed is left
    out. Raises LimitExceeded (`graph_steps`), and what reading a node's attributes raises.
    """
    captured = captured or {}
    tracer = _Tracer(graph, captured, limits)
    found: dict[Hashable, dict[Use, None]] = {}
    kept = 0
    path = graph.message.source.path
    for body in tracer.bodies():
        for at in body.of_ops(SOURCES):
            name = body.nodes[at].name
            uses = tracer.uses(body, name)
            kept += len(uses)
            _keep(kept, limits, path)
            found.setdefault((body.name, name), {}).update(dict.fromkeys(uses))
    for (name, argument), key in captured.items():
        reached = found.setdefault(key, {})
        function = tracer.functions.get(name)
        if function is not None and 0 <= argument < len(function.arguments):
            uses = tracer.uses_of_argument(function, argument)
            kept += len(uses)
            _keep(kept, limits, path)
            reached.update(dict.fromkeys(uses))
    return {key: tuple(uses) for key, uses in found.items()}


def _keep(kept: int, limits: Limits, path: str) -> None:
    if kept > limits.uses:
        raise LimitExceeded("uses", kept, limits.uses, path)
