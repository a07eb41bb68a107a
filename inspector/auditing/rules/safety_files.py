"""Containers that lead out of themselves, that swell, or hold what no model has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inspector.auditing.contents import Contents, Item, Pickled
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.auditing.sniff import PICKLE_NAMES, PROGRAM_NAMES, PROGRAMS, ending
from inspector.dangers import is_harmless, is_variable
from inspector.limits import GIB
from inspector.model import Section, Severity
from inspector.payloads import numpy_dtype
from inspector.words import count

_KERAS_REFUSES = 4 * GIB  # what keras.saving allows a dataset that is far larger than it stores

_WORSE = (Severity.INFO, Severity.WARNING, Severity.ERROR)

# What each kind of artifact has.
_KERAS_FILES = re.compile(
    r"config\.json|metadata\.json|model\.weights\.(?:h5|npz|json)|model_\d{5}\.weights\.h5"
    r"|model\.weights\.npz/.*|assets/.*"
)
_SAVED_FILES = re.compile(
    r"saved_model\.(?:pb|pbtxt|cpb)|fingerprint\.pb|keras_metadata\.pb|tfhub_module\.pb"
    r"|variables/.*|assets(?:\.extra)?/.*|debug/.*"
)
# What people and tools put beside a model, and no loader opens.
_BESIDE = re.compile(
    r"(?:.*/)?(?:README.*|LICEN[CS]E.*|NOTICE.*|CHANGELOG.*|\.git.*|\.DS_Store|Thumbs\.db|MANIFEST.*"
    r"|[^/]+\.(?:md|rst|txt|json|ya?ml|csv|tsv|npy|png|jpe?g|svg|html|sha256|md5|expected))",
    re.IGNORECASE,
)


def _links(context: Context) -> Iterator[Found]:
    for link in context.contents.links:
        where = "out of the artifact, to" if link.outside else "to"
        what = "a symbolic link in the zip" if link.zipped else "a symbolic link"
        yield Found(
            f"{link.name} is {what} that leads {where} {link.target}; it is not followed",
            severity=Severity.ERROR if link.outside or link.zipped else Severity.WARNING,
        )


def _hdf5(context: Context) -> Iterator[Found]:
    for one in context.contents.outside:
        inside = f"{one.file}: " if one.file else ""
        yield Found(
            f"{inside}{one.name} {_ELSEWHERE[one.kind]} {one.target}",
            evidence=None if one.kind == "alias" else "nothing was read from there",
            path=one.path,
            severity=Severity.INFO if one.kind == "alias" else None,
        )


_ELSEWHERE = {
    "link": "is an external link to",
    "alias": "is a soft link, which newer Keras refuses to follow, to",
    "soft link": "is a soft link that leads out of the file, to",
    "external": "keeps its values in another file,",
    "virtual": "is a virtual dataset, pieced together from",
}


def _swollen(context: Context) -> Iterator[Found]:
    for one in context.contents.swollen:
        huge = one.declared > _KERAS_REFUSES
        yield Found(
            f"{one.name} declares far more than it stores",
            evidence=f"declares {one.declared:,} B, stores {one.stored:,}; it is not read",
            tensor=one.name,
            path=one.path,
            severity=Severity.ERROR if huge else Severity.WARNING,
        )


def _inflated(context: Context) -> Iterator[Found]:
    yield from _swollen(context)
    tensors = context.examined.artifact.tensors if context.examined is not None else ()
    for tensor in tensors:
        # A graph keeps a constant of equal values as one: only absurd sizes tell of intent.
        declared = tensor.elements * _itemsize(tensor.dtype)
        if (
            tensor.section is Section.GRAPH
            and declared > _KERAS_REFUSES
            and declared > context.limits.bomb_ratio * tensor.nbytes
        ):
            yield Found(
                f"{tensor.name} declares far more than it stores",
                evidence=f"declares {declared:,} B, stores {tensor.nbytes:,}; it is not read",
                tensor=tensor.name,
            )


def _itemsize(dtype: str) -> int:
    """Bytes of a value; 1 where that is no fixed number."""
    try:
        return int(numpy_dtype(dtype).itemsize) or 1
    except (AttributeError, TypeError, ValueError):
        return 1


def _pickles(context: Context) -> Iterator[Found]:
    grouped: dict[str, list[Pickled]] = {}
    for one in context.contents.pickles:
        # The members of an .npz are one thing, and as bad as the worst of them.
        whole, npz, _ = one.name.partition(".npz/")
        grouped.setdefault(f"{whole}.npz" if npz else one.name, []).append(one)
    for name, found in grouped.items():
        seen, severity = max(map(_unpickling, found), key=lambda said: _WORSE.index(said[1]))
        inside = f" of {found[0].inside}" if found[0].inside else ""
        yield Found(
            f"{name or 'the artifact'} is a pickle{inside}: unpickling runs what it names",
            evidence=f"{count(len(found), 'pickle')}: {seen}",
            path=found[0].path,
            severity=severity,
        )


def _unpickling(one: Pickled) -> tuple[str, Severity]:
    """What unpickling does, and how bad that is."""
    if one.globals is None:
        return "what it calls cannot be told", Severity.ERROR
    calls = [imported for imported in one.globals if not is_harmless(imported)]
    if not calls:
        return "makes arrays and nothing else", Severity.INFO
    if all(map(is_variable, calls)):
        return "makes arrays, and Keras' variables of them", Severity.WARNING
    return f"calls {', '.join(calls[:8])}", Severity.ERROR


def _foreign(context: Context) -> Iterator[Found]:
    told = {one.name for one in context.contents.pickles}
    for item in context.contents.items:
        what = _program(item)
        if what is not None:
            yield Found(f"{item.name or 'the artifact'} is {what}", path=item.path)
        elif item.name not in told:
            yield from _strange(context.contents, item)


def _program(item: Item) -> str | None:
    """What program a file is, by its first bytes or its name."""
    if item.kind is not None and item.kind in PROGRAMS:
        return PROGRAMS[item.kind]
    return PROGRAM_NAMES.get(ending(item.name)) if item.kind in (None, "zip", "json") else None


def _strange(contents: Contents, item: Item) -> Iterator[Found]:
    """A file that artifacts of this kind do not have."""
    known = {"keras": _KERAS_FILES, "saved-model": _SAVED_FILES}.get(contents.kind)
    if ending(item.name) in PICKLE_NAMES:
        yield Found(
            f"{item.name} is named like a pickle, and readers of such files unpickle them",
            path=item.path,
            severity=Severity.WARNING,
        )
    elif known is not None and item.name and not known.fullmatch(item.name):
        harmless = _BESIDE.fullmatch(item.name) is not None
        yield Found(
            f"{item.name} does not belong to a model of this kind",
            path=item.path,
            severity=Severity.INFO if harmless else Severity.WARNING,
        )


def _unread(context: Context) -> Iterator[Found]:
    for one in context.contents.unread:
        # What is wrong with the artifact as a whole is told of by integrity's rules.
        if one.name or context.error is None:
            yield Found(
                f"{one.name or 'the artifact'} was not looked into",
                evidence=one.message,
                path=one.path,
            )


def _shards(context: Context) -> Iterator[Found]:
    for name in context.contents.shards:
        plain = name.replace("\\", "/")
        if "/" in plain or plain in {".", ".."} or re.match(r"[A-Za-z]:", plain):
            yield Found(
                f"values are in a file outside the model's folder, {name[:200]}",
                evidence="it is not opened",
            )


_ANEW = "Save the model anew with Keras or TensorFlow, from a source that you trust."
RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="safety-hdf5-outside",
        severity=Severity.ERROR,
        summary="An HDF5 file takes links or values from other files.",
        explanation=(
            "An external link, external storage or a virtual dataset makes HDF5 read another file"
            " of the machine, and hand its bytes on as weights (CVE-2026-1669). No model that Keras"
            " saved has any, nor a soft link that leads through one; a soft link that stays in the"
            " file is a note, since newer Keras does not follow it. Looked at are all groups and"
            " datasets, those that no list names too. Nothing is read from where they lead, so it"
            " is no matter whether that is there."
        ),
        example="model.h5: model_weights/ext is an external link to /etc/hostname:/kernel.",
        fix=_ANEW,
        needs=Needs.FILE,
        check=_hdf5,
    ),
    AuditRule(
        code="safety-shape-bomb",
        severity=Severity.ERROR,
        summary="A tensor declares far more bytes than the file stores.",
        explanation=(
            "Whoever loads it allocates what is declared: a file of some KiB can ask for TiB"
            " (CVE-2026-0897). Told is what declares more than 1,000 times what it stores; over"
            " 4 GiB Keras refuses it, and it is an error here, below a warning from 64 MiB on."
        ),
        example="bomb.h5: kernel declares far more than it stores.",
        fix=_ANEW,
        needs=Needs.FILE,
        check=_inflated,
    ),
    AuditRule(
        code="safety-pickle",
        severity=Severity.ERROR,
        summary="Something is pickled.",
        explanation=(
            "Unpickling calls what the pickle names. Keras kept weights as pickled NumPy objects in"
            " model.weights.npz, and loads .npy and .npz members so. The opcodes are read as data,"
            " and nothing is called: a pickle that makes arrays and nothing else is a note, and one"
            " that makes Keras' own variables a warning."
        ),
        example=(
            "model.keras: assets/scaler.pkl is a pickle, and unpickling runs what that names."
        ),
        fix="Keep weights in HDF5, and other data in a format without code (JSON, text, .npy).",
        needs=Needs.FILE,
        check=_pickles,
    ),
    AuditRule(
        code="safety-foreign",
        severity=Severity.ERROR,
        summary="A program, or a file that no model has.",
        explanation=(
            "A program, a library or a script in a model's files is put on the disk of whoever"
            " unpacks it, and may be imported or run there. They are told by their first bytes and"
            " by their names; other files that artifacts of the kind do not have are a warning,"
            " and a note where they are what people put beside a model (README, LICENSE ...)."
        ),
        example="model.keras: assets/setup.py is Python code.",
        fix="Remove the file, or find out who put it there.",
        needs=Needs.FILE,
        check=_foreign,
    ),
    AuditRule(
        code="safety-symlink",
        severity=Severity.ERROR,
        summary="A symbolic link.",
        explanation=(
            "A link makes the loader read, or the one who unpacks write, what is not in the"
            " artifact. A link that stays in the folder is a warning; one that leads out, or is in"
            " a zip, an error. No link is followed."
        ),
        example="saved/: assets/vocab.txt is a symbolic link that leads out of the artifact.",
        fix="Put the file itself in its place (cp -rL).",
        needs=Needs.FILE,
        check=_links,
    ),
    AuditRule(
        code="safety-shard",
        severity=Severity.ERROR,
        summary="Values are kept in a file outside the model's folder.",
        explanation=(
            "The map of sharded weights, or a .tflite model's list of external buffers, names a"
            " file by a path: it may be any that the process can read. Shards lie beside the map."
        ),
        example="model.weights.json: values are in a file outside the model's folder.",
        fix=_ANEW,
        needs=Needs.FILE,
        check=_shards,
    ),
    AuditRule(
        code="safety-unread",
        severity=Severity.WARNING,
        summary="A part of the artifact could not be looked into.",
        explanation=(
            "It is damaged, locked, larger than a limit, or nested too deep: what is in it is not"
            " known, and other rules are silent about it."
        ),
        example="model.keras: assets/more.h5 was not looked into.",
        fix="Find out what it is; an artifact needs no such part.",
        needs=Needs.FILE,
        check=_unread,
    ),
)
