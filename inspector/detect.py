"""Step 1: what is at a path, decided from its content; the name only breaks ties.

Everything that is known and not read gets one sentence that says what it is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable

from inspector.errors import ArtifactError, UnknownFormat, Unsupported
from inspector.storage import ByteSource, LocalFile

_HEAD = 4096
_TABLE_MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
# MetaInfoDef.stripped_op_list (2) > OpList.op (1) > OpDef.name (1), "Add" or the like.
_META_INFO = re.compile(
    rb"(\n.{0,63})?\x12[\x80-\xff]*[\0-\x7f]\n[\x80-\xff]*[\0-\x7f]\n.[A-Z]\w", re.DOTALL
)
# A weight map names each variable once: far below this. Longer JSON is not parsed.
_JSON_LIMIT = 64 << 20
_MODEL_NAMES = (".h5", ".hdf5", ".keras", ".weights.json")
_ONLY_KERAS = "only Keras files are read here so far"


def detect(path: str) -> str:
    """The container at `path`: "hdf5", "zip", "keras-dir" or "keras-shards".

    Raises NotFound, UnknownFormat (no model) or Unsupported (a model of a kind not read here).
    """
    if os.path.isdir(path):
        return _directory(path)
    if path == "-" and not os.path.lexists(path):
        raise UnknownFormat("a model is not read from stdin: give its file", path)
    with LocalFile(path) as source:
        return _file(source)


def _directory(path: str) -> str:
    try:
        names = set(os.listdir(path))
    except OSError as error:
        raise ArtifactError(f"cannot be listed: {error.strerror}", path) from error
    if "config.json" in names and (
        "metadata.json" in names or any(name.startswith("model.weights.") for name in names)
    ):
        return "keras-dir"
    if {"saved_model.pb", "saved_model.pbtxt"} & names:
        raise Unsupported(f"SavedModel directory: {_ONLY_KERAS}", path)
    models = [name for name in names if name.endswith(_MODEL_NAMES)]
    if models:
        first = ", ".join(sorted(models)[:3]) + (", ..." if len(models) > 3 else "")
        raise UnknownFormat(f"a folder, not a model: name the files in it ({first})", path)
    if "checkpoint" in names or any(name.endswith(".index") for name in names):
        raise Unsupported(f"checkpoint directory: {_ONLY_KERAS}", path)
    if not names:
        raise UnknownFormat("an empty folder", path)
    raise UnknownFormat(
        f"a folder with no model in it that is known here: {len(names)} entries", path
    )


def _file(source: ByteSource) -> str:
    from inspector.wire.hdf5_superblock import find_signature

    if source.size == 0:
        raise UnknownFormat("an empty file (0 bytes): the save or the copy failed", source.path)
    if find_signature(source) is not None:
        return "hdf5"
    head = bytes(source.view(0, min(_HEAD, source.size)))
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if _is_weight_map(source, head):
        return "keras-shards"
    for error, describe in _FOREIGN:
        sentence = describe(source, head)
        if sentence is not None:
            raise error(sentence, source.path)
    raise UnknownFormat(_unknown(source, head), source.path)


def _is_weight_map(source: ByteSource, head: bytes) -> bool:
    content = _parsed(source, head)
    return isinstance(content, dict) and isinstance(content.get("weight_map"), dict)


def _parsed(source: ByteSource, head: bytes) -> object:
    """The file as JSON; None where it is none."""
    if not head.lstrip().startswith((b"{", b"[")) or source.size > _JSON_LIMIT:
        return None
    try:
        return json.loads(bytes(source.view(0, source.size)))
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


def _table_index(source: ByteSource, head: bytes) -> str | None:
    if source.size < 48 or source.view(source.size - 8, 8) != _TABLE_MAGIC:
        return None
    folder, name = os.path.split(source.path)
    stem = name.removesuffix(".index")
    try:
        shards = [one for one in os.listdir(folder or ".") if one.startswith(f"{stem}.data-")]
    except OSError:
        shards = []
    where = (
        f"beside it: {', '.join(sorted(shards))}"
        if shards
        else f"missing: {stem}.data-00000-of-0000N"
    )
    return f"the TensorBundle index of a TensorFlow checkpoint; its data shard is {where}"


def _protobuf(source: ByteSource, head: bytes) -> str | None:
    # SavedModel: field 1 (schema version, a varint), then field 2 (a meta graph).
    if re.match(rb"\x08[\x01-\x02]\x12", head):
        return f"a SavedModel protobuf (saved_model.pb): {_ONLY_KERAS}"
    first = _first_field(head)
    # GraphDef: field 1 is a node, whose field 1 is the node's name.
    if first[:1] == b"\n" and _is_node_name(first):
        return f"a GraphDef protobuf (frozen graph): {_ONLY_KERAS}"
    # MetaGraphDef: field 1 is the meta info, whose field 2 lists the operators, each with a name.
    if _META_INFO.match(first):
        return f"a MetaGraphDef protobuf (.meta of a TensorFlow 1 checkpoint): {_ONLY_KERAS}"
    return None


def _first_field(head: bytes) -> bytes:
    """The content of field 1, as far as it is in the head; empty where that is no message."""
    found = re.match(rb"\n[\x80-\xff]{0,9}[\x00-\x7f]", head)
    return head[found.end() :] if found else b""


def _is_node_name(message: bytes) -> bool:
    size = message[1] if len(message) > 1 else 0
    name = message[2 : 2 + size]
    return size > 0 and re.fullmatch(rb"[A-Za-z0-9_.\-/>:^]+", name) is not None


def _keras_metadata(source: ByteSource, head: bytes) -> str | None:
    # SavedMetadata: field 1 is a node, whose field 3 is its path and field 4 its kind.
    if b"_tf_keras_" in head[:256] and head[:1] == b"\n":
        return f"the keras_metadata.pb of a SavedModel: {_ONLY_KERAS}"
    return None


def _data_shard(source: ByteSource, head: bytes) -> str | None:
    # Values and nothing else: only the name can tell.
    found = re.fullmatch(r"(.*)\.data-\d{5}-of-\d{5}", os.path.basename(source.path))
    if found is None:
        return None
    return f"a data shard of a TensorFlow checkpoint: open {found[1]}.index; {_ONLY_KERAS}"


def _text_graph(source: ByteSource, head: bytes) -> str | None:
    if re.match(rb"\s*(node|versions|library|model_graph)\s*\{", head):
        return f"a text GraphDef (protobuf text format): {_ONLY_KERAS}"
    return None


def _checkpoint_state(source: ByteSource, head: bytes) -> str | None:
    if head.lstrip().startswith(b"model_checkpoint_path:"):
        return f"the state file of a checkpoint folder: {_ONLY_KERAS}"
    return None


def _tflite(source: ByteSource, head: bytes) -> str | None:
    if head[4:8] == b"TFL3":
        return f"a TFLite model: {_ONLY_KERAS}"
    return None


# First bytes of things that turn up under a model's name.
_MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"LITERTLM", "a LiteRT-LM container"),
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


_FOREIGN: tuple[
    tuple[type[UnknownFormat | Unsupported], Callable[[ByteSource, bytes], str | None]], ...
] = (
    (UnknownFormat, _lfs_pointer),
    (UnknownFormat, _web_page),
    (Unsupported, _tflite),
    (Unsupported, _table_index),
    (UnknownFormat, _magic),
    (Unsupported, _checkpoint_state),
    (Unsupported, _text_graph),
    (UnknownFormat, _json),
    (UnknownFormat, _safetensors),
    (Unsupported, _keras_metadata),
    (Unsupported, _data_shard),
    (Unsupported, _protobuf),
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
        return f"not HDF5, not a zip, nor any model format known here ({size})"
    if all(one.isprintable() or one in "\t\r\n" for one in text):
        first = text.strip().splitlines()[0][:40] if text.strip() else ""
        return f'text, not a model ({size}), beginning "{first}"'
    return f"not HDF5, not a zip, nor any model format known here ({size})"


def _text(raw: bytes) -> str:
    text = " ".join(raw.decode("utf-8", "replace").split())
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
