"""An artifact's containers are looked into as they are, within bounds, whatever they hold."""

import base64
import dataclasses
import importlib.util
import json
import os
import pickle
import random
import zipfile

import h5py
import numpy as np
import pytest

from inspector.auditing.configs import code_of, nodes, texts
from inspector.auditing.containers import contents
from inspector.auditing.contents import Document
from inspector.auditing.sniff import ending, sniff
from inspector.limits import DEFAULT
from tests.builders import attacks as a
from tests.builders import attacks_common as common
from tests.builders import attacks_files, attacks_graphs, attacks_zips, samples, zips
from tests.builders import cases as c
from tests.builders import keras as k
from tests.builders import saved_models as sm
from tests.builders.hdf5 import DENSE_CONFIG, whole_model


def limited(**changes):
    return dataclasses.replace(DEFAULT, **changes)


def names(found):
    return [item.name for item in found.items]


# --- what is at a path --------------------------------------------------------------------------


def test_a_zip_is_looked_into(tmp_path):
    path = k.keras_zip(tmp_path / "m.keras", k.members(k.h5_weights(tmp_path)))
    found = contents(path)
    assert found.kind == "keras"
    assert names(found) == ["", "metadata.json", "config.json", "model.weights.h5"]
    assert [one.place for one in found.documents] == ["metadata.json", "config.json"]
    assert found.unread == ()


def test_a_folder_is_looked_into(tmp_path):
    path = k.keras_folder(tmp_path / "m", k.members(k.h5_weights(tmp_path)))
    found = contents(path)
    assert found.kind == "keras"
    assert {one.place for one in found.documents} == {"metadata.json", "config.json"}


def test_hdf5_gives_its_configs(tmp_path):
    found = contents(whole_model(tmp_path / "m.h5", training={"loss": "mse"}))
    assert [(one.place, one.legacy) for one in found.documents] == [
        ("model_config", True),
        ("training_config", True),
    ]


def test_hdf5_behind_a_user_block_is_found(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs["model_config"] = json.dumps(DENSE_CONFIG)
        file["ext"] = h5py.ExternalLink("other.h5", "/x")
    found = contents(str(path))
    assert [one.name for one in found.outside] == ["ext"]
    assert len(found.documents) == 1


def test_a_saved_model_is_its_folder_by_whatever_path(tmp_path):
    path = sm.module(tmp_path / "saved")
    assert contents(f"{path}/saved_model.pb") == contents(path)
    assert contents(path).kind == "saved-model"


def test_a_checkpoint_is_the_files_that_begin_so(tmp_path):
    for name in ("m.index", "m.data-00000-of-00001", "mm.index"):
        (tmp_path / name).write_bytes(b"x")
    assert names(contents(str(tmp_path / "m"))) == ["m.data-00000-of-00001", "m.index"]


def test_the_shards_of_a_map_are_looked_into(tmp_path):
    path = k.sharded(tmp_path, {"a.weights.h5": k.DENSE_STORE, "b.weights.h5": k.DENSE_STORE}, 1)
    assert {"a.weights.h5", "b.weights.h5"} <= set(names(contents(path)))


def test_shards_that_lead_elsewhere_are_not_opened(tmp_path):
    (tmp_path / "secret.h5").write_bytes(b"secret")
    (tmp_path / "m").mkdir()
    path = attacks_files._shards("../secret.h5")(str(tmp_path / "m"))
    assert names(contents(path)) == ["", "model_00000.weights.h5"]


def test_maps_that_name_each_other_end(tmp_path):
    for name, other in (("a.weights.json", "b.weights.json"), ("b.weights.json", "a.weights.json")):
        content = {"metadata": {}, "weight_map": {"x": [other, name]}}
        (tmp_path / name).write_text(json.dumps(content))
    found = contents(str(tmp_path / "a.weights.json"))
    assert names(found)[0] == ""
    assert set(names(found)) == {"", "a.weights.json", "b.weights.json"}


def test_a_shard_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "secret.h5").write_bytes(b"secret")
    (tmp_path / "m").mkdir()
    path = k.sharded(tmp_path / "m", {"a.weights.h5": k.DENSE_STORE}, 1)
    os.remove(tmp_path / "m" / "a.weights.h5")
    os.symlink("../secret.h5", tmp_path / "m" / "a.weights.h5")
    found = contents(path)
    assert [(one.name, one.outside) for one in found.links] == [("a.weights.h5", True)]
    assert names(found) == [""]


