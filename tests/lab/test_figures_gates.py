"""Gates over a word, and right symbols by place: what is drawn and told is what was given."""

import numpy as np
import pandas as pd
import pytest
import torch
from drawings import alt_of

from a3lib.lab.figures.base import COLOURS
from a3lib.lab.figures.gates import gates
from a3lib.lab.figures.lines import right_by_place


def test_gates_are_drawn_with_their_means_below_each_letter():
    update, reset = torch.rand(4, 5), torch.rand(4, 5)
    picture = gates([*"cat", "EOS"], update, reset)
    order = update.mean(0).argsort().tolist()
    for axes, values in zip(picture.figure.axes, (update, reset), strict=False):
        assert np.allclose(axes.images[0].get_array(), values.T[order])
        means = [f"{mean:.2f}" for mean in values.mean(1).tolist()]
        shown = [tick.get_text().split("\n") for tick in axes.get_xticklabels()]
        assert shown == [[*pair] for pair in zip([*"cat", "EOS"], means, strict=True)]
        assert all(mean in alt_of(picture) for mean in means)


@pytest.mark.parametrize("sizes", [((3, 5), (3, 5)), ((4, 5), (4, 6))])
def test_gates_that_do_not_fit_the_letters_are_refused(sizes):
    with pytest.raises(ValueError, match="4 letters need two gates"):
        gates([*"cat", "EOS"], *(torch.rand(size) for size in sizes))


def test_right_symbols_are_counted_at_each_place_that_enough_words_have():
    table = pd.DataFrame({"target": ["ab"] * 3 + ["abc"], "output": ["ab", "a", "xb", "abd"]})
    picture = right_by_place("places", {"one model": table}, fewest=2)
    axes = picture.figure.axes[0]
    assert axes.lines[0].get_ydata().tolist() == [0.75, 0.75]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1\n4", "2\n4"]
    assert axes.texts[0].get_text().strip() == "one model"
    assert axes.texts[0].get_color() == axes.lines[0].get_color() == COLOURS[0]
    assert "one model: 0.75, 0.75" in alt_of(picture)
