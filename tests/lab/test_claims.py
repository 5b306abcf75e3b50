"""Claims: what is paired with what, what the two looks see, and how a claim is shown."""

import math
import random
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from tiny_records import losses

from a3lib.lab.claims import (
    Claim,
    Claims,
    above,
    below,
    compare,
    contrast,
    differences,
    equal,
    inside,
    most_above,
    pictures_above,
    pictures_contrast,
    share_above,
)
from a3lib.lab.runs import RUNS
from a3lib.lab.verdicts import (
    LOOK,
    OPEN,
    REVERSE,
    SAME,
    YES,
    Difference,
    bootstrap,
    decide,
    prediction_interval,
)

properties = settings(deadline=None, max_examples=60, database=None, derandomize=True)
VALUES = [1.0, 1.1, 0.9, 1.2, 0.8]
NOISE = [0.3, -0.2, 0.1, -0.3, 0.2, 0.0, -0.1, 0.25, -0.15, 0.05]


def comparison(more, less, margin=0.0, factor=(), metric="loss", **options):
    return compare("Q1", "more is more", more, less, metric, margin, factor, **options)


# which records are compared, and how


def test_compare_pairs_the_seeds():
    """The seeds' own scatter is far larger than the difference, which only pairing shows."""
    base = [1.0, 50.0, 3.0, 20.0, 100.0]
    more = [value + 0.5 + 0.01 * (-1) ** i for i, value in enumerate(base)]
    claim = comparison(losses(more), losses(base))
    low, high = Difference(more, base, paired=True).interval()
    assert (claim.verdict, claim.how) == (YES, "paired, 5 seeds")
    assert claim.measured == f"35.302 against 34.800: +0.502 ({low:+.3f} to {high:+.3f})"
    assert comparison(losses(base), losses(more)).verdict == REVERSE
    assert comparison(losses(more), losses(base, data="large")).verdict == OPEN  # not paired


def test_the_seeds_are_paired_whatever_the_order_of_the_records():
    base = [1.0, 50.0, 3.0, 20.0, 100.0, 7.0]
    more = losses([value + 0.5 + 0.01 * (-1) ** i for i, value in enumerate(base)])
    in_order = comparison(more, losses(base))
    assert comparison(more, losses(base)[::-1]) == in_order
    assert comparison(random.Random(0).sample(more, 6), losses(base)) == in_order


def test_only_seeds_that_both_sides_have_are_paired():
    more = losses([5.0, 1.0, 1.2, 1.4, 1.1, 1.3, 9.0], seeds=range(7))
    less = losses([1.1, 1.0, 1.3, 1.0, 1.1, 7.0], seeds=[1, 2, 3, 4, 5, 8])
    same = [side[some] for side, some in ((more, slice(1, 6)), (less, slice(0, 5)))]
    assert comparison(more, less) == comparison(*same)
    assert comparison(more, less).how == "paired, 5 seeds"
    with pytest.raises(ValueError, match="needs 5 values, not 4"):
        comparison(more[:5], less)


TRAINING = ("batches", "batch_size", "updates_per_epoch")
DECIDES = [  # which words, in which batches, a seed gives a run
    *("data", "validation", "augmentation", "longest"),
    *(f"training.{name}" for name in TRAINING),
    *("expressions", "unseen_numbers", "probes", "tuning.batch_size"),
]


@pytest.mark.parametrize("setting", DECIDES)
@pytest.mark.parametrize("named", [True, False])
def test_other_words_or_batches_are_never_paired(setting, named):
    """Even if the setting is the factor: the seed then gives the sides nothing in common."""
    *owner, name = setting.split(".")
    changes = {name: "another"}
    if owner:
        training = {"learning_rate": 0.005, "batch_size": 64} if owner == ["training"] else {}
        changes = {owner[0]: {**training, **changes}}
    other = losses([2.0, 2.2, 2.1, 1.9, 2.0, 2.3], seeds=range(6), **changes)
    claim = comparison(losses(VALUES), other, factor=[setting] if named else [])
    assert claim.how == "Welch, 5 and 6 seeds"
    gap = Difference(VALUES, [2.0, 2.2, 2.1, 1.9, 2.0, 2.3], paired=False)
    assert "({:+.3f} to {:+.3f})".format(*gap.interval()) in claim.measured
    assert claim.p == gap.p(REVERSE, 0.0)
    assert (setting in claim.confounders) == (not named)


