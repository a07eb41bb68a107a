"""A server in a process of its own: python fleet_server.py s3|http FOLDER.

Serves the files below a folder, and answers a line of JSON on stdin with one on stdout:
{"do": "delay", "seconds": 0.02}, {"do": "fill", "count": 9}, {"do": "forget"}, {"do": "counts"}.
The first line of its own says where it is.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.builders.servers import HttpServer, S3Server, faults  # noqa: E402 - once the path is


def _kind(request: Any, root: str) -> str:
    """LIST of a bucket, or the method."""
    return "LIST" if request.method == "GET" and request.path.strip("/") == root else request.method


def _answer(server: Any, root: str, asked: dict[str, Any]) -> dict[str, Any]:
    if asked["do"] == "delay":
        server.heal()
        if asked["seconds"]:
            server.fail(faults.slow(asked["seconds"]), method="*", times=None)
    elif asked["do"] == "fill":
        _fill(server.bucket, asked["count"])
    elif asked["do"] == "forget":
        server.forget()
    requests = server.requests()
    return {"requests": Counter(_kind(one, root) for one in requests), "sent": server.sent}


def _fill(bucket: str, count: int) -> None:
    """Have so many empty keys under a prefix, a thousand in each folder of it."""
    from moto.s3.models import s3_backends

    backend = s3_backends["123456789012"]["aws"]
    for number in range(count):
        key = f"many-{count}/team-{number // 1000:03}/model-{number:06}.keras"
        backend.put_object(bucket, key, b"")


def main() -> None:
    """Serve until stdin ends."""
    kind, folder = sys.argv[1:]
    files = {
        os.path.relpath(os.path.join(at, name), folder): os.path.join(at, name)
        for at, _, names in os.walk(folder)
        for name in names
    }
    is_s3 = kind == "s3"
    with S3Server() if is_s3 else HttpServer() as server:
        for key, path in sorted(files.items()):
            server.lend(key, path) if isinstance(server, S3Server) else server.put(key, path)
        environment = server.environment if isinstance(server, S3Server) else {}
        root = server.bucket if isinstance(server, S3Server) else "\0"
        told = {"url": server.url(""), "environment": environment, "endpoint": server.endpoint}
        print(json.dumps(told), flush=True)
        for line in sys.stdin:
            print(json.dumps(_answer(server, root, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
