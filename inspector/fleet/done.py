"""What earlier runs are done with: the same content, under the same policy, looked at alike."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from inspector._version import __version__
from inspector.errors import ArtifactError, UsageError
from inspector.fleet.place import Place, place
from inspector.fleet.results import is_marked, parts
from inspector.fleet.rows import written

if TYPE_CHECKING:
    import numpy as np

    from inspector.auditing.policy import Policy

    Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]


@dataclass(frozen=True, slots=True)
class Key:
    """How an artifact was looked at. policy, options: digests of both; tool: version of inspect."""

    policy: str
    options: str
    tool: str = __version__


class Before(NamedTuple):
    """What an earlier run found of an artifact that is skipped: it counts in the verdict.

    is_model: False of a file that is none; the others are then 0 and False.
    """

    is_model: bool
    readable: bool
    failed: bool
    errors: int
    warnings: int
    infos: int
    suppressed: int


def policy_digest(policy: Policy, today: dt.date) -> str:
    """SHA-256 of the policy that an artifact is held to, as it is on that day.

    policy: that of its path (`Session.policy_of`), with what the command line says in it. Entries
    of its allow-list that are over by then are told from those that are not, so that an artifact is
    looked at again once one ends.
    """
    over = [one.until is not None and one.until < today for one in policy.allow]
    return _digest([policy, over])


def options_digest(**options: Any) -> str:
    """SHA-256 of whatever else changes what is found: whether values are measured, limits, what the
    artifact is held against, the baseline. Of files their digest, not their name.

    options: what msgspec can write: numbers, text, dataclasses, Limits.
    """
    return _digest(options)


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


class Done:
    """What is in a data set, as it was when this was made.

    where: its folder or URL; where there is none yet, nothing is known. Of each path the newest
    look alone counts. Takes some 33 bytes an artifact. Raises UsageError where the folder is
    something else's, and for a part that cannot be read.
    """

    def __init__(self, where: str) -> None:
        at = place(where)
        rows = _newest(at) if is_marked(at) else _rows([])
        # One after the other, to be searched where they lie.
        self._high, self._rows = rows["high"].copy(), rows[["low", *_FOUND]]

    def __len__(self) -> int:
        return len(self._rows)

    def knows(self, path: str, version: str | None, key: Key) -> Before | None:
        """What was found of it, where this very content was looked at just so; None where it must
        be looked at. What has no version never is known.
        """
        import numpy as np

        if version is None:
            return None
        high, low = _halves(_hashed(key).digest_of(path, version))
        at = int(self._high.searchsorted(np.uint64(high)))
        while at < len(self._high) and int(self._high[at]) == high:
            found = self._rows[at]
            if int(found["low"]) == low:
                return Before._make(kind(found[name]) for name, kind in _FOUND.items())
            at += 1
        return None


# What is kept of each artifact, and as what it is given.
_FOUND: Mapping[str, type[int]] = {
    "is_model": bool,
    "readable": bool,
    "failed": bool,
    "errors": int,
    "warnings": int,
    "infos": int,
    "suppressed": int,
}
_KEYED = ("path", "version", "tool_version", "policy_digest", "options_digest")
_BATCH = 50_000  # rows


class _Hash:
    """Of a path and a version, looked at in one way: most artifacts of a run were."""

    def __init__(self, *how: str) -> None:
        self._state = hashlib.blake2b("\0".join(how).encode(), digest_size=16)

    def digest_of(self, path: str, version: str) -> bytes:
        state = self._state.copy()
        state.update(f"\0{written(path)}\0{written(version)}".encode())
        return state.digest()


@functools.lru_cache
def _hashed(key: Key) -> _Hash:
    return _Hash(key.tool, key.policy, key.options)


def _halves(digest: bytes) -> tuple[int, int]:
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def _rows(found: list[tuple[int, ...]]) -> Rows:
    """path: of its path, a hash; at: microseconds; high, low: the halves of what `knows` asks."""
    import numpy as np

    keys = [("path", "u8"), ("at", "i8"), ("high", "u8"), ("low", "u8")]
    kinds = [(name, "?" if kind is bool else "u4") for name, kind in _FOUND.items()]
    return np.array(found, dtype=[*keys, *kinds])


def _newest(at: Place) -> Rows:
    """The newest row of each path, by their halves."""
    import numpy as np
    from numpy.lib import recfunctions

    parted = [_rows(found) for name in parts(at, "artifacts") for found in _read(at, name)]
    rows = np.concatenate(parted) if parted else _rows([])
    # Of two at one time the later part, and the later row of it.
    rows = rows[np.lexsort((rows["at"], rows["path"]))]
    last = np.append(rows["path"][1:] != rows["path"][:-1], True)[: len(rows)]
    kept: Rows = recfunctions.repack_fields(rows[last][["high", "low", *_FOUND]])
    kept.sort(order="high")
    return kept


def _read(at: Place, name: str) -> Iterator[list[tuple[int, ...]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(at.opened(name)) as file:
            for batch in file.iter_batches(_BATCH, columns=[*_KEYED, "audited_at", *_FOUND]):
                columns = [batch[one].to_pylist() for one in _KEYED]
                columns.append(batch["audited_at"].cast(pa.int64()).to_pylist())
                columns += [batch[one].to_pylist() for one in _FOUND]
                yield [_row(*cells) for cells in zip(*columns, strict=True)]
    except (pa.ArrowException, ArtifactError, OSError) as error:
        raise UsageError(
            f"{at.shown}/{name} cannot be read: {error!s:.200}; without it, what it has is looked"
            " at again"
        ) from error


def _row(
    path: str,
    version: str | None,
    tool: str,
    policy: str,
    options: str,
    at: int,
    *found: bool | int | None,
) -> tuple[int, ...]:
    place = int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "little")
    if version is None:  # nothing asks for these
        key = 0, 0
    else:
        key = _halves(_hashed(Key(policy, options, tool)).digest_of(path, version))
    return place, at, *key, *(one or 0 for one in found)
