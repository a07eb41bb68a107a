"""Step 1: what is at a path, decided from its content; the name only breaks ties.

Everything that is known and not read gets one sentence that says what it is.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable

from inspector import filesystem
from inspector.errors import ArtifactError, LimitExceeded, NotFound, UnknownFormat, Unsupported
from inspector.limits import DEFAULT
from inspector.meant import did_you_mean_file
from inspector.storage import ByteSource
from inspector.wire.json_text import parse_json

_HEAD = 4096
_REPLACED = 3  # U+FFFD that no text of somebody's would have
_TAIL = 68 << 10  # where zips and tables have their directories
_FOOTER = 48  # bytes at the end of a table
_SHARD = re.compile(r"(.*)\.data-\d{5}-of-\d{5}")
_TFLITE = b"TFL3"
_TABLE_MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
# A weight map names each variable once: far below this. Longer JSON is not parsed.
_JSON_LIMIT = 64 << 20
# Files by which the folder of a model is known.
_MARKS = ("saved_model.pb", "saved_model.pbtxt", "checkpoint", "config.json")
_BESIDE = 10_000  # of a folder's names at most that many are looked at for a hint
_MODEL_NAMES = (".h5", ".hdf5", ".keras", ".weights.json")
# What protobuf's text format begins with, comments left out: which message it is. (Nothing is given
# back: spaces can be taken in more ways than anyone can try.)
_TEXT = re.compile(rb"(?:\s++|#[^\n]*+\n)*+(\w++)\s*+[:{<]")
_TEXTS = {
    b"node": "graph-text",
    b"versions": "graph-text",
    b"library": "graph-text",
    b"version": "graph-text",
    b"saver_def": "graph-text",
    b"collection_def": "graph-text",
    b"signature_def": "graph-text",
    b"meta_info_def": "graph-text",
    b"graph_def": "graph-text",
    b"saved_model_schema_version": "saved-model",
    b"meta_graphs": "saved-model",
    b"model_checkpoint_path": "checkpoint",
    b"all_model_checkpoint_paths": "checkpoint",
}


def detect(path: str) -> str:
    """The container at `path`: one of the words that the readers' `containers` have.

    A checkpoint's path may be a prefix, where there is no file of that name. Raises NotFound,
    UnknownFormat (no model) or Unsupported (a model of a kind not read here).
    """
    if filesystem.isdir(path):
        return detect_folder(path)
    if not filesystem.lexists(path) and _is_prefix(path):
        return "checkpoint"
    if path == "-" and not filesystem.lexists(path):
        raise UnknownFormat("a model is not read from stdin: give its file", path)
    try:
        source = filesystem.opened(path)
    except NotFound as error:
        raise NotFound(f"{error.message}{did_you_mean_file(path)}", path) from None
    with source:
        return _file(source)


def _is_prefix(path: str) -> bool:
    """Whether a checkpoint's files begin with this path: an index, or shards of version 1."""
    if filesystem.isfile(f"{path}.index"):
        return True
    folder, name = os.path.split(path)
    # TensorFlow spells the number of each shard so: "model.ckpt-?????-of-00002".
    shard = re.compile(re.escape(name).replace(re.escape("?"), r"\d") + r"(-\d{5}-of-\d{5})?")
    try:
        beside = filesystem.listdir(folder or os.curdir, name.partition("?")[0])
        return any(shard.fullmatch(one) for one in beside)
    except (OSError, ValueError, ArtifactError):
        return False


def detect_folder(path: str, *, by_names: bool = False) -> str:
    """The same of a folder. by_names: nothing in it is opened or asked for."""
    try:
        names = set(filesystem.listdir(path))
    except OSError as error:
        raise ArtifactError(f"cannot be listed: {error.strerror}", path) from error
    if "config.json" in names and (
        "metadata.json" in names or any(name.startswith("model.weights.") for name in names)
    ):
        return "keras-dir"
    if {"saved_model.pb", "saved_model.pbtxt"} & names:
        if not by_names:
            _refuse_stand_in(filesystem.join(path, "saved_model.pb"))
        return "saved-model"
    if "saved_model.cpb" in names:
        raise Unsupported("a SavedModel in chunks (saved_model.cpb): save it as one file", path)
    if "checkpoint" in names:
        return "checkpoint"
    models = [name for name in names if name.endswith(_MODEL_NAMES)]
    if models:
        first = ", ".join(sorted(models)[:3]) + (", ..." if len(models) > 3 else "")
        raise UnknownFormat(f"a folder, not a model: name the files in it ({first})", path)
    if any(name.endswith(".index") for name in names):
        return "checkpoint"
    if filesystem.isfile(f"{path.rstrip(os.sep)}.index"):
        return "checkpoint"
    raise UnknownFormat("a folder, not a model" if by_names else _no_model(path, names), path)


