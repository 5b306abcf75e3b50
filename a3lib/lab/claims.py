"""Claims: a sentence, the number that decides it, and a verdict by the rule of `verdicts`."""

import html
import math
from dataclasses import dataclass, replace
from statistics import fmean as mean

from a3lib.lab import verdicts
from a3lib.lab.verdicts import FEWEST, LEVEL, LOOK, OPEN, REVERSE, SIGNS, YES

# settings that decide which words, in which batches, a seed gives a run
DRAWN = ("data", "validation", "augmentation", "longest", "expressions", "unseen_numbers", "probes")
DRAWN += ("training.batches", "training.batch_size", "training.updates_per_epoch")
DRAWN += ("tuning.batch_size",)
HEADLINE = f", headline: {100 - 100 * LOOK:.2f} %"  # beside how its interval was made


@dataclass(frozen=True)
class Claim:
    """One row of a claims table."""

    name: str  # cited in the prose as [name: verdict; measured]
    text: str
    measured: str  # '' where the number depends on this machine or on a run of this session
    verdict: str
    how: str  # how the interval was made, and from how many values
    p: float | None = None  # chance of the verdict if it were wrong, for Holm; None: no interval
    confounders: tuple = ()  # settings that differ between the sides besides the named factor

    @property
    def statement(self):
        """The claim's text, followed by what else differs between its two sides."""
        also = f" (confounded: {', '.join(self.confounders)} differ too)"
        return self.text + also * bool(self.confounders)

    def without_number(self):
        """The same claim by verdict alone."""
        return replace(self, measured="")


class Claims(tuple):
    """Claims that show themselves as a table in a notebook and as lines of text elsewhere."""

    def __new__(cls, *claims):
        return super().__new__(cls, claims)

    def __repr__(self):
        return "\n".join(f"[{c.name}: {c.verdict}; {c.measured}] {c.statement}" for c in self)

    def _repr_html_(self):
        rows = [
            (c.name, c.statement, c.measured, f"{SIGNS[c.verdict]} {c.verdict}", c.how)
            for c in self
        ]
        head = _row("th", ("", "claim", "measured", "verdict", "how"))
        body = "".join(_row("td", row) for row in rows)
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"

    def holm(self):
        """How many verdicts would become *open* by Holm's correction over all claims, in words."""
        tested = sorted((c for c in self if c.p is not None), key=lambda c: c.p)
        decided = sum(c.verdict != OPEN for c in tested)
        failing = (i for i, c in enumerate(tested) if c.p > LEVEL / (len(tested) - i))
        lost = [c.name for c in tested[next(failing, len(tested)) :] if c.verdict != OPEN]
        told = f"{len(tested)} claims have an interval, {decided} are decided; Holm's correction "
        told += f"over all would leave {len(lost)} of these open"
        return f"{told}: {', '.join(lost)}" if lost else told


