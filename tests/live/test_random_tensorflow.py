"""Random models in TensorFlow's own formats, against the live models that were saved.

The seeds and models are those of `test_random_models`; INSPECT_LIVE_SEEDS and
INSPECT_LIVE_FIRST_SEED choose them here too:

    INSPECT_LIVE_FIRST_SEED=1234 INSPECT_LIVE_SEEDS=1 pytest tests/live/test_random_tensorflow.py
"""

import gc
import os
import random
import shutil
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import pytest

pytest.importorskip("tensorflow", exc_type=ImportError)
keras3 = pytest.importorskip("keras", minversion="3.0", exc_type=ImportError)
tf_keras = pytest.importorskip("tf_keras", exc_type=ImportError)
toolkit = pytest.importorskip("tensorflow_model_optimization", exc_type=ImportError)

import random_tensorflow  # noqa: E402
from test_random_models import build  # noqa: E402

pytestmark = pytest.mark.live

LONG = "INSPECT_LIVE_SEEDS" in os.environ
FIRST = int(os.environ.get("INSPECT_LIVE_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("INSPECT_LIVE_SEEDS", "20"))
BLOCK = 10
# Tracing a model's calls is what takes time: the short form does so for one seed of these.
TRACED = ("saved", "export", "frozen")
TRACED_EVERY = 1 if LONG else 4


def forms_of(case):
    """The ways to save a model."""
    three = case.kind.startswith("keras3")
    forms = random_tensorflow.FORMS3 if three else random_tensorflow.FORMS2
    slow = case.seed % TRACED_EVERY == 0
    return [form for form in forms if slow or form not in TRACED]


def compare(seed, folder):
    """(comparisons made, differences) of one seed."""
    case = build(seed)
    if case is None:
        return 0, []
    rng = random.Random(seed)
    if case.trained and rng.random() < 0.5:
        random_tensorflow.metrics(case, rng)
    live = random_tensorflow.settled(case)
    made, found = 0, []
    for form in forms_of(case):
        try:
            path = random_tensorflow.save(case, form, str(folder))
        except Exception:  # noqa: BLE001  (TensorFlow and Keras refuse models in many ways)
            continue
        differences = random_tensorflow.Compared(case, live, path, form, toolkit).found
        made += 1
        where = f"seed {seed} ({case.kind}, {form}; {', '.join(case.notes)})"
        found += [f"{where}: {one}" for one in differences]
    return made, found


@pytest.mark.parametrize("start", range(FIRST, FIRST + SEEDS, BLOCK))
def test_what_is_read_is_what_live_tensorflow_says(start, tmp_path):
    made, found = 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(start, min(start + BLOCK, FIRST + SEEDS)):
            folder = tmp_path / str(seed)
            folder.mkdir()
            count, differences = compare(seed, folder)
            shutil.rmtree(folder)
            made += count
            found += differences
    gc.collect()
    assert not found, "\n".join(found[:20])
    assert made or SEEDS < BLOCK
