"""Identity of a run: everything that decides its result changes it, nothing else does."""

import ast
import io
import json
import tokenize
from dataclasses import asdict, fields, is_dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib import experiments, identity
from a3lib.experiments import CODE, run_identity, run_split
from a3lib.identity import code_text
from a3lib.models import ModelSettings
from a3lib.pig_latin import Pairs, Split, load_pairs
from a3lib.runs import RUNS, Run
from a3lib.training import TrainingSettings

RUN = Run("some", ModelSettings(), TrainingSettings())
PAIRS = load_pairs("small").pairs[:20]
DATA = Split(Pairs("train", PAIRS[:15]), Pairs("validation", PAIRS[15:]))
BASE = run_identity(RUN, 0, DATA)


OTHER_NAMES = {"kind": "transformer", "positions": "none"}  # settings that only take certain names


def with_change(settings_object, name):
    """The same settings but for one field."""
    value = getattr(settings_object, name)
    if name in OTHER_NAMES:
        changed = OTHER_NAMES[name]
    elif is_dataclass(value):
        changed = with_change(value, fields(value)[0].name)
    else:
        changed = value + "x" if isinstance(value, str) else (value or 0) + 1
    return replace(settings_object, **{name: changed})


def changed_runs():
    for part in ("model", "training"):
        for field in fields(getattr(RUN, part)):
            yield f"{part}.{field.name}", replace(RUN, **{part: with_change(getattr(RUN, part), field.name)})
    yield "data", replace(RUN, data="large")
    yield "validation", replace(RUN, validation="common")


@pytest.mark.parametrize(("name", "run"), list(changed_runs()), ids=lambda value: value if type(value) is str else "")
def test_every_setting_changes_the_identity(name, run):
    assert run_identity(run, 0, DATA) != BASE


def test_the_name_alone_and_a_repetition_do_not():
    assert run_identity(RUN, 0, DATA) == BASE == run_identity(replace(RUN, name="other"), 0, DATA)
    assert len(BASE) == 16
    int(BASE, 16)


@pytest.mark.parametrize(
    "data",
    [
        replace(DATA, train=Pairs("train", PAIRS[:14])),
        replace(DATA, train=Pairs("train", (PAIRS[1], PAIRS[0], *PAIRS[2:15]))),  # the order decides the batches
        replace(DATA, train=Pairs("train", (("word", "otherway"), *PAIRS[1:15]))),
        replace(DATA, validation=Pairs("validation", PAIRS[16:])),
        Split(Pairs("train", PAIRS[:16]), Pairs("validation", PAIRS[16:])),  # one word on the other side
        Split(DATA.validation, DATA.train),
    ],
)
def test_the_data_change_the_identity(data):
    assert run_identity(RUN, 0, data) != BASE


def test_the_seed_changes_the_identity():
    assert len({run_identity(RUN, seed, DATA) for seed in range(5)}) == 5


def test_published_runs_and_seeds_have_identities_of_their_own():
    small = [run for run in RUNS.values() if run.data == "small"]
    made = {run_identity(run, seed, run_split(run, seed)) for run in small for seed in range(2)}
    assert len(made) == 2 * len(small)


@pytest.mark.parametrize("module", CODE["gru"])
def test_a_change_of_code_changes_the_identity_and_a_comment_does_not(module, monkeypatch):
    source = identity._source(module)

    def of(text):
        monkeypatch.setattr(identity, "_source", {module: text}.get)
        return identity.run_identity({}, 0, "", [module])

    base = of(source)
    assert of(f'"""Another docstring."""\n\n# a comment\n{source.split(chr(34) * 3, 2)[2]}\n\n') == base
    assert of(source.replace("\n    return ", "  # why\n    # because\n\n    return ")) == base
    changes = [
        source + "\nX = 1\n",
        source.replace("    return ", "    return -", 1),
        source.replace("def ", "def x", 1),
    ]
    assert len({base, *map(of, changes)}) == 4


@pytest.mark.parametrize("module", CODE["gru"])
def test_the_code_of_every_module_is_part_of_a_run_s_identity(module, monkeypatch):
    read = identity._source
    monkeypatch.setattr(identity, "_source", lambda name: read(name) + ("\nX = 1\n" if name == module else ""))
    assert run_identity(RUN, 0, DATA) != BASE


