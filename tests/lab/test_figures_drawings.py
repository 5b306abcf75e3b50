"""Drawings: every letter and number is on them, texts keep clear of each other, errors say what to do."""

import io
from collections import Counter
from itertools import combinations

import matplotlib.style
import numpy as np
import pytest
import torch
from drawings import alt_of
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from a3lib.lab.figures import drawings as figures
from a3lib.lab.figures.base import bundle
from a3lib.translation.attention import CausalScaledDotAttention
from a3lib.translation.batches import SOS, indices
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.pig_latin import to_pig_latin
from a3lib.translation.transformer import DecoderBlock
from a3lib.translation.translator import Memory

COUNTS = {"word vectors": 23_837_184, "12 layers": 85_054_464, "pooler": 590_592, "head": 2_307}
WORDS = st.text("abcdmw-", min_size=1, max_size=9)


def step(letter="c", seed=0):
    """What a cell computes from a letter: the values that `gru_cell` draws."""
    model = build(ModelSettings("gru", 8), seed)
    cell = model.encoder.gru
    x = model.encoder.embedding(torch.tensor(indices(letter)[:1]))
    h = model.encoder(torch.tensor([indices("ba")])).states[:, 1]
    z, r = torch.sigmoid(cell.Wiz(x) + cell.Whz(h)), torch.sigmoid(cell.Wir(x) + cell.Whr(h))
    g = torch.tanh(cell.Wih(x) + cell.Whh(r * h))
    return {"x": x, "h_prev": h, "z": z, "r": r, "candidate": g, "h_new": cell(x, h)}


def asked(word="cat", writing="a", scores=None):
    """The arguments of `attention_step` for a word."""
    letters = [*word, "EOS"]
    scores = torch.linspace(-1.5, 2.5, len(letters)) if scores is None else torch.tensor(scores)
    return letters, [0.5, -0.25, 1.0], scores, scores.softmax(0), [1.25, 0.0, -2.0, 3.0], writing


DRAWN = {
    "gru cell": lambda: figures.gru_cell(step(), "c"),
    "gru cell without a letter": lambda: figures.gru_cell(step(), units=2),
    "unrolled": lambda: figures.unrolled("cat", "atcay"),
    "unrolled, short and long": lambda: figures.unrolled("a", "m" * 20),
    "unrolled, as long as can be": lambda: figures.unrolled("conditioning", "onditioningcay"),
    "unrolled, wrong": lambda: figures.unrolled("cat", "atcay", "atway"),
    "unrolled, free": lambda: figures.unrolled("cat", "atcay", "atwayway", forced=False),
    "attention": lambda: figures.attention_step(*asked()),
    "attention, one letter": lambda: figures.attention_step(*asked("")),
    "attention, all weight": lambda: figures.attention_step(*asked("it", "w", [0.0, 9.0, 0.0])),
    "attention, long": lambda: figures.attention_step(*asked("conditioning", "EOS")),
    "mask": lambda: figures.causal_mask(["SOS", *"atcay"]),
    "mask, one letter": lambda: figures.causal_mask(["SOS"]),
    "mask, long": lambda: figures.causal_mask(["SOS", *"onditioningca"], -torch.ones(14, 14)),
    "mask, turned": lambda: figures.causal_mask(["SOS", *"atc"], queries_down=True),
    "block": lambda: figures.transformer_block("cat", "atcay", 32, 64),
    "block, long": lambda: figures.transformer_block("conditioning", "onditioningcay", 512, 128),
    "frozen": lambda: figures.finetune_or_frozen(COUNTS),
    "frozen, many parts": lambda: figures.finetune_or_frozen(
        {f"layer {n}": 7_087_872 for n in range(1, 9)}, {"two of them": ["layer 7", "layer 8"]}
    ),
}


def texts(picture):
    """The texts of a drawing in the order in which they were written, narrow ones put together."""
    written = [one.get_text() for one in picture.figure.axes[0].texts]
    return ["".join(one.split("\n")) if len(one) < 6 else one for one in written]


def extents(picture):
    """(text, its bounding box in pixels) of all texts, and the bounding boxes of all boxes."""
    canvas = FigureCanvasAgg(picture.figure)
    canvas.draw()
    (axes,) = picture.figure.axes
    shown = [*axes.texts, picture.figure._suptitle]
    boxes = [one for one in axes.patches if isinstance(one, FancyBboxPatch)]
    return (
        [(one.get_text(), one.get_window_extent(canvas.get_renderer())) for one in shown],
        [one.get_window_extent() for one in boxes],
    )


