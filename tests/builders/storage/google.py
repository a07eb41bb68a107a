"""A Google Cloud Storage server: gcp-storage-emulator, behind one of our own."""

from __future__ import annotations

import json
import socket
import urllib.parse
import urllib.request

from tests.builders.storage.fronted import Fronted
from tests.builders.storage.loopback import Answer


class GoogleServer(Fronted):
    """See `Fronted`. It wants no credentials."""

    scheme = "gs"

    def __init__(self, bucket: str = "models") -> None:
        from gcp_storage_emulator.server import create_server

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._emulator = create_server("127.0.0.1", port, in_memory=True, default_bucket=bucket)
        self._emulator.start()
        super().__init__(("127.0.0.1", port), bucket)

    @property
    def environment(self) -> dict[str, str]:
        """What gcsfs needs to find this server, and not to look for Google's."""
        return {"STORAGE_EMULATOR_HOST": self.endpoint, "FSSPEC_GS_TOKEN": "anon"}

    def store(self, key: str, content: bytes) -> None:
        host, port = self._behind
        name = urllib.parse.quote(key, safe="")
        where = f"/upload/storage/v1/b/{self.bucket}/o?uploadType=media&name={name}"
        request = urllib.request.Request(
            f"http://{host}:{port}{where}",
            content,
            {"Content-Type": "application/octet-stream", "Content-Length": str(len(content))},
        )
        urllib.request.urlopen(request).read()

    def content(self, name: str) -> str:
        return f"/download/*{name}"  # the rest is what is known of it

    def stop(self) -> None:
        super().stop()
        self._emulator.stop()

    def failure(self, code: int, path: str) -> Answer:
        body = json.dumps({"error": {"code": code, "message": f"{code} of {path}"}})
        return Answer(code, {"Content-Type": "application/json"}, body.encode())
