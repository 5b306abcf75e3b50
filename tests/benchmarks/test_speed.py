"""The sides of the benchmark compute the same; by how much ours is faster, `speed.py` prints."""

import pytest
import speed
import textbook
import torch

from a3lib.lab.runs import PUBLISHED_RUNS, RUNS
from a3lib.translation.batches import Batches, encode_pairs, indices
from a3lib.translation.models import build


@pytest.mark.parametrize("name", PUBLISHED_RUNS)
def test_all_sides_have_the_same_losses_for_some_updates(name):
    run = RUNS[name]
    batches = Batches(encode_pairs(list(run.split(0).train)[:300]), "buckets", 64, seed=0).of_epoch(
        0
    )[:4]
    losses = [
        [update(batch) for batch in batches]
        for update in (speed.update_of(run, s) for s in speed.SIDES)
    ]
    assert losses[0] == pytest.approx(losses[2], abs=2e-3)
    assert losses[1] == pytest.approx(losses[2], abs=2e-3)


def test_the_textbook_gets_the_same_batches():
    sides = RUNS["gru-small"].split(0).train
    ours = Batches(encode_pairs(sides), "buckets", 64, seed=0).of_epoch(0)
    theirs = textbook.bucket_batches(
        [(indices(word), indices(target)) for word, target in sides], 64
    )
    assert len(ours) == len(theirs)
    for batch, (source, target) in zip(ours, theirs, strict=True):
        assert torch.equal(batch.source, source) and torch.equal(batch.target, target)


def test_the_opponent_has_the_same_parameters():
    for name in PUBLISHED_RUNS:
        model = build(RUNS[name].model, 0)
        speed.opponent(RUNS[name].model).load_state_dict(model.state_dict())
