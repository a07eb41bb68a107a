"""From a Keras config, as parsed JSON, to the tree of layers.

What each line of Keras writes differs in details only: a layer is an object with `class_name` and
`config`; Keras 2 and 3 add `module` and `registered_name`, Keras 1 lets `config` be the list of a
Sequential's layers. A layer inside another stands as such an object somewhere in the outer one's
config.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from inspector.changed import changed
from inspector.errors import Corrupt, LimitExceeded
from inspector.keras import layers
from inspector.limits import DEFAULT, Limits
from inspector.model import Flavor, Layer

MODEL_CLASSES = frozenset({"Sequential", "Functional", "Model", "Graph", "Network", "Container"})

# Layers in the tree for one object of the JSON: classes that make sub-layers make up to eleven.
# Bidirectional reads one object twice: in a chain of them that alone would double without end.
_MADE = 16

SHARED_ID = "shared_object_id"

# A Sequential's config has nothing but these; a layer's own has more.
_SEQUENTIAL_KEYS = frozenset({"name", "layers", "trainable", "dtype", "build_input_shape"})

# Serialized objects that have a name in their config and are no layers.
_NO_LAYER = re.compile(r"^__.*__$|DTypePolicy(Map)?$|^(Policy|PolicyV1|LossScaleOptimizer)$")
_NO_LAYER_MODULES = re.compile(
    r"^(tf_)?keras\b.*\b(dtype_policies|initializers|regularizers|constraints|losses|metrics"
    r"|optimizers|quantizers)\b"
)
_NO_LAYER_KEYS = re.compile(
    r"^(dtype|compile_config|optimizer|loss|metrics|quantize_config|quantization_config"
    r"|pruning_schedule|inbound_nodes)$|_(initializer|regularizer|constraint)$"
)


def flavor_of(keras_version: str | None, config: object) -> Flavor:
    """Which line of Keras wrote this: from its version, else from what the config looks like."""
    major = (keras_version or "").strip().partition(".")[0]
    known = {"0": Flavor.KERAS1, "1": Flavor.KERAS1, "2": Flavor.TF_KERAS, "3": Flavor.KERAS3}
    if major in known:
        return known[major]
    # Words that only one line writes (Keras 1: argument names before the renaming of 2017).
    words = {
        Flavor.KERAS3: {"batch_shape", "DTypePolicy"},
        Flavor.TF_KERAS: {"kernel_initializer", "batch_input_shape"},
        Flavor.KERAS1: {"init", "inner_init", "nb_filter", "output_dim", "Merge", "border_mode"},
    }
    found = set(_words(config))
    for flavor in (Flavor.KERAS3, Flavor.KERAS1, Flavor.TF_KERAS):
        if found & words[flavor]:
            return flavor
    return Flavor.KERAS3 if "module" in found else Flavor.TF_KERAS


def parse_model(
    config: object, flavor: Flavor, path: str = "", *, limits: Limits = DEFAULT
) -> Layer:
    """The layer tree of a whole `model_config` attribute or `config.json`.

    config: the JSON, parsed. path: the file it came from, for messages.

    A layer's path is its ancestors' names and its own, "/" between; the root's is "". Names may
    hold "/" themselves ("conv1/bn"), so two layers can ask for one path: the later one in the
    config's order gets "#2" after it, the next "#3", which no stored name is looked up by.

    Raises Corrupt where there is nothing to make a tree of, LimitExceeded where it is nested
    deeper than `limits.depth`, or holds more than `limits.nodes` layers or far more than objects,
    or where their paths are longer than `limits.keys_bytes` all together.
    """
    depth, objects = extent(config)
    if depth > limits.depth:
        raise LimitExceeded("depth", depth, limits.depth, path)
    node = _root(config)
    if node is None:
        raise Corrupt("the model's config is no Keras config", path)
    most = min(limits.nodes, _MADE * (objects + 1))
    return _Parser(flavor, path, most, limits.keys_bytes).layer(node, "", "layers", root=True)


def shared_layers(root: Layer) -> Mapping[str, str]:
    """Layers that the config holds again: path of the later place -> path of the first.

    Keras writes a shared layer out in each place. `.keras` marks all but the first with a
    `shared_object_id`; `.h5` marks none, so there an equal config under an equal name counts, but
    only inside one model and only where a wrapper holds one of the two: a model's own layers have
    unique names, and cloned models repeat them.
    """
    if not root.children:
        return {}
    places = list(_from_config(root, root.path))
    often = Counter(place.key for place in places)
    groups: dict[tuple[str, str], _Group] = {}
    repeats: dict[str, str] = {}
    for place in places:
        # Only layers of one name and class can be the same: the rest is never compared.
        if often[place.key] == 1 or place.layer.path in repeats:
            continue
        first = groups.setdefault(place.key, _Group()).first(place)
        if first is not None:
            for again, origin in zip(place.layer.walk(), first.walk(), strict=False):
                repeats[again.path] = repeats.get(origin.path, origin.path)
    return repeats


@dataclass(frozen=True, slots=True)
class _Place:
    """A layer that the config spells out. scope: its innermost model, which may hold it itself."""

    layer: Layer
    scope: str
    direct: bool

    @property
    def key(self) -> tuple[str, str]:
        return self.layer.name, self.layer.class_name


def _from_config(layer: Layer, scope: str) -> Iterator[_Place]:
    inner = layer.path if layer.is_model else scope
    for child in layer.children:
        if child.attr in layer.config or layer.is_model:
            yield _Place(child, inner, layer.is_model)
            yield from _from_config(child, inner)


@dataclass(slots=True)
class _Group:
    """The places met so far of layers with one name and class."""

    by_mark: dict[int | str, Layer] = field(default_factory=dict)
    unmarked: dict[str, Layer] = field(default_factory=dict)
    by_scope: dict[tuple[str, str], _Place] = field(default_factory=dict)

    def first(self, place: _Place) -> Layer | None:
        """The place where this same layer was met before; else None, and this one is kept."""
        mark = place.layer.config.get(SHARED_ID)
        text = _text_of(place.layer)
        if isinstance(mark, (int, str)):
            known = self.by_mark.get(mark) or self.unmarked.get(text)
            self.by_mark.setdefault(mark, known or place.layer)
            return known
        self.unmarked.setdefault(text, place.layer)
        before = self.by_scope.setdefault((place.scope, text), place)
        return None if before is place or (before.direct and place.direct) else before.layer


def _text_of(layer: Layer) -> str:
    """The config as text, without Keras' marks of sharing, which differ between equal configs."""
    return json.dumps(_unmarked(layer.config), sort_keys=True)


