"""Writes docs/scorecard.md: what this audit and two other scanners say of hostile artifacts.

python scripts/scorecard.py --scanners FOLDER    FOLDER/modelaudit and FOLDER/modelscan are
                                                 environments with one of them each
python scripts/scorecard.py                      ask this audit alone; what the others said is kept
                                                 in docs/scorecard.json

Every artifact of tests/builders is made anew in a folder of its own and given to each scanner as a
person would give it, by its command line. INSPECT_CORPUS may name a folder of real models as well.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from scanners import Made, Said, Scanner, scan, scanners  # noqa: E402 - only there once the path is

from tests.builders import attacks, leftovers  # noqa: E402
from tests.builders.attacks_common import Attack  # noqa: E402

PAGE = ROOT / "docs" / "scorecard.md"
ANSWERS = PAGE.with_suffix(".json")
OURS = "this audit"
_TWINS, _PUBLIC = "twins of attacks", "public models"
_LONGEST = 90  # characters of what a scanner said that are shown


# --- the artifacts --------------------------------------------------------------------------------


def _make(artifacts: Iterable[Attack], folder: str) -> list[Made]:
    made = []
    for one in artifacts:
        place = os.path.join(folder, one.name)
        os.makedirs(place)
        made.append(Made(one, place, one.make(place)))
    return made


def _corpus(folder: str) -> list[Made]:
    """The models of a folder: SavedModels, and all other files that are named like a model."""
    named = re.compile(r".+\.(?:h5|hdf5|keras|tflite|pb|pbtxt|meta|index)")
    found = []
    for place, inner, files in os.walk(folder):
        inner.sort()
        if "saved_model.pb" in files:
            found.append(place)
            inner.clear()
        else:
            found += [os.path.join(place, one) for one in sorted(files) if named.fullmatch(one)]
    return [_public(os.path.relpath(one, folder), one) for one in found]


def _public(name: str, path: str = "") -> Made:
    return Made(Attack(name, "", str), path, path)


# --- what that comes to ---------------------------------------------------------------------------


def caught(one: Attack, said: Said, *, ours: bool) -> bool:
    """Whether an artifact was caught: of ours all codes are asked, of others any alarm."""
    return set(one.codes) <= set(said.alarms) if ours else bool(said.alarms)


def shown(said: Said) -> str:
    """What a scanner said, for a cell."""
    if said.failed:
        return f"*{said.failed}*"
    if not said.alarms:
        return "–"
    first = said.alarms[0]
    text = first if len(first) <= _LONGEST else first[: _LONGEST - 1] + "…"
    more = f" (+{len(said.alarms) - 1})" if len(said.alarms) > 1 else ""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("`", "'") + more


def about_safety(said: Said) -> Said:
    """What of it is about safety. What else is wrong with a twin of an attack (weights that its
    config has no layer for) or with a public model is so, and beside the point.
    """
    return Said(tuple(one for one in said.alarms if one.startswith("safety-")), said.failed)


def our_cell(said: Said) -> str:
    """What ours said: all of its codes."""
    return f"*{said.failed}*" if said.failed else ", ".join(said.alarms) or "–"


Results = Mapping[str, Sequence[Said]]


def row(one: Attack, results: Sequence[Said], alarm: str = "false alarm") -> str:
    """The line of an artifact. The first result is ours; alarm: what one is of a sound artifact."""
    verdict = ["missed", "caught"] if one.codes else ["quiet", alarm]
    cells = []
    for at, said in enumerate(results):
        hit = caught(one, said, ours=at == 0) if one.codes else bool(said.alarms)
        cell = our_cell(said) if at == 0 else shown(said)
        cells.append(f"**{verdict[hit]}**" + ("" if cell == "–" else f": {cell}"))
    return f"| {one.name} | {one.cve or '–'} | " + " | ".join(cells) + " |"


def _table(artifacts: Sequence[Made], results: Results, alarm: str) -> list[str]:
    lines = [f"| artifact | CVE | {' | '.join(results)} |", "|---" * (2 + len(results)) + "|"]
    each = zip(*results.values(), strict=True)
    return lines + [row(one.of, said, alarm) for one, said in zip(artifacts, each, strict=True)]


def _summary(groups: Mapping[str, Sequence[Made]], results: Mapping[str, Results]) -> list[str]:
    """A line for each group of artifacts: how many each scanner raised an alarm of."""
    names = list(next(iter(results.values())))
    lines = [f"| artifacts | of | {' | '.join(names)} |", "|---|---:" + "|---:" * len(names) + "|"]
    for title, artifacts in groups.items():
        counts = []
        for at, said in enumerate(results[title].values()):
            pairs = zip(artifacts, said, strict=True)
            hits = sum(
                caught(made.of, one, ours=at == 0) if made.of.codes else bool(one.alarms)
                for made, one in pairs
            )
            failed = sum(bool(one.failed) for one in said)
            counts.append(f"{hits}" + (f" ({failed} without an answer)" if failed else ""))
        lines.append(f"| {title} | {len(artifacts)} | {' | '.join(counts)} |")
    return lines


_INTRO = """# Scorecard

