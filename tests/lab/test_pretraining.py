"""Continued pretraining: masking, the tied head, and that the loss falls."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bert import tiny_encoder

from a3lib.common import Diverged
from a3lib.lab import pretraining
from a3lib.lab.pretraining import (
    CORPORA,
    MaskedLanguageModel,
    PretrainingSettings,
    corpus,
    mask,
    pieces,
    pretrain,
)

ENCODER = tiny_encoder()
TOKENIZER = ENCODER.tokenizer
TEXT = "three plus four is seven . the seven of nine is a ten . " * 200


def test_the_corpora_are_of_equal_size_and_one_speaks_of_mathematics():
    texts = {name: corpus(name) for name in CORPORA}
    assert all(499_000 < len(text) <= 500_000 for text in texts.values())
    assert texts["mathematics"].count("theorem") > 50 * max(1, texts["austen"].count("theorem"))
    assert texts["austen"].count("Mrs.") > 100 and "Mrs." not in texts["mathematics"]


def test_an_unknown_corpus_is_refused():
    with pytest.raises(ValueError, match="mathematics, austen"):
        corpus("tweets")


@pytest.mark.parametrize("length", [12, 13, 60])  # longer, too, than the model's own positions
def test_pieces_hold_the_whole_text_in_order(length):
    rows = pieces(TOKENIZER, TEXT, length)
    assert rows.shape[1] == length
    assert (rows[:, 0] == TOKENIZER.cls_token_id).all()
    assert (rows[:, -1] == TOKENIZER.sep_token_id).all()
    inner = rows[:, 1:-1].flatten().tolist()
    ids = TOKENIZER(TEXT, add_special_tokens=False, truncation=False)["input_ids"]
    assert inner == ids[: len(inner)] and len(ids) - len(inner) < length - 2


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_masking_changes_guessed_tokens_only_and_labels_them(seed):
    rows = pieces(TOKENIZER, TEXT, 12)
    changed, labels = mask(rows, TOKENIZER, 0.15, torch.Generator().manual_seed(seed))
    guessed = labels != -100
    assert torch.equal(changed[~guessed], rows[~guessed])
    assert torch.equal(labels[guessed], rows[guessed])
    assert not guessed[:, 0].any() and not guessed[:, -1].any()
    assert 0.1 < guessed[:, 1:-1].float().mean() < 0.2
    masked = (changed[guessed] == TOKENIZER.mask_token_id).float().mean()
    assert 0.7 < masked < 0.9


def test_a_batch_always_has_something_to_guess():
    rows = pieces(TOKENIZER, TEXT, 12)[:1]
    assert (mask(rows, TOKENIZER, 0.0, torch.Generator())[1] != -100).sum() == 1


def test_the_head_is_tied_and_only_guessed_places_count():
    model = MaskedLanguageModel(ENCODER).eval()
    embedding = model.trunk.get_input_embeddings().weight
    assert model.decoder.weight is embedding
    shapes = [parameter.shape for parameter in model.parameters()]
    assert shapes.count(embedding.shape) == 1 and all(not p.is_meta for p in model.parameters())
    rows = pieces(TOKENIZER, TEXT, 12)[:4]
    changed, labels = mask(rows, TOKENIZER, 0.15, torch.Generator().manual_seed(0))
    logits, loss = model(labels=labels, input_ids=changed)
    states = model.trunk(input_ids=changed).last_hidden_state
    everywhere = model.decoder(model.transform(states))  # (B, S, V)
    assert torch.allclose(logits, everywhere[labels != -100], atol=1e-6)
    expected = torch.nn.functional.cross_entropy(
        everywhere.flatten(0, 1), labels.flatten(), ignore_index=-100
    )
    assert torch.allclose(loss, expected, atol=1e-6)


def test_pretraining_lowers_the_loss_and_leaves_the_given_encoder_alone(monkeypatch):
    monkeypatch.setattr(pretraining, "corpus", lambda name: TEXT)
    before = [value.clone() for value in ENCODER.model.state_dict().values()]
    recipe = PretrainingSettings("austen", steps=60, length=12, learning_rate=1e-2)
    continued, losses = pretrain(ENCODER, recipe, seed=0)
    again, same = pretrain(ENCODER, recipe, seed=0)
    assert len(losses) == 60 and sum(losses[-10:]) < 0.7 * sum(losses[:10])
    assert losses == same and continued.name == "tiny + austen" and not continued.model.training
    assert "60 steps" in continued.origin and continued.tokenizer is TOKENIZER
    after = ENCODER.model.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    for a, b in zip(continued.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert losses != pretrain(ENCODER, recipe, seed=1)[1]


def test_more_steps_than_pieces_begin_again(monkeypatch):
    monkeypatch.setattr(pretraining, "corpus", lambda name: TEXT[:600])
    rows = pieces(TOKENIZER, TEXT[:600], 12)
    recipe = PretrainingSettings("austen", steps=6, length=12)
    assert len(rows) < recipe.steps * recipe.batch_size
    assert len(pretrain(ENCODER, recipe, seed=0)[1]) == 6


def test_a_loss_that_is_not_finite_is_told(monkeypatch):
    monkeypatch.setattr(pretraining, "corpus", lambda name: TEXT)
    broken = replace(ENCODER, model=tiny_encoder(1).model)
    with torch.no_grad():
        broken.model.embeddings.word_embeddings.weight[:] = math.nan
    with pytest.raises(Diverged, match="at step 1 with learning rate 0:"):
        pretrain(broken, PretrainingSettings("austen", steps=10, length=12), seed=0)
