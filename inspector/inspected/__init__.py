"""What `inspector.open` gives: an artifact that shows itself, and tensors that are arrays.

For notebooks and scripts. Everything is found out when it is first asked for, and kept.
"""

from __future__ import annotations

from inspector.inspected.artifact import Inspected
from inspector.inspected.tensors import InspectedTensor, Tensors

__all__ = ["Inspected", "InspectedTensor", "Tensors"]