@pytest.mark.parametrize("change", [{"model": {"hidden_size": 64}}, {"training": {}}, {"cell": 1}])
def test_other_settings_leave_the_words_and_batches_of_a_seed_as_they_are(change):
    same_batches = losses(VALUES, training={"batch_size": 64, "learning_rate": 0.005})
    other = losses(VALUES, **{"training": {"batch_size": 64, "learning_rate": 1.0}, **change})
    if "training" in change:
        other = losses(VALUES, training={"batch_size": 64})
    assert comparison(same_batches, other).how == "paired, 5 seeds"


def test_runs_that_the_notebooks_compare_are_paired_where_they_should_be():
    def one(name, engine="fast"):
        return losses(VALUES, **{**asdict(RUNS[name]), "engine": engine})

    wider = comparison(one("fair-gru64-small"), one("fair-gru-small"), factor=["model.hidden_size"])
    assert (wider.how, wider.confounders) == ("paired, 5 seeds", ())
    more_words = comparison(one("fair-gru-large"), one("fair-gru-small"), factor=["data"])
    assert (more_words.how, more_words.confounders) == ("Welch, 5 and 5 seeds", ())
    # how a run was computed is no difference between runs
    again = comparison(one("gru-small"), one("gru-small", "readable"))
    assert (again.how, again.confounders) == ("paired, 5 seeds", ())
    made = comparison(one("recipe-quick"), one("recipe-without-substitution"))
    assert made.how == "Welch, 5 and 5 seeds"
    assert all(name.startswith("augmentation.") for name in made.confounders)


def test_compare_takes_the_margin_and_a_function_of_a_record():
    noisy = [0.01, -0.01, 0.02, -0.02, 0.0]
    claims = [comparison(losses(noisy), losses([0.0] * 5), margin) for margin in (0.0, 0.01, 0.05)]
    assert [claim.verdict for claim in claims] == [OPEN, OPEN, SAME]
    small = losses([0.011, 0.012, 0.013, 0.012, 0.011])
    zero = losses([0.0] * 5)
    assert [comparison(small, zero, m).verdict for m in (0.0, 0.01, 0.05)] == [YES, YES, SAME]
    rising = losses([3.0, 3.1, 3.2, 3.1, 3.0])
    final = comparison(rising, losses([1.0] * 5), metric=lambda r: r["history"]["train"][-1])
    assert final.verdict == YES


def test_contrast_compares_two_metrics_of_the_same_runs():
    def first(record):
        return record["history"]["train"][0]

    runs = losses([2.0, 2.2, 2.1, 1.9, 2.0])
    claim = contrast("Q2", "it fell", runs, first, "loss", margin=0.1, digits=2)
    low, high = Difference([7.0, 6.8, 6.9, 7.1, 7.0], [0.0] * 5, paired=True).interval()
    assert claim.measured == f"9.00 against 2.04: +6.96 ({low:+.2f} to {high:+.2f})"
    assert (claim.verdict, claim.how, claim.confounders) == (YES, "paired, 5 seeds", ())
    assert contrast("Q2", "it rose", runs, "loss", first, margin=0.1).verdict == REVERSE
    same = contrast("Q2", "it differs", runs, "loss", "loss", margin=0.1)
    assert (same.verdict, same.p) == (SAME, 0.0)
    with pytest.raises(ValueError, match="needs 5 values"):
        contrast("Q2", "it fell", runs[:4], "loss", "loss", margin=0.1)


@pytest.mark.parametrize("headline", [False, True])
@pytest.mark.parametrize("few", [0, 1, 4])
def test_too_few_records_are_refused(few, headline):
    five, some = losses(VALUES), losses(VALUES)[:few]
    for sides in ((five, some), (some, five)):
        with pytest.raises(ValueError, match="5 values" if some else "has no record"):
            comparison(*sides, headline=headline)
    with pytest.raises(ValueError, match="5 values"):
        above("Q", "", VALUES[:few], 0.5, headline=headline)


def test_wrong_inputs_are_told():
    five = losses(VALUES)
    with pytest.raises(TypeError, match=r"list of settings, \['data'\], not a string"):
        comparison(five, five, factor="data")
    with pytest.raises(KeyError, match="accuracy"):
        comparison(five, five, metric="accuracy")


def test_a_run_that_has_no_number_leaves_the_claim_open():
    broken = [*VALUES[:4], math.nan]
    claim = comparison(losses(broken), losses([0.0] * 5), margin=10.0)
    assert (claim.verdict, claim.p) == (OPEN, 1.0)


