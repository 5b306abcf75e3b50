"""Claims: the rule for verdicts, the intervals it rests on, and how a claim is shown."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from a3lib.claims import (
    FAILS,
    HOLDS,
    OPEN,
    Claim,
    Claims,
    above,
    below,
    compare,
    contrast,
    differences,
    equal,
    inside,
    interval,
    prediction_interval,
    verdict,
)

NUMBERS = st.floats(-1e6, 1e6)
SAMPLES = st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=12)


@pytest.mark.parametrize(
    ("low", "high", "margin", "expected"),
    [
        (0.1, 0.3, 0.0, HOLDS),
        (0.1, 0.3, 1.0, HOLDS),  # a small difference is a difference
        (-0.3, -0.1, 0.0, FAILS),
        (-0.3, 0.1, 0.0, OPEN),
        (-0.3, 0.1, 0.2, OPEN),
        (-0.1, 0.3, 0.2, OPEN),
        (-0.1, 0.1, 0.1, FAILS),
        (-0.1, 0.1, 0.0999, OPEN),
        (0.0, 0.3, 0.1, OPEN),  # zero is not excluded
        (-0.3, 0.0, 0.1, OPEN),
        (0.0, 0.0, 0.0, FAILS),
        (math.nan, math.nan, 0.1, OPEN),
    ],
)
def test_verdict_on_known_intervals(low, high, margin, expected):
    assert verdict(low, high, margin) == expected


@settings(deadline=None, max_examples=200)
@given(ends=st.tuples(NUMBERS, NUMBERS).map(sorted), margin=st.floats(0, 1e6))
def test_exactly_one_verdict_applies(ends, margin):
    low, high = ends
    found = verdict(low, high, margin)
    assert (found == HOLDS) == (low > 0)
    other_way, negligible = high < 0, max(abs(low), abs(high)) <= margin and low <= 0
    assert (found == FAILS) == (other_way or negligible)
    assert (found == OPEN) == (low <= 0 <= high and max(-low, high) > margin)
    if found == HOLDS:
        assert verdict(-high, -low, margin) == FAILS  # the opposite claim


@settings(deadline=None, max_examples=30)
@given(values=SAMPLES, confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_interval_is_student_s_t(values, confidence):
    mean, low, high = interval(values, confidence)
    assert low <= mean <= high
    assert mean == pytest.approx(np.mean(values), abs=1e-9)
    error = stats.sem(values)
    if error > 1e-6:
        expected = stats.t.interval(confidence, len(values) - 1, np.mean(values), error)
        assert (low, high) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_interval_of_a_known_sample():
    """Mean 3, standard deviation sqrt(2.5), and the tabulated quantile 2.776 of four degrees of freedom."""
    half = 2.7764451 * math.sqrt(2.5 / 5)
    assert interval([1, 2, 3, 4, 5]) == pytest.approx((3, 3 - half, 3 + half), abs=1e-6)


def test_the_95_percent_interval_covers_the_mean_in_95_percent_of_samples():
    samples = np.random.default_rng(0).normal(2.0, 3.0, (2000, 5))
    covered = np.mean([low <= 2.0 <= high for _, low, high in map(interval, samples)])
    assert covered == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("confidence", "tolerance"), [(0.99, 0.01), (0.8, 0.03)])
def test_the_prediction_interval_covers_one_further_value(confidence, tolerance):
    samples = np.random.default_rng(1).normal(-1.0, 0.5, (2000, 6))
    covered = []
    for *values, further in samples:
        mean, low, high = prediction_interval(values, confidence)
        assert mean == pytest.approx((low + high) / 2)
        covered.append(low <= further <= high)
    assert np.mean(covered) == pytest.approx(confidence, abs=tolerance)


def test_the_prediction_interval_is_wider_and_of_99_percent():
    values = [1.0, 2.0, 3.0, 4.0, 6.0]
    _, low, high = prediction_interval(values)
    _, narrow_low, narrow_high = interval(values, 0.99)
    assert (high - low) / (narrow_high - narrow_low) == pytest.approx(math.sqrt(6))


@pytest.mark.parametrize("few", [[], [1.0], [1.0, 2.0, 3.0, 4.0]])
@pytest.mark.parametrize("function", [interval, prediction_interval])
def test_fewer_than_five_values_are_refused(function, few):
    with pytest.raises(ValueError, match=f"at least 5 values, not {len(few)}: run more seeds"):
        function(few)


def records(values, seeds=None, **settings_changes):
    """Records as `experiments.train` makes them, with as little as `compare` needs."""
    training = {"learning_rate": 0.005, "batch_size": settings_changes.pop("batch_size", 64)}
    run = {"name": "some", "training": training, "data": "small", "validation": "common", **settings_changes}
    return [
        {"seed": seed, "settings": run, "metrics": {"loss": value}, "history": {"train": [9.0, value]}}
        for seed, value in zip(seeds or range(len(values)), values, strict=True)
    ]


def comparison(more, less, margin=0.0, factor=(), metric="loss"):
    return compare("Q1", "more is more", more, less, metric, margin, factor)


def test_compare_pairs_the_seeds():
    """The seeds' own scatter is far larger than the difference, which only pairing shows."""
    base = [1.0, 50.0, 3.0, 20.0, 100.0]
    more = [value + 0.5 + 0.01 * (-1) ** i for i, value in enumerate(base)]
    claim = comparison(records(more), records(base))
    assert claim.verdict == HOLDS
    _, low, high = interval([a - b for a, b in zip(more, base, strict=True)])
    assert claim.measured == f"35.302 against 34.800: +0.502 ({low:+.3f} to {high:+.3f})"
    assert comparison(records(base), records(more)).verdict == FAILS
    assert comparison(records(more[::-1]), records(base)).verdict == OPEN


