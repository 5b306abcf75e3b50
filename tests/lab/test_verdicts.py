"""The verdict rule, and the intervals and chances that it rests on, computed here another way."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from a3lib.lab.verdicts import (
    FEWEST,
    LEVEL,
    LOOK,
    OPEN,
    REVERSE,
    SAME,
    SIGNS,
    YES,
    Difference,
    bootstrap,
    decide,
    mean,
    prediction_interval,
)

properties = settings(deadline=None, max_examples=60, database=None, derandomize=True)
NUMBERS = st.floats(-1e6, 1e6)
SAMPLES = st.lists(st.integers(-1000, 1000).map(lambda n: n / 100), min_size=5, max_size=12)
PAIRED = st.lists(st.tuples(*[st.integers(-99, 99)] * 2), min_size=5, max_size=12)
OPPOSITE = {YES: REVERSE, REVERSE: YES, SAME: SAME, OPEN: OPEN}


@pytest.mark.parametrize(
    ("low", "high", "margin", "expected"),
    [
        (0.1, 0.3, 0.0, YES),
        (0.1, 0.3, 0.2, YES),
        (0.1, 0.3, 0.3, YES),  # the margin itself is no longer inside
        (0.1, 0.3, 0.31, SAME),  # zero is excluded, and yet the difference is too small to matter
        (-0.3, -0.1, 0.0, REVERSE),
        (-0.3, -0.1, 0.2, REVERSE),
        (-0.3, -0.1, 0.31, SAME),
        (-0.3, 0.1, 0.0, OPEN),
        (-0.3, 0.1, 0.2, OPEN),
        (-0.1, 0.3, 0.2, OPEN),
        (-0.1, 0.1, 0.11, SAME),
        (-0.1, 0.1, 0.1, OPEN),
        (0.0, 0.3, 0.1, OPEN),  # zero is not excluded
        (-0.3, 0.0, 0.1, OPEN),
        (0.0, 0.0, 0.01, SAME),
        (0.0, 0.0, 0.0, OPEN),  # without a margin nothing is the same
        (math.nan, math.nan, 0.1, OPEN),
    ],
)
def test_the_verdict_on_known_intervals(low, high, margin, expected):
    assert decide(low, high, margin) == expected


@properties
@given(ends=st.tuples(NUMBERS, NUMBERS).map(sorted), margin=st.floats(0, 1e6))
def test_every_verdict_has_one_meaning_and_one_of_them_applies(ends, margin):
    low, high = ends
    found = decide(low, high, margin)
    inside = max(abs(low), abs(high)) < margin
    assert (found == SAME) == inside
    assert (found == YES) == (not inside and low > 0)
    assert (found == REVERSE) == (not inside and high < 0)
    assert (found == OPEN) == (not inside and low <= 0 <= high)
    assert decide(-high, -low, margin) == OPPOSITE[found]  # the opposite claim


def test_every_verdict_has_a_sign_of_its_own():
    assert SIGNS.keys() == {YES, REVERSE, SAME, OPEN}
    assert len(set(SIGNS.values())) == 4


def test_two_looks_together_err_in_five_percent():
    """The two sums of a Pocock design with equal looks correlate by the root of one half."""
    bound = stats.norm.isf(LOOK / 2)
    both = stats.multivariate_normal([0, 0], [[1, 0.5**0.5], [0.5**0.5, 1]])
    stay = both.cdf([bound] * 2, lower_limit=[-bound] * 2)
    assert 1 - stay == pytest.approx(LEVEL, abs=1e-4)


# differences


def student(values, error):
    """Interval of a mean by the textbook's formula."""
    n, spread = len(values), np.std(values, ddof=1)
    half = stats.t.ppf(1 - error / 2, n - 1) * spread / math.sqrt(n)
    return np.mean(values) - half, np.mean(values) + half


def welch(more, less):
    """(standard error, degrees of freedom) by the formulas of Welch and Satterthwaite."""
    parts = [np.var(side, ddof=1) / len(side) for side in (more, less)]
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(side) - 1) for part, side in zip(parts, (more, less), strict=True)
    )
    return math.sqrt(sum(parts)), freedom