def overlap(one, other):
    """Pixels that two bounding boxes share, the smaller way."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    return min(across, down)


@pytest.mark.parametrize("name", DRAWN)
def test_texts_keep_clear_of_each_other_within_their_boxes_and_the_picture(name):
    picture = DRAWN[name]()
    shown, boxes = extents(picture)
    for (one, a), (other, b) in combinations(shown, 2):
        assert overlap(a, b) < 1, (one, other)
    wide, high = picture.figure.bbox.width, picture.figure.bbox.height
    for text, where in shown:
        assert where.x0 >= 0 and where.y0 >= 0 and where.x1 <= wide and where.y1 <= high, text
        for box in boxes:
            inside = box.x0 <= where.x0 and where.x1 <= box.x1
            inside = inside and box.y0 <= where.y0 and where.y1 <= box.y1
            assert inside or overlap(box, where) < 1, text
    for one, other in combinations(boxes, 2):
        assert overlap(one, other) < 1
    assert all(box.x0 >= 0 and box.x1 <= wide for box in boxes)


@pytest.mark.parametrize("name", [name for name in DRAWN if "," not in name])
def test_a_drawing_is_named_fits_a_page_and_is_the_same_under_a_dark_style(name):
    picture = DRAWN[name]()
    alt_of(picture)
    with matplotlib.style.context("dark_background"):
        dark = bundle(DRAWN[name]())[0]["image/png"]
    light = bundle(picture)[0]["image/png"]
    assert Image.open(io.BytesIO(light)).width <= 900
    drawn = [np.array(Image.open(io.BytesIO(one)).convert("RGB")) for one in (light, dark)]
    np.testing.assert_array_equal(*drawn)
    for text in picture.figure.axes[0].texts:
        if to_rgb(text.get_color()) != (1, 1, 1):  # white is used on blue alone
            assert max(to_rgb(text.get_color())) < 0.5


def test_the_cell_shows_the_first_numbers_of_all_its_parts():
    values = step("c")
    picture = figures.gru_cell(values, "c", units=2)
    assert picture.title == "One step of the GRU cell, which reads c"
    for part in values.values():
        first = "  ".join(f"{value:+.2f}" for value in part[0, :2]).replace("-", "−")
        assert any(text.endswith(f"\n{first} …") for text in texts(picture))
    assert any(text.startswith("input c") for text in texts(picture))
    share = values["z"].mean()
    assert f"over 8 units the cell keeps {1 - share:.0%} of the state before" in picture.summary
    told = picture.summary.replace("−", "-").split("becomes ")[1]
    assert float(told.split("≈ ")[1]) == pytest.approx(values["h_new"][0, 0].item(), abs=0.006)
    assert told.startswith(f"(1 - {values['z'][0, 0]:.2f}) × ({values['h_prev'][0, 0]:+.2f})")
    assert texts(figures.gru_cell(step("d"), "d")) != texts(figures.gru_cell(values, "c"))


def test_the_cell_takes_lists_and_refuses_what_is_none_of_its_steps():
    values = {name: part[0].tolist() for name, part in step().items()}
    assert texts(figures.gru_cell(values)) == texts(figures.gru_cell(step()))
    with pytest.raises(ValueError, match=r"lack z, r: give x, h_prev, z"):
        figures.gru_cell({name: values[name] for name in values if name not in "zr"})
    with pytest.raises(ValueError, match=r"not \(1 - z\) h_prev .*whose z weighs the candidate"):
        figures.gru_cell(values | {"z": [1 - z for z in values["z"]]})  # PyTorch's z
    with pytest.raises(ValueError, match="give H numbers each"):
        figures.gru_cell(values | {"r": [0.5]})
    with pytest.raises(ValueError, match=r"candidate: \[nan\] should be finite"):
        figures.gru_cell(values | {"candidate": [float("nan")]})


@settings(deadline=None, max_examples=8, database=None, derandomize=True)
@given(WORDS, WORDS)
def test_every_symbol_that_is_read_written_or_fed_back_has_a_box(source, target):
    picture = figures.unrolled(source, target)
    read, right = [*source, "EOS"], [*target, "EOS"]
    expected = Counter(read + 2 * right + ["SOS", *target])  # right: written and should be written
    found = Counter(texts(picture))
    assert {symbol: found[symbol] for symbol in expected} == expected
    assert found["GRU"] == len(read) + len(right) and found["="] == len(right)
    assert picture.summary.startswith(f"the encoder reads {' '.join(read)}; ")
    assert picture.summary.endswith(f"writes {' '.join(right)} in {len(right)} steps; wrong: none")


def test_what_is_wrong_is_marked_and_told():
    """Under teacher forcing it is not fed back, otherwise it is."""
    forced = figures.unrolled("cat", "atcay", ["a", "t", "w", "a", "y", "EOS"])
    free = figures.unrolled("cat", "atcay", "atway", forced=False)
    for picture in (forced, free):
        assert (texts(picture).count("≠"), texts(picture).count("=")) == (1, 5)
        assert picture.summary.endswith("wrong: w instead of c at step 3")
    assert (texts(forced).count("w"), texts(free).count("w")) == (1, 2)  # written, and fed back
    assert "fed SOS and then the right symbol" in forced.summary
    assert "fed SOS and then its own symbol" in free.summary
    longer = figures.unrolled("cat", "atcay", "atcayay", forced=False)
    assert longer.summary.endswith("in 8 steps; wrong: a instead of EOS at step 6")


def test_changing_the_word_changes_the_drawing():
    for one, other in (
        (("cat", "atcay"), ("dog", "ogday")),
        (("cat", "atcay"), ("cats", "atscay")),
    ):
        for draw in (figures.unrolled, lambda *words: figures.transformer_block(*words, 32)):
            assert texts(draw(*one)) != texts(draw(*other))


def test_words_that_cannot_be_unrolled_are_refused():
    with pytest.raises(ValueError, match="'' has no symbol: give a word"):
        figures.unrolled("", "ay")
    with pytest.raises(ValueError, match="'C', which is not among"):
        figures.unrolled("Cat", "atcay")
    with pytest.raises(ValueError, match=r"31 symbols are too many side by side \(28\)"):
        figures.unrolled("a" * 14, "a" * 15)
    with pytest.raises(ValueError, match=r"6 symbols are written, not 8: .* forced=False"):
        figures.unrolled("cat", "atcay", "atcayay")


@settings(deadline=None, max_examples=10, database=None, derandomize=True)
@given(st.lists(st.floats(-4, 4, width=16), min_size=1, max_size=12))
def test_an_attention_step_shows_all_its_numbers(scores):
    letters, query, scores, weights, context, _ = asked("m" * (len(scores) - 1), scores=scores)
    picture = figures.attention_step(letters, query, scores, weights, context, "w")
    shown = texts(picture)
    expected = Counter(f"{score:+.2f}".replace("-", "−") for score in scores.tolist())
    expected += Counter(f"{weight:.2f}" for weight in weights.tolist()) + Counter(letters)
    assert not expected - Counter(shown)
    assert "query\n+0.50  −0.25  +1.00" in shown
    assert "context: sum of\nweights × values\n+1.25  +0.00  −2.00 …" in shown
    heights = [
        bar.get_height() for container in picture.figure.axes[0].containers for bar in container
    ]
    assert heights == pytest.approx(weights.tolist())
    best = int(weights.argmax())
    assert picture.title == "One step of attention: the decoder writes w"
    assert picture.summary.startswith(
        f"{letters[best]} (place {best + 1}) is read most, with score"
    )


def test_attention_steps_of_a_model_are_drawn_as_they_are():
    """Scores are what its softmax gets."""
    model, seen = build(ModelSettings("rnn-attention", 8), 0), []
    attention = model.decoder.attention
    attention.softmax.register_forward_hook(lambda _, given, out: seen.append(given[0]))
    memory = model.encoder(torch.tensor([indices("cat")]))
    context, weights = attention(memory.last, memory.states, memory.states)
    letters = [*"cat", "EOS"]
    picture = figures.attention_step(letters, memory.last, seen[0], weights, context, "a")
    for letter, weight in zip(letters, weights.flatten().tolist(), strict=True):
        assert f"{letter} {weight:.2f}" in picture.summary


def test_numbers_of_no_attention_step_are_refused():
    letters, query, scores, weights, context, writing = asked()
    with pytest.raises(ValueError, match="3 letters, 4 scores, 4 weights: give one each"):
        figures.attention_step(letters[1:], query, scores, weights, context, writing)
    with pytest.raises(ValueError, match="are not the softmax of"):
        figures.attention_step(letters, query, scores, weights.flip(0), context, writing)
    with pytest.raises(ValueError, match="at most 14"):
        figures.attention_step(*asked("m" * 14))
    with pytest.raises(ValueError, match=r"the query: \[\] should be"):
        figures.attention_step(letters, [], scores, weights, context, writing)


@pytest.mark.parametrize("queries_down", [False, True])
def test_the_staircase_is_that_of_causal_attention(queries_down):
    """The weights are the model's; the crossed out scores are those of later keys."""
    torch.manual_seed(0)
    attention, x = CausalScaledDotAttention(8), torch.randn(1, 5, 8)
    _, weights = attention(x, x, x)
    scores = attention.K(x) @ attention.Q(x).mT * attention.scaling_factor
    letters = ["SOS", *"atca"]
    picture = figures.causal_mask(letters, scores, queries_down)
    turned = [part[0].T if queries_down else part[0] for part in (scores, weights)]
    grid = [f"{value:.2f}" for part in turned for value in part.flatten().tolist()]
    shown = [one for one in texts(picture) if one[-1].isdigit()]
    order = range(25) if not queries_down else np.arange(25).reshape(5, 5).T.ravel()
    assert shown == [grid[25 * part + n] for part in (0, 1) for n in order]
    assert Counter(texts(picture))["SOS"] == 4
    crossed = picture.figure.axes[0].lines
    assert len(crossed) == 10
    for line in crossed:  # y goes up, the rows go down
        column = round((min(line.get_xdata()) - 0.75) / 0.5)
        row = 4 - round((min(line.get_ydata()) - 0.4) / 0.5)
        assert column > row if queries_down else column < row
    told = "each of 5 places sees itself and those before, SOS 1, a 5; crossed out: 10 of 25"
    assert picture.summary == told


