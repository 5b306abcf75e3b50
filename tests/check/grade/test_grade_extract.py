"""What is taken out of notebooks and modules, and what is told about the rest."""

import ast
import textwrap

import pytest
from hand_ins import CELLS, CODE, DOT, GRU, MARKDOWN, write_notebook
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.check import ITEMS
from a3lib.check.grade import extract, selection

IPYTHON_LINES = [
    "!pip install torch==1.10 # (", "%cd /content/drive/MyDrive", "% matplotlib inline",
    "%matplotlib inline", "!wget 'http://x.org/a?b=c' -O \"x", "files = !ls *.txt",
    "out = %timeit -o 1 + 1", "torch.nn.Linear?", "?torch", "!echo ''' {", "%load_ext autoreload",
]  # fmt: skip


def python(cells, tmp_path):
    return extract.read(write_notebook(tmp_path / "nmt.ipynb", cells))


def run(definitions):
    """The names after running definitions where they stand, as the child does."""
    bound = {}
    for one in definitions:
        exec(compile("\n" * (one.line - 1) + one.source, one.place, "exec"), bound)
    return bound


def named(found, name):
    return [one for one in found if name in one.names]


def names(found):
    return {name for one in found for name in one.names}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(IPYTHON_LINES), max_size=4),
    st.lists(st.sampled_from(IPYTHON_LINES), max_size=4),
)
def test_lines_for_ipython_change_no_definition_and_no_line_number(before, after):
    source = "\n".join([*before, "def f(x):", "    return x % 3  # !no", *after, "LAST = 5"])
    tree, lines = extract.parse(source)
    function = next(node for node in tree.body if getattr(node, "name", "") == "f")
    assert function.lineno == len(before) + 1
    assert lines[len(before) : len(before) + 2] == ["def f(x):", "    return x % 3  # !no"]
    assert len(lines) == len(source.splitlines())
    assert tree.body[-1].lineno == len(lines)


@pytest.mark.parametrize(
    "source",
    [
        "x = (7\n% 4)",  # a continued expression
        "text = '''\n!pip install\n%cd x\nwhat?\n'''",
        "def f():\n    return 5 \\\n  % 3",
    ],
)
def test_what_only_looks_like_ipython_stays(source):
    assert extract.parse(source)[1] == source.splitlines()


def test_ipython_lines_inside_of_functions_and_over_several_lines():
    source = "def get(name):\n    !wget \\\n      $name\n    return 1\nX = 2"
    tree, _ = extract.parse(source)
    assert [node.lineno for node in tree.body] == [1, 5]
    assert len(tree.body[0].body) == 3


@pytest.mark.parametrize(
    "magic, kept", [("%%time", True), ("%%capture out", True), ("%%bash", False), ("%%html", False)]
)
def test_cells_under_a_magic(magic, kept):
    body = extract.parse(f"\n{magic}\nX = 1")[0].body
    assert [one.lineno for one in body if isinstance(one, ast.Assign)] == [3] * kept


@pytest.mark.parametrize(
    "body",
    ["    # FILL THIS IN", "    # z = ...\n    # return z\n", "\n\n    # one\n\n    # two", ""],
)
@pytest.mark.parametrize("after", ["", "\n\nX = 1", "\nclass B:\n    y = 1"])
def test_bodies_of_comments_only_are_read_as_empty(body, after):
    body = textwrap.indent(body, "    ")
    source = f"class A:\n    x = 1\n\n    def forward(self, x):  # it is here: {{\n{body}{after}"
    tree, lines = extract.parse(source)
    assert tree.body[0].body[1].name == "forward"
    assert len(tree.body) == 1 + bool(after)
    assert len(lines) == len(source.splitlines())


def test_definitions_are_taken_and_work_is_left(tmp_path):
    found, lost = python(CELLS, tmp_path)
    assert named(found, "MyGRUCell")[0].source == GRU.rstrip("\n")
    taken = {"nn", "torch", "ScaledDotAttention", "TEST_SENTENCE", "urlretrieve"}
    assert taken <= names(found)
    assert not {"rnn_encoder", "rnn_losses", "data_fpath"} & names(found)
    assert lost == []


