"""TensorFlow's messages as classes of the official protobuf runtime, made of the same tables.

That the tables are TensorFlow's own is held by tests/live/test_graph_def_live.py.
"""

from __future__ import annotations

import functools

import pytest

from inspector.wire.tensorflow_messages import known

CODES = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "fixed64": 6,
    "fixed32": 7,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
    "enum": 14,
    "sfixed32": 15,
    "sfixed64": 16,
    "sint32": 17,
    "sint64": 18,
}
MESSAGE, REPEATED, SINGULAR = 11, 3, 1


def reachable(name, found=None):
    """The names of a message and of all that it may hold; maps' entries not among them."""
    found = {} if found is None else found
    if name not in found:
        found[name] = known(name)
        for one in known(name).values():
            if one.is_message:
                key, _, value = one.kind.partition(":")
                inner = value or key
                if inner not in CODES:
                    reachable(inner, found)
    return found


@functools.cache
def official(*names):
    """Message classes by name, in one pool."""
    descriptor = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    file = descriptor.FileDescriptorProto(name="tables.proto", package="t", syntax="proto3")
    enums = {}
    messages = {}
    for name in names:
        reachable(name, messages)
    for name, table in messages.items():
        made = file.message_type.add(name=flat(name))
        for one in table.values():
            label = REPEATED if one.repeated else SINGULAR
            added = made.field.add(name=one.name, number=one.number, label=label)
            key, _, value = one.kind.partition(":")
            if value:
                entry = made.nested_type.add(name=camel(one.name) + "Entry")
                entry.options.map_entry = True
                retyped(entry.field.add(name="key", number=1, label=SINGULAR), key)
                retyped(entry.field.add(name="value", number=2, label=SINGULAR), value)
                added.type, added.type_name = MESSAGE, f".t.{made.name}.{entry.name}"
            else:
                retyped(added, key)
            if one.values:
                words = tuple(one.values.items())
                enums.setdefault(words, f"E{len(enums)}")
                added.type_name = f".t.H{enums[words]}.{enums[words]}"
    for words, name in enums.items():
        enum = file.message_type.add(name=f"H{name}").enum_type.add(name=name)
        for word, number in words:
            enum.value.add(name=word, number=number)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"t.{flat(name)}"))
        for name in messages
    }


def retyped(field, kind):
    if kind in CODES:
        field.type = CODES[kind]
    else:
        field.type, field.type_name = MESSAGE, f".t.{flat(kind)}"


def flat(name):
    return name.replace(".", "_")


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))
