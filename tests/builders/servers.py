"""Storage on this machine for tests: a web server, and those of S3, of Google and of Azure. They
count what they send, and fail as they are told to.

    with HttpServer({"a.h5": content}) as server:
        server.fail(faults.status(503), "/a.h5", times=2)
        ...server.url("a.h5")...
        assert server.sent < 1000 and len(server.requests()) == 4
"""

from tests.builders.storage import faults
from tests.builders.storage.azure import AzureServer
from tests.builders.storage.bucket import S3Server
from tests.builders.storage.google import GoogleServer
from tests.builders.storage.loopback import Loopback, Request, environment
from tests.builders.storage.plain import HttpServer

__all__ = [
    "AzureServer",
    "GoogleServer",
    "HttpServer",
    "Loopback",
    "Request",
    "S3Server",
    "environment",
    "faults",
]
