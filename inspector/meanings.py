"""What the words for counts, tensors and bytes mean, each in a sentence, for who never saw them."""

from __future__ import annotations

from inspector.words import ROLE_LABELS

# Fields of `TotalsReport`: a word for each, and what it means.
TOTAL_LABELS: dict[str, str] = {
    "count_params": "Keras counts",
    "trainable": "trainable",
    "non_trainable": "not trainable",
    "after_strip": "left after stripping",
    "nonzero": "not zero",
    "stored_elements": "stored",
}
TOTAL_MEANINGS: dict[str, str] = {
    "count_params": "What model.count_params() says once the file is loaded.",
    "trainable": "Those of them that training changes.",
    "non_trainable": "Those of them that training leaves alone.",
    "after_strip": "The same count once strip_pruning or strip_clustering has run.",
    "nonzero": "Weights whose value is not 0; copies are left out.",
    "stored_elements": "All elements in the file, training state among them.",
}

ROLE_MEANINGS: dict[str, str] = {
    "weight": "Learned, and used at inference.",
    "statistic": "Not trained, and used at inference.",
    "mask": "Which values pruning keeps. Gone after strip_pruning.",
    "threshold": "Below which magnitude pruning cuts. Gone after strip_pruning.",
    "pruning_step": "How far pruning's schedule was. Gone after strip_pruning.",
    "quant_param": "A range, scale or zero point.",
    "quant_step": "How far training for quantization was.",
    "centroids": "The values that a clustered weight has.",
    "cluster_indices": "Which centroid each value has.",
    "cluster_original": "The weight before it was clustered.",
    "optimizer_slot": "The optimizer's memory of a weight; inference needs none.",
    "optimizer_state": "The optimizer's own state; inference needs none.",
    "metric": "A metric's state; inference needs none.",
    "counter": "A counter or a seed; inference needs none.",
    "alias": "The same variable, stored again.",
    "constant": "A constant of the graph that is no weight.",
    "lookup": "A vocabulary, or another table.",
    "activation": "A value between operators: no bytes.",
    "unknown": "No rule explains it.",
}

# Labels of bytes that are no tensor's.
BYTE_MEANINGS: dict[str, str] = {
    "attributes": "Notes beside the tensors: which Keras wrote the file.",
    "config": "The model's layers and how they hang together, as JSON.",
    "training config": "How the model was compiled: optimizer, loss, metrics.",
    "names": "Names of layers and weights.",
    "HDF5 structure": "Headers, groups and indices of the file's format.",
    "slack": "Space that the format reserved or freed, and nothing claims.",
    "zip headers": "What the archive says of its members.",
    "npz structure": "Headers of the arrays' own archive.",
    "weight map": "Which weight lies in which shard.",
    "metadata": "What the writer noted of itself and of the model.",
    "assets": "Files that come with the model, such as vocabularies.",
    "graph": "Operators and how they are joined, without the values of constants.",
    "graph constants": "Values that the graph holds, and that are no tensors of the model.",
    "functions": "Functions of the graph, without the values of constants.",
    "collections": "Lists of what belongs together in the graph.",
    "meta info": "Which TensorFlow wrote the graph, and which operators it needs.",
    "object graph": "The objects that hold the variables, and under which names.",
    "keras metadata": "The model's layers, as Keras 2 describes them.",
    "fingerprint": "Checksums of the saved model.",
    "index": "Which tensor lies where in the shards.",
    "checkpoint state": "Which of the checkpoints is the latest.",
    "gaps": "Space between values that nothing claims.",
    "tables": "Operators, tensors and how they are joined.",
    "scales and zero points": "How integers stand for real values.",
    "sparse indices": "Where the values of sparse tensors belong.",
    "custom options": "Settings of operators that are not TFLite's own.",
    "associated files": "Files that come with the model, such as labels.",
    "unused buffers": "Values that no tensor refers to.",
    "padding": "Space between values, so that they begin at even addresses.",
    "unclaimed": "Bytes that nothing refers to.",
}

_BY_LABEL = {
    **BYTE_MEANINGS,
    **{label: ROLE_MEANINGS[role] for role, label in ROLE_LABELS.items()},
}


def role_meaning(role: str) -> str:
    """What a role means; one that this version does not know is unknown."""
    return ROLE_MEANINGS.get(role, ROLE_MEANINGS["unknown"])


def meaning(label: str) -> str:
    """What a label of bytes means ("masks", "slack"); "" for one that says it itself."""
    return _BY_LABEL.get(label, "")
