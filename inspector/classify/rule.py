"""What a rule is, and what it may look at."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from inspector.keras.specs import Spec, layers_of, specs_of
from inspector.model import Artifact, Layer, Role, Section, Tensor, Verdict


@dataclass(frozen=True, slots=True)
class Context:
    """The artifact, indexed. Rules look things up here and read no file.

    specs: tensor name -> what its class says of it; placed: role -> names of the tensors of which
    their class says that; owners: layer or object path -> its tensors
    in their stored order; layers: path -> Layer.
    """

    artifact: Artifact
    specs: Mapping[str, Spec]
    placed: Mapping[Role, frozenset[str]] = field(repr=False)
    owners: Mapping[str, Sequence[Tensor]]
    layers: Mapping[str, Layer]
    by_name: Mapping[str, Tensor] = field(repr=False)
    by_variable: Mapping[tuple[str | None, str | None], Tensor] = field(repr=False)
    places: Sequence[str] = field(repr=False)

    @classmethod
    def of(cls, artifact: Artifact) -> Context:
        """Index an artifact."""
        # A place that only leads to a tensor takes its place in the layer's list all the same.
        placed = (*artifact.tensors, *artifact.references)
        specs = specs_of(artifact.model, artifact.guessed, artifact.flavor, placed, artifact.store)
        said: dict[Role, list[str]] = {}
        for name, known in specs.items():
            said.setdefault(known.variable.role, []).append(name)
        placed_as = {role: frozenset(names) for role, names in said.items()}
        owners: dict[str, list[Tensor]] = {}
        variables: dict[tuple[str | None, str | None], Tensor] = {}
        for tensor in artifact.tensors:
            # A layer may be called optimizer, as the owner of the optimizer's own variables is.
            if tensor.owner is not None and tensor.section is Section.MODEL:
                owners.setdefault(tensor.owner, []).append(tensor)
            spec = specs.get(tensor.name)
            if spec is None or spec.variable.counted:
                variables.setdefault((tensor.layer, tensor.variable), tensor)
        for group in owners.values():
            group.sort(key=lambda t: -1 if t.position is None else t.position)
        layers = layers_of(artifact.model, artifact.guessed)
        names = {tensor.name: tensor for tensor in artifact.tensors}
        return cls(artifact, specs, placed_as, owners, layers, names, variables, sorted(owners))

    def class_of(self, path: str | None) -> str:
        """A layer's class in words: "Dense", or what stands for it where it is not known."""
        layer = self.layers.get(path or "") if path is not None else None
        return layer.class_name if layer is not None and layer.class_name else "a layer"

    def inside(self, path: str) -> Iterator[Tensor]:
        """Tensors of the objects below a path."""
        first = bisect_left(self.places, f"{path}/")
        for at in range(first, len(self.places)):
            owner = self.places[at]
            if not owner.startswith(f"{path}/"):
                return
            yield from self.owners[owner]


Apply = Callable[[Context, Sequence[Tensor]], Mapping[str, Verdict]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to give a tensor a role.

    apply: verdicts, by tensor name, for those of the undecided tensors that the rule explains.
    """

    code: str
    summary: str
    explanation: str
    example: str
    apply: Apply


def each(decide: Callable[[Context, Tensor], Verdict | None]) -> Apply:
    """A rule that looks at one tensor at a time."""

    def apply(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
        verdicts = ((tensor.name, decide(context, tensor)) for tensor in undecided)
        return {name: verdict for name, verdict in verdicts if verdict is not None}

    return apply


def each_group(decide: Callable[[Context, str, Sequence[Tensor]], Mapping[str, Verdict]]) -> Apply:
    """A rule that looks at all the variables of one owner together."""

    def apply(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
        waiting = {tensor.name for tensor in undecided}
        found: dict[str, Verdict] = {}
        for owner in dict.fromkeys(t.owner for t in undecided if t.owner is not None):
            verdicts = decide(context, owner, context.owners.get(owner, ()))
            found |= {name: one for name, one in verdicts.items() if name in waiting}
        return found

    return apply


def first_with_shape(tensors: Iterable[Tensor], like: Tensor, used: set[str]) -> Tensor | None:
    """The first tensor, not used so far, of the same shape and dtype; it is then used."""
    for tensor in tensors:
        if tensor.name not in used and (tensor.shape, tensor.dtype) == (like.shape, like.dtype):
            used.add(tensor.name)
            return tensor
    return None
