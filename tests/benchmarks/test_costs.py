"""Costs: the exponent of a known law, and that what is timed is an epoch of the size asked for."""

import math

import costs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(deadline=None, max_examples=30)
@given(st.floats(-2, 3), st.floats(1e-3, 1e3))
def test_the_exponent_of_a_power_law_is_found(power, factor):
    values = (1, 2, 5, 30)
    assert costs.exponent(values, [factor * value**power for value in values]) == pytest.approx(
        power, abs=1e-9
    )


@pytest.mark.parametrize(("words", "batch_size"), [(100, 16), (250, 64), (16000, 1024)])
def test_an_epoch_is_timed_update_by_update_and_counted_in_whole_epochs(
    monkeypatch, words, batch_size
):
    clock, sizes = iter(range(10_000)), []

    def loss(logits, target):
        sizes.append(len(target))
        return logits.sum()

    monkeypatch.setattr(
        costs.time, "process_time", lambda: next(clock)
    )  # every update takes one second
    monkeypatch.setattr(costs, "token_loss", loss)
    seconds = costs.epoch_seconds(costs.ModelSettings(hidden_size=4), words, batch_size, seed=0)
    assert seconds == math.ceil(words / batch_size)
    assert max(sizes) == min(batch_size, words) and len(sizes) == min(costs.UPDATES, seconds) + 1
