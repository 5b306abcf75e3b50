"""Figures of contrastive learning: what they say is what was given, and the live matrix follows the model."""

import numpy as np
import pytest
import torch
from torch import nn

from a3lib.lab.figures import contrastive as figures
from a3lib.lab.figures.base import bundle
from a3lib.optimization import History

IMAGES = [np.full((8, 8, 3), 40 * n, dtype=np.uint8) for n in range(5)]
NAMES = ["one", "two", "three", "four", "a name that is much too long"]


class Angles(nn.Module):
    """Pictures and tokens are angles already; `turn` moves the pictures away from the texts."""

    def __init__(self):
        super().__init__()
        self.turn = 1.0

    def encode_image(self, pictures):
        return self.encode_text(pictures[:, 0, 0, :1] + self.turn)

    def encode_text(self, tokens):
        return torch.cat([tokens.cos(), tokens.sin()], dim=1)


def panels(picture):
    return [axes for axes in picture.figure.axes if axes.images]


def test_a_contact_sheet_shows_all_pictures_and_frames_the_target():
    picture = figures.contact_sheet("Sheet", IMAGES, NAMES, columns=3, framed=2)
    assert len(panels(picture)) == 5 and picture.figure.get_suptitle() == "Sheet"
    framed = [axes.get_xlabel() for axes in panels(picture) if axes.spines["top"].get_visible()]
    assert framed == ["three"] and "5 pictures" in picture.summary and "three" in picture.summary
    assert "image/jpeg" in bundle(picture)[0]


def test_a_matrix_counts_captions_that_fit_their_own_picture():
    cosines = np.array([[0.9, 0.1], [0.8, 0.2]])
    picture = figures.matrix("Cosines", IMAGES[:2], NAMES[:2], cosines)
    assert "1 of 2 captions" in picture.summary
    assert "partners +0.55" in picture.summary and "others +0.45" in picture.summary


def test_towers_name_every_step_and_the_cosine():
    steps = (["pixels\n(3, 8, 8)", "projection"], ["tokens", "block"])
    picture = figures.towers("Towers", IMAGES[1], "a caption of some words", steps, -0.25)
    drawn = {text.get_text() for axes in picture.figure.axes for text in axes.texts}
    assert {"pixels\n(3, 8, 8)", "projection", "tokens", "block", "cosine\n-0.25"} <= drawn
    assert "-0.25" in picture.summary and "\n" not in picture.summary


def test_the_live_matrix_follows_the_model(monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "InPlace", lambda: shown.append)
    angles = torch.arange(3.0)
    pictures = angles[:, None, None, None].expand(3, 3, 8, 8)
    live = figures.LiveMatrix("Live", pictures, angles[:, None], NAMES[:3], every=2)
    history, model = History(epochs=5), Angles()
    for epoch in range(5):
        model.turn = 1.0 - epoch / 4
        history.add(epoch, 1.0, 0.5, {}, epoch)
        live(history, model)
    assert [epoch for epoch, _ in live.seen] == [1, 2, 4, 5] and len(shown) == 4
    assert {bundle(picture, live=True)[0]["text/plain"] for picture in shown} == {"Live"}
    assert [picture.figure.axes[0].get_title() for picture in shown][-1] == "Live, epoch 5 of 5"
    first, last = live.seen[0][1], live.seen[-1][1]
    np.testing.assert_allclose(np.diag(last), 1, atol=1e-6)
    np.testing.assert_allclose(first, (angles[:, None] - angles - 1).cos(), atol=1e-6)
    rising = live.rising()
    assert "partners +1.00" in rising.summary
    lines = {line.get_label(): line.get_ydata() for line in rising.figure.axes[0].lines}
    assert list(lines["partners"]) == pytest.approx([np.diag(c).mean() for _, c in live.seen])


def test_pictures_of_bytes_and_of_shares_are_drawn_alike():
    some = torch.randint(256, (2, 3, 4, 4), dtype=torch.uint8)
    whole, shares = figures.rgb(some), figures.rgb(some / 255)
    assert whole[0].shape == (4, 4, 3)
    np.testing.assert_allclose(whole[1] / 255, shares[1], atol=1e-6)