What this audit, modelaudit and modelscan say of every hostile artifact and every leftover in
`tests/builders`, of the benign twins that stand next to them, and of the samples. Made by
`make scorecard` (`scripts/scorecard.py`); nothing in it is written by hand.

| scanner | version | command |
|---|---|---|
| this audit | of this checkout | `inspect audit --format json PATH` |
| modelaudit | {modelaudit} | `modelaudit scan --format json --no-cache PATH` |
| modelscan | {modelscan} | `modelscan -p PATH -r json` |

How it is judged:

- Each scanner has an environment of its own with all that it asks for to read these formats:
  `tests/requirements-modelaudit.txt` and `tests/requirements-modelscan.txt`. (Where TensorFlow is
  installed, this modelaudit parses no SavedModel; it brings what it needs itself.) All run with
  their defaults, but for reports of use that are switched off, and for many artifacts at once.
- **caught** is, of modelaudit, any issue at warning or critical, and of modelscan any at medium or
  above, whatever it is about: both get the benefit of the doubt. Of this audit, every rule that the
  artifact was made for must fire at warning or error.
- **false alarm** is the same of a twin or a sample that has nothing of the kind.
- Of attacks and their twins, this audit's alarms about safety are shown. Many have a config without
  its weights, or are no model at all; that other rules say so is right, and beside the point.
- Neither of the two looks for leftovers: those rows say what a gate with either alone lets through,
  not that the tool is worse at what it is for.
- What the artifacts name is harmless: `math.sqrt` stands where an attacker has `os.system`. A
  scanner that goes by a list of dangerous names is right to pass it, and is said to miss it here.
- The artifacts were made together with this audit's rules. That all of them are caught says that
  no rule was lost, not that no attack can be thought of: see "What gets past this audit".
"""
_LIMITS = """
What a static look at an artifact cannot tell, here as elsewhere:

- What code does. A Lambda, a custom operator or a pickle is told as such, harmless or not; a class
  of one's own (`Custom>Scale`, a note) is only as good as the program that supplies it.
- What values do. A model that was trained to misbehave has sound weights; nothing looks for
  backdoors.
- What lies elsewhere. Files, modules and addresses that an artifact names are listed, and never
  opened.