def _no_model(path: str, names: set[str]) -> str:
    """What a folder is that is no model."""
    if not names:
        return "an empty folder"
    variables = filesystem.join(path, "variables")
    if filesystem.isfile(filesystem.join(variables, "variables.index")):
        return f"a SavedModel without its saved_model.pb: {variables} can be opened as a checkpoint"
    inside = [name for name in sorted(names)[:_BESIDE] if _has_model(filesystem.join(path, name))]
    if inside:
        first = ", ".join(filesystem.join(path, name) for name in inside[:3])
        more = ", ..." if len(inside) > 3 else ""
        if len(inside) == 1:
            return f"a folder around a model: open {first}"
        return f"a folder of models, not a model: open one of {first}{more}"
    entries = f"{len(names):,} {'entry' if len(names) == 1 else 'entries'}"
    return f"a folder with no model in it that is known here: {entries}"


def _refuse_stand_in(path: str) -> None:
    """Raise what stands in the file's place, if that is no model: a pointer, a web page."""
    if filesystem.isfile(path) and not filesystem.islink(path):
        with filesystem.opened(path) as source:
            _refuse(_STAND_INS, source, bytes(source.view(0, min(_HEAD, source.size))))


def _has_model(path: str) -> bool:
    """Whether a folder holds a file that marks it as a model's."""
    return any(filesystem.isfile(filesystem.join(path, name)) for name in _MARKS)


def _file(source: ByteSource) -> str:
    from inspector.wire.hdf5_superblock import SIGNATURE, find_signature

    if source.size == 0:
        raise UnknownFormat("an empty file (0 bytes): the save or the copy failed", source.path)
    head = bytes(source.view(0, min(_HEAD, source.size)))
    if not head.startswith(SIGNATURE):
        tail = min(_TAIL, source.size)
        source.expect([(source.size - tail, tail)])
    if find_signature(source) is not None:
        return "hdf5"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if _is_weight_map(source, head):
        return "keras-shards"
    if head[4:8] == _TFLITE:
        return "tflite"
    _refuse(_STAND_INS, source, head)
    # A shard's first bytes are values, which may look like anything.
    if _index_of_shard(source.path):
        return "checkpoint"
    _refuse(_FOREIGN, source, head)
    found = _of_tensorflow(source, head)
    if found is not None:
        return found
    if _is_tflite(source):
        return "tflite"  # an identifier it has not, all else it has
    raise UnknownFormat(_unknown(source, head), source.path)


def _is_tflite(source: ByteSource) -> bool:
    from inspector.wire.tflite_model import is_model

    return is_model(source)


def _refuse(known: _Known, source: ByteSource, head: bytes) -> None:
    """Raise the sentence of the first that knows what the file is."""
    for error, describe in known:
        sentence = describe(source, head)
        if sentence is not None:
            raise error(sentence, source.path)


def _of_tensorflow(source: ByteSource, head: bytes) -> str | None:
    """The container where it is one of TensorFlow's own files."""
    from inspector.wire.graph_kind import graph_kind

    if source.size >= _FOOTER and source.view(source.size - 8, 8) == _TABLE_MAGIC:
        return "checkpoint"
    text = _TEXT.match(head)
    if text is not None and text[1] in _TEXTS:
        return _TEXTS[text[1]]
    return graph_kind(source)


def _is_weight_map(source: ByteSource, head: bytes) -> bool:
    try:
        content = _parsed(source, head)
    except LimitExceeded:  # its reader says which
        return b'"weight_map"' in bytes(source.view(0, source.size))
    return isinstance(content, dict) and isinstance(content.get("weight_map"), dict)


def _parsed(source: ByteSource, head: bytes) -> object:
    """The file as JSON; None where it is none. Raises LimitExceeded."""
    if not head.lstrip().startswith((b"{", b"[")) or source.size > _JSON_LIMIT:
        return None
    try:
        return parse_json(bytes(source.view(0, source.size)), DEFAULT, source.path)
    except (ValueError, RecursionError):
        return None


def _lfs_pointer(source: ByteSource, head: bytes) -> str | None:
    if not head.startswith(b"version https://git-lfs"):
        return None
    oid = re.search(rb"oid sha256:([0-9a-f]+)", head)
    size = re.search(rb"\nsize (\d{1,19})", head)
    real = f"{int(size[1]):,} bytes" if size else "of unknown size"
    digest = f" (sha256 {oid[1].decode()[:12]}…)" if oid else ""
    return f"a Git LFS pointer; the real object, {real}{digest}, is not here: run git lfs pull"


def _web_page(source: ByteSource, head: bytes) -> str | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if not start.startswith((b"<!doctype html", b"<html", b"<head")):
        return None
    title = re.search(rb"<title[^>]*>([^<]{0,80})", head, re.IGNORECASE)
    said = f' titled "{_text(title[1])}"' if title else ""
    return f"an HTML page{said}, not a model: the download fetched a web page"


def _index_of_shard(path: str) -> str | None:
    """The index beside a data shard; None where the path is no shard's, or the index is missing."""
    found = _SHARD.fullmatch(os.path.basename(path))
    index = filesystem.join(os.path.dirname(path), f"{found[1]}.index") if found else ""
    return index if filesystem.isfile(index) else None


