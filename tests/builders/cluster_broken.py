"""Loaded by a cluster's worker: what it reads artifacts in is `broken_worker`."""

from inspector import isolation
from tests.builders.broken_worker import PROGRAM

isolation.PROGRAM = PROGRAM
