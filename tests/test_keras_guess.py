"""Classes told from the group paths of a v3 store that has no config."""

from inspector.keras.guess import guess_layers


def test_without_a_config_list_members_are_told_by_their_group():
    found = guess_layers(
        [
            "",
            "layers/batch_normalization_2",
            "layers/prune_low_magnitude",
            "layers/prune_low_magnitude/layer",
            "layers/lstm/cell",
            "layers/lstm",
            "layers/my_own_thing",
            "encoder",
        ],
        names={"layers/lstm": "reader"},
    )
    assert {path: one.class_name for path, one in found.items()} == {
        "": "",
        "layers/batch_normalization_2": "BatchNormalization",
        "layers/prune_low_magnitude": "PruneLowMagnitude",
        "layers/prune_low_magnitude/layer": "",
        "layers/lstm": "LSTM",
        "layers/lstm/cell": "LSTMCell",
        "layers/my_own_thing": "",
        "encoder": "",
    }
    assert found["layers/lstm"].name == "reader"


def test_a_list_of_the_users_own_name_shows_by_its_numbers():
    # A subclassed model with self.blocks = [Dense, BatchNormalization, Dense], self.dense = Dense.
    members = ["blocks/batch_normalization", "blocks/dense", "blocks/dense_1"]
    found = guess_layers([*members, "dense", "first"])
    assert [found[m].class_name for m in members] == ["BatchNormalization", "Dense", "Dense"]
    assert found["blocks/dense"].attr == "blocks"
    assert (found["dense"].class_name, found["first"].class_name) == ("", "")