def test_constants_may_be_computed_but_not_worked_for(tmp_path):
    source = "A = 3; torch.x = 1\nB = [A, {'x': -A}]\nC: int = 4\nD = torch.tensor(-1e7)\nE = train(A)\nF = open('x')\nG = plt.plot(A)\nfor H in range(3): pass\nI, J = 1, 2\nK = lambda x: x + 1"
    assert names(python([(CODE, source)], tmp_path)[0]) - {"x"} == set("ABCDIJK")


def test_only_the_cell_with_the_error_is_lost_and_its_line_is_told(tmp_path):
    broken = "import math\n\ndef before():\n    return 1\n\ndef after(x:\n    return 2\n"
    cells = [(CODE, GRU), (MARKDOWN, "# words"), (CODE, broken), (CODE, DOT)]
    found, lost = python(cells, tmp_path)
    assert [one.names for one in found] == [("MyGRUCell",), ("ScaledDotAttention",)]
    [one] = lost
    assert str(one) == "nmt.ipynb cell 2, line 6" and one.source == broken
    assert "never closed" in one.reason and one.names == ("before", "after")


@pytest.mark.parametrize(
    "rubbish",
    ["\x00", "(" * 1000, "x = " + "-" * 100_000 + "1", "x = 1\n" * 200_000, "print 'x'"],
)
def test_no_cell_breaks_the_reading(tmp_path, rubbish):
    found, lost = python([(CODE, rubbish), (CODE, GRU)], tmp_path)
    assert [one.names for one in found if one.source] == [("MyGRUCell",)]
    assert len(lost) == 1


def test_every_definition_runs_at_its_own_line_over_several_files(tmp_path):
    write_notebook(
        tmp_path / "a.ipynb", [(CODE, "!ls\n\n\ndef one():\n    return 1"), (CODE, "X = 1")]
    )
    (tmp_path / "b.py").write_text("import math\n\n\n@staticmethod\ndef two():\n    return 2\n")
    found, _ = extract.read(tmp_path)
    bound = run(found)
    assert bound["one"].__code__.co_firstlineno == 4 and bound["one"]() == 1
    assert [str(one) for one in found if one.names[0] in ("one", "X", "two")] == [
        "a.ipynb cell 0, line 4", "a.ipynb cell 1, line 1", "b.py, line 4",
    ]  # fmt: skip
    assert bound["two"]() == 2


def test_a_module_loses_only_the_part_with_the_error(tmp_path):
    path = tmp_path / "models.py"
    path.write_text(
        "!pip install x\nimport math\n\nclass A:\n    x = 1\n\nclass B:\n    y = = 2\n\ndef c():\n    return 3\n"
    )
    found, lost = extract.read(path)
    assert [(one.names[0], one.line) for one in found] == [("math", 2), ("A", 4), ("c", 10)]
    assert [(one.names, str(one)) for one in lost] == [(("B",), "models.py, line 8")]


def test_copies_that_other_programs_keep_are_no_submission(tmp_path):
    for folder in (".ipynb_checkpoints", "__MACOSX", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text(f"def f(): return '{folder}'")
    found, _ = extract.read(tmp_path)
    assert run(found)["f"]() == "mine" and len(found) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"cells": 3}',
        '{"cells": [{}]}',
        '{"cells": [{"cell_type": "code", "source": 3}]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_notebook_is_told_with_its_name(tmp_path, text):
    path = tmp_path / "broken.ipynb"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"broken\.ipynb is no notebook"):
        extract.read(path)


def test_an_empty_folder_and_an_absent_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no notebook"):
        extract.read(tmp_path)
    with pytest.raises(OSError):
        extract.read(tmp_path / "absent.py")


# which definition counts


def test_a_name_defined_twice_counts_in_the_section_of_its_item(tmp_path):
    cells = [
        (MARKDOWN, "# Part 1: Encoder-decoder"), (CODE, "def decoder(): return 1"),
        (MARKDOWN, "# Part 2: Decoder-only NMT\n## Step 1"), (CODE, "def decoder(): return 2"),
        (MARKDOWN, "# Part 3"), (CODE, "def decoder(): return 3"),
    ]  # fmt: skip
    found, _ = python(cells, tmp_path)

    def value(section):
        item = selection.Item("2023", "", "decoder", section, 1, "")
        return run([selection.chosen(found, item)])["decoder"]()

    assert [value("encoder.decoder"), value("decoder.only"), value("Part 3"), value("Step 1")] == [
        1,
        2,
        3,
        2,
    ]
    assert value("") == value("no such section") == 3  # the last one


