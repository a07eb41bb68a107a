import os
import re
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.auditing.policy import Policy
from inspector.auditing.policy_file import Policies, read_policy
from inspector.auditing.rules import RULES
from inspector.auditing.toml_places import toml_places
from inspector.errors import UsageError
from inspector.globs import compiled, escaped, within

CODES = ("leftover-mask", "number-nan", "number-inf", "safety-lambda")


def write(folder, text, name="inspector.toml"):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return path


def error(tmp_path, text, name="inspector.toml"):
    path = write(tmp_path, text, name)
    with pytest.raises(UsageError) as caught:
        read_policy(path, CODES)
    message = str(caught.value)
    assert message.startswith(f"{path}:")
    return message.removeprefix(f"{path}:")


def test_all_that_a_policy_may_say_is_read(tmp_path):
    text = """
select = ["all"]
ignore = ["number-inf"]
fail-on = "warning"
integer = true
allow-custom = ["My*"]
severity = { leftover = "info" }
[budgets]
nbytes = 1_000
layer-params = 5
[sparsity]
overall = 0.5
layers = { "dense*" = 1 }
patterns = { dense = "2:4" }
[numbers]
largest = 100
[runtime]
keras = "3.0.0rc1"
[[overrides]]
paths = ["old/**"]
ignore = ["safety"]
budgets.nbytes = 9
[[allow]]
digest = "sha256:%s"
reason = "looked at"
until = 2026-12-31
codes = ["safety"]
""" % ("a" * 64)
    policy = read_policy(write(tmp_path, text), CODES).policy
    assert policy.budgets.nbytes == 1000
    assert policy.sparsity.layers == {"dense*": 1.0}
    assert policy.overrides[0].budgets.nbytes == 9
    assert policy.allow[0].until.isoformat() == "2026-12-31"
    assert (policy.fail_on, policy.integer) == ("warning", True)


def test_an_empty_file_is_the_default_policy(tmp_path):
    assert read_policy(write(tmp_path, ""), CODES).policy == Policy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selct = []", "1:1: unknown key 'selct'; did you mean 'select'?"),
        (
            "[budgets]\ncount_params = 1",
            "2:1: unknown key 'count_params' in budgets; did you mean 'count-params'?",
        ),
        ("nbytes = 5", "1:1: unknown key 'nbytes'; it belongs in [budgets]"),
        ("  [budgts]\nnbytes = 5", "1:4: unknown key 'budgts'; did you mean 'budgets'?"),
        ("\n\nselect = 'all'", "3:1: select must be a list, not a string"),
        ("select = [\n  'all',\n  3,\n]", "3:3: select[1] must be a string, not an integer"),
        ("select = ['']", "1:11: select[0] must not be empty"),
        ("integer = 1", "1:1: integer must be true or false, not an integer"),
        ("budgets = 3", "1:1: budgets must be a table, not an integer"),
        ("budgets.nbytes = 1.5", "1:9: budgets.nbytes must be an integer, not a number"),
        ("budgets = { nbytes = true }", "1:13: budgets.nbytes must be an integer, not true or"),
        ("[budgets]\nnbytes = -1", "2:1: budgets.nbytes must be at least 0, not -1"),
        ("fail-on = 'eror'", "1:1: fail-on must be one of info, warning, error, never, not 'eror'"),
        ("severity.number = 'bad'", "1:10: severity.number must be one of info, warning, error"),
        (
            "[sparsity.layers]\n'a b' = 80",
            '2:1: sparsity.layers."a b" must be at most 1, not 80; it is a share; did you mean '
            "0.8?",
        ),
        ("sparsity.overall = nan", "1:10: sparsity.overall must be at least 0, not nan"),
        ("sparsity.patterns.d = '2of4'", "1:19: sparsity.patterns.d must be like"),
        ("runtime.keras = 'new'", "1:9: runtime.keras must be a version like"),
        ("numbers.largest = 0", "1:9: numbers.largest must be over 0, not 0"),
        ("[[overrides]]\nignore = []", "1:3: overrides[0] lacks paths"),
        ("[[overrides]]\npaths = []", "2:1: overrides[0].paths must not be empty"),
        (
            "[[overrides]]\npaths = ['a']\n[[overrides]]\npaths = ['b']\nbudget = {}",
            "5:1: unknown key 'budget' in overrides[1]; did you mean 'budgets'?",
        ),
        ("[[allow]]\ndigest = 'x'\nreason = 'y'", "2:1: allow[0].digest must be"),
        ("allow = [3]", "1:10: allow[0] must be a table, not an integer"),
        ("ignore = ['leftovr']", "1:11: no audit rule is called 'leftovr', nor begins so"),
        (
            "ignore = ['number-nam']",
            "1:11: no audit rule is called 'number-nam', nor begins so; did you mean 'num",
        ),
        (
            "severity.safty = 'info'",
            "1:10: no audit rule is called 'safty', nor begins so; did you mean 'safety'?",
        ),
        ("select = ['safety-l']", "1:11: no audit rule is called 'safety-l'"),
        ("[[overrides]]\npaths=['a']\nselect=['zzz']", "3:9: no audit rule is called 'zzz'"),
    ],
)
def test_what_is_wrong_has_its_place(tmp_path, text, message):
    assert error(tmp_path, text).startswith(message)


