"""The benchmark's two sides compute the same, and ours is the faster one (by how much, `part1.py` prints)."""

import part1
import pytest
import textbook
import torch

from a3lib.training import batch_loss


@pytest.mark.parametrize("name", ["gru-small", "gru-large"])
def test_both_sides_have_the_same_losses_on_the_same_batches(name):
    ours, batches, plain, plain_batches, _ = part1.two_sides(name)
    assert len(batches) == len(plain_batches)
    for batch, (source, target) in list(zip(batches, plain_batches, strict=True))[::10]:
        assert torch.equal(batch.source, source) and torch.equal(batch.target, target)
        assert batch_loss(ours, batch).item() == pytest.approx(textbook.loss(plain, source, target).item(), abs=1e-5)


def test_updates_are_faster_than_the_textbook_version():
    ours, plain = part1.seconds_per_update("gru-small", rounds=2)
    assert ours < plain


def test_batched_decoding_is_faster_than_one_word_at_a_time():
    ours, plain = part1.decoding_seconds(rounds=1)
    assert ours < plain