- Flaws of the readers themselves (a parser's overflow): what breaks a format's rules is told by
  integrity's rules, but not which release it would break.
"""
_PUBLIC_TEXT = """
They come from public repositories (tests of other readers, converters and runtimes) and none is an
attack, though some hold what an audit is there to tell: Lambda layers, operators that a library
must supply, an external link, a dataset of absurd size. Of this audit, alarms about safety are
shown; what training left in them is another matter."""


def _misses(groups: Mapping[str, Sequence[Made]], results: Mapping[str, Results]) -> list[str]:
    """What ours misses or alarms of falsely, by the same measure."""
    lines = []
    for title, artifacts in groups.items():
        if title == _PUBLIC:
            continue
        for made, said in zip(artifacts, next(iter(results[title].values())), strict=True):
            if made.of.codes and not caught(made.of, said, ours=True):
                lines.append(f"- {made.of.name} is missed: {our_cell(said)}")
            elif not made.of.codes and said.alarms:
                lines.append(f"- {made.of.name} is a false alarm: {our_cell(said)}")
    return lines or ["Of the artifacts below: nothing, and no twin or sample is a false alarm."]


def _page(
    groups: Mapping[str, Sequence[Made]], results: Mapping[str, Results], **facts: str
) -> str:
    lines = [_INTRO.format(**facts), "## Summary", "", *_summary(groups, results), ""]
    lines += ["## What gets past this audit", "", *_misses(groups, results), _LIMITS]
    for title, artifacts in groups.items():
        lines += [f"## {title}", "", *_section(title, artifacts, results[title]), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(title: str, artifacts: Sequence[Made], results: Results) -> list[str]:
    if artifacts[0].of.codes:
        return _table(artifacts, results, "")
    told = [
        at
        for at in range(len(artifacts))
        if any(said[at].alarms or said[at].failed for said in results.values())
    ]
    if not told:
        return [f"{len(artifacts):,} in all, and no scanner says anything of one."]
    return [
        f"{len(artifacts):,} in all; those that a scanner says something of:"
        + (_PUBLIC_TEXT if title == _PUBLIC else ""),
        "",
        *_table(
            [artifacts[at] for at in told],
            {name: [said[at] for at in told] for name, said in results.items()},
            "alarm" if title == _PUBLIC else "false alarm",
        ),
    ]


# --- all of it ------------------------------------------------------------------------------------


def families() -> dict[str, tuple[Attack, ...]]:
    """Title -> the artifacts of a group, attacks by the rule that they are there for."""
    found: dict[str, tuple[Attack, ...]] = {}
    for one in attacks.ATTACKS:
        found[one.codes[0]] = (*found.get(one.codes[0], ()), one)
    found[_TWINS] = attacks.TWINS
    for title, (made, twins) in leftovers.FAMILIES.items():
        found[title] = made
        found[f"twins of {title}"] = twins
    return found


Answers = dict[str, dict[str, dict[str, Said]]]  # group -> scanner -> artifact -> what was said


def _ask(groups: Mapping[str, Sequence[Made]], chosen: Iterable[Scanner]) -> Answers:
    """What scanners say of all artifacts. The public models lie elsewhere: what looks through a
    folder does so twice.
    """
    answers: Answers = {title: {} for title in groups}
    for scanner in chosen:
        for titles in ([one for one in groups if one != _PUBLIC], [_PUBLIC][: _PUBLIC in groups]):
            said = iter(scan(scanner, [one for title in titles for one in groups[title]]))
            for title in titles:
                found = {made.of.name: next(said) for made in groups[title]}
                if (
                    scanner.name == OURS
                    and title.removeprefix("twins of ") not in leftovers.FAMILIES
                ):
                    found = {name: about_safety(one) for name, one in found.items()}
                answers[title][scanner.name] = found
    return answers


def _stored() -> tuple[Answers, dict[str, str]]:
    """What was said when all scanners were asked last, and their versions."""
    told = json.loads(ANSWERS.read_text(encoding="utf-8"))
    answers = {
        title: {
            scanner: {name: Said(tuple(one["alarms"]), one["failed"]) for name, one in each.items()}
            for scanner, each in said.items()
        }
        for title, said in told["answers"].items()
    }
    return answers, told["versions"]


def _store(answers: Answers, versions: Mapping[str, str]) -> None:
    told = {"versions": versions, "answers": answers}
    text = json.dumps(told, default=dataclasses.asdict, indent=1, ensure_ascii=False)
    ANSWERS.write_text(text + "\n", encoding="utf-8")


def _merged(kept: Answers, now: Answers) -> Answers:
    """What is kept of the other scanners, and what ours says now; of public models all is kept."""
    merged: Answers = {}
    for title, said in now.items():
        for scanner, each in kept[title].items():
            answers = said.get(scanner, each)
            if answers.keys() != said[OURS].keys():
                raise SystemExit(f"{scanner} was never asked of all {title}: make scorecard")
            merged.setdefault(title, {})[scanner] = answers
    return {**merged, **{title: kept[title] for title in kept if title == _PUBLIC}}


def main() -> int:
    """Scan, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scanners", help="folder of the two environments")
    folder = parser.parse_args().scanners
    corpus = os.environ.get("INSPECT_CORPUS") if folder else None
    with tempfile.TemporaryDirectory() as made_in:
        groups: dict[str, Sequence[Made]] = {}
        for at, (title, artifacts) in enumerate(families().items()):
            groups[title] = _make(artifacts, os.path.join(made_in, str(at)))
        if corpus:
            groups[_PUBLIC] = _corpus(corpus)
        if folder:
            chosen = scanners(os.path.abspath(folder))
            answers, versions = _ask(groups, chosen), _versions(os.path.abspath(folder))
        else:
            kept, versions = _stored()
            answers = _merged(kept, _ask(groups, scanners("")[:1]))
            if _PUBLIC in answers:
                groups[_PUBLIC] = [_public(name) for name in answers[_PUBLIC][OURS]]
    _store(answers, versions)
    results = {
        title: {scanner: list(each.values()) for scanner, each in said.items()}
        for title, said in answers.items()
    }
    PAGE.write_text(_page(groups, results, **versions), encoding="utf-8")
    return 0


def _versions(folder: str) -> dict[str, str]:
    """The version of each of the other scanners, as its own environment has it."""
    ask = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    found = {}
    for name in ("modelaudit", "modelscan"):
        python = os.path.join(folder, name, "bin", "python")
        asked = subprocess.run(
            [python, "-c", ask, name], capture_output=True, text=True, check=True
        )
        found[name] = asked.stdout.strip()
    return found


if __name__ == "__main__":
    sys.exit(main())