def test_nothing_is_there():
    assert contents("/nowhere/at/all").items == ()


def test_what_is_no_file_is_told_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (one,) = contents(str(tmp_path / "pipe")).unread
    assert "pipe" in one.message


def test_links_of_a_folder_are_told_and_not_followed(tmp_path):
    folder = tmp_path / "saved"
    sm.module(folder)
    os.symlink("/etc/hostname", folder / "out")
    os.symlink("variables/../saved_model.pb", folder / "in")
    os.symlink("../../saved", folder / "variables" / "up")
    found = {one.name: one.outside for one in contents(str(folder)).links}
    assert found == {"in": False, "out": True, "variables/up": True}


# --- bounds -------------------------------------------------------------------------------------


def nested(depth):
    inner = zips.build(zips.Entry(b"a.txt", b"x"))
    for _ in range(depth):
        inner = zips.build(zips.Entry(b"more.zip", inner))
    return inner


def test_containers_are_looked_into_to_a_depth(tmp_path):
    path = tmp_path / "m.zip"
    path.write_bytes(nested(10))
    found = contents(str(path))
    assert len(found.items) < 10
    assert [one.message for one in found.unread] == ["lies in too many containers"]


def test_all_that_is_inflated_counts_together(tmp_path):
    path = tmp_path / "m.zip"
    text = json.dumps([0] * 400).encode()
    entries = (zips.Entry(f"{i}.json".encode(), text, deflate=True) for i in range(5))
    path.write_bytes(zips.build(*entries))
    found = contents(str(path), limited(inflated_bytes=3 * len(text)))
    assert len(found.documents) == 3
    assert [one.name for one in found.unread] == ["3.json", "4.json"]


def test_only_the_head_of_other_members_is_inflated(tmp_path):
    path = tmp_path / "m.zip"
    path.write_bytes(zips.build(zips.Entry(b"zeros.txt", bytes(1 << 20), deflate=True)))
    found = contents(str(path), limited(inflated_bytes=1000))
    assert found.unread == ()
    assert "zeros.txt" in names(found)


def test_json_among_the_assets_is_no_config(tmp_path):
    parts = {**k.members(None), "assets/words.json": b'{"class_name": "Lambda"}'}
    path = k.keras_zip(tmp_path / "m.keras", parts)
    assert [one.place for one in contents(path).documents] == ["metadata.json", "config.json"]


def test_a_config_past_the_limit_is_told(tmp_path):
    found = contents(k.keras_zip(tmp_path / "m.keras", k.members(None)), limited(config_bytes=80))
    assert [one.name for one in found.unread] == ["config.json"]


def test_json_that_is_none_is_told(tmp_path):
    parts = {**k.members(None), "config.json": b"{"}
    found = contents(k.keras_zip(tmp_path / "m.keras", parts))
    assert [one.name for one in found.unread] == ["config.json"]


def test_json_that_is_nested_without_end_is_told(tmp_path):
    parts = {**k.members(None), "config.json": b"[" * 100_000}
    found = contents(k.keras_zip(tmp_path / "m.keras", parts))
    assert [one.name for one in found.unread] == ["config.json"]


def test_of_one_operator_no_more_than_a_thousand_nodes_are_told(tmp_path):
    nodes_ = [sm.node(f"n{i}", "WriteFile") for i in range(3000)]
    found = contents(attacks_graphs._frozen([*nodes_, sm.node("last", "PyFunc")])(str(tmp_path)))
    assert len(found.operations) == 1001
    assert found.operations[-1].op == "PyFunc"


