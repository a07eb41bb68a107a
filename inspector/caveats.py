"""What the counts cannot say alone: sharing, ties, layers out of place, variables made anew."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from inspector.keras.config import SHARED_ID, shared_layers
from inspector.keras.specs import layers_of
from inspector.layer_rows import Extra, keras_elements
from inspector.model import Artifact, Flavor, Problem, Role, Severity, Store, Verdict
from inspector.ties import Tie
from inspector.words import count

# Pairs that a message names.
_NAMED = 3


def stray_layers(artifact: Artifact, strays: Sequence[str]) -> tuple[Problem, ...]:
    """Layers that the file stores and the config lacks: Keras counts layers in HDF5 alone."""
    if not strays:
        return ()
    names = ", ".join(strays[:_NAMED]) + (" ..." if len(strays) > _NAMED else "")
    does = "leaves them out" if artifact.store is Store.V3 else "fails to load this file"
    message = f"variables are stored for {names}, which the config does not have: Keras {does}"
    return (Problem("layer-not-in-config", Severity.WARNING, message, artifact.path),)


def made_anew(artifact: Artifact, extras: Sequence[Extra]) -> tuple[Problem, ...]:
    """Variables that the config has Keras make on loading, and no file stores."""
    made = [one for one in extras if not one.referred]
    if not made:
        return ()
    names = ", ".join(sorted({one.name for one in made}))
    total = sum(one.elements for one in made)
    message = (
        f"the config has Keras make {names} anew on loading: {total:,} parameters that the file"
        " does not store are part of count_params"
    )
    return (Problem("made-on-load", Severity.INFO, message, artifact.path),)


def tied(artifact: Artifact, params: int, ties: Sequence[Tie]) -> tuple[Problem, ...]:
    """Both counts, where one variable may have been saved twice. params: counting each."""
    if not ties:
        return ()
    again = sum(keras_elements(tie.again) for tie in ties)
    size = sum(tie.again.nbytes for tie in ties)
    names = "; ".join(f"{tie.again.name} = {tie.first.name}" for tie in ties[:_NAMED])
    more = " ..." if len(ties) > _NAMED else ""
    message = (
        f"equal values that no rule tells from one variable saved twice: {names}{more}."
        f" If each pair is one variable, count_params is {params - again:,} and {size:,} bytes are"
        f" stored twice; if they are two, it is {params:,}"
    )
    return (Problem("equal-tensors", Severity.WARNING, message, artifact.path),)


def once_shared(artifact: Artifact) -> tuple[Problem, ...]:
    """Layers that the model shared, and which loading takes apart (or cannot load at all)."""
    if artifact.model is None or artifact.store not in {Store.LEGACY, Store.V3}:
        return ()
    layers = layers_of(artifact.model, ())
    found: list[Problem] = []
    for again, first in shared_layers(artifact.model).items():
        # Keras 3 joins them again where both places carry the mark; a place inside a wrapper or a
        # model that is written before the other one carries none. tf_keras never joins layers.
        marked = all(SHARED_ID in layers[path].config for path in (again, first))
        joined = marked and artifact.flavor is Flavor.KERAS3
        if joined or layers[again].children:
            continue
        held = [t for t in artifact.tensors if t.layer in {again, first}]
        if not held:
            continue
        if artifact.store is Store.LEGACY:
            message = (
                f"{again} and {first} were one layer: the file stores it twice, and loading makes"
                " two of it, so count_params counts both"
            )
        else:
            message = (
                f"{again} and {first} were one layer, stored once; loading makes two of it and"
                " finds variables for one, so Keras fails to load this file"
            )
        found.append(Problem("shared-layer", Severity.WARNING, message, artifact.path))
    return tuple(found)


def not_among_weights(
    artifact: Artifact, verdicts: Mapping[str, Verdict], apart: Collection[str]
) -> tuple[Problem, ...]:
    """Variables that a layer stores and uses, and Keras does not count. Copies are no news."""
    found = [
        t for t in artifact.tensors if t.name in apart and verdicts[t.name].role is not Role.ALIAS
    ]
    if not found:
        return ()
    names = ", ".join(t.name for t in found[:_NAMED]) + (" ..." if len(found) > _NAMED else "")
    total = sum(t.elements for t in found)
    message = (
        f"{names}: used at inference, yet Keras does not have {'it' if len(found) == 1 else 'them'}"
        f" among the model's weights; count_params leaves out {count(total, 'element')}"
    )
    return (Problem("not-a-keras-weight", Severity.INFO, message, artifact.path),)


def stored_once(artifact: Artifact) -> tuple[Problem, ...]:
    """Places of several variables that lead to one stored tensor."""
    if not artifact.references:
        return ()
    names = ", ".join(one.name for one in artifact.references[:_NAMED])
    more = " ..." if len(artifact.references) > _NAMED else ""
    message = f"links to tensors stored once, which Keras loads as further variables: {names}{more}"
    return (Problem("linked-tensor", Severity.INFO, message, artifact.path),)