def test_the_first_fault_is_told_and_how_many_more_there_are(tmp_path):
    text = "[numbers]\nlargst = 1\n[budgets]\nx = 1\n"
    assert (
        error(tmp_path, text)
        == "2:1: unknown key 'largst' in numbers; did you mean 'largest'? (and 1 more)"
    )


def test_the_place_counts_what_an_editor_counts(tmp_path):
    text = '# ü\r\n"fail-on" = "error"\r\nselect = ["ü", "x"]\r\n'
    assert error(tmp_path, text).startswith("3:11: no audit rule is called 'ü'")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"select = [", ":1:11: Invalid value"),
        (b"select = ['a']\nselect = ['b']", ":2:15: Cannot overwrite a value"),
        (b"a = 1\nb 2\n", ":2:3: Expected '=' after a key"),
        (b"\xff = 1", "not UTF-8 at byte 0"),
        (b"x = " + b"[" * 5000, "nested too deeply"),
        (b" " * (2 << 20), "limit policy_bytes"),
    ],
)
def test_what_is_no_toml_is_said_to_be_none(tmp_path, content, message):
    path = tmp_path / "inspector.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_policy(str(path), CODES)


def test_a_policy_that_is_not_there_is_bad_usage(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        Policies(CODES).read(str(tmp_path / "nix.toml"))


PROJECT = "[project]\nname = 'x'\n[tool.inspector]\n{}\n"


def test_a_project_s_policy_is_in_its_table_and_so_are_places(tmp_path):
    text = PROJECT.format("fail-on = 'info'")
    assert read_policy(write(tmp_path, text, "pyproject.toml"), CODES).policy.fail_on == "info"
    text = PROJECT.format("  fail_on = 'info'")
    assert error(tmp_path, text, "pyproject.toml").startswith("4:3: unknown key 'fail_on'")


@pytest.mark.parametrize("text", ["[project]\n", "[tool.x]\n# inspector", "broken ["])
def test_a_project_without_a_policy_has_none(tmp_path, text):
    path = write(tmp_path, text, "pyproject.toml")
    assert read_policy(path, CODES) is None
    with pytest.raises(UsageError, match=r"has no \[tool.inspector\]"):
        Policies(CODES).read(path)


def test_the_nearest_policy_wins(tmp_path):
    top = write(tmp_path, "fail-on = 'info'")
    near = write(tmp_path / "a" / "b", "fail-on = 'warning'")
    write(tmp_path / "a", "[tool.other]\n# inspector", "pyproject.toml")
    policies = Policies(CODES)
    assert policies.near(str(tmp_path / "a" / "b" / "c" / "m.h5")).path == near
    assert policies.near(str(tmp_path / "a" / "b" / "m.h5")).path == near
    assert policies.near(str(tmp_path / "a" / "m.h5")).path == top
    assert policies.near(str(tmp_path / "x" / "y" / "m.h5")).path == top


def test_inspector_toml_comes_before_the_project_s(tmp_path):
    write(tmp_path, PROJECT.format("fail-on = 'info'"), "pyproject.toml")
    own = write(tmp_path, "fail-on = 'warning'")
    assert Policies(CODES).near(str(tmp_path / "m.h5")).path == own
    os.remove(own)
    assert Policies(CODES).near(str(tmp_path / "m.h5")).policy.fail_on == "info"


def test_a_policy_inside_a_model_s_own_folder_says_nothing_of_it(tmp_path):
    write(tmp_path / "saved", "ignore = ['safety']")
    outer = write(tmp_path, "")
    assert Policies(CODES).near(str(tmp_path / "saved")).path == outer


def test_above_no_policy_is_the_default_one(tmp_path):
    found = Policies(CODES).near(str(tmp_path / "m.h5"))
    assert (found.path, found.policy) == ("", Policy())


def test_overrides_are_for_paths_below_the_policy_s_folder(tmp_path, monkeypatch):
    text = """
[budgets]
nbytes = 1
[[overrides]]
paths = ["old/**/*.h5", "*.tflite"]
budgets.nbytes = 2
[[overrides]]
paths = ["old/kept"]
ignore = ["safety"]
"""
    found = read_policy(write(tmp_path, text), CODES)

    def says(*path):
        policy = found.of(os.path.join(tmp_path, *path))
        return policy.budgets.nbytes, policy.ignore

    assert says("m.h5") == (1, ())
    assert says("old", "m.h5") == (2, ())
    assert says("old", "a", "b", "m.h5") == (2, ())
    assert says("deep", "in", "m.tflite") == (2, ())
    assert says("old", "kept", "m.h5") == (2, ("safety",))
    assert says("old", "kept") == (1, ("safety",))
    assert says("..", "old", "m.h5") == (1, ())
    monkeypatch.chdir(tmp_path)
    assert found.of("old/m.h5").budgets.nbytes == 2


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("a/*.h5", "a/m.h5", True),
        ("a/*.h5", "a/b/m.h5", False),
        ("a/**/m.h5", "a/m.h5", True),
        ("a/**/m.h5", "a/b/c/m.h5", True),
        ("**/m.h5", "m.h5", True),
        ("a/**", "a/b/c", True),
        ("a/**/**/**/m", "a/m", True),
        ("./a.h5", "a.h5", True),
        ("./a.h5", "b/a.h5", False),
        ("a.h5", "b/a.h5", True),
        ("a/", "a/m.h5", True),
        ("a/m?.h5", "a/m1.h5", True),
        ("a/m?.h5", "a/m.h5", False),
        ("[ab].h5", "b.h5", True),
        ("[!ab].h5", "b.h5", False),
        ("x/[!a]b", "x//b", False),
        ("[z-a].h5", "z.h5", True),
        ("[.h5", "[.h5", True),
        ("a+(b).h5", "a+(b).h5", True),
    ],
)
def test_globs_match_paths_as_people_expect(glob, path, fits):
    assert within(path, glob) is fits


