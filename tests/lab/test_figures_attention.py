"""Attention maps of a word: labelled, distributions, those of the model; drawn and told."""

import numpy as np
import pytest
import torch
from attending import COUNTS, MODELS
from drawings import alt_of, named, ticks
from handout_classes import HandoutAdditive, HandoutCausal, HandoutScaledDot
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.lab.figures.attention import (
    KINDS,
    copied_places,
    heat_maps,
    weight_on_copied,
    word_maps,
)
from a3lib.translation.batches import SOS, indices
from a3lib.translation.greedy_decoding import translate_words
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.pig_latin import to_pig_latin

WORDS = st.text("abcqu-yz", min_size=1, max_size=12)


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_layer_and_head_has_one_labelled_map_of_distributions(name):
    maps = word_maps(MODELS[name], "cat-y", "atcay-yay")
    own, layers, heads = COUNTS[name]
    kinds = [kind for kind in KINDS if own or kind == "cross"]
    assert [(one.kind, one.layer, one.head) for one in maps] == [
        (kind, layer, head)
        for kind in kinds
        for layer in range(1, layers + 1)
        for head in range(1, heads + 1)
    ]
    source, output = (*"cat-y", "EOS"), (*"atcay-yay", "EOS")
    axes = {"encoder": (source, source), "cross": (source, output)}
    axes["decoder"] = (("SOS", *output[:-1]), output)
    for one in maps:
        assert (one.keys, one.queries) == axes[one.kind]
        assert one.weights.shape == (len(one.keys), len(one.queries))
        np.testing.assert_allclose(one.weights.sum(0), 1, atol=1e-5)
        if one.kind == "decoder" and name != "not causal":
            assert not np.tril(one.weights, -1).any()  # the key stands after the query


def test_the_maps_are_those_of_the_model():
    model = MODELS["modern"]
    source, prefix = torch.tensor([indices("dog")]), torch.tensor([[SOS, *indices("ogday")[:-1]]])
    expected = model.attention_maps(source, prefix)
    for one in word_maps(model, "dog", "ogday"):
        weights = getattr(expected, one.kind)[one.layer - 1][0, one.head - 1]
        np.testing.assert_array_equal(one.weights, weights.numpy())


@pytest.mark.parametrize(
    ("settings", "classes"),
    [
        (ModelSettings("rnn-attention", 8), {"attention": HandoutAdditive}),
        (
            ModelSettings("transformer", 8, layers=2),
            {"attention": HandoutScaledDot, "causal_attention": HandoutCausal},
        ),
    ],
    ids=["rnn", "transformer"],
)
def test_classes_of_a_reader_have_maps_too(settings, classes):
    """Their weights are those of the library's classes, which compute the same."""
    own, ours = build(settings, 0, **classes), build(settings, 0)
    pairs = zip(word_maps(own, "dog", "ogday"), word_maps(ours, "dog", "ogday"), strict=True)
    for one, other in pairs:
        assert one[:5] == other[:5]
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-5)


@settings(deadline=None, max_examples=10, database=None, derandomize=True)
@given(word=WORDS, name=st.sampled_from(sorted(MODELS)))
def test_without_an_output_the_model_writes_its_own(word, name):
    (decoded,) = translate_words(MODELS[name], [word])
    queries = word_maps(MODELS[name], word)[-1].queries
    ended = len(decoded.probabilities) > len(decoded.text)
    assert queries == (*decoded.text, *(["EOS"] if ended else []))


def test_what_has_no_attention_or_is_no_word_is_refused():
    with pytest.raises(ValueError, match="does not attend"):
        word_maps(build(ModelSettings(hidden_size=4), 0), "cat")
    with pytest.raises(ValueError, match="empty"):
        word_maps(MODELS["block"], "")
    with pytest.raises(ValueError, match="'C', which is not among"):
        word_maps(MODELS["block"], "Cat")


@settings(deadline=None, max_examples=200, database=None, derandomize=True)
@given(WORDS)
def test_copied_places_spell_the_translation_and_use_every_symbol_once(word):
    places, translation = copied_places(word), to_pig_latin(word)
    assert len(places) == len(translation)
    for place, symbol in zip(places, translation, strict=True):
        assert place is None or word[place] == symbol
    assert sorted(place for place in places if place is not None) == list(range(len(word)))


def test_the_weight_on_the_copied_symbol_is_one_for_a_perfect_reader_and_a_share_for_others():
    word, output = "quite", "itequay"
    (one,) = word_maps(MODELS["additive"], word, output)
    perfect = np.zeros_like(one.weights)
    for t, place in enumerate(copied_places(word)):
        perfect[0 if place is None else place, t] = 1
    assert weight_on_copied(one._replace(weights=perfect), word) == 1
    uniform = np.full_like(one.weights, 1 / len(one.keys))
    assert weight_on_copied(one._replace(weights=uniform), word) == pytest.approx(1 / 6)


@pytest.mark.parametrize("name", MODELS)
def test_heat_maps_draw_every_map_with_its_labels(name):
    maps = word_maps(MODELS[name], "cat-y", "atcay-yay")
    picture = heat_maps("Attention", maps)
    panels = [axes for axes in picture.figure.axes if axes.images]
    assert len(panels) == len(maps) and picture.figure.get_suptitle() == "Attention"
    for axes, one in zip(panels, maps, strict=True):
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), one.weights)
        assert image.get_clim() == (0, 1)
        assert (tuple(ticks(axes.xaxis)), tuple(ticks(axes.yaxis))) == (one.queries, one.keys)
        several = len({(m.layer, m.head) for m in maps}) > 1
        place = f"\nlayer {one.layer}, head {one.head}" if several else ""
        assert axes.get_title() == (KINDS[one.kind] + place if len(maps) > 1 else "")
        assert named(axes)
    alt_of(picture)


def test_the_summary_tells_every_query_of_one_map_and_one_number_each_of_many():
    (one,) = word_maps(MODELS["additive"], "at", "at")
    weights = np.array([[0.75, 0.1, 0.0], [0.25, 0.6, 0.125], [0.0, 0.3, 0.875]])
    told = heat_maps("Attention", [one._replace(weights=weights)]).summary
    reads = "a reads a 0.75, t reads t 0.60, EOS reads EOS 0.88"
    assert told == f"output over source, layer 1, head 1: {reads}"
    many = [one._replace(weights=weights, layer=layer) for layer in (1, 2, 3)]
    parts = heat_maps("Attention", many).summary.split("; ")
    assert parts[2] == "output over source, layer 3, head 1: mean highest weight 0.74"


def test_kinds_of_maps_may_be_shown_alone():
    maps = word_maps(MODELS["transformer"], "dog", "ogday")
    picture = heat_maps("Attention", [m for m in maps if m.kind == "cross" and m.layer > 1])
    assert [axes.get_title() for axes in picture.figure.axes if axes.images] == [
        f"output over source\nlayer {layer}, head 1" for layer in (2, 3)
    ]
    assert picture.summary.count("EOS reads") == 2


def test_a_grid_with_a_missing_map_stays_in_order():
    maps = [m for m in word_maps(MODELS["transformer"], "dog", "ogday") if m.kind != "encoder"]
    picture = heat_maps("Attention", maps[1:])  # no map of the decoder's first layer
    drawn = [axes.get_title() for axes in picture.figure.axes if axes.images]
    assert drawn == [f"{KINDS[m.kind]}\nlayer {m.layer}, head 1" for m in maps[1:]]
    alt_of(picture)
