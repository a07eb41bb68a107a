"""What an error of a storage's library means: whether another try may go better, and our words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from inspector.errors import ArtifactError, InspectorError, NotFound, UsageError
from inspector.meant import did_you_mean
from inspector.remote import doors, urls

ATTEMPTS = 6  # of one request
LONGEST_WAIT = 15.0  # seconds before the next
# HTTP's: what another try may change.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
REFUSING = frozenset({401, 403, 407})
_GONE = frozenset({404, 410})
# By name, for whoever raises them may not be installed.
_NO_CREDENTIALS = frozenset({
    "ClientAuthenticationError", "CredentialUnavailableError", "DefaultCredentialsError",
    "NoCredentialsError",
})  # fmt: skip
_HOPELESS = _NO_CREDENTIALS | {
    "BadZipFile", "ClientConnectorCertificateError", "SSLCertVerificationError",
}  # fmt: skip
# What lets one in where anybody may read.
_ANYBODY = {
    "s3": "FSSPEC_S3_ANON=true", "gs": "FSSPEC_GS_TOKEN=anon",
    "az": "AZURE_STORAGE_ANON=true", "abfs": "AZURE_STORAGE_ANON=true",
    "abfss": "AZURE_STORAGE_ANON=true",
}  # fmt: skip
_PERMANENT = (
    FileNotFoundError, IsADirectoryError, NotADirectoryError, NotImplementedError, PermissionError,
    TypeError, ValueError,
)  # fmt: skip

# In the words of S3 and of Google.
_NO_BUCKET = re.compile(r"bucket does not exist|calling the HeadBucket operation: Not Found")


class Denied(ArtifactError):
    """The storage does not let us in."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came of: the innermost one says what happened."""
    one: BaseException | None = error
    seen = 0
    while one is not None and seen < 10:
        yield one
        one, seen = one.__cause__ or one.__context__, seen + 1


def _status(error: BaseException) -> int | None:
    """HTTP's, wherever a library keeps it."""
    for one in _causes(error):
        if type(one).__module__ == "aiohttp.http_exceptions":
            continue  # 400, says aiohttp itself, of a body that ended early
        if type(one) is OSError and str(one).startswith("Forbidden: "):
            return 403  # says gcsfs, which keeps no status there
        for name in ("status", "status_code", "code"):
            status = getattr(one, name, None)
            if status is not None:
                break
        else:
            status = _meta(one).get("HTTPStatusCode")
        with contextlib.suppress(TypeError, ValueError):
            if status is not None and 400 <= int(status) < 600:
                return int(status)
    return None


def _meta(error: BaseException) -> dict[str, Any]:
    """What botocore keeps of an answer."""
    answer = getattr(error, "response", None)
    return answer.get("ResponseMetadata", {}) if isinstance(answer, dict) else {}


def _headers(error: BaseException) -> Any:
    """Those of an answer, as aiohttp, botocore or Azure's library keeps them; empty else."""
    of_aiohttp = getattr(error, "headers", None)
    of_azure = getattr(getattr(error, "response", None), "headers", None)
    return of_aiohttp or _meta(error).get("HTTPHeaders") or of_azure or {}


def told_to_wait(error: BaseException) -> float:
    """Seconds of Retry-After, as far as we are patient; 0 where there is none."""
    for one in _causes(error):
        headers = _headers(one)
        with contextlib.suppress(AttributeError, TypeError, ValueError):
            for name in ("Retry-After", "retry-after"):
                if headers.get(name) is not None:
                    return min(max(float(headers[name]), 0.0), LONGEST_WAIT)
    return 0.0


def may_pass(error: BaseException) -> bool:
    """Whether another try may go better."""
    if isinstance(error, InspectorError) or not isinstance(error, Exception):
        return False
    if any(type(one).__name__ in _HOPELESS for one in _causes(error)):
        return False
    status = _status(error)
    if status is not None:
        return status in PASSING
    # fsspec says of a web server that it cannot reach that there is no such file.
    causes = list(_causes(error))
    if isinstance(error, FileNotFoundError) and len(causes) > 1:
        return not isinstance(causes[-1], _PERMANENT)
    return not isinstance(error, _PERMANENT)


@contextlib.contextmanager
def in_our_words(path: str) -> Iterator[None]:
    """Errors of the libraries, as those of an artifact. They quote URLs, secrets and all."""
    try:
        yield
    except InspectorError:
        raise
    except ImportError as error:
        extra = 'pip install "tf-inspector[remote]"'
        raise UsageError(f"{path}: {doors.scrubbed(str(error))}; run: {extra}") from None
    except ValueError as error:
        if "account_name with credentials" in str(error):
            raise _without_credentials(path) from None  # adlfs, which has no account to ask
        if "Protocol not known" not in str(error):
            raise ArtifactError(_said(error).removeprefix("ValueError: "), path) from None
        from fsspec.registry import known_implementations

        scheme = urls.scheme_of(path)
        meant = did_you_mean(scheme, known_implementations)
        raise UsageError(f"{path}: nothing speaks {scheme}:// here{meant}") from None
    except Exception as error:  # noqa: BLE001 - whatever a library of any storage raises
        raise _error(error, path) from None


def _error(error: Exception, path: str) -> ArtifactError:
    status = _status(error)
    gone = isinstance(error, FileNotFoundError) and not may_pass(error)
    if any(_NO_BUCKET.search(str(one)) for one in _causes(error)):
        return ArtifactError("there is no such bucket", path)
    if status in _GONE or (gone and status not in REFUSING):
        return NotFound("no such file", path)
    if status in REFUSING or isinstance(error, PermissionError):
        return Denied(
            "access is denied: give credentials as fsspec takes them, from the environment or its"
            f" own configuration ({_said(error)})",
            path,
        )
    if any(type(one).__name__ in _NO_CREDENTIALS for one in _causes(error)):
        return _without_credentials(path)
    again = f", asked {ATTEMPTS} times at most" if may_pass(error) else ""
    return ArtifactError(f"the storage does not give it: {_said(error)}{again}", path)


def _without_credentials(path: str) -> ArtifactError:
    anybody = _ANYBODY.get(urls.scheme_of(path))
    public = f", or {anybody} for what anybody may read" if anybody else ""
    return ArtifactError(
        f"there are no credentials for it: give them in the environment{public}", path
    )


def _said(error: BaseException) -> str:
    """The first line of the innermost error that has a message, without secrets."""
    status = _status(error)
    texts = [f"{type(one).__name__}: {one}" for one in _causes(error) if str(one)]
    text = texts[-1] if texts else type(error).__name__
    said = doors.scrubbed(" ".join(text.split()))[:300]
    return said if status is None or str(status) in said else f"{said} (status {status})"
