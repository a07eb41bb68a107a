"""`inspector.toml`, or `[tool.inspector]` of a pyproject.toml: found, read, held against its types.

What is wrong in it is a UsageError with file, line and column: a rule that is silently not asked is
worse than none.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from inspector import filesystem
from inspector.auditing.policy import Policy, overridden
from inspector.auditing.policy_check import Fault, faults
from inspector.auditing.toml_places import Path, toml_places
from inspector.errors import ArtifactError, LimitExceeded, NotFound, UsageError
from inspector.globs import within
from inspector.limits import DEFAULT, Limits
from inspector.meant import did_you_mean_file
from inspector.storage import LocalFile

NAME = "inspector.toml"
PROJECT = "pyproject.toml"
_TABLE = ("tool", "inspector")


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy and the file that it is from: "" for the default one."""

    policy: Policy = field(default_factory=Policy)
    path: str = ""

    def of(self, artifact: str) -> Policy:
        """The policy of the artifact at a path, with the overrides that are for it."""
        return self.with_(self.overrides(artifact))

    def overrides(self, artifact: str) -> tuple[int, ...]:
        """Which of the overrides are for the artifact at a path, by their place."""
        if not self.path or not self.policy.overrides:
            return ()
        folder = os.path.dirname(os.path.abspath(self.path))
        try:
            relative = filesystem.relpath(filesystem.abspath(artifact), folder)
        except ValueError:  # another drive
            return ()
        inside = relative.replace(os.sep, "/")
        return tuple(
            at
            for at, one in enumerate(self.policy.overrides)
            if any(within(inside, glob) for glob in one.paths)
        )

    def with_(self, overrides: Iterable[int]) -> Policy:
        """The policy with these of its overrides."""
        return overridden(self.policy, (self.policy.overrides[at] for at in overrides))


class Policies:
    """Finds the policy of each artifact; reads each file once.

    codes: of all rules, which the policies may name.
    """

    def __init__(self, codes: Collection[str], limits: Limits = DEFAULT) -> None:
        self._codes = codes
        self._limits = limits
        self._of_folder: dict[str, PolicyFile] = {}

    def read(self, path: str) -> PolicyFile:
        """The policy in a file that was named. Raises UsageError."""
        found = read_policy(path, self._codes, self._limits)
        if found is None:
            raise UsageError(f"{path}: has no [tool.inspector]")
        return found

    def near(self, artifact: str) -> PolicyFile:
        """The nearest policy above an artifact, the default one where there is none.

        It starts in the folder that the artifact lies in: what is inside of a model's own folder
        says nothing about how it is judged. What is in a storage is judged as if it lay where the
        user is. Raises UsageError.
        """
        if filesystem.is_far(artifact):
            return self._from(os.getcwd())
        return self._from(os.path.dirname(os.path.abspath(artifact)))

    def _from(self, folder: str) -> PolicyFile:
        asked: list[str] = []
        found = None
        while found is None and folder not in asked:  # the root is above itself
            asked.append(folder)
            found = self._of_folder.get(folder) or self._in(folder)
            folder = os.path.dirname(folder)
        result = found or PolicyFile()
        self._of_folder.update(dict.fromkeys(asked, result))
        return result

    def _in(self, folder: str) -> PolicyFile | None:
        for name in (NAME, PROJECT):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                found = read_policy(path, self._codes, self._limits)
                if found is not None:
                    return found
        return None


def came_along(path: str) -> bool:
    """Whether a policy lies neither where the user is nor above: somebody else may have put it
    beside the models.
    """
    if not path:
        return False
    folder, here = os.path.dirname(os.path.realpath(path)), os.path.realpath(os.curdir)
    return not os.path.join(here, "").startswith(os.path.join(folder, ""))


def read_policy(path: str, codes: Collection[str], limits: Limits = DEFAULT) -> PolicyFile | None:
    """The policy in a file; None for a pyproject.toml without one. Raises UsageError."""
    text = _text(path, limits)
    root: tuple[str, ...] = _TABLE if os.path.basename(path) == PROJECT else ()
    if root and root[-1] not in text:
        return None  # it may be broken in ways that are nobody's business here
    try:
        content: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}:{_syntax(str(error), text)}") from None
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply") from None
    for key in root:
        content = content.get(key) if isinstance(content, Mapping) else None
    if root and content is None:
        return None
    wrong = sorted(_placed(faults(content, codes), text, root))
    if wrong:
        (line, column), message = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise UsageError(f"{path}:{line}:{column}: {message}{more}")
    return PolicyFile(msgspec.convert(content, Policy), path)


_AT = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


def _syntax(error: str, text: str) -> str:
    """What tomllib says, its place first."""
    found = _AT.fullmatch(error)
    if found is None:
        return f" {error}"
    lines = text.split("\n")
    line, column = (found[2], found[3]) if found[2] else (len(lines), len(lines[-1]) + 1)
    return f"{line}:{column}: {found[1]}"


def _placed(found: list[Fault], text: str, root: Path) -> list[tuple[tuple[int, int], str]]:
    places = toml_places(text) if found else {}
    result = []
    for fault in found:
        path = (*root, *fault.path)
        # What has no place of its own is where the thing around it is.
        while path and path not in places:
            path = path[:-1]
        line, column = places.get(path, (1, 1))
        result.append(((line, column), fault.message))
    return result


def _text(path: str, limits: Limits) -> str:
    try:
        with LocalFile(path) as source:
            if source.size > limits.policy_bytes:
                raise LimitExceeded("policy_bytes", source.size, limits.policy_bytes, path)
            return str(source.view(0, source.size), "utf-8")
    except ArtifactError as error:
        hint = did_you_mean_file(path) if isinstance(error, NotFound) else ""
        raise UsageError(f"policy {error}{hint}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start:,}") from None