@given(st.text(alphabet="ab*?[]!-/.\\^{}", max_size=12))
def test_every_glob_can_be_compiled_and_an_escaped_one_matches_itself(text):
    compiled(text)
    assert compiled(escaped(text)).fullmatch(text) or "**" in text or text.count("//")


KEYS = st.one_of(
    st.text(alphabet="abz_-09", min_size=1, max_size=4),
    st.text(alphabet="a \"'.=[]{}#,ü\t", max_size=4),
)
VALUES = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.text(alphabet="a\"'\\#]},=\n", max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


def quoted(text):
    return '"' + "".join(f"\\u{ord(one):04x}" if one in '"\\\n\t' else one for one in text) + '"'


def as_toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[ " + ", # ]\n".join(map(as_toml, value)) + "\n]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    return str(value)


def paths_of(value, path=()):
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*path, key)
        if isinstance(one, (dict, list)):
            yield from paths_of(one, (*path, key))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_every_key_and_element_has_a_place_and_it_is_there(content):
    text = "".join(f"{quoted(key)} = {as_toml(value)}\n" for key, value in content.items())
    assert tomllib.loads(text) == content
    places = toml_places(text)
    assert set(places) == set(paths_of(content))
    lines = text.split("\n")
    for path, place in places.items():
        if isinstance(path[-1], str):
            assert lines[place.line - 1][place.column - 1 :].startswith(quoted(path[-1]))


def test_places_are_known_in_every_way_of_writing_tables():
    text = """a.b = 1
[t . "u v"]
k = \"\"\"x
[no]
y = \\\"\"\" 2\"\"\"\"
l = '''[[no]]'''
[[o]]
p = [1, [2]]
[o.q]
r = 1979-05-27 07:32:00
[[o]]
p = { x.y = 1 }
[[o.s]]
z = +inf # [no]
"""
    assert tomllib.loads(text)["o"][1]["s"][0]["z"] == float("inf")
    assert dict(toml_places(text)) == {
        ("a",): (1, 1),
        ("a", "b"): (1, 3),
        ("t",): (2, 2),
        ("t", "u v"): (2, 6),
        ("t", "u v", "k"): (3, 1),
        ("t", "u v", "l"): (6, 1),
        ("o",): (7, 3),
        ("o", 0): (7, 3),
        ("o", 0, "p"): (8, 1),
        ("o", 0, "p", 0): (8, 6),
        ("o", 0, "p", 1): (8, 9),
        ("o", 0, "p", 1, 0): (8, 10),
        ("o", 0, "q"): (9, 4),
        ("o", 0, "q", "r"): (10, 1),
        ("o", 1): (11, 3),
        ("o", 1, "p"): (12, 1),
        ("o", 1, "p", "x"): (12, 7),
        ("o", 1, "p", "x", "y"): (12, 9),
        ("o", 1, "s"): (13, 5),
        ("o", 1, "s", 0): (13, 5),
        ("o", 1, "s", 0, "z"): (14, 1),
    }


WHOLE = """select = ["all"]
fail-on = "error"
severity = { number = "info" }
[budgets]
nbytes = 5
[sparsity.layers]
"dense*" = 0.5
[[overrides]]
paths = ["a"]
runtime.keras = "3.1"
[[allow]]
digest = "sha256:%s"
reason = "x"
until = 2026-12-31
""" % ("0" * 64)
ODD = ["[", "]", "{", "}", "=", '"', ".", "#", "\n", "1", "x", " = 1", "[[", "2026-01-01T00:00:00Z"]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, 12), st.sampled_from([*ODD, "nan", "[]", "{}"]))
def test_a_broken_policy_is_bad_usage_and_nothing_worse(tmp_path_factory, at, gone, put):
    text = WHOLE[:at] + put + WHOLE[at + gone :]
    path = write(tmp_path_factory.mktemp("policy"), text)
    said = f"{path}:1:1: fine"
    try:
        assert isinstance(read_policy(path, CODES).policy, Policy)
    except UsageError as caught:
        said = str(caught)
    assert re.match(re.escape(path) + r":\d+:\d+: .", said)


@pytest.mark.parametrize("until", ["2026-01-01T00:00:00", "07:00:00", "2026", "'soon'", "false"])
def test_a_last_day_is_a_day(tmp_path, until):
    text = f"[[allow]]\ndigest = 'sha256:{'0' * 64}'\nreason = 'x'\nuntil = {until}"
    assert error(tmp_path, text).startswith("4:1: allow[0].until must be a date")


def test_codes_of_the_real_rules_may_be_named(tmp_path):
    code = RULES[0].code
    path = write(tmp_path, f'ignore = ["{code}", "{code.partition("-")[0]}"]')
    assert read_policy(path, [one.code for one in RULES]).policy.ignore[0] == code
