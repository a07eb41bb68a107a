"""What can go wrong, said once: the user's fault and the file's fault are different classes."""

from __future__ import annotations

from inspector.limits import remedy

_LONGEST = 299  # characters of a message


def one_line(text: str) -> str:
    """The text without what would break a line or steer a terminal."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)


class InspectorError(Exception):
    """Every error this package raises on purpose."""


class UsageError(InspectorError, ValueError):
    """The caller asked for something that cannot be done: a bad option, an unknown tensor."""


class NoSuchTensor(UsageError, KeyError):
    """A name is no tensor's, or several tensors'; the message says which there are."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # a KeyError's would be the message in quotes


class ArtifactError(InspectorError):
    """The artifact cannot be read.

    message: what is wrong and what to do, without the path. Always one line of printable text,
        cut where it is long: names from the file may be in it.
    path: the file it is about.
    offset: bytes from the start of that file, where one place is to blame.
    """

    def __init__(self, message: str, path: str, offset: int | None = None) -> None:
        line = one_line(message)
        self.message = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
        super().__init__(self.message, path, offset)
        self.path = path
        self.offset = offset

    def __str__(self) -> str:
        where = "" if self.offset is None else f" (at byte {self.offset:,})"
        return f"{self.path}: {self.message}{where}"


class NotFound(ArtifactError, FileNotFoundError):
    """There is nothing at this path."""


class UnknownFormat(ArtifactError):
    """The bytes are no model artifact that this tool knows."""


class Truncated(ArtifactError):
    """The file ends before its own header says it does."""


class Changed(ArtifactError):
    """The file became another one while it was read: what was seen of it may be half of each."""


class Corrupt(ArtifactError):
    """The file breaks the rules of its own format."""


class ChecksumMismatch(Corrupt):
    """A tensor's bytes are not those that were written: their checksum in the file says so."""


class Unsupported(ArtifactError):
    """A known format, in a form that this version does not read."""


class CodeRefused(ArtifactError):
    """Loading the artifact could run code that is in it, and that was not allowed."""


class LiveError(ArtifactError):
    """Live TensorFlow gave no answer about the artifact: it took too long, or too much, or died."""


class LiveUnavailable(UsageError):
    """There is no Python here that has TensorFlow, or what else the artifact takes to load."""


class Stopped(ArtifactError):
    """What read the artifact, in a process of its own, came to an end before it was done."""


class Crashed(Stopped):
    """It was ended by a signal, or gave no answer that can be read."""


class TimedOut(Stopped):
    """It took longer than it may, and was ended."""


class OutOfMemory(Stopped):
    """It asked for more memory than it may have."""


class LimitExceeded(ArtifactError):
    """The file asks for more than a limit allows; the message names the option that allows it.

    name: the limit's field in `inspector.limits.Limits`; value: what the file asked for, of what is
        counted as it is met, what was met so far.
    """

    def __init__(
        self, name: str, value: int, limit: int, path: str, offset: int | None = None
    ) -> None:
        message = f"limit {name}: {value:,} is over {limit:,}; {remedy(name, value, limit)}"
        super().__init__(message, path, offset)
        self.name = name
        self.value = value
        self.limit = limit