def test_what_a_definition_builds_on_is_found_and_nothing_else(tmp_path):
    cells = [
        (CODE, "import math\nimport os\nSCALE = 2"), (CODE, "def helper(x):\n    return x * SCALE"),
        (CODE, "class Base:\n    def f(self): return helper(math.e)"), (CODE, "class Unused(Base): pass"),
        (CODE, "class Wanted(Base):\n    def g(self): return later()"), (CODE, "def later(): return 1"),
        (CODE, "def helper(x):\n    return 0"),
    ]  # fmt: skip
    found, _ = python(cells, tmp_path)
    needed = selection.needed(found, named(found, "Wanted")[0])
    assert [one.names[0] for one in needed] == [
        "math",
        "SCALE",
        "helper",
        "Base",
        "Wanted",
        "later",
    ]
    wanted = run(needed)["Wanted"]()
    assert wanted.f() == pytest.approx(5.43656) and wanted.g() == 1


def test_definitions_that_need_each_other_and_themselves(tmp_path):
    source = "def a(): return b()\ndef b(): return a()\nclass C:\n    x: 'C'\n    def f(self): return C()"
    found, _ = python([(CODE, source)], tmp_path)
    assert len(selection.needed(found, named(found, "a")[0])) == 2
    assert len(selection.needed(found, named(found, "C")[0])) == 1


# years and points

MARKS = {
    "2023": {
        "generate_tensors_for_training_decoder_nmt",
        "TransformerDecoder",
        "BertForSentenceClassification",
    },
    "2022": {"MyLSTMCell", "MyGRUCell", "GRUEncoder", "AttentionEncoder", "RNNAttentionDecoder"},
    "2021": {"MyLSTMCell", "LSTMEncoder", "RNNAttentionDecoder", "TransformerDecoder"},
    "2019 or 2020": {"MyGRUCell", "GRUEncoder", "RNNAttentionDecoder", "TransformerDecoder"},
}


@pytest.mark.parametrize("year", MARKS)
def test_the_year_is_read_from_the_names(year):
    found, items = selection.year_of(MARKS[year], selection.load_items())
    assert found == year and items


def test_notebooks_of_one_part_have_a_year():
    years = selection.load_items()
    assert selection.year_of({"BertForSentenceClassification", "flat_accuracy"}, years)[0] == "2022"
    assert selection.year_of({"BertCSC413_Linear"}, years)[0] == "2021"


def test_an_unknown_year_has_the_items_that_are_there():
    year, items = selection.year_of({"MyGRUCell", "something"}, selection.load_items())
    assert year == "" and [item.name for item in items] == ["MyGRUCell"]
    assert selection.year_of({"something"}, selection.load_items()) == ("", [])


@pytest.mark.parametrize(
    "text",
    ["{}", "year,name\n2022,x\n", selection.POINTS.read_text() + "2022,x,y,,many,z\n",
     selection.POINTS.read_text() + "2022,x,y,,1,z,more\n"],
)  # fmt: skip
def test_a_broken_table_of_points_is_named(tmp_path, text):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"mine\.csv is no table of points"):
        selection.load_items(path)


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "mine.csv"
    text = selection.POINTS.read_text().replace("MyGRUCell,,1,", "MyGRUCell,,2.5,")
    path.write_text(text.replace("\n", "\r\n"), encoding="utf-8-sig")
    points = {(one.year, one.name): one.points for one in selection.load_items(path)}
    assert points["2022", "MyGRUCell"] == 2.5 and points["2022", "ScaledDotAttention"] == 0.5


def test_every_item_has_a_check():
    assert {one.check for one in selection.load_items()} <= {*ITEMS, "shown by"}


def test_the_points_of_2022_are_those_of_the_hand_out():
    _, items = selection.year_of(MARKS["2022"], selection.load_items())
    assert [item.points for item in items] == [1, 0.5, 0.5, 1]