def test_compare_takes_the_margin_and_a_function_of_a_record():
    noisy = [0.01, -0.01, 0.02, -0.02, 0.0]
    claims = [comparison(records(noisy), records([0.0] * 5), margin) for margin in (0.0, 0.05)]
    assert [claim.verdict for claim in claims] == [OPEN, FAILS]
    final = comparison(
        records([3.0, 3.1, 3.2, 3.1, 3.0]), records([1.0] * 5), metric=lambda r: r["history"]["train"][-1]
    )
    assert final.verdict == HOLDS


def test_contrast_compares_two_metrics_of_the_same_runs():
    runs = records([2.0, 2.2, 2.1, 1.9, 2.0])
    claim = contrast("Q2", "it fell", runs, lambda r: r["history"]["train"][0], "loss", margin=0.1, digits=2)
    _, low, high = interval([7.0, 6.8, 6.9, 7.1, 7.0])
    assert claim == Claim("Q2", "it fell", f"9.00 against 2.04: +6.96 ({low:+.2f} to {high:+.2f})", HOLDS)
    assert contrast("Q2", "it rose", runs, "loss", lambda r: r["history"]["train"][0], margin=0.1).verdict == FAILS
    assert contrast("Q2", "it differs", runs, "loss", "loss", margin=0.1).verdict == FAILS
    with pytest.raises(ValueError, match="at least 5"):
        contrast("Q2", "it fell", runs[:4], "loss", "loss", margin=0.1)


def test_unequal_seeds_and_too_few_are_refused():
    five = records([1.0] * 5)
    with pytest.raises(ValueError, match=r"Q1 compares seeds .*same seeds"):
        comparison(five, records([1.0] * 5, seeds=[0, 1, 2, 3, 5]))
    with pytest.raises(ValueError, match=r"same seeds"):
        comparison(five, records([1.0] * 6))
    with pytest.raises(ValueError, match=r"at least 5"):
        comparison(five[:4], five[:4])


def test_what_differs_besides_the_factor_is_told():
    small = records([2.0, 2.1, 2.2, 2.1, 2.0])
    large = records([1.0] * 5, data="large", batch_size=512, name="other")
    claim = comparison(small, large, factor=("data",))
    assert claim.confounders == ("training.batch_size",)
    assert claim.statement == "more is more (confounded: training.batch_size differ too)"
    assert comparison(small, large, factor=("data", "training.batch_size")).confounders == ()
    assert comparison(small, large).confounders == ("training.batch_size", "data")
    assert comparison(small, small).statement == "more is more"


