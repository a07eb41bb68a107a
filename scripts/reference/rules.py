"""docs/reference/rules.md and audit-rules.md: the rules, as they explain themselves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from inspector import classify
from inspector.auditing.rules import RULES as AUDIT
from reference.words import code, page, said, sentence, table

# Module and name of a table of rules -> what its rules look at.
TITLES = {
    ("tflite", "RULES"): "TFLite: the operators that read a tensor",
    ("constants", "FIRST"): "Graphs: what is stored twice",
    ("objects", "FIRST"): "Object graphs: what the objects say",
    ("tf_names", "RULES"): "TensorFlow 1: names beside other names",
    ("training", "RULES"): "Training state",
    ("catalog", "RULES"): "Keras: the layer's own list of variables",
    ("structure", "RULES"): "Structure: what only fits together one way",
    ("constants", "RULES"): "Graphs: the operators that read a tensor",
    ("objects", "OTHERS"): "Object graphs: objects of unknown classes",
    ("tf_names", "LAST"): "What was saved by name",
    ("fallback", "RULES"): "Names alone",
}


def render() -> str:
    """The rules that give roles."""
    return page("Classification rules", _parts())


def _parts() -> Iterator[str]:
    yield (
        f"{len(classify.RULES)} rules give a tensor its role ([Roles](../explanation/roles.md))."
        " They"
        " are asked in this order, and the first one that fits decides. Every tensor of a report"
        " has"
        " the code of its rule (`rule`), what told the rule so (`basis`), and a sentence of"
        " evidence"
        " (`evidence`). What no rule explains is `unknown`. `inspect rules CODE` prints one of"
        " them."
    )
    titles = iter(TITLES.items())
    start = 0
    for (module, name), title in titles:
        rules = getattr(__import__(f"inspector.classify.{module}", fromlist=[name]), name)
        if classify.RULES[start : start + len(rules)] != tuple(rules):
            raise SystemExit(
                f"the tables of inspector/classify have another order: {module}.{name}"
            )
        start += len(rules)
        yield f"## {title}"
        for rule in rules:
            yield f"### {rule.code}"
            yield f"**{sentence(rule.summary)}**. {said(rule.explanation)}"
            yield f"Example: {said(rule.example)}" if rule.example else ""
    if start != len(classify.RULES):
        raise SystemExit("inspector/classify has a table of rules that TITLES lacks")


def render_audit() -> str:
    """The rules of an audit, in short: docs/audit.md has all of them."""
    return page("Audit rules", _audit_parts())


def _audit_parts() -> Iterator[str]:
    yield (
        f"`inspect audit` asks {len(AUDIT)} rules. Each code leads to what the rule looks at, an"
        " example"
        " and what to do, in [Auditing models](../audit.md). The severity is the rule's own; a"
        " policy"
        " may change it. `inspect rules CODE` prints the same."
    )
    for family, rules in groupby(
        sorted(AUDIT, key=lambda rule: rule.family), lambda one: one.family
    ):
        rows = [
            (
                f"[{code(rule.code)}](../audit.md#{rule.code})",
                str(rule.severity),
                sentence(rule.summary),
            )
            for rule in rules
        ]
        yield f"## {family}"
        yield table(("code", "severity", "what it finds"), rows)
