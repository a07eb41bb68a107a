"""What is measured, as data: the forms, the rows of each table, and the goals."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.nouns import Goal, Input, Row, Scale, Scenario

SCALES = {
    "tiny": Scale(8, 16, 1, (200, 400), 20, 1, 1),
    "short": Scale(64, 0, 3, (1_000, 5_000), 100, 5, 3),
    "full": Scale(512, 4096, 30, (1_000, 5_000, 20_000), 1_000, 3, 6),
}

# --- rows that several tables have ----------------------------------------------------------------

_RIVAL = ("{python}", "{rivals}")
_LIVE = ("{live}", "{rivals}")
_SMALL_SAMPLE = "inspect, a small sample"

SHOW = Row("inspect", ("{inspect}", "@path"), "all that `inspect` says, values measured")
STRUCTURE = Row(
    "inspect --no-measure",
    ("{inspect}", "--no-measure", "@path"),
    "all that `inspect` says without reading a value",
)
DIFF = Row("inspect diff", ("{inspect}", "diff", "@path"), "two artifacts compared", (0, 1))
SMALL_SAMPLE = Row(
    _SMALL_SAMPLE,
    ("{inspect}", "{sample}"),
    "`inspect` of a pruned.h5 of 50 KB: the cost of starting up, and of saying it all",
)
CAT = Row("cat", ("cat", "@files"), "`cat FILE > /dev/null`: the floor, from a warm cache")
IMPORTS = Row(
    "import numpy, h5py", ("{python}", "-c", "import numpy, h5py"), "Python, and these two"
)
PYTHON = Row("python -c pass", ("{python}", "-c", "pass"), "Python alone")
H5_VISIT = Row("h5py visit", (*_RIVAL, "h5_visit", "@path"), "h5py: name, shape, dtype of each")
H5_READ = Row(
    "h5py, dataset by dataset", (*_RIVAL, "h5_read", "@path"), "each read whole, zeros counted"
)
ZLIB = Row(
    "zlib alone, all threads",
    (*_RIVAL, "h5_inflate", "@path"),
    "each chunk read and inflated in a thread a core; nothing is unshuffled, placed or counted",
)
H5LS = Row("h5ls -r", ("{h5ls}", "-r", "@path"), "HDF5's own listing, in C")
H5DUMP = Row("h5dump -H", ("{h5dump}", "-H", "@path"), "HDF5's own description, in C")
H5DIFF = Row("h5diff", ("{h5diff}", "@path"), "HDF5's own comparison, in C", (0, 1))
IMPORT_TENSORFLOW = Row(
    "import tensorflow", (*_LIVE, "tensorflow_import"), "what everything with TensorFlow costs"
)
LOAD_MODEL = Row(
    "load_model + count_nonzero",
    (*_LIVE, "load_model", "@path"),
    "`tf_keras.models.load_model` in tfmot's scope, then NumPy's `count_nonzero` of every variable",
)
LOAD_CHECKPOINT = Row(
    "tf.train.load_checkpoint",
    (*_LIVE, "load_checkpoint", "@path"),
    "each value read, and `count_nonzero` of it",
)
SAVED_MODEL_CLI = Row(
    "saved_model_cli show --all",
    ("{live}", "{saved_model_cli}", "show", "--dir", "@path", "--all"),
    "TensorFlow's own description",
)
FILE_EDITOR = Row(
    "KerasFileEditor", (*_LIVE, "file_editor", "@path"), "Keras 3's own editor, and its summary"
)
LITERT = Row(
    "LiteRT interpreter",
    (*_LIVE, "litert", "@path"),
    "tensors allocated, each constant read, `count_nonzero` of it",
)
ANALYZER = Row("tf.lite Analyzer", (*_LIVE, "analyzer", "@path"), "TensorFlow Lite's description")
MODELSCAN = Row(
    "modelscan",
    ("{modelscan}", "-p", "@path"),
    "a scan for what could run code (exit code 2: it gave up on some files; 3: nothing to scan)",
    (0, 1, 2),
)
NETRON = Row(
    "Netron, without a browser",
    ("{node}", "--max-old-space-size=12288", "{netron_script}", "{netron}", "@main"),
    "Netron's own readers in node: what it does before it draws",
)


def audit(*options: str, name: str) -> Row:
    command = ("{inspect}", "audit", "--recursive", "--fail-on", "never", *options, "@path")
    return Row(name, command, "every rule asked of every file")


# --- goals that several tables have ---------------------------------------------------------------


def _faster(ours: Row, rival: Row, times: float, memory: float) -> tuple[Goal, ...]:
    """So many times faster than a rival, in so small a part of its memory."""
    return (
        Goal(ours.name, "seconds", 1 / times, of=rival.name),
        Goal(ours.name, "megabytes", memory, of=rival.name),
    )


_AS_READING = (
    Goal("inspect", "seconds", 2, of="cat", plus=_SMALL_SAMPLE),
    Goal("inspect", "megabytes", 150),
)


# --- the tables -----------------------------------------------------------------------------------


def scenarios(scale: Scale, cores: int) -> tuple[Scenario, ...]:
    """All tables of a form, for a machine of that many cores."""
    return (
        _start(),
        *_structure(scale),
        *_measure(scale.big),
        _compressed(scale),
        *_small_tensors(scale),
        _graph(scale),
        *_pairs(scale),
        _many_files(scale, cores),
        *_isolation(),
        # Last, and beside few: TensorFlow takes minutes for some.
        *(_measure(scale.huge, beside=("pruned.h5",)) if scale.huge else ()),
    )


def _start() -> Scenario:
    return Scenario(
        "start-up",
        "Start-up",
        (
            Row("inspect --version", ("{inspect}", "--version"), "the least the command can do"),
            Row("import inspector", ("{python}", "-c", "import inspector"), "the package alone"),
            PYTHON,
            IMPORTS,
            SMALL_SAMPLE,
            IMPORT_TENSORFLOW,
        ),
        reference=IMPORTS.name,
        goals=(
            Goal("inspect --version", "seconds", 0.060),
            Goal("import inspector", "seconds", 0.020, plus=PYTHON.name),
            Goal(_SMALL_SAMPLE, "seconds", 0.350),
        ),
    )


def _structure(scale: Scale) -> tuple[Scenario, ...]:
    weights = Input("model.weights.h5", scale.big)
    tables = [
        Scenario(
            "structure-weights",
            f"Structure only: a .weights.h5 of 256 tensors, {scale.big} MiB",
            (
                *(STRUCTURE, H5_VISIT, H5LS, H5DUMP, IMPORTS),
                *(FILE_EDITOR, NETRON, MODELSCAN),
            ),
            reference=H5_VISIT.name,
            inputs=(weights,),
            goals=(
                Goal(STRUCTURE.name, "seconds", 1.5, of=H5_VISIT.name),
                Goal(STRUCTURE.name, "megabytes", 60),
            ),
        ),
        Scenario(
            "structure-keras",
            f"Structure only: a pruned .keras of {scale.big} MiB",
            (STRUCTURE, IMPORTS, FILE_EDITOR, NETRON, MODELSCAN),
            reference=IMPORTS.name,
            inputs=(Input("pruned.keras", scale.big),),
        ),
        Scenario(
            "structure-tflite",
            f"Structure only: a .tflite of {scale.big} MiB",
            (STRUCTURE, IMPORTS, ANALYZER, NETRON),
            reference=IMPORTS.name,
            inputs=(Input("model.tflite", scale.big),),
        ),
        Scenario(
            "structure-saved-model",
            f"Structure only: a pruned SavedModel of {scale.big} MiB",
            (STRUCTURE, IMPORTS, SAVED_MODEL_CLI, NETRON, MODELSCAN),
            reference=IMPORTS.name,
            inputs=(Input("saved_model", scale.big, live=True),),
        ),
    ]
    if scale.huge:
        larger = Row(
            f"the same of {scale.huge} MiB",
            STRUCTURE.command,
            f"the same 256 tensors, {scale.huge // scale.big} times as large",
            inputs=(Input("model.weights.h5", scale.huge),),
        )
        tables.append(
            Scenario(
                "structure-huge",
                "Structure only: the same number of tensors, a larger payload",
                (STRUCTURE, larger),
                reference=STRUCTURE.name,
                inputs=(weights,),
                goals=(
                    Goal(larger.name, "seconds", 1.1, of=STRUCTURE.name),
                    Goal(larger.name, "megabytes", 60),
                ),
            )
        )
    return tuple(tables)


def _measure(mib: int, beside: Sequence[str] | None = None) -> tuple[Scenario, ...]:
    """beside: of which kinds the others are measured, too; None for all."""
    # What is measured, whether only TensorFlow makes it, and who else reads it.
    kinds: tuple[tuple[str, str, bool, tuple[Row, ...]], ...] = (
        ("pruned.h5", "a pruned .h5", False, (LOAD_MODEL, H5_READ)),
        ("pruned.keras", "a pruned .keras", False, (LOAD_MODEL,)),
        ("saved_model", "a pruned SavedModel", True, (LOAD_MODEL,)),
        ("ckpt", "a checkpoint in 8 shards", True, (LOAD_CHECKPOINT,)),
        ("model.tflite", "a .tflite", False, (LITERT,)),
    )
    return tuple(
        Scenario(
            f"measure-{maker}-{mib}",
            f"Every value: {title} of {mib} MiB",
            (SHOW, CAT, SMALL_SAMPLE, *rivals),
            reference=CAT.name,
            inputs=(Input(maker, mib, live),),
            goals=(
                *_AS_READING,
                *(_faster(SHOW, LOAD_MODEL, 20, 0.1) if LOAD_MODEL in rivals else ()),
            ),
        )
        for maker, title, live, others in kinds
        for rivals in [others if beside is None or maker in beside else ()]
    )


def _compressed(scale: Scale) -> Scenario:
    return Scenario(
        "compressed",
        f"Every value: a pruned .h5, chunked and gzip'd, of {scale.big} MiB once inflated",
        (SHOW, ZLIB, H5_READ, SMALL_SAMPLE, LOAD_MODEL, CAT),
        reference=ZLIB.name,
        inputs=(Input("gzip.h5", scale.big),),
        goals=(
            Goal("inspect", "seconds", 1.2, of=ZLIB.name),
            Goal("inspect", "megabytes", 150),
        ),
    )


def _small_tensors(scale: Scale) -> tuple[Scenario, ...]:
    most, before = scale.tensors[-1], scale.tensors[-2]
    kinds = (
        ("small.weights.h5", False, (H5_VISIT, H5_READ, FILE_EDITOR)),
        ("small.ckpt", True, (LOAD_CHECKPOINT,)),
    )
    tables = []
    for maker, live, rivals in kinds:
        ours = tuple(
            Row(
                f"inspect, {count:,}",
                SHOW.command,
                f"`inspect` of {count:,} tensors",
                inputs=(Input(maker, count, live),),
            )
            for count in scale.tensors
        )
        tables.append(
            Scenario(
                f"tensors-{maker}",
                f"Small tensors: {maker.removeprefix('small')} of {most:,} (rivals: of these)",
                (*ours, *rivals),
                reference=rivals[0].name,
                inputs=(Input(maker, most, live),),
                goals=(
                    *((Goal(ours[-1].name, "seconds", 2.0),) if most == 20_000 else ()),
                    Goal(ours[-1].name, "seconds", most / before, of=ours[-2].name),
                ),
            )
        )
    return tuple(tables)


def _graph(scale: Scale) -> Scenario:
    return Scenario(
        "graph",
        f"A SavedModel with a graph of {scale.graph} MB",
        (SHOW, SAVED_MODEL_CLI, NETRON),
        reference=SAVED_MODEL_CLI.name,
        inputs=(Input("graph", scale.graph, live=True),),
        goals=(
            Goal("inspect", "seconds", 1.0),
            Goal("inspect", "seconds", 0.1, of=SAVED_MODEL_CLI.name),
        ),
    )


def _pairs(scale: Scale) -> tuple[Scenario, ...]:
    kinds = {
        "pair-same": "equal",
        "pair-one": "one tensor changed",
        "pair-all": "all tensors changed",
    }
    return tuple(
        Scenario(
            f"diff-{maker}",
            f"diff: two .h5 of {scale.big} MiB, {title}",
            (DIFF, CAT, SMALL_SAMPLE, H5_READ, H5DIFF),
            reference=CAT.name,
            inputs=(Input(maker, scale.big),),
            goals=(Goal(DIFF.name, "seconds", 1.3, of=CAT.name, plus=_SMALL_SAMPLE),),
        )
        for maker, title in kinds.items()
    )


def _many_files(scale: Scale, cores: int) -> Scenario:
    ours = audit(name="inspect audit")
    most = scale.files / 100 / cores
    return Scenario(
        "audit",
        f"audit: {scale.files:,} small files",
        (ours, CAT, MODELSCAN),
        reference=ours.name,
        inputs=(Input("files", scale.files),),
        goals=(
            # A hundred files a second a core; with few files, start-up is most of it.
            *([Goal(ours.name, "seconds", most)] if scale.files >= 1_000 else ()),
            Goal(ours.name, "cores", 0.8 * cores, at_least=True),
        ),
        whole_tree=True,
    )


def _isolation() -> tuple[Scenario, ...]:
    isolated = audit(name="inspect audit")
    alone = audit("--no-isolate", name="inspect audit --no-isolate")
    return tuple(
        Scenario(
            f"isolation-{count}",
            f"What isolation costs: {count} small file{'s' if count > 1 else ''}",
            (isolated, alone),
            reference=alone.name,
            inputs=(Input("files", count),),
            whole_tree=True,
        )
        for count in (1, 50)
    )