def _unmarked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _unmarked(v) for k, v in value.items() if k != SHARED_ID}
    if isinstance(value, list):
        return [_unmarked(v) for v in value]
    return value


def _words(value: object) -> Iterator[str]:
    """Every key and every class name in the JSON."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            yield from (key for key in item if isinstance(key, str))
            if isinstance(item.get("class_name"), str):
                yield item["class_name"]
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def extent(value: object) -> tuple[int, int]:
    """How deep the JSON is nested and how many objects it holds, found without recursion."""
    # Not Mapping: to ask that of each number and text takes most of the time.
    level = [value] if isinstance(value, (dict, list)) else []
    deepest = objects = 0
    while level:
        deepest += 1
        objects += sum(isinstance(item, dict) for item in level)
        level = [
            one
            for item in level
            for one in (item.values() if isinstance(item, dict) else item)
            if isinstance(one, (dict, list))
        ]
    return deepest, objects


def _root(config: object) -> Mapping[str, Any] | None:
    """The root's node, whatever of it is there."""
    if isinstance(config, list):
        layers_only = all(isinstance(one, Mapping) for one in config)
        return {"class_name": "Sequential", "config": config} if layers_only else None
    if not isinstance(config, Mapping):
        return None
    if isinstance(config.get("config"), (Mapping, list)):
        return config
    if isinstance(config.get("layers"), list):
        functional = "output_layers" in config
        return {"class_name": "Functional" if functional else "Sequential", "config": config}
    return config if isinstance(config.get("class_name"), str) else None