@pytest.mark.parametrize("one", a.ATTACKS[::7], ids=lambda one: one.name)
def test_broken_bytes_never_raise(one, tmp_path):
    chance = random.Random(one.name)
    path = one.make(str(tmp_path))
    if os.path.isdir(path):
        path = os.path.join(path, "saved_model.pb")
        if not os.path.isfile(path):
            return
    with open(path, "rb") as file:
        content = file.read()
    for _ in range(25):
        broken = bytearray(content)
        for _ in range(chance.randint(1, 20)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        cut = chance.randrange(len(broken)) if chance.random() < 0.3 else len(broken)
        with open(path, "wb") as file:
            file.write(broken[:cut])
        contents(path)


# --- what a file is by its first bytes ----------------------------------------------------------


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value", [{"a": 1}, [1, 2], (1, 2), np.arange(3.0), np.float64(1), {1: {2: 3}}]
)
def test_a_pickle_is_known_by_its_beginning(protocol, value):
    # Before protocol 2 a tuple begins as any text may.
    if protocol >= 2 or not isinstance(value, tuple):
        assert sniff(pickle.dumps(value, protocol)) == "pickle"


@pytest.mark.parametrize(
    "content",
    [
        b"cat\ndog\nbird\n",
        b"(a) b\n",
        b"MZ is not a program\n",
        b"#1 tag\n",
        b"\x80\x81",
        b"",
        b"I1\n",
    ],
)
def test_texts_are_nothing_else(content):
    assert sniff(content) is None


def test_programs_are_known_by_their_beginning():
    assert sniff(b"\x7fELF\x02\x01\x01") == "elf"
    assert sniff(b"MZ" + bytes(58) + b"\x80\0\0\0") == "pe"
    assert sniff(b"#!/usr/bin/env python\n") == "script"
    assert sniff(importlib.util.MAGIC_NUMBER + bytes(12) + common.CODE) == "bytecode"


def test_an_ending_is_what_decides_behind_versions_and_folders():
    assert ending("lib/a.SO") == "so"
    assert ending("lib\\libx.so.1.2") == "so"
    assert ending("a.b/readme") == ""


# --- configs ------------------------------------------------------------------------------------


def document(value):
    return Document("config.json", value, "m.keras")


def test_objects_have_their_place_and_their_layer():
    inner = c.sequential(c.dense("d", 3, kernel_initializer={"class_name": "Zeros", "config": {}}))
    found = {node.name: node for node in nodes(document(c.sequential(inner)))}
    place = "$.config.layers[0].config.layers[0].config.kernel_initializer"
    assert found["Zeros"].place == f"config.json: {place}"
    assert found["Zeros"].layer == "d"
    assert found["Dense"].in_list


def test_keys_that_are_no_names_are_quoted():
    (node,) = nodes(document({"a b": {'c"': [{"class_name": "X"}]}}))
    assert node.place == 'config.json: $["a b"]["c\\""][0]'


def test_texts_have_the_key_that_they_stand_under():
    found = [(one.key, one.value) for one in texts(document({"paths": [["x"], "y"]}))]
    assert found == [("paths", "x"), ("paths", "y")]


def test_code_in_each_form_has_the_same_digest():
    old = {"class_name": "Lambda", "config": {"function": [encoded(), None, None]}}
    new = {"class_name": "Lambda", "config": {"function": kept()}}
    items = {"class_name": "__tuple__", "items": [encoded(), None, None]}
    saved = {"class_name": "Lambda", "config": {"function": items}}
    codes = [code_of(next(nodes(document(one)))) for one in (old, new, saved)]
    assert codes[0] == codes[1] == codes[2] != []
    assert codes[0][0].nbytes == len(common.CODE)


def encoded():
    return base64.encodebytes(common.CODE).decode()


