"""What an earlier run found of artifacts that are skipped now, for the report of this one."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.auditing.rules import RULES
from inspector.auditing.run import Audited, Judged
from inspector.errors import UsageError
from inspector.fleet.summary import literal, selected
from inspector.model import Severity
from inspector.report import Finding

_FIELDS = Finding.__struct_fields__
_RANKS = {rule.code: rank for rank, rule in enumerate(RULES)}


def failing(where: str, artifacts: Sequence[str], most: int) -> Audited:
    """The first findings that fail of some artifacts, as the newest look at each wrote them; or a
    note why they cannot be had. where: the data set; most: of them at most.
    """
    if not artifacts:
        return Audited("")
    wanted = ", ".join(map(literal, artifacts))
    columns = ", ".join(f'"{name}"' for name in _FIELDS)
    sql = (
        f"SELECT {columns} FROM findings"  # noqa: S608 - of texts that are quoted
        f" WHERE fails AND suppressed IS NULL AND artifact IN ({wanted})"
        f" ORDER BY artifact, code, message LIMIT {most:d}"
    )
    try:
        rows = selected(where, sql, ("findings",))
    except UsageError as error:
        return Audited("", notes=(f"what earlier runs found is not in this report: {error}",))
    return Audited("", tuple(Judged(_finding(row), _rank(row["code"])) for row in rows))


def _finding(row: dict[str, object]) -> Finding:
    return Finding(**{**row, "severity": Severity(row["severity"])})  # type: ignore[arg-type]


def _rank(code: str) -> int:
    return _RANKS.get(code, len(_RANKS))
