"""Zero-shot labels: scores by hand, ensembles of templates, and the temperature that fits."""

import math

import pytest
import torch
from fake_clip import COLOURS, FakeClip, paint
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.clip import zero_shot
from a3lib.clip.gallery import Gallery
from a3lib.lab import calibration


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    return Gallery(FakeClip(), paint(tmp_path_factory.mktemp("pictures")), cache=None)


def test_labels_fit_their_pictures_and_one_template_is_its_own_ensemble(gallery):
    labels = list(COLOURS)
    scores = zero_shot.label_scores(gallery, labels, ["a {} thing"])
    assert scores.shape == (len(gallery), len(labels)) and scores.argmax(1).tolist() == list(
        range(len(labels))
    )
    assert torch.allclose(
        scores.T, gallery.scores([f"a {label} thing" for label in labels]), atol=1e-6
    )
    assert torch.allclose(
        scores, zero_shot.label_scores(gallery, labels, ["a {} thing"] * 3), atol=1e-6
    )


def test_an_ensemble_averages_text_vectors_and_normalises(gallery):
    templates, model = ["{}", "a {} thing here"], gallery.model
    mean = sum(model.encode_text([template.format("red")])[0] for template in templates) / 2
    expected = gallery.features @ (mean / mean.norm())
    assert torch.allclose(
        zero_shot.label_scores(gallery, ["red"], templates)[:, 0], expected, atol=1e-6
    )


@given(st.floats(2, 100), st.integers(0, 5))
@settings(deadline=None, max_examples=15)
def test_the_scale_of_drawn_labels_is_found_again(scale, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(4000, 5, generator=generator) * 10 / scale
    targets = torch.multinomial((scale * scores).softmax(-1), 1, generator=generator)[:, 0]
    assert calibration.fit_scale(scores, targets) == pytest.approx(scale, rel=0.15)


def test_the_fitted_scale_has_the_lowest_log_loss():
    generator = torch.Generator().manual_seed(0)
    scores, targets = (
        torch.randn(50, 4, generator=generator),
        torch.randint(4, (50,), generator=generator),
    )
    scores[torch.arange(50), targets] += 0.8
    scores /= 10  # as cosines, which lie close together
    best = calibration.fit_scale(scores, targets)
    losses = {
        scale: float(calibration.log_loss(scores, targets, scale).mean())
        for scale in (best, best / 1.2, best * 1.2)
    }
    assert min(losses, key=losses.get) == best


def test_log_loss_is_in_nats_per_picture():
    loss = calibration.log_loss(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), [0, 1], scale=2.0)
    assert loss.tolist() == pytest.approx([math.log(1 + math.exp(-2)), math.log(2)])