def varies(values):
    return np.std(values) > 1e-3


@properties
@given(pairs=PAIRED, error=st.sampled_from([LEVEL, LOOK, 0.2]))
def test_a_paired_interval_is_student_s_of_the_differences(pairs, error):
    more, less = ([value / 10 for value in side] for side in zip(*pairs, strict=True))
    gaps = [a - b for a, b in zip(more, less, strict=True)]
    assume(varies(gaps))
    found = Difference(more, less, paired=True)
    low, high = found.interval(error)
    assert low < found.mean < high
    assert (low, high) == pytest.approx(student(gaps, error), abs=1e-9)
    error_of_mean = np.std(gaps, ddof=1) / math.sqrt(len(gaps))
    chance = 2 * stats.t.sf(abs(np.mean(gaps)) / error_of_mean, len(gaps) - 1)
    assert found.p(OPEN, 0.0) == pytest.approx(chance, abs=1e-9)


@properties
@given(more=SAMPLES, less=SAMPLES, error=st.sampled_from([LEVEL, LOOK, 0.2]))
def test_an_unpaired_interval_is_welch_s(more, less, error):
    assume(varies(more) and varies(less))
    found = Difference(more, less, paired=False)
    error_of_mean, freedom = welch(more, less)
    half = stats.t.ppf(1 - error / 2, freedom) * error_of_mean
    gap = np.mean(more) - np.mean(less)
    assert found.interval(error) == pytest.approx((gap - half, gap + half), abs=1e-9)
    assert found.p(OPEN, 0.0) == pytest.approx(
        2 * stats.t.sf(abs(gap) / error_of_mean, freedom), abs=1e-9
    )
    for margin in (0.5, 5.0):  # two one-sided tests
        sides = (gap + margin) / error_of_mean, (margin - gap) / error_of_mean
        chance = min(1.0, 2 * stats.t.sf(min(sides), freedom))
        assert found.p(SAME, margin) == pytest.approx(chance, abs=1e-9)


def test_the_interval_of_a_known_sample():
    """Mean 3, variance 2.5; 2.776 is the tabulated quantile of four degrees of freedom."""
    half = 2.7764451 * math.sqrt(2.5 / 5)
    found = Difference([1, 2, 3, 4, 5], [0] * 5, paired=True)
    assert found.interval() == pytest.approx((3 - half, 3 + half), abs=1e-6)


def test_how_tells_the_test_and_the_seeds():
    five, six = [1.0, 2.0, 3.0, 4.0, 6.0], [1.0, 2.0, 3.0, 4.0, 6.0, 7.0]
    assert Difference(six, six, paired=True).how == "paired, 6 seeds"
    assert Difference(five, six, paired=False).how == "Welch, 5 and 6 seeds"


@properties
@given(
    pairs=PAIRED,
    shift=st.sampled_from([0, 0, 20, -50, 150]),
    margin=st.sampled_from([0.0, 2.0, 30.0, 100.0]),
    paired=st.booleans(),
)
def test_a_verdict_is_reached_exactly_where_its_chance_is_below_five_percent(
    pairs, shift, margin, paired
):
    more, less = zip(*pairs, strict=True)
    assume(varies(np.subtract(more, less)) and varies(more) and varies(less))
    found = Difference([value + shift for value in more], less, paired)
    low, high = found.interval()
    verdict = decide(low, high, margin)
    chance = found.p(verdict, margin)
    assert 0 <= chance <= 1
    assume(abs(chance - LEVEL) > 1e-9)
    assert (chance < LEVEL) == (verdict != OPEN)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(
    ("gap", "margin", "verdict"),
    [(0.5, 0.0, YES), (-0.5, 0.1, REVERSE), (0.0625, 0.1, SAME), (0.0, 0.1, SAME)],
)
def test_a_constant_difference_decides(paired, gap, margin, verdict):
    found = Difference([0.25 + gap] * 5, [0.25] * 5, paired)
    low, high = found.interval()
    assert low == high == found.mean == gap
    assert decide(low, high, margin) == verdict
    assert found.p(verdict, margin) == 0.0