def test_modules_are_told_apart():
    """Moving code from one module to another is a change."""
    one = identity.run_identity({}, 0, "", ["batches", "gru"])
    assert one != identity.run_identity({}, 0, "", ["batches"])
    assert one != identity.run_identity({}, 0, "", ["batches", "recurrence"])


def stripped(source):
    """The syntax tree without docstrings; a body of nothing else gets `pass`."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def significant(source):
    """The tokens of a source but for comments, line ends and indents."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    return [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in skipped]


@pytest.mark.parametrize("module", CODE["gru"])
def test_the_code_text_of_a_module_has_all_its_tokens_but_docstrings(module):
    source = identity._source(module)
    starts = {
        (node.body[0].lineno, node.body[0].col_offset)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None
    }
    expected = [token.string for token in significant(source) if token.start not in starts]
    assert starts
    assert [token.string for token in significant(code_text(source))] == expected


NAMES = st.sampled_from(["x", "y", "h_prev"])
DOCSTRINGS = st.sampled_from(
    ["", '"""One line."""', '"""First.\n\n{0}# no comment\n\n{0}"""', "'single'", 'r"""\\d"""']
)
COMMENTS = st.sampled_from(["", "  # why", "  # '''quotes\"\"\"", "  #"])
GAPS = st.sampled_from(["", "\n", "\n\n   \n"])
VALUES = st.sampled_from(["1", "'# no comment'", '"a"', "(1,  # one\n    2)", "[\n\n    x\n\n]", "f'{1}#'"])


@st.composite
def sources(draw, depth=0, documented=True):
    """Python sources with comments, docstrings and blank lines anywhere."""
    indent, lines = "    " * depth, []
    if documented and (doc := draw(DOCSTRINGS)):
        lines.append(indent + doc.format(indent) + draw(COMMENTS))
    for _ in range(draw(st.integers(1, 3))):
        lines.append(draw(GAPS) + indent + draw(COMMENTS).strip())
        if depth < 2 and draw(st.booleans()):
            head = draw(st.sampled_from(["def f(x, y=1):", "class A:", "if x:", "def g(\n    x,  # first\n):"]))
            lines.append(indent + head.replace("\n", "\n" + indent) + draw(COMMENTS))
            lines.append(draw(sources(depth + 1, documented=not head.startswith("if"))))
        else:
            lines.append(f"{indent}{draw(NAMES)} = {draw(VALUES)}{draw(COMMENTS)}")
    return "\n".join(lines)


@settings(deadline=None, max_examples=60)
@given(sources())
def test_the_code_text_parses_to_the_same_tree_without_docstrings(source):
    assert ast.dump(ast.parse(code_text(source))) == stripped(source)
    assert code_text(source) == code_text(code_text(source))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('class A:\n    """Doc."""; x = 1\n', 'class A:\n    """Doc."""; x = 2\n'),
        ('def f(): "doc"; return 1\n', 'def f(): "doc"; return 2\n'),
        ("x = '''a\n\nb'''\n", "x = '''a\nb'''\n"),
        ("x = '''a \nb'''\n", "x = '''a\nb'''\n"),
    ],
    ids=["code after a docstring", "function of one line", "blank line in a string", "space in a string"],
)
def test_no_change_of_code_is_taken_for_a_docstring_or_a_blank_line(first, second):
    assert stripped(first) != stripped(second)
    assert code_text(first) != code_text(second)


def test_machine_and_versions_are_plain_and_the_same_each_time():
    for told in (identity.machine, identity.versions):
        first = told()
        assert json.loads(json.dumps(first)) == first == told()
    assert identity.machine()["processor"]
    assert {"processor", "instructions", "gpu", "torch"} == identity.machine().keys()
    assert {"python", "torch", "numpy"} <= identity.versions().keys()


def test_the_settings_of_all_runs_are_serialisable():
    for run in experiments.RUNS.values():
        assert json.loads(json.dumps(asdict(run))) == asdict(run)
