"""The notebooks' prose: sentences that can be read, and no number that no cell shows."""

import re
from pathlib import Path

import nbformat
import pytest
from execute_notebooks import CITATION

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
MEAN, LONGEST = 15, 30  # words of a sentence
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])")
# numbers of the assignment, of papers and of this project's rules, which no cell of the notebook computes
CONSTANTS = {
    "1_gru_translation": {"95"},  # the level of its intervals, in per cent
    "2_attention": {
        "0.0005",  # the hand-out's learning rate in Part 2.2
        "4200",  # gradient steps of the like-for-like runs
        "119",  # seconds of the write-up's run with attention
        "153",  # and without
    },
    "3_transformer": set(),
    "4_bert": set(),
    "5_clip": {
        "2014",  # a paper's year
        "605",  # MB of OpenAI's ViT-B/32
        "400",  # most texts of a run with CLIP on a CPU, asserted by test_models_by_name
        "5000",  # bootstrap draws, of verdicts.bootstrap
        "65",  # % of captions on halves of the gallery, when the stand-in was chosen
    },
}


def paragraphs(notebook):
    """Paragraphs and list items of the prose: no code, tables, headings, citations, folded solutions."""
    text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = CITATION.sub("", text)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    text = re.sub(r"\$[^$]*\$", "formula", text)
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"<[^>]*>", "", text)
    number = r"\d+(?:\.\d+)*"
    text = re.sub(
        rf"([Ss]ections?|[Ee]xercises?|[Qq]uestions?|Hint|Part|Q) ?{number}(?: (?:to|and) {number})?",
        r"\1",
        text,
    )
    for part in re.split(r"\n\s*\n|\n\s*(?:[-*]|\d+\.)\s+", text):
        if not re.match(r"\s*(?:#|\|)", part) and part.strip():
            yield " ".join(part.split())


def sentences(notebook):
    """The sentences of the prose as lists of words."""
    for part in paragraphs(notebook):
        for one in re.split(r"(?<=[.!?:])[)*”\"]*\s+(?=[\W_]*[A-Z0-9])", part):
            words = [word for word in one.split() if re.search(r"\w", word)]
            if words:
                yield words


def shown_numbers(notebook):
    """All numbers in code, outputs and alt texts, as they are written."""
    texts = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            texts.append(cell.source)
            for output in cell.outputs:
                data, metadata = output.get("data", {}), output.get("metadata", {})
                texts += [output.get("text", ""), *(v for v in data.values() if isinstance(v, str))]
                texts += [of["alt"] for of in metadata.values() if "alt" in of]
    return {
        n.replace(",", "") for text in texts if len(text) < 100_000 for n in NUMBER.findall(text)
    }


def unbound(notebook, constants):
    """Numbers of the prose that no cell of the notebook shows, also not as a share or less rounded."""
    shown = shown_numbers(notebook)
    values = [float(number) for number in shown if "." in number]
    left = set()
    for part in paragraphs(notebook):
        for match in NUMBER.finditer(part):
            number = match.group().replace(",", "")
            places, share = len(number.partition(".")[2]), part[match.end() :].startswith(" %")
            scale = 100 if share else 1
            same = any(f"{scale * value:.{places}f}" == number for value in values)
            if number not in shown and number not in constants and not same:
                left.add(number)
    return left


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_sentences_are_short(path):
    found = list(sentences(nbformat.read(path, as_version=4)))
    long = [" ".join(words) for words in found if len(words) > LONGEST]
    assert not long, "\n".join(long)
    assert sum(map(len, found)) / len(found) <= MEAN


def test_numbers_in_prose_are_shown_by_a_cell(path):
    assert unbound(nbformat.read(path, as_version=4), CONSTANTS[path.stem]) == set()
