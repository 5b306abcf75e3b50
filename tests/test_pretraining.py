"""Continued pretraining: masking, the tied head, and that the loss falls."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bert import tiny_encoder

from a3lib import pretraining
from a3lib.pretraining import CORPORA, MaskedLanguageModel, PretrainingSettings, corpus, mask, pieces, pretrain

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


def test_pieces_hold_the_whole_text_in_order():
    rows = pieces(TOKENIZER, TEXT, 12)
    assert (
        rows.shape[1] == 12
        and (rows[:, 0] == TOKENIZER.cls_token_id).all()
        and (rows[:, -1] == TOKENIZER.sep_token_id).all()
    )
    inner = rows[:, 1:-1].flatten().tolist()
    ids = TOKENIZER(TEXT, add_special_tokens=False)["input_ids"]
    assert inner == ids[: len(inner)] and len(ids) - len(inner) < 10


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_masking_changes_guessed_tokens_only_and_labels_them(seed):
    rows = pieces(TOKENIZER, TEXT, 12)
    changed, labels = mask(rows, TOKENIZER, 0.15, torch.Generator().manual_seed(seed))
    guessed = labels != -100
    assert torch.equal(changed[~guessed], rows[~guessed]) and torch.equal(labels[guessed], rows[guessed])
    assert not guessed[:, 0].any() and not guessed[:, -1].any()
    share = guessed[:, 1:-1].float().mean()
    assert 0.1 < share < 0.2
    masked = (changed[guessed] == TOKENIZER.mask_token_id).float().mean()
    assert 0.7 < masked < 0.9


def test_a_batch_always_has_something_to_guess():
    rows = pieces(TOKENIZER, TEXT, 12)[:1]
    assert (mask(rows, TOKENIZER, 0.0, torch.Generator())[1] != -100).sum() == 1


def test_the_head_is_tied_and_only_guessed_places_count():
    model = MaskedLanguageModel(ENCODER)
    assert model.head.embedding is model.trunk.get_input_embeddings()
    names = [name for name, _ in model.named_parameters()]
    assert sum("word_embeddings" in name or name.endswith("embedding.weight") for name in names) == 1
    rows = pieces(TOKENIZER, TEXT, 12)[:4]
    changed, labels = mask(rows, TOKENIZER, 0.15, torch.Generator().manual_seed(0))
    model.eval()
    _, loss = model(labels=labels, input_ids=changed)
    (logits,) = model(input_ids=changed)  # (B, S, V)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    assert torch.allclose(loss, expected, atol=1e-6)


def test_pretraining_lowers_the_loss_and_leaves_the_given_encoder_alone(monkeypatch):
    monkeypatch.setattr(pretraining, "corpus", lambda name: TEXT)
    before = [value.clone() for value in ENCODER.model.state_dict().values()]
    recipe = PretrainingSettings("austen", steps=60, length=12, learning_rate=1e-2)
    continued, losses = pretrain(ENCODER, recipe, seed=0)
    again, same = pretrain(ENCODER, recipe, seed=0)
    assert len(losses) == 60 and sum(losses[-10:]) < 0.7 * sum(losses[:10])
    assert losses == same and continued.name == "tiny + austen" and not continued.model.training
    assert all(torch.equal(a, b) for a, b in zip(before, ENCODER.model.state_dict().values(), strict=True))
    for a, b in zip(continued.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
