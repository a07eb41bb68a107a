"""Harmless artifacts that are made as known attacks are, and twins of them that are none.

Nothing here does anything: the code is that of `lambda x: x * 2`, functions that are named are
`math.sqrt` and the like, paths lead nowhere, a pickle calls `math.sqrt(4)`.
"""

from __future__ import annotations

from tests.builders import (
    attacks_evasions,
    attacks_files,
    attacks_graphs,
    attacks_keras,
    attacks_loaders,
    attacks_zips,
)
from tests.builders.attacks_common import Attack

ATTACKS: tuple[Attack, ...] = (
    *attacks_keras.ATTACKS,
    *attacks_loaders.ATTACKS,
    *attacks_files.ATTACKS,
    *attacks_zips.ATTACKS,
    *attacks_graphs.ATTACKS,
    *attacks_evasions.ATTACKS,
)
TWINS: tuple[Attack, ...] = (
    *attacks_keras.TWINS,
    *attacks_loaders.TWINS,
    *attacks_files.TWINS,
    *attacks_zips.TWINS,
    *attacks_graphs.TWINS,
    *attacks_evasions.TWINS,
)
