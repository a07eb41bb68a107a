"""Results of audits of several artifacts, as a driver writes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from inspector.auditing.look import look
from inspector.auditing.policy import Policy
from inspector.auditing.session import Looked
from inspector.fleet.done import Key, options_digest, policy_digest
from inspector.fleet.results import Results

DAY = dt.date(2026, 11, 26)
KEY = Key(policy_digest(Policy(), DAY), options_digest(measure=True))


def looked(path: str, policy: Policy | None = None) -> Looked | None:
    """What an audit says of one artifact, with digests of its tensors; None of what is no model."""
    return look(path, policy=policy or Policy(), today=DAY, may_be_no_model=True, digest=True)


def write(where: str, paths: Iterable[str], key: Key = KEY, version: str = "1") -> None:
    """A run that looks at these, and is done."""
    with Results(where) as results:
        for path in paths:
            results.take(path, version, None, looked(path), 0.5, key)