def test_without_scores_each_place_looks_evenly_at_what_it_sees():
    shown = Counter(texts(figures.causal_mask(["SOS", *"ab"])))
    assert (shown["1.00"], shown["0.50"], shown["0.33"]) == (1, 2, 3)
    assert shown["0.00"] == 9 + 3  # scores, and weights of what is not seen


def test_scores_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"4 scores for 3 letters: give \(T, T\)"):
        figures.causal_mask("abc", torch.zeros(2, 2))
    with pytest.raises(ValueError, match="at most 14 letters"):
        figures.causal_mask("a" * 15)
    with pytest.raises(ValueError, match="should be finite numbers"):
        figures.causal_mask("ab", torch.full((2, 2), -torch.inf))


@settings(deadline=None, max_examples=10, database=None, derandomize=True)
@given(WORDS, st.integers(1, 3))
def test_the_shapes_of_the_block_are_those_of_the_library(word, B):
    target, H = to_pig_latin(word), 8
    picture = figures.transformer_block(word, target, H, B)
    block, seen = DecoderBlock(H), {}
    for name in ("attention", "cross"):
        getattr(block, name).register_forward_hook(
            lambda _, given, out, name=name: seen.update({name: tuple(out[1].shape)})
        )
    prefix = torch.tensor([[SOS, *indices(target)[:-1]]] * B)
    states = torch.randn(B, len(word) + 1, H)
    out = block(torch.randn(*prefix.shape, H), Memory(states, None, None, None))
    shown = texts(picture)
    assert shown.count(str(tuple(out.shape))) == 3 and shown.count("+") == 3
    assert any(f"the shape (B, T, H) = {tuple(out.shape)} stays" in text for text in shown)
    assert f"causal self-attention\nweights {seen['attention']}" in shown
    assert f"attention to the source\nweights {seen['cross']}" in shown
    assert f"states of the encoder: {' '.join(word)} EOS\n{tuple(states.shape)}" in shown
    assert any(text.startswith(f"SOS {' '.join(target)}\n") for text in shown)
    assert f"stream keeps its shape {tuple(out.shape)}" in picture.summary
    without = texts(figures.transformer_block(word, target, H, B, positions=False))
    assert any("\nembedding\n" in text for text in without) and "positions" not in str(without)


def test_what_learns_is_said_with_its_number_of_weights():
    picture = figures.finetune_or_frozen(COUNTS)
    shown = texts(picture)
    for name, count in COUNTS.items():
        assert any(text == f"{name}\n{count:,}\nlearns" for text in shown)
        assert (f"{name}\n{count:,}\nstays" in shown) == (name != "head")
    assert "109,484,547 of\n109,484,547 learn" in shown and "2,307 of\n109,484,547 learn" in shown
    assert picture.summary.endswith("frozen encoder: 2,307 of 109,484,547 weights learn (head)")
    boxes = [one for one in picture.figure.axes[0].patches if isinstance(one, FancyBboxPatch)]
    assert len({one.get_edgecolor() for one in boxes}) == 2


def test_other_parts_can_learn_but_must_be_there():
    two = figures.finetune_or_frozen(COUNTS, {"last two": ["pooler", "head"]})
    assert "592,899 of\n109,484,547 learn" in texts(two)
    with pytest.raises(ValueError, match=r"'tail' trains \['tail'\]: name some of"):
        figures.finetune_or_frozen(COUNTS, {"tail": ["tail"]})
    with pytest.raises(ValueError, match=r"trains \[\]: name some of \[\]"):
        figures.finetune_or_frozen({})