def kept():
    return {"class_name": "__lambda__", "config": {"code": encoded()}}


@pytest.mark.parametrize("code", ["no base64 at all é", "", 7, None, {}, []])
def test_code_that_is_none_raises_nothing(code):
    for config in (
        {"function": [code]},
        {"function": {"class_name": "__lambda__", "config": code}},
    ):
        for node in nodes(document({"class_name": "Lambda", "config": config})):
            code_of(node)


# --- graphs -------------------------------------------------------------------------------------


def operations(nodes_, functions=(), **more):
    def at(folder):
        return contents(attacks_graphs._saved_graph(nodes_, functions, **more)(str(folder)))

    return at


def test_names_are_followed_through_calls_to_their_callers(tmp_path):
    call = sm.node("call", "PartitionedCall", "path", f=sm.called("outer"))
    again = sm.node("again", "PartitionedCall", "p", f=sm.called("inner"))
    functions = [
        sm.function("outer", ["p"], [again], {}),
        sm.function("inner", ["q"], [sm.node("w", "WriteFile", "q", "q")], {}),
    ]
    look = operations([attacks_graphs.text("path", "/x/y"), call], functions)
    (one,) = look(tmp_path).operations
    assert (one.op, one.node, one.function) == ("WriteFile", "w", "inner")
    assert one.texts == ("/x/y",)
    assert one.given == ()


def test_names_that_nobody_gives_are_said_to_be_arguments(tmp_path):
    functions = [sm.function("inner", ["q"], [sm.node("w", "ReadFile", "q")], {})]
    (one,) = operations([], functions)(tmp_path).operations
    assert one.given == ("argument q of inner",)


def test_names_that_are_fed_are_said_to_be(tmp_path):
    nodes_ = [sm.node("x", "Placeholder"), sm.node("w", "ReadFile", "x")]
    (one,) = operations(nodes_)(tmp_path).operations
    assert one.given == ("x",)


def test_functions_that_call_each_other_end(tmp_path):
    body = [
        sm.node("again", "PartitionedCall", "p", f=sm.called("ring")),
        sm.node("w", "ReadFile", "p"),
    ]
    found = operations([], [sm.function("ring", ["p"], body, {})])(tmp_path)
    assert [one.op for one in found.operations] == ["ReadFile"]


@pytest.mark.parametrize("name", [n for n in samples.NAMES if n.startswith("saved_")])
def test_samples_have_no_saver_but_their_own(name):
    found = contents(samples.path(name)).operations
    savers = [one for one in found if "Save" in one.op or "Restore" in one.op or "Merge" in one.op]
    assert all(one.saver for one in savers)


def test_a_saved_model_is_one_by_its_name_whatever_comes_first(tmp_path):
    folder = attacks_graphs._saved_graph([sm.node("w", "WriteFile")])(str(tmp_path))
    with open(f"{folder}/saved_model.pb", "r+b") as file:
        content = file.read()
        file.seek(0)
        file.write(b"\x0a\x03\xff\xff\xff" + content)
    assert [one.op for one in contents(folder).operations] == ["WriteFile"]


def test_a_text_graph_is_looked_at(tmp_path):
    path = tmp_path / "g.pbtxt"
    path.write_text('node { name: "w" op: "WriteFile" }\n')
    assert [one.op for one in contents(str(path)).operations] == ["WriteFile"]


def test_zip_members_that_are_links_are_links(tmp_path):
    (link,) = contents(attacks_zips._zip_link(str(tmp_path))).links
    assert (link.name, link.target, link.outside) == (
        "assets/link",
        f"{common.NOWHERE}/secret",
        True,
    )


def test_an_encrypted_member_is_not_looked_into(tmp_path):
    path = tmp_path / "m.zip"
    path.write_bytes(zips.build(zips.Entry(b"config.json", b"{}", flags=1)))
    found = contents(str(path))
    assert found.documents == ()
    assert zipfile.is_zipfile(path)
