"""One of some words, as an option takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from inspector.meant import did_you_mean

if TYPE_CHECKING:
    _Choice = click.Choice[str]
else:  # click 8.1 has it without the brackets
    _Choice = click.Choice


class Choice(_Choice):
    """click's, which asks besides which of the words was meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word. Raises click.BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            hint = did_you_mean(str(value), self.choices)
            raise click.BadParameter(f"{error.message.rstrip('.')}{hint}", ctx, param) from error
