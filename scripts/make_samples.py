"""Makes sample_models/ with real TensorFlow, and writes down what live Keras says of each file.

    python scripts/make_samples.py [--only GLOB] [--out DIR] [--check]

Needs the extra `live`. `--check` makes everything again in a temporary folder and compares it
with what is in DIR; it exits 1 on a difference.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib.util
import json
import os
import sys
import tempfile
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

SAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sample_models")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*", metavar="GLOB", help="the samples to make")
    parser.add_argument("--out", default=SAMPLES, metavar="DIR", help="default: sample_models/")
    parser.add_argument("--check", action="store_true", help="compare with DIR, write nothing")
    options = parser.parse_args(arguments)
    for needed in (
        "tensorflow",
        "tf_keras",
        "tensorflow_model_optimization",
        "ai_edge_litert",
    ):
        if importlib.util.find_spec(needed) is None:
            parser.error(f"{needed} is not installed: the samples need the extra `live`")
    names = chosen(options.only)
    if not names:
        parser.error(f"no sample is called {options.only!r}")
    if not options.check:
        os.makedirs(options.out, exist_ok=True)
        make(options.out, names)
        return 0

    from samples import compare

    with tempfile.TemporaryDirectory() as again:
        make(again, names)
        differences = compare.folders(options.out, again, options.only)
    print("\n".join(differences) or "no difference")
    return 1 if differences else 0


def chosen(only: str) -> set[str]:
    """The samples that match a glob, and the models that weights-only ones are loaded into."""
    from samples import families, live

    names = {name for family in families.FAMILIES for name in family.names}
    matching = set(fnmatch.filter(names, only))
    return matching | {live.WEIGHTS_OF[name] for name in matching & live.WEIGHTS_OF.keys()}


def make(directory: str, names: set[str]) -> None:
    """Writes the samples, then loads each one back and writes its `.expected.json`."""
    from samples import catalog, families, live, tensorflow_live, tflite_live

    # All files come first: a weights-only one needs its model beside it to be loaded.
    for name, writer in list(catalog.write(families.FAMILIES, directory, names)):
        catalog.start_afresh()
        path = os.path.join(directory, name)
        if isinstance(writer, tensorflow_live.Built):
            said = tensorflow_live.measure(path, writer)
        elif isinstance(writer, tflite_live.Lite):
            said = tflite_live.measure(path, writer)
        else:
            saved = writer.model if isinstance(writer, catalog.Unloadable) else None
            said = live.measure(path, saved)
        write_json(path + ".expected.json", said)
        counted = said.get("count_params")
        print(
            f"{name}: {said['roles'] if counted is None else f'{counted:,} parameters'}", flush=True
        )


def write_json(path: str, said: dict[str, Any]) -> None:
    """One line a field and one line a variable, written whole or not at all."""
    lines = [f" {json.dumps(key)}: {_value(value)}" for key, value in said.items()]
    with open(path + ".part", "w") as f:
        f.write("{\n" + ",\n".join(lines) + "\n}\n")
    os.replace(path + ".part", path)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"  {json.dumps(one)}" for one in value) + "\n ]"
    return json.dumps(value)


if __name__ == "__main__":
    sys.exit(main())
