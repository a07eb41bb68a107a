"""What an artifact's containers hold, as rules about safety look at it: plain and closed again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inspector.model import Problem


@dataclass(frozen=True, slots=True)
class Item:
    """A file in an artifact: of a folder, of a zip, or the artifact itself.

    name: its place ("assets/vocab.txt"), "" for the artifact itself. nbytes: as declared. kind:
    what its first bytes say it is, as `sniff` has it. path: the file on disk that it is in. text: a
    short text among the assets.
    """

    name: str
    nbytes: int
    kind: str | None
    path: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link. outside: it leads out of the artifact. zipped: it is in a zip."""

    name: str
    target: str
    outside: bool
    path: str
    zipped: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """JSON that Keras reads. place: which ("config.json", "model_config"); legacy: of HDF5. kept:
    what was found in it, by who looked for it.
    """

    place: str
    value: Any
    path: str
    legacy: bool = False
    kept: dict[Any, tuple[Any, ...]] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Outside:
    """What of an HDF5 file is elsewhere. kind: "link", "external" storage or "virtual" dataset: in
    another file; "soft link": to one of these; "alias": a soft link that stays in the file.

    name: in the file; target: where it leads; file: the HDF5 file's place in the artifact.
    """

    kind: str
    name: str
    target: str
    file: str
    path: str


@dataclass(frozen=True, slots=True)
class Swollen:
    """A tensor that declares far more bytes than are stored."""

    name: str
    declared: int
    stored: int
    path: str


@dataclass(frozen=True, slots=True)
class Zipped:
    """What is odd about a zip. file: its place in the artifact, "" for the artifact itself."""

    file: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Pickled:
    """A pickle. globals: what unpickling it would import, None where it cannot be told."""

    name: str
    globals: tuple[str, ...] | None
    path: str
    inside: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A node of a graph whose operator reaches past the graph, or is not TensorFlow's.

    function: the one it is in, "" for the graph itself. texts: constants that its inputs are made
    of, as far as they name files; given: what gives it others when it runs ("the placeholder x").
    saver: all of these are the saver's own; asset: all are the files of the model's assets.
    """

    op: str
    node: str
    function: str
    path: str
    texts: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    saver: bool = False
    asset: bool = False


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset of a SavedModel: the file's name as the graph has it."""

    filename: str
    path: str


@dataclass(frozen=True, slots=True)
class Custom:
    """An operator of a .tflite model that is none of its own, and how often it is used."""

    name: str
    count: int
    path: str


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be looked at, and why."""

    name: str
    message: str
    path: str


@dataclass(frozen=True, slots=True)
class Contents:
    """All of it, in the order found. kind: "folder", "zip", "hdf5", "graph", "saved-model" ...

    items: shards that lie beside a weight map without standing in it, too. shards: names that a map
    has, or a .tflite model. empty: folders that hold nothing.
    """

    kind: str = ""
    items: tuple[Item, ...] = ()
    links: tuple[Link, ...] = ()
    documents: tuple[Document, ...] = ()
    outside: tuple[Outside, ...] = ()
    swollen: tuple[Swollen, ...] = ()
    zips: tuple[Zipped, ...] = ()
    pickles: tuple[Pickled, ...] = ()
    operations: tuple[Operation, ...] = ()
    assets: tuple[Asset, ...] = ()
    customs: tuple[Custom, ...] = ()
    shards: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    empty: tuple[str, ...] = ()
