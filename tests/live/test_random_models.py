"""Random models, saved in every way that Keras has, against what live Keras says of the files.

INSPECT_LIVE_SEEDS says how many seeds to run (40 take most of a minute), INSPECT_LIVE_FIRST_SEED
where to begin. A failure names its seed, and a seed always gives the same model:

    INSPECT_LIVE_FIRST_SEED=1234 INSPECT_LIVE_SEEDS=1 pytest tests/live/test_random_models.py
"""

import gc
import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import pytest

pytest.importorskip("tensorflow", exc_type=ImportError)
keras3 = pytest.importorskip("keras", minversion="3.0", exc_type=ImportError)
tf_keras = pytest.importorskip("tf_keras", exc_type=ImportError)
toolkit = pytest.importorskip("tensorflow_model_optimization", exc_type=ImportError)

import random_models  # noqa: E402
import random_oracle  # noqa: E402

pytestmark = pytest.mark.live

FIRST = int(os.environ.get("INSPECT_LIVE_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("INSPECT_LIVE_SEEDS", "40"))
BLOCK = 20  # seeds a test: enough to be quick, few enough to place a failure


def build(seed):
    """The case of a seed, or None where Keras refuses such a model."""
    keras3.backend.clear_session()
    tf_keras.backend.clear_session()
    try:
        return random_models.make(seed, keras3, tf_keras, toolkit)
    except Exception:  # noqa: BLE001  (it refuses in many ways: dtypes, names, unsupported layers)
        return None


def compare(seed, folder):
    """(comparisons made, differences) of one seed."""
    case = build(seed)
    if case is None:
        return 0, []
    live = random_oracle.Live(case)
    three = case.kind.startswith("keras3")
    made, found = 0, []
    for suffix in random_oracle.SUFFIXES3 if three else random_oracle.SUFFIXES2:
        try:
            path = random_oracle.save(case, suffix, str(folder))
        except (ValueError, TypeError, NotImplementedError, OSError, KeyError):
            continue  # this Keras cannot write such a model so
        differences, _ = random_oracle.differences(case, live, path, suffix, toolkit)
        made += 1
        where = f"seed {seed} ({case.kind}, {suffix}; {', '.join(case.notes)})"
        found += [f"{where}: {one}" for one in differences]
    return made, found


@pytest.mark.parametrize("start", range(FIRST, FIRST + SEEDS, BLOCK))
def test_what_is_read_is_what_live_keras_says(start, tmp_path):
    made, found = 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(start, min(start + BLOCK, FIRST + SEEDS)):
            folder = tmp_path / str(seed)
            folder.mkdir()
            count, differences = compare(seed, folder)
            made += count
            found += differences
    gc.collect()
    assert not found, "\n".join(found[:20])
    assert made or SEEDS < BLOCK
