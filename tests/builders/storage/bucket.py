"""An S3 server: moto's, behind one of our own."""

from __future__ import annotations

import functools
import logging
import os
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.builders.storage import ranges
from tests.builders.storage.fronted import Fronted, files
from tests.builders.storage.loopback import Answer

# Credentials that nobody has: moto looks at none.
KEY_ID, KEY = "AKIAEXAMPLEEXAMPLE00", "secretSECRETsecretSECRETsecretSECRET0000"
REGION = "us-east-1"
WORDS = {
    403: ("AccessDenied", "Access Denied"),
    404: ("NoSuchKey", "The specified key does not exist."),
    429: ("TooManyRequests", "Please reduce your request rate."),
    500: ("InternalError", "We encountered an internal error. Please try again."),
    503: ("SlowDown", "Please reduce your request rate."),
}


class S3Server(Fronted):
    """See `Fronted`. moto's objects are this process's: one such server at a time."""

    scheme = "s3"

    def __init__(self, bucket: str = "models") -> None:
        from moto.server import ThreadedMotoServer

        self._lent: dict[str, str] = {}
        self._moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request otherwise
        self._moto.start()
        super().__init__(self._moto.get_host_and_port(), bucket)
        self.client.create_bucket(Bucket=bucket)
        self.forget()

    @property
    def environment(self) -> dict[str, str]:
        """What botocore, and all that is built on it, needs to find this server."""
        return {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @functools.cached_property
    def client(self) -> Any:
        """boto3's, past our own counting and failing."""
        import boto3

        host, port = self._behind
        return boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{port}",
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=KEY,
            region_name=REGION,
        )

    def store(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def lend(self, key: str, held: str | Path) -> str:
        """Serve a file or a folder of files from where they are, however large; the URL.

        moto holds the names and sizes, which it lists; bytes are read from the files.
        """
        from moto.s3.models import s3_backends

        for name, path in files(key, str(held)):
            self.put(name, b"")
            kept = s3_backends["123456789012"]["aws"].buckets[self.bucket].keys[name]
            kept.contentsize = os.path.getsize(path)
            kept._etag = ranges.content(path, 0).etag.strip('"')
            self._lent[f"/{self.bucket}/{name}"] = path
        return self.url(key)

    def stop(self) -> None:
        from moto.s3.models import s3_backends

        super().stop()
        self._moto.stop()
        s3_backends["123456789012"]["aws"].reset()

    def answer(self, handler: BaseHTTPRequestHandler, path: str, whole: bool) -> Answer:
        lent = self._lent.get(path)
        if lent is not None and handler.command == "GET":
            asked = dict(handler.headers)
            status, headers, body = ranges.answered(ranges.content(lent, 0), asked, whole)
            if status == 412:
                return self.failure(412, path)
            return Answer(status, {"Content-Type": "binary/octet-stream", **headers}, body)
        return super().answer(handler, path, whole)

    def failure(self, code: int, path: str) -> Answer:
        name, message = WORDS.get(code, ("Error", str(code)))
        text = f"<Code>{name}</Code><Message>{message}</Message><Resource>{path}</Resource>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}</Error>'
        return Answer(code, {"Content-Type": "application/xml"}, body.encode())
