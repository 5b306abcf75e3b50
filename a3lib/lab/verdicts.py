"""The verdict rule: four verdicts, one meaning each, fixed before anything is measured.

For a difference that is claimed to be positive, with its interval and a margin stated beforehand:
*no difference* if the interval lies inside the margin (also where it excludes zero), else *yes* if
it lies above zero, *no, the reverse* if below, and *open* otherwise. Intervals are for 95 %.

A headline claim is looked at after five seeds and, if it is open then, once more after ten. Both
looks use intervals for 97.06 % (Pocock 1977, two looks), so that its whole error stays 5 %.
"""

import math
import warnings
from statistics import fmean as mean
from statistics import stdev

YES, REVERSE, SAME, OPEN = "yes", "no, the reverse", "no difference", "open"
SIGNS = {YES: "✓", REVERSE: "✗", SAME: "=", OPEN: "?"}
FEWEST = 5  # values: below this an interval says little
LEVEL, LOOK = 0.05, 0.0294  # error of a claim; of each of two looks


def decide(low, high, margin=0.0):
    """The rule, for the interval low..high of a difference that is claimed to be positive."""
    if -margin < low and high < margin:
        return SAME
    return YES if low > 0 else REVERSE if high < 0 else OPEN


class Difference:
    """Values of two sides; `paired` where entry i of both had the same words and batches.

    Raises ValueError for under five values on a side.
    """

    def __init__(self, more, less, paired):
        self.more, self.less = _enough(more), _enough(less)
        self.mean = mean(self.more) - mean(self.less)
        self.how = f"Welch, {len(more)} and {len(less)} seeds"
        self._sides = (self.more, self.less)
        if paired:
            self.how = f"paired, {len(more)} seeds"
            self._sides = ([a - b for a, b in zip(self.more, self.less, strict=True)],)
        self._constant = all(len(set(side)) == 1 for side in self._sides)

    def interval(self, error=LEVEL):
        """(low, high) of the mean difference."""
        if self._constant:
            return self.mean, self.mean
        found = self._test().confidence_interval(1 - error)
        return float(found.low), float(found.high)

    def p(self, verdict, margin):
        """Chance of a verdict at least as clear if it were wrong, two-sided as the interval is."""
        if self._constant:
            return 1.0 if verdict == OPEN else 0.0
        if verdict == SAME:
            sides = self._test(-margin, "greater"), self._test(margin, "less")
            return min(1.0, 2 * max(float(side.pvalue) for side in sides))
        return float(self._test().pvalue)

    def _test(self, shift=0.0, alternative="two-sided"):
        from scipy import stats

        if len(self._sides) == 1:
            return stats.ttest_1samp(*self._sides, shift, alternative=alternative)
        shifted = [value - shift for value in self.more]
        with warnings.catch_warnings():  # a side that does not vary is as precise as it looks
            warnings.simplefilter("ignore", RuntimeWarning)
            return stats.ttest_ind(shifted, self.less, equal_var=False, alternative=alternative)


def prediction_interval(values, confidence=0.99):
    """(low, high) for one further value of the same kind."""
    from scipy import stats

    values = _enough(values)
    n, center = len(values), mean(values)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * stdev(values) * math.sqrt(1 + 1 / n)
    return center - half, center + half


def bootstrap(values, draws=5000):
    """(low, high) of a mean, by percentiles over seeded draws with replacement."""
    import numpy
    from scipy import stats

    generator, values = numpy.random.default_rng(0), _enough(values)
    options = {"n_resamples": draws, "method": "percentile", "vectorized": True, "rng": generator}
    found = stats.bootstrap((values,), numpy.mean, **options).confidence_interval
    return float(found.low), float(found.high)


def _enough(values):
    values = [float(value) for value in values]
    if len(values) < FEWEST:
        raise ValueError(f"an interval needs {FEWEST} values, not {len(values)}: run more seeds")
    return values