def test_validation_words_differ_where_own_data_do():
    own = records([1.0] * 5, validation="own")
    own_large = records([1.0] * 5, validation="own", data="large")
    common = records([1.0] * 5, data="large")
    assert differences(own[0], own_large[0]) == ["data", "validation words"]
    assert differences(own[0], common[0]) == ["data", "validation", "validation words"]
    assert differences(own[0], own[1]) == []
    assert comparison(own, own_large, factor=("data",)).confounders == ("validation words",)


def test_a_setting_that_only_one_side_has_is_a_difference_from_both_sides():
    old, new = records([1.0]), records([1.0], attention="additive")
    assert differences(new[0], old[0]) == ["attention"]
    assert differences(old[0], new[0]) == ["attention"]


VALUES = [1.0, 1.1, 0.9, 1.2, 0.8]


@pytest.mark.parametrize(
    ("limit", "is_above", "is_below"), [(0.5, HOLDS, FAILS), (1.5, FAILS, HOLDS), (1.05, OPEN, OPEN)]
)
def test_above_and_below_a_limit(limit, is_above, is_below):
    claims = above("A", "more", VALUES, limit), below("B", "less", VALUES, limit, digits=1)
    assert [claim.verdict for claim in claims] == [is_above, is_below]
    assert claims[0].measured == "1.000 (0.804 to 1.196)"
    assert claims[1].measured == "1.0 (0.8 to 1.2)"


def test_equal_counts():
    assert equal("C", "counts", [15485, 7], (15485, 7)) == Claim("C", "counts", "15,485, 7", HOLDS)
    assert equal("C", "counts", [15485], [15484]).verdict == FAILS
    assert equal("C", "counts", [1, 2], [1]).verdict == FAILS


def test_inside_the_prediction_interval_shows_the_verdict_alone():
    _, low, high = prediction_interval(VALUES)
    for value, expected in ((low, HOLDS), (high, HOLDS), (low - 1e-6, FAILS), (high + 1e-6, FAILS), (math.nan, FAILS)):
        claim = inside("D", "as recorded", value, VALUES)
        assert (claim.verdict, claim.measured) == (expected, "")


def test_claims_as_text_are_one_line_each_in_the_form_that_the_prose_cites():
    claims = Claims(
        Claim("Q1", "larger is better", "+0.5", HOLDS),
        Claim("Q2", "it is so", "", OPEN, ("data", "validation words")),
    )
    assert repr(claims).splitlines() == [
        "[Q1: holds; +0.5] larger is better",
        "[Q2: not decided; ] it is so (confounded: data, validation words differ too)",
    ]
    assert len(claims) == 2
    assert claims[0].name == "Q1"


@pytest.mark.parametrize("found", [HOLDS, FAILS, OPEN])
def test_claims_as_html_hold_every_cell_and_escape_it(found):
    claims = Claims(Claim("<b>", "a < b & c", '"+0.5" > 0', found, ("<script>",)), Claim("Q2", "second", "", HOLDS))
    html = claims._repr_html_()
    for expected in ("&lt;b&gt;", "a &lt; b &amp; c", "&quot;+0.5&quot; &gt; 0", "&lt;script&gt;", f" {found}<"):
        assert expected in html
    for raw in ("<b>", "<script>", "a < b"):
        assert raw not in html
    assert html.count("<tr>") == 3
    assert html.count("<td") == 8


def test_the_three_verdicts_have_signs_of_their_own():
    shown = [Claims(Claim("Q", "", "", found))._repr_html_() for found in (HOLDS, FAILS, OPEN)]
    assert ["✓" in shown[0], "✗" in shown[1], "?" in shown[2]] == [True] * 3
    assert len({text.replace(found, "") for text, found in zip(shown, (HOLDS, FAILS, OPEN), strict=True)}) == 3
