"""Random pruned models, stripped, saved in every format, converted and tampered with: reconciled.

INSPECT_LIVE_SEEDS says how many seeds to run, INSPECT_LIVE_FIRST_SEED where to begin. A failure
names its seed, and a seed always gives the same model:

    INSPECT_LIVE_FIRST_SEED=1234 INSPECT_LIVE_SEEDS=1 pytest tests/live/test_random_reconcile.py
"""

import gc
import itertools
import os
import random
import shutil
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import pytest

pytest.importorskip("tensorflow", exc_type=ImportError)
tf_keras = pytest.importorskip("tf_keras", exc_type=ImportError)
toolkit = pytest.importorskip("tensorflow_model_optimization", exc_type=ImportError)

import random_pruned  # noqa: E402
import random_reconcile  # noqa: E402

pytestmark = pytest.mark.live

LONG = "INSPECT_LIVE_SEEDS" in os.environ
FIRST = int(os.environ.get("INSPECT_LIVE_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("INSPECT_LIVE_SEEDS", "12"))
BLOCK = 4 if not LONG else 10
# Tracing a model's calls is what takes time: the short form does so for one seed of these.
TRACED_EVERY = 1 if LONG else 4
CROSSED = 4  # pairs of two formats, where they are not all tried


def build(seed):
    """The two models of a seed, or None where Keras or tfmot refuses them."""
    tf_keras.backend.clear_session()
    try:
        return random_pruned.make(seed, tf_keras, toolkit)
    except Exception:  # noqa: BLE001  (they refuse in many ways: names, shapes, layers)
        return None


def pairs_of(forms, more, rng):
    """(form of the pruned, form of the stripped): each with itself, and some across."""
    across = [two for two in itertools.product(forms, more) if two[0] != two[1]]
    return [(form, form) for form in forms if form in more] + rng.sample(
        across, len(across) if LONG else min(CROSSED, len(across))
    )


def compare(seed, folder):
    """(what was compared, differences) of one seed."""
    two = build(seed)
    if two is None:
        return [], []
    rng = random.Random(seed)
    traced = seed % TRACED_EVERY == 0
    forms = (*random_reconcile.QUICK, *(random_reconcile.TRACED if traced else ()))
    more = (*random_reconcile.FROZEN, *random_reconcile.LITE) if traced else ()
    pruned = random_reconcile.save_all(two.pruned, forms, str(folder / "pruned"))
    bare = random_reconcile.save_all(two.bare, (*forms, *more), str(folder / "bare"))
    made, found = [], []

    def take(label, differences):
        made.append(label)
        notes = ", ".join(two.pruned.notes)
        found.extend(f"seed {seed}, {label} ({notes}): {one}" for one in differences)

    for case, paths, which in ((two.pruned, pruned, "pruned"), (two.bare, bare, "stripped")):
        for form in forms:
            if form in paths:
                differences = random_reconcile.alone(case, two.bare, paths[form], form)
                take(f"{which} {form}", differences)
    keras = [form for form in bare if form not in random_reconcile.LITE]
    for a, b in pairs_of(list(pruned), keras, rng):
        take(f"{a} and {b}", random_reconcile.between(two, pruned[a], bare[b]))
    for form in random_reconcile.LITE:
        for other in random_reconcile.DESCRIBED:
            if form in bare and other in bare:
                take(f"{other} and {form}", random_reconcile.converted(bare[other], bare[form]))
    if ".h5" in pruned and ".h5" in bare:
        paths = pruned[".h5"], bare[".h5"]
        take("tampered", random_reconcile.tampered(*paths, str(folder), rng))
    return made, found


@pytest.mark.parametrize("start", range(FIRST, FIRST + SEEDS, BLOCK))
def test_random_models_reconcile_with_nothing_left_over(start, tmp_path):
    made, found = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(start, min(start + BLOCK, FIRST + SEEDS)):
            folder = tmp_path / str(seed)
            folder.mkdir()
            compared, differences = compare(seed, folder)
            shutil.rmtree(folder)
            made += compared
            found += differences
    gc.collect()
    assert not found, "\n".join(found[:20])
    # Saving and converting are refused at times; not for all of a block.
    least = {"tampered", *(f".h5 and {form}" for form in random_reconcile.LITE)}
    assert SEEDS < BLOCK or least <= set(made)