# what else differs


def test_what_differs_besides_the_factor_is_told():
    small = losses([2.0, 2.1, 2.2, 2.1, 2.0])
    large = losses([1.0, 1.1, 1.0, 1.2, 1.0], data="large", batch_size=512, name="other")
    claim = comparison(small, large, factor=["data"])
    assert claim.confounders == ("training.batch_size",)
    assert claim.statement == "more is more (confounded: training.batch_size differ too)"
    assert comparison(small, large, factor=["data", "training.batch_size"]).confounders == ()
    assert comparison(small, large).confounders == ("training.batch_size", "data")
    assert comparison(small, losses(VALUES)).statement == "more is more"


def test_validation_words_differ_where_own_data_do():
    own = losses(VALUES, validation="own")
    own_large = losses(VALUES, validation="own", data="large")
    common = losses(VALUES, data="large")
    assert differences(own[0], own_large[0]) == ["data", "validation words"]
    assert differences(own[0], common[0]) == ["data", "validation", "validation words"]
    assert differences(own[0], own[1]) == []
    assert comparison(own, own_large, factor=["data"]).confounders == ("validation words",)


def test_a_setting_that_only_one_side_has_is_a_difference_from_both_sides():
    old, new = losses([1.0]), losses([1.0], attention="additive")
    assert differences(new[0], old[0]) == differences(old[0], new[0]) == ["attention"]


# one look or two


def headline(values):
    return above("Q", "", values, 0.0, headline=True)


def first_look(values):
    low, high = Difference(values[:5], [0.0] * 5, paired=True).interval(LOOK)
    return decide(low, high)


def test_a_headline_claim_is_looked_at_with_97_06_percent():
    between = [0.05, 1.0, 1.1, 0.7, 0.35]  # zero lies between the ends of the two intervals
    gap = Difference(between, [0.0] * 5, paired=True)
    wide, narrow = gap.interval(0.0294)[0], gap.interval(0.05)[0]
    shifted = [value - (wide + narrow) / 2 for value in between]
    assert above("Q", "", shifted, 0.0).verdict == YES
    assert headline(shifted).verdict == OPEN
    low, high = Difference(shifted, [0.0] * 5, paired=True).interval(0.0294)
    assert headline(shifted).measured == f"{np.mean(shifted):.3f} ({low:.3f} to {high:.3f})"


@properties
@given(st.lists(st.integers(-9, 20), min_size=5, max_size=20), st.integers(-9, 20))
def test_a_headline_claim_sees_five_values_then_ten_and_no_more(values, further):
    assume(len(set(values[:5])) > 1 and not set(values) <= {0, 1})  # those are told as shares
    first = first_look(values)
    used = 10 if first == OPEN and len(values) >= 10 else 5
    low, high = Difference(values[:used], [0.0] * used, paired=True).interval(LOOK)
    claim = headline(values)
    assert claim.verdict == decide(low, high)
    assert claim.how == f"t, {used} values, headline: 97.06 %"
    assert claim.measured == f"{np.mean(values[:used]):.3f} ({low:.3f} to {high:.3f})"
    if len(values) >= 10 or first != OPEN:
        assert headline([*values, further]) == claim


@properties
@given(
    st.lists(st.integers(-9, 25), min_size=5, max_size=12),
    st.sampled_from([0.0, 5.0, 20.0]),
    st.booleans(),
)
def test_a_claim_is_decided_exactly_where_its_chance_is_below_five_percent(values, margin, two):
    assume(np.std(values[:5]) > 0)
    less = losses([0.0] * len(values))
    claim = comparison(losses(values), less, margin, headline=two)
    assume(abs(claim.p - 0.05) > 1e-9)
    assert (claim.p < 0.05) == (claim.verdict != OPEN)


def test_both_sides_need_ten_seeds_for_the_second_look():
    more = losses([value + (0.02 if value > 0 else 0.03) for value in NOISE])
    assert (
        comparison(more, losses(NOISE[:9]), headline=True).how
        == "paired, 5 seeds, headline: 97.06 %"
    )
    large = losses(NOISE[:9], data="large")
    assert comparison(more, large, headline=True).how == "Welch, 5 and 5 seeds, headline: 97.06 %"
    whole = losses(NOISE, data="large")
    assert comparison(more, whole, headline=True).how == "Welch, 10 and 10 seeds, headline: 97.06 %"
    assert comparison(more, whole).how == "Welch, 10 and 10 seeds"


