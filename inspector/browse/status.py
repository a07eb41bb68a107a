"""The line above the keys: messages, what is going on, what is left out of the tree."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from inspector.browse.lines import clean
from inspector.browse.searching import Wanted
from inspector.browse.source import Share
from inspector.words import count

_SAID = 6.0  # seconds that a message stays
_LONGEST = 500


class Status(Static):
    """Takes no line where there is nothing to say."""

    def __init__(self) -> None:
        super().__init__("", id="status")
        self.display = False
        self._parts = {"message": "", "going on": "", "left out": ""}

    def say(self, text: str) -> None:
        """A message for some seconds, in place of the last one."""
        self._put("message", clean(text, _LONGEST))
        if text:
            self.set_timer(_SAID, lambda: self._unsay(text))

    def _unsay(self, text: str) -> None:
        if self._parts["message"] == clean(text, _LONGEST):
            self._put("message", "")

    def tell(self, going: str) -> None:
        """What is going on, "" for nothing."""
        self._put("going on", going)

    def tell_left_out(self, wanted: Wanted, matches: int, order: str) -> None:
        """What is looked for, how much of it there is, and how the tree is sorted."""
        parts = [
            f"/{clean(wanted.text, 60)}" if wanted.text else "",
            f"role {wanted.role}" if wanted.role else "",
            f"{count(matches, 'match', 'matches')} (n, N; Esc clears)" if wanted else "",
            f"sorted by {order}" if order != "file" else "",
        ]
        self._put("left out", " · ".join(filter(None, parts)))

    def _put(self, part: str, text: str) -> None:
        self._parts[part] = text
        whole = " · ".join(filter(None, self._parts.values()))
        self.display = bool(whole)
        self.update(Text(whole, no_wrap=True, overflow="ellipsis"))


def going_on(what: str, share: Share) -> str:
    """As "measuring … 35 % (Esc stops)"."""
    far = f" {100 * min(share.done, share.whole) // share.whole} %" if share.whole else ""
    return f"{what} …{far} (Esc stops)"