def _re_encoded(source: ByteSource, head: bytes) -> str | None:
    # What is no UTF-8 became U+FFFD: a copy or a checkout took a binary file for text.
    if head[:1] != b"\n" or head.count(b"\xef\xbf\xbd") < _REPLACED:
        return None
    try:
        # The head may end within a character.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None
    return (
        "a protobuf that was re-encoded as text, which replaced its bytes: fetch the file anew, as"
        " binary"
    )


def _fingerprint(source: ByteSource, head: bytes) -> str | None:
    folder, name = os.path.split(source.path)
    beside = filesystem.isfile(filesystem.join(folder, "saved_model.pb"))
    if name == "fingerprint.pb" and beside:
        return "the fingerprint.pb of a SavedModel: open the folder that it is in"
    return None


def _keras_metadata(source: ByteSource, head: bytes) -> str | None:
    # SavedMetadata: field 1 is a node, whose field 3 is its path and field 4 its kind.
    if b"_tf_keras_" in head[:256] and head[:1] == b"\n":
        return "the keras_metadata.pb of a SavedModel: open the folder that it is in"
    return None


def _data_shard(source: ByteSource, head: bytes) -> str | None:
    # Values and nothing else: only the name can tell.
    found = _SHARD.fullmatch(os.path.basename(source.path))
    if found is None or _index_of_shard(source.path):
        return None
    return (
        f"a data shard of a TensorFlow checkpoint: {found[1]}.index, which says what its values"
        " are, is not beside it"
    )


def _old_tflite(source: ByteSource, head: bytes) -> str | None:
    if head[4:8] in (b"TFL0", b"TFL1", b"TFL2"):
        version = head[7:8].decode()
        return f"a TFLite model of schema version {version}: no runtime reads it, convert it anew"
    return None


# First bytes of things that turn up under a model's name.
_MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"LITERTLM", "a LiteRT-LM container: .tflite models, a tokenizer and more in one file"),
    (b"\x1f\x8b", "gzip-compressed data: unpack it first"),
    (b"BZh", "bzip2-compressed data: unpack it first"),
    (b"\xfd7zXZ\x00", "xz-compressed data: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed data: unpack it first"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"\x93NUMPY", "a single NumPy array (.npy), not a model"),
    (b"\x80\x02", "a Python pickle: it is not opened, since loading one runs code"),
    (b"\x80\x03", "a Python pickle: it is not opened, since loading one runs code"),
    (b"\x80\x04", "a Python pickle: it is not opened, since loading one runs code"),
    (b"\x80\x05", "a Python pickle: it is not opened, since loading one runs code"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "an ELF program or library"),
    (b"GGUF", "a GGUF model"),
    (b"CDF\x01", "a netCDF file"),
    (b"CDF\x02", "a netCDF file"),
    (b"\x0e\x03\x13\x01", "an HDF4 file: it is not HDF5"),
    (b"SQLite format 3", "an SQLite database"),
    (b"<?xml", "an XML document"),
)


def _magic(source: ByteSource, head: bytes) -> str | None:
    for magic, what in _MAGICS:
        if head.startswith(magic):
            return what
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it first"
    return None


def _json(source: ByteSource, head: bytes) -> str | None:
    content = _parsed(source, head)
    if content is None:
        return None
    if isinstance(content, dict) and {"class_name", "config"} <= set(content):
        return "a Keras model config (JSON) without weights"
    return "a JSON file with no weight_map: neither a model nor a sharded-weights index"


def _safetensors(source: ByteSource, head: bytes) -> str | None:
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < source.size:
        return "a safetensors file: it is not of the TensorFlow family"
    return None


_Known = tuple[
    tuple[type[UnknownFormat | Unsupported], Callable[[ByteSource, bytes], str | None]], ...
]
# What lies where a file should be, whatever its name.
_STAND_INS: _Known = (
    (UnknownFormat, _lfs_pointer),
    (UnknownFormat, _web_page),
)
_FOREIGN: _Known = (
    (Unsupported, _old_tflite),
    (UnknownFormat, _magic),
    (UnknownFormat, _json),
    (UnknownFormat, _safetensors),
    (UnknownFormat, _re_encoded),
    (Unsupported, _keras_metadata),
    (Unsupported, _fingerprint),
    (UnknownFormat, _data_shard),
)


def _unknown(source: ByteSource, head: bytes) -> str:
    size = f"{source.size:,} bytes"
    if head.startswith(b"\x89HDF"):
        return f"the beginning of an HDF5 signature, then something else ({size})"
    if not head.strip(b"\0"):
        return f"nothing but zero bytes at its beginning ({size}): the copy or download failed"
    try:
        text = head.decode("utf-8") if len(head) < _HEAD else head[:-4].decode("utf-8", "strict")
    except UnicodeDecodeError:
        return f"not HDF5, not a zip, not TFLite, nor any model format known here ({size})"
    if all(one.isprintable() or one in "\t\r\n" for one in text):
        first = text.strip().splitlines()[0][:40] if text.strip() else ""
        return f'text, not a model ({size}), beginning "{first}"'
    return f"not HDF5, not a zip, not TFLite, nor any model format known here ({size})"


def _text(raw: bytes) -> str:
    text = " ".join(raw.decode("utf-8", "replace").split())
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