def _row(tag, cells):
    shown = (f"<{tag} style='text-align:left'>{html.escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{''.join(shown)}</tr>"


def compare(name, text, more, less, metric, margin, factor, digits=3, headline=False):
    """Claim that `more` exceeds `less` (records of two runs) in a metric or function of a record.

    `factor` lists the settings that are meant to differ; any other difference is told as a
    confounder. Where a seed gives both sides the same words and batches, their common seeds are
    paired, else it is Welch's test.
    """
    if isinstance(factor, str):
        raise TypeError(f"factor is a list of settings, [{factor!r}], not a string")
    if not more or not less:
        raise ValueError(f"{name}: a side has no record: run its seeds first")
    differing = differences(more[0], less[0])
    meant = tuple(f"{setting}." for setting in factor)
    confounders = tuple(key for key in differing if not f"{key}.".startswith(meant))
    paired = not any(key.startswith(DRAWN) for key in differing)
    sides = [{record["seed"]: _value(record, metric) for record in side} for side in (more, less)]
    common = sides[0].keys() & sides[1].keys()
    values = [[side[seed] for seed in sorted(common if paired else side)] for side in sides]
    return _compared(name, text, *values, paired, margin, digits, headline, confounders)


def contrast(name, text, records, more, less, margin, digits=3, headline=False):
    """Claim that one metric of a run exceeds another of the same run, seed by seed."""
    values = [[_value(record, metric) for record in records] for metric in (more, less)]
    return _compared(name, text, *values, True, margin, digits, headline)


def _compared(name, text, more, less, paired, margin, digits, headline, confounders=()):
    found, interval, verdict, p = _decided(more, less, paired, margin, headline)
    measured = _two_sides(found.more, found.less, interval, digits)
    how = found.how + HEADLINE * headline
    return Claim(name, text, measured, verdict, how, p, confounders)


def above(name, text, values, limit, digits=3, headline=False):
    """Claim that the mean of values over seeds lies above a limit."""
    return _limited(name, text, values, limit, 1, digits, headline)


def below(name, text, values, limit, digits=3, headline=False):
    """Claim that the mean of values over seeds lies below a limit."""
    return _limited(name, text, values, limit, -1, digits, headline)


def _limited(name, text, values, limit, sign, digits, headline):
    sides = values, [limit] * len(values)
    found, interval, verdict, p = _decided(*sides[::sign], True, 0.0, headline)
    seen = (found.more, found.less)[::sign][0]
    low, high = sorted(limit + sign * end for end in interval)
    if min(*seen, limit) >= 0 and max(*seen, limit) <= 1:  # a share
        low, high = max(low, 0.0), min(high, 1.0)
    how = f"t, {len(seen)} values{HEADLINE * headline}"
    return Claim(name, text, _one_side(mean(seen), low, high, digits), verdict, how, p)


def _decided(more, less, paired, margin, headline):
    """(difference, its interval, the verdict, its p) at the last look that a claim gets."""
    looks, error = [None], LEVEL
    if headline:
        twice = min(len(more), len(less)) >= 2 * FEWEST  # both sides have the seeds
        looks, error = [FEWEST, 2 * FEWEST][: 1 + twice], LOOK
    for seeds in looks:
        found = verdicts.Difference(more[:seeds], less[:seeds], paired)
        interval = found.interval(error)
        verdict = verdicts.decide(*interval, margin)
        if verdict != OPEN:
            break
    return found, interval, verdict, min(1.0, found.p(verdict, margin) * LEVEL / error)


def _one_side(center, low, high, digits, sign="-"):
    form = f"{sign}.{digits}f"
    return f"{center:{form}} ({low:{form}} to {high:{form}})"


def _two_sides(more, less, interval, digits):
    more, less = mean(more), mean(less)
    change = _one_side(more - less, *interval, digits, "+")
    return f"{more:.{digits}f} against {less:.{digits}f}: {change}"


def share_above(name, text, right, total, limit, digits=2, error=LEVEL):
    """Claim that a share, counted as `right` of `total`, lies above a limit (Wilson's interval)."""
    from scipy import stats

    found = stats.binomtest(int(right), int(total)).proportion_ci(1 - error, "wilson")
    z = (right / total - limit) / math.sqrt(limit * (1 - limit) / total)  # what Wilson inverts
    measured = _one_side(right / total, *found, digits)
    how = f"Wilson, {right:,} of {total:,}"
    verdict = verdicts.decide(found.low - limit, found.high - limit)
    p = math.erfc(abs(z) / math.sqrt(2)) * LEVEL / error
    return Claim(name, text, measured, verdict, how, min(1.0, p))


def most_above(name, text, values, limit, digits=2, headline=False):
    """Claim that most values lie above a limit; shows all of them, for values with two modes."""
    error = LOOK if headline else LEVEL
    for some in (values[:FEWEST], values[: 2 * FEWEST]) if headline else (values,):
        claim = share_above(name, text, sum(v > limit for v in some), len(some), 0.5, error=error)
        if claim.verdict != OPEN:
            break
    measured = " ".join(f"{value:.{digits}f}" for value in sorted(some))
    return replace(claim, measured=measured, how=claim.how + HEADLINE * headline)


def pictures_above(name, text, values, limit, margin=0.02, digits=2):
    """Claim that a mean over pictures lies above a limit (bootstrap; for 0s and 1s: a share)."""
    if set(map(float, values)) <= {0.0, 1.0}:
        return share_above(name, text, sum(values), len(values), limit, digits)
    low, high = verdicts.bootstrap(values)
    measured = _one_side(mean(values), low, high, digits)
    verdict = verdicts.decide(low - limit, high - limit, margin)
    return Claim(name, text, measured, verdict, f"bootstrap, {len(values)} pictures")


def pictures_contrast(name, text, more, less, margin=0.02, digits=2):
    """Claim that one value of a picture exceeds another of the same picture, over pictures."""
    interval = verdicts.bootstrap([float(a) - float(b) for a, b in zip(more, less, strict=True)])
    measured, verdict = _two_sides(more, less, interval, digits), verdicts.decide(*interval, margin)
    return Claim(name, text, measured, verdict, f"bootstrap, {len(more)} pictures")


def equal(name, text, measured, expected):
    """Claim that counted numbers equal expected ones; both are lists."""
    shown = ", ".join(f"{value:,}" for value in measured)
    return Claim(name, text, shown, YES if list(measured) == list(expected) else REVERSE, "counted")


def inside(name, text, value, values):
    """Claim that a value of this session lies in the 99 % prediction interval of recorded ones."""
    low, high = verdicts.prediction_interval(values)
    how = f"99 % prediction interval, {len(values)} seeds"
    return Claim(name, text, "", YES if low <= value <= high else REVERSE, how)


def differences(first, second):
    """Names of the settings in which two records differ, sets of validation words included."""
    flat = [dict(_flat(record["settings"])) for record in (first, second)]
    names = [key for key in {**flat[0], **flat[1]} if flat[0].get(key) != flat[1].get(key)]
    names = [key for key in names if key not in ("name", "engine")]
    own = any(settings.get("validation") == "own" for settings in flat)
    return names + (["validation words"] if own and "data" in names else [])


def _flat(settings, prefix=""):
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _value(record, metric):
    return metric(record) if callable(metric) else record["metrics"][metric]