@pytest.mark.parametrize("paired", [True, False])
def test_no_difference_at_all_without_a_margin_is_open_and_has_no_small_chance(paired):
    found = Difference([0.25] * 5, [0.25] * 5, paired)
    assert decide(*found.interval()) == OPEN
    assert found.p(OPEN, 0.0) > LEVEL


def test_a_side_that_does_not_vary_is_compared_with_one_that_does():
    values = [1.0, 1.1, 0.9, 1.2, 0.8]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is wrong with it
        found = Difference(values, [0.5] * 5, paired=False)
        assert found.interval() == pytest.approx(student(np.array(values) - 0.5, LEVEL))


@pytest.mark.parametrize("few", [[], [1.0], [1.0, 2.0, 3.0, 4.0]])
def test_fewer_than_five_values_are_refused(few):
    five = [1.0, 2.0, 3.0, 4.0, 6.0]
    told = f"an interval needs 5 values, not {len(few)}: run more seeds"
    for paired in (True, False):
        for sides in ((few, five), (five, few), (few, few)):
            with pytest.raises(ValueError, match=told):
                Difference(*sides, paired)
    for interval in (prediction_interval, bootstrap):
        with pytest.raises(ValueError, match=told):
            interval(few)


def test_pairs_of_unequal_numbers_are_refused():
    with pytest.raises(ValueError):
        Difference([1.0] * 5, [1.0] * 6, paired=True).interval()


def test_the_95_percent_interval_covers_the_difference_in_95_percent_of_samples():
    generator = np.random.default_rng(0)
    for paired in (True, False):
        covered = []
        for _ in range(700):
            noise = generator.normal(0, 5, FEWEST) if paired else 0.0
            more, less = (
                generator.normal(2, 3, FEWEST) + noise,
                generator.normal(0, 1, FEWEST) + noise,
            )
            low, high = Difference(more, less, paired).interval()
            covered.append(low <= 2 <= high)
        assert np.mean(covered) == pytest.approx(0.95, abs=0.025)


# other intervals


@pytest.mark.parametrize(("confidence", "tolerance"), [(0.99, 0.01), (0.8, 0.03)])
def test_the_prediction_interval_covers_one_further_value(confidence, tolerance):
    samples = np.random.default_rng(1).normal(-1.0, 0.5, (2000, 6))
    covered = []
    for *values, further in samples:
        low, high = prediction_interval(values, confidence)
        assert (low + high) / 2 == pytest.approx(np.mean(values))
        covered.append(low <= further <= high)
    assert np.mean(covered) == pytest.approx(confidence, abs=tolerance)


def test_the_prediction_interval_is_wider_and_of_99_percent():
    values = [1.0, 2.0, 3.0, 4.0, 6.0]
    low, high = prediction_interval(values)
    narrow_low, narrow_high = student(values, 0.01)
    assert (high - low) / (narrow_high - narrow_low) == pytest.approx(math.sqrt(6))


def test_a_bootstrap_is_seeded_and_lies_within_the_values():
    values = np.random.default_rng(2).exponential(1.0, 40)
    low, high = bootstrap(values)
    assert (low, high) == bootstrap(list(values))
    assert min(values) < low < np.mean(values) < high < max(values)
    assert bootstrap([0.25] * 8) == (0.25, 0.25)


def test_a_bootstrap_s_ends_are_percentiles_of_means_of_drawn_values():
    values = np.random.default_rng(3).exponential(1.0, 40)
    drawn = np.random.default_rng(4).choice(values, (20_000, 40)).mean(1)
    spread = drawn.std()
    assert bootstrap(values) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.08 * spread)


def test_a_bootstrap_covers_the_mean_in_about_95_percent_of_samples():
    samples = np.random.default_rng(5).uniform(0, 1, (150, 40))
    covered = [low <= 0.5 <= high for low, high in (bootstrap(some, draws=400) for some in samples)]
    assert np.mean(covered) == pytest.approx(0.94, abs=0.045)


@properties
@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=30))
def test_the_mean_has_no_error_of_a_long_sum(values):
    exact = sum(map(Fraction, values)) / len(values)
    assert mean(values) == pytest.approx(float(exact), rel=1e-15, abs=1e-300)