@pytest.mark.parametrize("paired", [True, False])
def test_the_two_looks_err_in_about_five_percent_of_equal_populations(paired):
    generator = np.random.default_rng(10)
    zero, errors = losses([0.0] * 10), 0
    for values in generator.normal(size=(700, 10)):
        if not paired:
            zero = losses(generator.normal(size=10), data="large")
        errors += comparison(losses(values), zero, headline=True).verdict != OPEN
    assert errors / 700 == pytest.approx(0.05, abs=0.02)


def test_a_difference_that_is_no_smaller_than_the_margin_is_rarely_called_none():
    generator = np.random.default_rng(11)
    zero, errors = losses([0.0] * 10), 0
    for values in generator.normal(0.5, 0.2, size=(500, 10)):
        errors += comparison(losses(values), zero, margin=0.5, headline=True).verdict == SAME
    assert errors / 500 <= 0.05  # two one-sided looks at half of 5 %, and at a bound


# a limit


@pytest.mark.parametrize(
    ("limit", "is_above", "is_below"),
    [(0.5, YES, REVERSE), (1.5, REVERSE, YES), (1.05, OPEN, OPEN)],
)
def test_above_and_below_a_limit(limit, is_above, is_below):
    claims = above("A", "more", VALUES, limit), below("B", "less", VALUES, limit, digits=1)
    assert [claim.verdict for claim in claims] == [is_above, is_below]
    assert claims[0].measured == "1.000 (0.804 to 1.196)"
    assert claims[1].measured == "1.0 (0.8 to 1.2)"
    chance = stats.ttest_1samp(VALUES, limit).pvalue
    assert [claim.p for claim in claims] == pytest.approx([chance] * 2)


def test_an_interval_of_shares_is_told_without_what_no_share_can_be():
    """Its verdict rests on the whole interval."""
    shares = [0.99, 1.0, 0.97, 1.0, 0.9]
    low, high = Difference(shares, [0.0] * 5, paired=True).interval()
    assert high > 1
    claims = above("A", "", shares, 0.5), below("B", "", shares, 0.5)
    assert {claim.measured for claim in claims} == {f"{np.mean(shares):.3f} ({low:.3f} to 1.000)"}
    assert [claim.verdict for claim in claims] == [YES, REVERSE]
    small = [1 - share for share in shares]
    assert above("A", "", small, 0.5).measured == f"0.028 (0.000 to {1 - low:.3f})"
    losses_of = [*shares[:4], 1.2]  # no share exceeds one
    low, high = Difference(losses_of, [0.0] * 5, paired=True).interval()
    assert above("A", "", losses_of, 0.5).measured == f"1.032 ({low:.3f} to {high:.3f})"


def test_values_that_are_all_alike_lie_above_or_below_a_limit_or_at_it():
    assert above("A", "", [1.0] * 5, 0.5).measured == "1.000 (1.000 to 1.000)"
    assert above("A", "", [1.0] * 5, 0.5).verdict == below("A", "", [1.0] * 5, 1.5).verdict == YES
    for claim in (above("A", "", [1.0] * 5, 1.0), below("A", "", [1.0] * 5, 1.0)):
        assert (claim.verdict, claim.measured) == (OPEN, "1.000 (1.000 to 1.000)")


# shares


def wilson(right, total):
    """The interval by Wilson's own formula (1927)."""
    z, share = stats.norm.ppf(0.975), right / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(share * (1 - share) / total + (z / total) ** 2 / 4)
    return middle - half, middle + half


COUNTS = st.tuples(st.integers(0, 400), st.integers(1, 400)).map(sorted)


@properties
@given(COUNTS, st.sampled_from([0.05, 0.5, 0.9]))
def test_a_share_has_wilson_s_interval(counts, limit):
    right, total = counts
    claim, (low, high) = share_above("S", "most", right, total, limit), wilson(*counts)
    assert claim.measured == f"{right / total:.2f} ({abs(low):.2f} to {high:.2f})"
    assume(min(abs(low - limit), abs(high - limit)) > 1e-6)
    assert claim.verdict == decide(low - limit, high - limit)
    assert claim.how == f"Wilson, {right:,} of {total:,}"


