"""What may stand where the cursor is: files, codes, names. Everything is imported when asked for.

Each takes what click gives (the context, the parameter, what was typed of the word), and gives
words that begin so.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    import click

    from inspector.model import Artifact

    Items = list[CompletionItem[Any]]

_SECONDS = 5.0  # that a person waits for names from a file, at most
_MOST = 500  # of them


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Any file or folder; which of them are models only their content says."""
    return [CompletionItem("", type="file")]


def formats_and_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """FORMAT=FILE."""
    from inspector.render import AUDITS

    name, equals, _ = incomplete.partition("=")
    if equals:
        return [CompletionItem(f"{name}=", type="file")]
    return _beginning(incomplete, ((f"{one}=", "") for one in AUDITS))


def limits(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """NAME=VALUE: the names, and behind each its default, to be changed."""
    from inspector.cli.limits import spelled
    from inspector.limits import CAPS

    if "=" in incomplete:
        values = ((f"{one.name}={spelled(one).replace(',', '')}", one.reason) for one in CAPS)
        return _beginning(incomplete, values)
    return _beginning(incomplete, ((f"{one.name}=", one.reason) for one in CAPS))


def audit_codes(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Codes of an audit's rules, and what those of a family begin with."""
    from inspector.auditing.rules import RULES

    families = dict.fromkeys(rule.family for rule in RULES)
    words = [(one, f"All rules about {one}") for one in families]
    return _beginning(incomplete, [*words, *((rule.code, rule.summary) for rule in RULES)])


def all_codes(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The same, and those of the rules that tell what a tensor is."""
    from inspector.classify import RULES

    roles = _beginning(incomplete, ((rule.code, rule.summary) for rule in RULES))
    return [*roles, *audit_codes(ctx, param, incomplete)]


def parts(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """What a comparison may leave out."""
    from inspector.difference.filters import WORDS

    return _beginning(incomplete, ((one, "") for one in WORDS))


def tensors(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The tensors of the artifact that is named before, by whichever of their names begins so."""
    return _from_file(ctx.params.get("artifact"), incomplete, _tensors)


def layers(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The layers of the first artifact that is named before."""
    # While an option lacks its value, click leaves what it has read besides in `args`.
    paths = ctx.params.get("paths") or ctx.args
    return _from_file(next(iter(paths), None), incomplete, _layers)


def _tensors(artifact: Artifact, incomplete: str) -> Iterator[tuple[str, str]]:
    from inspector.lookup import spoken
    from inspector.render.printable import shape

    for tensor in artifact.tensors:
        name = next((one for one in spoken(tensor) if one.startswith(incomplete)), None)
        if name is not None:
            yield name, f"{tensor.dtype} {shape(tensor.shape)}"


def _layers(artifact: Artifact, incomplete: str) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys(one.layer for one in artifact.tensors if one.layer):
        if name.startswith(incomplete):
            yield name, ""


def _from_file(
    path: str | None,
    incomplete: str,
    names: Callable[[Artifact, str], Iterator[tuple[str, str]]],
) -> Items:
    """Names from an artifact: nothing measured, not for long, not too many."""
    if not path:
        return []
    from inspector.allowance import in_time
    from inspector.limits import DEFAULT
    from inspector.read import read

    # No shell has expanded it yet.
    path = os.path.expanduser(os.path.expandvars(path))
    with _not_for_long(), in_time(DEFAULT, path), read(path, DEFAULT) as opened:
        return _items(islice(names(opened.artifact, incomplete), _MOST))


@contextlib.contextmanager
def _not_for_long() -> Iterator[None]:
    """End this process where it takes too long, though it hangs in C: there is nothing to lose."""
    import signal

    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _beginning(incomplete: str, words: Iterable[tuple[str, str]]) -> Items:
    return _items((word, text) for word, text in words if word.startswith(incomplete))


def _items(words: Iterable[tuple[str, str]]) -> Items:
    return [CompletionItem(word, help=text or None) for word, text in words]
