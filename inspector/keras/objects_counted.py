"""Whether Keras would count the parameters of what an object graph holds, and why not."""

from __future__ import annotations

from collections.abc import Iterable

from inspector.keras.objects_graph import TRAINED, Claim, Thing, Walked
from inspector.keras.objects_kinds import Kind
from inspector.model import Flavor

COUNTED_SAVES = "save_counter"  # where tf.train.Checkpoint counts how often it has saved
_NO_MODEL = "what was saved is no Keras model"
NO_MODEL_SHOWN = "nothing in the checkpoint shows that one of its objects is a Keras model"
_UNTRACKED = (
    "only the optimizer's list leads to some of the weights: TensorFlow did not track the layers"
    " that have them, and what those do not train is not stored"
)
_NO_CELLS = (
    "an RNN keeps its cells in a list, which TensorFlow did not track: their weights are not stored"
)
_MODELS = "the checkpoint holds {} models: Keras counts each of them apart"


def uncounted(
    walked: Walked, claims: Iterable[Claim], root: Thing, *, has_classes: bool
) -> str | None:
    """Why `count_params` is not known; None where it is.

    claims: of each variable, the one that tells most. root: the object that is shown as the model.
    has_classes: the graph is a SavedModel's, which tells classes.
    """
    # A layer by itself is counted as a model is. A checkpoint may lack what a layer of Keras 3
    # keeps in lists, and a SavedModel would not have been written without it.
    if root.kind is Kind.MODEL or (root.kind is Kind.LAYER and has_classes):
        if any(claim.rank == TRAINED for claim in claims):
            return _UNTRACKED
        return _NO_CELLS if not has_classes and _lacks_cells(walked) else None
    if _is_saved_weights(root):
        return None
    models = sum(
        1
        for number, (parent, _) in walked.parents.items()
        if parent == 0 and walked.things[number].kind is Kind.MODEL
    )
    if models > 1:
        return _MODELS.format(models)
    return _NO_MODEL if has_classes else NO_MODEL_SHOWN


def _lacks_cells(walked: Walked) -> bool:
    """Whether an RNN has a cell without anything in it: Keras 3's StackedRNNCells."""
    if walked.flavor is not Flavor.KERAS3:
        return False
    cells = (thing.child("cell") for thing in walked.things if thing.kind is not Kind.CONTAINER)
    return any(cell is not None and not walked.things[cell].children for cell in cells)


def _is_saved_weights(root: Thing) -> bool:
    """Whether tf_keras' Model.save_weights wrote it: an object by itself, no save counted."""
    return root.child("root") == root.number and root.child(COUNTED_SAVES) is None
