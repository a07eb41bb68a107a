"""An Azure Blob Storage server: Azurite, behind one of our own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.builders.storage.fronted import Fronted
from tests.builders.storage.loopback import Answer

# The account that Azurite's documentation gives everybody, with its key.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
WORDS = {
    403: "AuthorizationFailure",
    404: "BlobNotFound",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServerBusy",
}
_LISTENS = re.compile(r"successfully listens? on http://([\d.]+):(\d+)")
_INSTALLED = Path(__file__).parents[3] / "build/azurite/node_modules/.bin/azurite-blob"


def program() -> str | None:
    """Azurite, as `make test-azure` installs it or as it is in the PATH."""
    return str(_INSTALLED) if _INSTALLED.exists() else shutil.which("azurite-blob")


class AzureServer(Fronted):
    """See `Fronted`."""

    scheme = "az"

    def __init__(self, bucket: str = "models") -> None:
        found = program()
        assert found is not None, "azurite-blob is not here: run make test-azure"
        self._folder = tempfile.TemporaryDirectory()
        words = ("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
        self._azurite = subprocess.Popen(
            [found, *words, "--blobPort", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            env={**os.environ, "NODE_OPTIONS": ""},
            text=True,
        )
        super().__init__(self._listening(), bucket)
        self._container.create_container()

    def _listening(self) -> tuple[str, int]:
        assert self._azurite.stdout is not None
        for line in self._azurite.stdout:
            found = _LISTENS.search(line)
            if found:
                return found[1], int(found[2])
        raise AssertionError(f"Azurite ended with {self._azurite.wait()}")

    def _connection(self, endpoint: str) -> str:
        words = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": ACCOUNT,
            "AccountKey": KEY,
            "BlobEndpoint": f"{endpoint}/{ACCOUNT}",
        }
        return "".join(f"{name}={value};" for name, value in words.items())

    @property
    def environment(self) -> dict[str, str]:
        """What adlfs needs to find this server."""
        return {"AZURE_STORAGE_CONNECTION_STRING": self._connection(self.endpoint)}

    @property
    def _container(self) -> Any:
        from azure.storage.blob import ContainerClient

        host, port = self._behind
        return ContainerClient.from_connection_string(
            self._connection(f"http://{host}:{port}"), self.bucket
        )

    def store(self, key: str, content: bytes) -> None:
        self._container.upload_blob(key, content, overwrite=True)

    def stop(self) -> None:
        super().stop()
        self._azurite.kill()  # told to end, it waits for connections that are kept
        self._azurite.wait()
        self._folder.cleanup()

    def failure(self, code: int, path: str) -> Answer:
        name = WORDS.get(code, "Error")
        text = f"<Code>{name}</Code><Message>{code} of {path}</Message>"
        body = f'<?xml version="1.0" encoding="utf-8"?><Error>{text}</Error>'
        return Answer(
            code, {"Content-Type": "application/xml", "x-ms-error-code": name}, body.encode()
        )
