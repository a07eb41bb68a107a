"""Random models saved twice with one known edit between: a difference says that, and nothing else.

INSPECT_LIVE_SEEDS says how many seeds to run, INSPECT_LIVE_FIRST_SEED where to begin. A failure
names its seed, and a seed always gives the same files:

    INSPECT_LIVE_FIRST_SEED=1234 INSPECT_LIVE_SEEDS=1 pytest tests/live/test_random_diff.py
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

import random_diff  # noqa: E402
import random_diff_oracle  # noqa: E402

pytestmark = pytest.mark.live

FIRST = int(os.environ.get("INSPECT_LIVE_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("INSPECT_LIVE_SEEDS", "20"))
BLOCK = 20  # seeds a test: enough to be quick, few enough to place a failure


def files(seed, rng, folder):
    """(forms, A, B, what is to be found) of a seed; None where Keras refuses such a model."""
    kind = rng.choice(("keras3", "tf_keras"))
    three = kind == "keras3"
    what = rng.random()
    if what < 0.12:
        return random_diff.stripped(seed, tf_keras, toolkit, rng, folder)
    case = random_diff.make(seed, keras3 if three else tf_keras, kind)
    described, bare = random_diff.DESCRIBED[three], random_diff.BARE[three]
    if what < 0.2:
        found = random_diff.halved(case, folder)
        return found and (("halved", ".h5"), *found)
    form = rng.choice((*described, *bare))
    if what < 0.35:
        found = random_diff.optimized(case, rng.random() < 0.5, form, folder, rng)
        return found and ((form, form), *found)
    other = form if rng.random() < 0.5 else rng.choice((*described, *bare))
    edit = rng.choice(random_diff.MODEL_EDITS)
    found = random_diff.edited(case, edit, (form, other), folder, rng)
    return found and ((form, other), *found)


def compare(seed, folder):
    """(what was edited, what was found that is not so) of one seed."""
    keras3.backend.clear_session()
    tf_keras.backend.clear_session()
    rng = random.Random(seed)
    try:
        found = files(seed, rng, folder)
    except Exception:  # noqa: BLE001  (they refuse in many ways: names, shapes, layers)
        return None, []
    if found is None:
        return None, []
    forms, a, b, expected = found
    config = all(form not in (*random_diff.BARE[True], *random_diff.BARE[False]) for form in forms)
    told = random_diff_oracle.differences(a, b, expected, config=config)
    return expected.note, [f"seed {seed}, {forms}, {expected.note}: {one}" for one in told]


@pytest.mark.parametrize("start", range(FIRST, FIRST + SEEDS, BLOCK))
def test_the_difference_between_two_files_is_what_was_edited(start, tmp_path):
    made, found = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(start, min(start + BLOCK, FIRST + SEEDS)):
            folder = tmp_path / str(seed)
            folder.mkdir()
            edit, wrong = compare(seed, str(folder))
            shutil.rmtree(folder)
            made += [edit] if edit else []
            found += wrong
    gc.collect()
    assert not found, "\n".join(found[:40])
    # Edits do not suit every model; most of a block they do.
    assert SEEDS < BLOCK or len(made) >= BLOCK // 4