@pytest.mark.parametrize("limit", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("total", [5, 10, 20, 89])
def test_a_share_is_decided_exactly_where_its_chance_is_below_five_percent(total, limit):
    claims = [share_above("S", "most", right, total, limit) for right in range(total + 1)]
    decided = [claim.measured for claim in claims if claim.verdict != OPEN]
    assert [claim.measured for claim in claims if claim.p < 0.05] == decided


def test_wrong_counts_are_refused():
    for right, total in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError):
            share_above("S", "", right, total, 0.5)


def test_values_with_two_modes_are_counted_and_all_shown():
    """Their mean lies where no value is."""
    values = [0.1, 0.9, 0.92, 0.88, 0.12, 0.91, 0.93, 0.9, 0.89, 0.94]
    claim = most_above("M", "most are good", values, 0.5)
    assert claim.measured == "0.10 0.12 0.88 0.89 0.90 0.90 0.91 0.92 0.93 0.94"
    assert claim.how == "Wilson, 8 of 10"
    assert claim.verdict == decide(*(end - 0.5 for end in wilson(8, 10))) == OPEN
    assert most_above("M", "", [0.9] * 10, 0.5).verdict == YES
    assert most_above("M", "", [0.1] * 10, 0.5).verdict == REVERSE
    assert most_above("M", "", [0.5] * 10, 0.5).verdict == REVERSE  # at the limit is not above


@properties
@given(st.lists(st.sampled_from([0.1, 0.9]), min_size=5, max_size=20))
def test_a_headline_claim_on_most_values_sees_five_then_ten(values):
    def end(some):
        n, right = len(some), some.count(0.9)
        return stats.binomtest(right, n).proportion_ci(1 - LOOK, "wilson"), f"{right} of {n}"

    found, told = end(values[:5])
    if decide(found.low - 0.5, found.high - 0.5) == OPEN:
        found, told = end(values[:10])
    claim = most_above("M", "", values, 0.5, headline=True)
    assert claim.verdict == decide(found.low - 0.5, found.high - 0.5)
    assert claim.how == f"Wilson, {told}, headline: 97.06 %"
    assert (claim.p < 0.05) == (claim.verdict != OPEN)


# pictures


def test_a_mean_over_pictures_has_a_bootstrap_interval():
    values = np.random.default_rng(0).uniform(0.5, 0.9, 40)
    low, high = bootstrap(values)
    claim = pictures_above("P", "fits", values, 0.5)
    assert claim.measured == f"{values.mean():.2f} ({low:.2f} to {high:.2f})"
    assert (claim.verdict, claim.how) == (YES, "bootstrap, 40 pictures")
    assert pictures_above("P", "", values, 0.95).verdict == REVERSE
    assert pictures_above("P", "", values, values.mean()).verdict == OPEN
    assert pictures_above("P", "", values, values.mean(), margin=0.2).verdict == SAME


def test_a_share_of_pictures_has_wilson_s_interval():
    found = [True] * 30 + [False] * 10
    claim = pictures_above("P", "found", np.array(found), 0.5)
    assert claim == share_above("P", "found", 30, 40, 0.5)
    assert claim.measured == "0.75 ({:.2f} to {:.2f})".format(*wilson(30, 40))


def test_two_values_of_the_same_pictures_are_paired():
    generator = np.random.default_rng(1)
    less = generator.uniform(0, 1, 40)
    more = less + generator.normal(0.1, 0.02, 40)
    low, high = bootstrap(more - less)
    claim = pictures_contrast("P", "more", list(more), list(less))
    sides = f"{more.mean():.2f} against {less.mean():.2f}"
    assert claim.measured == f"{sides}: {(more - less).mean():+.2f} ({low:+.2f} to {high:+.2f})"
    assert (claim.verdict, claim.how) == (YES, "bootstrap, 40 pictures")
    assert pictures_contrast("P", "", less, more).verdict == REVERSE
    assert pictures_contrast("P", "", more, less, margin=0.2).verdict == SAME
    with pytest.raises(ValueError):
        pictures_contrast("P", "", more, less[:-1])


# counts and live values


def test_equal_counts():
    claim = equal("C", "counts", [15485, 7], (15485, 7))
    assert (claim.measured, claim.verdict, claim.how) == ("15,485, 7", YES, "counted")
    assert equal("C", "counts", [15485], [15484]).verdict == REVERSE
    assert equal("C", "counts", [1, 2], [1]).verdict == REVERSE
    assert claim.p is None


