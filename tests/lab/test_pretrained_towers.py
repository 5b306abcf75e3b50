"""Towers that begin pretrained: what they compute, what is locked, what learns."""

from dataclasses import replace

import pytest
import torch

from a3lib.clip.contrastive import train
from a3lib.clip.model import efficientnet
from a3lib.data.emoji import drawn
from a3lib.lab.clip_runs import CLIP_RUNS, start, vocabulary_of
from a3lib.lab.pretrained_towers import (
    DEVIATION,
    MEAN,
    PretrainedImageTower,
    PretrainedTextTower,
    SentenceVocabulary,
)
from a3lib.pretrained.encoders import load_encoder


class FewBatches:
    """The first batches of an epoch, small ones."""

    def __init__(self, data, count=2, size=12):
        self.data, self.count, self.size = data, count, size

    def batches(self, size):
        return self.count

    def epoch(self, size):
        for _, (pictures, tokens) in zip(range(self.count), self.data.epoch(size), strict=False):
            yield pictures[: self.size], tokens[: self.size]


def test_the_picture_tower_is_efficientnet_on_enlarged_pictures():
    tower = PretrainedImageTower(8, locked=True).eval()
    pictures = drawn("noto")[:3] / 255
    large = torch.nn.functional.interpolate(pictures, size=(64, 64), mode="bilinear")
    whole, _ = efficientnet()
    with torch.no_grad():
        features = whole.forward_features((large - MEAN) / DEVIATION).mean((2, 3))  # (3, 1280)
        torch.testing.assert_close(tower(pictures), tower.projection(features))


def test_the_text_tower_is_the_mean_of_minilms_states_without_padding():
    tower, words = PretrainedTextTower(8, locked=True), SentenceVocabulary()
    encoder = load_encoder(source="offline")
    for text in ("rocket", "umbrella with rain drops"):
        with torch.no_grad():
            states = encoder.model(**encoder.tokenizer(text, return_tensors="pt")).last_hidden_state
            expected = tower.projection(states.mean(1))
            torch.testing.assert_close(tower(words.encode([text])), expected, atol=1e-5, rtol=1e-5)
    assert words.encode(["a", "a " * 100]).shape == (2, 16)
    assert len(words.tokens("rocket")) == 3


@pytest.mark.parametrize("name", ["text-locked", "image-locked", "text", "image"])
def test_what_is_locked_stays_and_the_rest_learns(name):
    run = CLIP_RUNS[f"short-{name}"]
    settings = replace(run.settings, epochs=1)
    model, data = start(run, seed=0)
    pretrained = model.visual.tower if run.image else model.text.encoder
    before = {key: value.clone() for key, value in pretrained.state_dict().items()}
    projection = (model.visual if run.image else model.text).projection.weight.clone()
    train(model, FewBatches(data), settings, seed=0)
    same = [torch.equal(before[key], value) for key, value in pretrained.state_dict().items()]
    assert all(same) if run.locked else not all(same)
    after = (model.visual if run.image else model.text).projection.weight
    assert not torch.equal(projection, after)


def test_each_run_reads_with_the_tokens_of_its_tower():
    assert isinstance(vocabulary_of(CLIP_RUNS["short-text"]), SentenceVocabulary)
    assert vocabulary_of(CLIP_RUNS["short-image"]) is vocabulary_of(CLIP_RUNS["live-noto"])
