"""Contrastive learning: the loss is open_clip's, its gradient pulls partners together, training learns."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from open_clip import CLIP, ClipLoss, CustomTextCLIP
from torch.nn import functional

from a3lib.clip.contrastive import (
    LARGEST_SCALE,
    ContrastiveSettings,
    contrastive_logits,
    contrastive_loss,
    train,
)
from a3lib.clip.small import CONTEXT, SIDE, SmallClip, Vocabulary, build
from a3lib.common import Diverged

CAPTIONS = ["red", "green", "blue", "black", "white ball", "a red ball", "grey", "the green ball"]
WORDS = Vocabulary(CAPTIONS)
TINY = ContrastiveSettings(widths=(8, 8, 8), text_width=32, dimension=16, epochs=12, batch_size=8)


def rows(seed, count=5, width=7):
    return torch.randn(2, count, width, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 10_000), st.floats(1, 100))
def test_logits_and_loss_are_open_clip_s(seed, scale):
    pictures, texts = rows(seed)
    logits = contrastive_logits(pictures, texts, scale)
    unit = functional.normalize(pictures, dim=-1), functional.normalize(texts, dim=-1)
    theirs, _ = ClipLoss().get_logits(*unit, scale)
    torch.testing.assert_close(logits, theirs, atol=1e-6 * scale, rtol=1e-6)
    loss = ClipLoss()(*unit, torch.tensor(scale))
    torch.testing.assert_close(contrastive_loss(logits), loss, atol=1e-6, rtol=1e-5)


def test_the_towers_are_a_part_of_open_clip_s_own_class():
    model = build(TINY, WORDS)
    assert isinstance(model, CustomTextCLIP)
    pictures, tokens = torch.rand(4, 3, SIDE, SIDE), WORDS.encode(CAPTIONS[:4])
    features, texts, scale = model.eval()(pictures, tokens)
    ours = contrastive_logits(model.encode_image(pictures), model.encode_text(tokens), scale)
    torch.testing.assert_close(ours, scale * features @ texts.T, atol=1e-5, rtol=1e-5)


def test_open_clip_s_published_class_gives_the_same_logits():
    vision = {"image_size": SIDE, "patch_size": 8, "layers": 1, "width": 16, "head_width": 8}
    text = {"context_length": CONTEXT, "vocab_size": 40, "layers": 1, "width": 16, "heads": 2}
    model = CLIP(12, vision, text).eval()
    pictures, tokens = torch.rand(5, 3, SIDE, SIDE), torch.randint(1, 40, (5, CONTEXT))
    scale = model.logit_scale.exp()
    theirs = model.get_logits(pictures, tokens)[0]
    ours = contrastive_logits(model.encode_image(pictures), model.encode_text(tokens), scale)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_known_loss():
    assert contrastive_loss(torch.zeros(6, 6)).item() == pytest.approx(math.log(6))
    assert contrastive_loss(1000 * torch.eye(6)).item() == 0
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    of_pictures = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(-2))]
    of_texts = [math.log(1 + math.exp(-1)), math.log(1 + math.exp(-3))]
    assert contrastive_loss(logits).item() == pytest.approx(sum(of_pictures + of_texts) / 4)


def test_the_loss_treats_pictures_and_texts_alike_and_their_order_does_not_matter():
    logits = contrastive_logits(*rows(3), 10.0)
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(contrastive_loss(logits), contrastive_loss(logits.T))
    torch.testing.assert_close(contrastive_loss(logits), contrastive_loss(logits[order][:, order]))
    assert contrastive_loss(logits) != contrastive_loss(logits[order])


def test_a_gradient_step_pulls_partners_together_and_others_apart():
    pictures, texts = rows(1)
    pictures.requires_grad_()
    contrastive_loss(contrastive_logits(pictures, texts, 5.0)).backward()
    before = contrastive_logits(pictures, texts, 1.0)
    after = contrastive_logits(pictures - 0.05 * pictures.grad, texts, 1.0)
    change = (after - before).detach()
    assert (change.diagonal() > 0).all() and change.mean() < change.diagonal().mean()


class Colours:
    """Plain colours with their names, in a new order every epoch."""

    def __init__(self, count=8):
        self.pictures = (
            torch.linspace(0, 1, count * 3).view(count, 3, 1, 1).expand(-1, -1, SIDE, SIDE)
        )
        self.tokens = WORDS.encode(CAPTIONS)

    def batches(self, size):
        return 4

    def epoch(self, size):
        for _ in range(4):
            order = torch.randperm(len(self.tokens))
            yield self.pictures[order], self.tokens[order]


def test_training_learns_which_caption_belongs_to_which_picture():
    data, model, seen = Colours(), build(TINY, WORDS), []
    history = train(model, data, TINY, 0, lambda history, model: seen.append(len(history)))
    assert seen == list(range(1, 13)) and not history.interrupted
    assert history.train[-1] < 0.3 * history.train[0]
    trained = SmallClip(model, WORDS)
    scores = trained.encode_text(CAPTIONS) @ trained.encode_image(data.pictures).T
    assert scores.argmax(1).tolist() == list(range(8))


def test_equal_seeds_give_equal_bits_and_others_do_not():
    weights = []
    for seed in (0, 0, 1):
        model = build(TINY, WORDS, seed)
        train(model, Colours(), replace(TINY, epochs=2), seed)
        weights.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert weights[0].equal(weights[1]) and not weights[0].equal(weights[2])


def test_training_leaves_the_random_state_and_threads_as_they_were():
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    train(build(TINY, WORDS), Colours(), replace(TINY, epochs=1), 0)
    assert torch.rand(3).equal(expected) and torch.get_num_threads() == threads


@pytest.mark.parametrize("learned", [True, False])
def test_the_temperature_learns_only_if_it_shall_and_stays_below_the_published_limit(learned):
    settings = replace(TINY, learned_temperature=learned, learning_rate=0.5, muon=None, epochs=2)
    model = build(settings, WORDS)
    begun = model.logit_scale.item()
    train(model, Colours(), settings, 0)
    assert (model.logit_scale.item() != begun) == learned
    assert model.logit_scale.item() <= LARGEST_SCALE + 1e-6


def test_an_infinite_loss_is_named_with_its_step():
    data = Colours()
    data.pictures = data.pictures * math.inf
    with pytest.raises(Diverged, match="at step 1 "):
        train(build(TINY, WORDS), data, TINY, 0)


def test_an_interrupt_ends_training_with_what_was_reached():
    def stop(history, model):
        if len(history) == 2:
            raise KeyboardInterrupt

    model = build(TINY, WORDS)
    history = train(model, Colours(), TINY, 0, stop)
    assert history.interrupted and len(history) == 2 and not model.training


def test_texts_become_places_between_end_marks_and_long_ones_keep_the_last():
    start, end = (WORDS.places[token] for token in WORDS.ends)
    tokens = WORDS.encode(["a red ball", "unknown zebra", "red " * 30])
    assert tokens.shape == (3, CONTEXT) and end == tokens.max()
    assert tokens[0, 0] == start and (tokens[0] == end).sum() == 1 and tokens[0, 5:].sum() == 0
    assert tokens[2, -1] == end and (tokens[2] == 0).sum() == 0
    assert WORDS.encode(["red"]).equal(WORDS.encode(["  RED "]))


def test_a_small_clip_is_used_like_clip():
    from PIL import Image

    model = SmallClip(build(TINY, WORDS), WORDS)
    picture = model.preprocess(Image.new("RGB", (90, 50), (255, 0, 0)))
    assert picture.shape == (3, SIDE, SIDE) and picture[0].min() == 1 and picture[1:].max() == 0
    both = model.encode_image(picture[None]), model.encode_text(["a red ball"])
    assert all(one.norm().item() == pytest.approx(1) and one.shape == (1, 16) for one in both)
    assert model.count_tokens("a red ball") == 5 and model.is_clip
