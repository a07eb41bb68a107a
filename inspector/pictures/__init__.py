"""What pictures are drawn from: where bytes are, how values spread, where zeros are."""

from inspector.pictures.artifact import with_pictures
from inspector.pictures.pairs import diff_pictures

__all__ = ["diff_pictures", "with_pictures"]