def test_inside_the_prediction_interval_shows_the_verdict_alone():
    low, high = prediction_interval(VALUES)
    outside = (low - 1e-6, high + 1e-6, math.nan)
    for value, expected in (*((v, YES) for v in (low, high)), *((v, REVERSE) for v in outside)):
        claim = inside("D", "as recorded", value, VALUES)
        assert (claim.verdict, claim.measured, claim.p) == (expected, "", None)
    assert claim.how == "99 % prediction interval, 5 seeds"


# the table


def claim_with(p, verdict=YES, name="Q"):
    return Claim(name, "", "", verdict, "", p)


@pytest.mark.parametrize(
    ("chances", "lost"),
    [
        ([0.01, 0.04, 0.03, 0.005], ["Q1", "Q2"]),  # .005 < .05/4, .01 < .05/3, .03 > .05/2
        ([0.01, 0.02, 0.03, 0.04], ["Q1", "Q2", "Q3"]),  # .04 fails with those before it
        ([0.012, 0.016, 0.024, 0.049], []),
        ([0.02, 0.03], []),
        ([0.04], []),
        ([], []),
    ],
)
def test_holm_s_correction_on_known_chances(chances, lost):
    claims = Claims(*(claim_with(p, name=f"Q{n}") for n, p in enumerate(chances)))
    told, n = claims.holm(), len(chances)
    assert told.startswith(f"{n} claims have an interval, {n} are decided; ")
    assert f"would leave {len(lost)} of these open" in told
    named = told.partition("open: ")[2].split(", ")
    assert sorted(named) == (lost or [""])


@properties
@given(st.lists(st.tuples(st.floats(0, 0.2), st.booleans()), max_size=12))
def test_holm_loses_the_decided_claims_whose_adjusted_chance_exceeds_five_percent(claims):
    made = [claim_with(p, YES if yes else OPEN, f"Q{n}") for n, (p, yes) in enumerate(claims)]
    uncounted = claim_with(None, name="counted")
    adjusted, highest, ordered = {}, 0.0, sorted(made, key=lambda claim: claim.p)
    for place, claim in enumerate(ordered):
        highest = max(highest, (len(made) - place) * claim.p)
        adjusted[claim.name] = highest
    assume(all(abs(value - 0.05) > 1e-9 for value in adjusted.values()))
    lost = {c.name for c in made if c.verdict == YES and adjusted[c.name] > 0.05}
    told = Claims(uncounted, *made).holm()
    assert told.startswith(f"{len(made)} claims have an interval")
    assert f"would leave {len(lost)} of these open" in told
    assert set(told.partition("open: ")[2].split(", ")) == (lost or {""})


def test_claims_as_text_are_one_line_each_in_the_form_that_the_prose_cites():
    claims = Claims(
        Claim("Q1", "larger is better", "+0.5", YES, "paired, 5 seeds"),
        Claim("Q2", "it is so", "", OPEN, "", confounders=("data", "validation words")),
    )
    assert repr(claims).splitlines() == [
        "[Q1: yes; +0.5] larger is better",
        "[Q2: open; ] it is so (confounded: data, validation words differ too)",
    ]
    assert (len(claims), claims[0].name) == (2, "Q1")
    assert claims[0].without_number() == Claim("Q1", "larger is better", "", YES, "paired, 5 seeds")


@pytest.mark.parametrize("found", [YES, REVERSE, SAME, OPEN])
def test_claims_as_html_hold_every_part_and_escape_it(found):
    hostile = Claim("<b>", "a < b & c", '"+0.5" > 0', found, "<i>", None, ("<script>",))
    html = Claims(hostile, Claim("Q2", "second", "", YES, "counted"))._repr_html_()
    shown = ("&lt;b&gt;", "a &lt; b &amp; c", "&quot;+0.5&quot; &gt; 0", "&lt;script&gt;")
    for expected in (*shown, "&lt;i&gt;", "counted", f" {found}<"):
        assert expected in html
    for raw in ("<b>", "<i>", "<script>", "a < b"):
        assert raw not in html
    assert (html.count("<tr>"), html.count("<th"), html.count("<td")) == (3, 5 + 1, 10)  # and thead


def test_the_verdicts_are_told_apart_by_a_sign_as_well():
    verdicts = (YES, REVERSE, SAME, OPEN)
    shown = [Claims(Claim("Q", "", "", one, ""))._repr_html_() for one in verdicts]
    left = {text.replace(one, "") for text, one in zip(shown, verdicts, strict=True)}
    assert len(left) == 4