def _is_layer(node: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a serialized object found in a layer's config is a layer."""
    if not isinstance(node, Mapping):
        return False
    name, config = node.get("class_name"), node.get("config")
    if not isinstance(name, str) or _NO_LAYER.search(name):
        return False
    module = node.get("module")
    if isinstance(module, str) and _NO_LAYER_MODULES.search(module):
        return False
    if isinstance(config, list):
        return name in MODEL_CLASSES
    return isinstance(config, Mapping) and (
        isinstance(config.get("name"), str) or name in MODEL_CLASSES
    )


_SINGLE = (str, int, float, type(None))  # what holds nothing, as most of a config does


def _held(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(key, node) of the layers in a layer's config, under whatever key they stand."""
    for key, value in config.items():
        if isinstance(value, _SINGLE) or _NO_LAYER_KEYS.search(key):
            continue
        stack = [value]
        while stack:
            item = stack.pop()
            if _is_layer(item):
                yield key, item
            elif isinstance(item, list):
                stack.extend(reversed(item))
            elif isinstance(item, Mapping) and "class_name" not in item:
                stack.extend(reversed(list(item.values())))


def _text(*candidates: object) -> str | None:
    return next((c for c in candidates if isinstance(c, str) and c), None)


@dataclass(slots=True)
class _Parser:
    flavor: Flavor
    path: str
    most: int
    most_chars: int
    chars: int = 0
    taken: set[str] = field(default_factory=lambda: {""})
    repeats: dict[str, int] = field(default_factory=dict)

    def layer(
        self, node: Mapping[str, Any], parent: str, attr: str, *, root: bool = False
    ) -> Layer:
        config = _config_of(node)
        class_name = _text(node.get("class_name")) or "?"
        name = _text(config.get("name"), node.get("name")) or snake_case(class_name)
        trainable = config.get("trainable")
        layer = Layer(
            path="" if root else self._place(parent, name),
            name=name,
            class_name=class_name,
            attr=attr,
            registered=_text(node.get("registered_name")),
            module=_text(node.get("module")),
            config=config,
            trainable=trainable if isinstance(trainable, bool) else None,
            is_model=root or _is_model(class_name, config),
        )
        children = self._children(layer)
        return changed(layer, children=children) if children else layer

    def _place(self, parent: str, name: str) -> str:
        wanted = f"{parent}/{name}" if parent else name
        path = wanted
        while path in self.taken:
            self.repeats[wanted] = self.repeats.get(wanted, 1) + 1
            path = f"{wanted}#{self.repeats[wanted]}"
        self.taken.add(path)
        self.chars += len(path)  # each has the names of all above it
        if self.chars > self.most_chars:
            raise LimitExceeded("keys_bytes", self.chars, self.most_chars, self.path)
        if len(self.taken) > self.most:
            raise LimitExceeded("nodes", len(self.taken), self.most, self.path)
        return path

    def _children(self, layer: Layer) -> tuple[Layer, ...]:
        config = layer.config
        if layer.is_model:
            inside = [self.layer(_node(n), layer.path, "layers") for n in _listed(config)]
            others = {k: v for k, v in config.items() if k not in _MODEL_KEYS}
        elif layer.class_name == "Bidirectional":
            return self._directions(layer)
        else:
            inside, others = [], dict(config)
        inside += [self.layer(n, layer.path, k) for k, n in _held(others)]
        around = changed(layer, children=tuple(inside)) if inside else layer
        made = layers.implied_children(around, self.flavor)
        return (*inside, *(self._implied(child, layer.path) for child in made))

    def _implied(self, layer: Layer, parent: str) -> Layer:
        """A layer that the class makes itself, given its place in this tree."""
        placed = changed(layer, path=self._place(parent, layer.name))
        inside = (*layer.children, *layers.implied_children(placed, self.flavor))
        return changed(placed, children=tuple(self._implied(c, placed.path) for c in inside))

    def _directions(self, layer: Layer) -> tuple[Layer, ...]:
        """Bidirectional holds two copies of the layer in its config, renamed."""
        forward = layer.config.get("layer")
        backward = layer.config.get("backward_layer")
        if not _is_layer(forward):
            return ()
        if not _is_layer(backward):
            backward = forward
        nodes = (("forward_layer", forward), ("backward_layer", backward))
        return tuple(
            self.layer(self._renamed(node, attr), layer.path, attr) for attr, node in nodes
        )

    def _renamed(self, node: Mapping[str, Any], attr: str) -> Mapping[str, Any]:
        """The node under the name that Bidirectional gives it (Keras 3 has written it already)."""
        if self.flavor is Flavor.KERAS3:
            return node
        config = _config_of(node)
        name = f"{attr.partition('_')[0]}_{_text(config.get('name')) or 'layer'}"
        return {**node, "config": {**config, "name": name}}


# What a functional model's config holds beside its layers: the wiring.
_MODEL_KEYS = frozenset({"layers", "input_layers", "output_layers", "build_input_shape", "dtype"})


def _listed(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = config.get("layers")
    return [n for n in listed if isinstance(n, Mapping)] if isinstance(listed, list) else []


def _node(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry of a model's `layers`; Keras 1 also wrote a layer's config without its frame."""
    if "config" in entry or "class_name" not in entry:
        return entry
    return {"class_name": entry["class_name"], "config": entry}


def _config_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node's config as a mapping, with the mark of sharing that stands beside it."""
    config = node.get("config")
    if isinstance(config, list):
        config = {"layers": config, **({"name": node["name"]} if "name" in node else {})}
    elif not isinstance(config, Mapping):
        config = {}
    if SHARED_ID in node:
        config = {**config, SHARED_ID: node[SHARED_ID]}
    return config


def _is_model(class_name: str, config: Mapping[str, Any]) -> bool:
    if class_name in MODEL_CLASSES:
        return True
    if not isinstance(config.get("layers"), list):
        return False
    return "output_layers" in config or _SEQUENTIAL_KEYS.issuperset(config)


def snake_case(class_name: str) -> str:
    """A class name as Keras writes it in names that it makes itself: "Conv2D" -> "conv2d"."""
    spaced = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", spaced).lower()
