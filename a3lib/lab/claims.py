"""Claims: a sentence, the number that decides it, and a verdict by the rule of `verdicts`."""

import html
import math
from dataclasses import dataclass, replace

from a3lib.lab.verdicts import (
    FEWEST,
    LEVEL,
    LOOK,
    OPEN,
    REVERSE,
    SIGNS,
    YES,
    Difference,
    bootstrap,
    decide,
    mean,
    prediction_interval,
)

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
        also = (
            f" (confounded: {', '.join(self.confounders)} differ too)" if self.confounders else ""
        )
        return self.text + also

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
        decided = [c for c in tested if c.verdict != OPEN]
        lost, failed = [], False
        for number, claim in enumerate(tested):
            failed = failed or claim.p > LEVEL / (len(tested) - number)
            if failed and claim in decided:
                lost.append(claim.name)
        named = f": {', '.join(lost)}" if lost else ""
        return (
            f"{len(tested)} claims have an interval, {len(decided)} are decided; "
            f"Holm's correction over all would leave {len(lost)} of these open{named}"
        )


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
    if paired:
        common = {r["seed"] for r in more} & {r["seed"] for r in less}
        more, less = ([r for r in side if r["seed"] in common] for side in (more, less))
    more, less = (sorted(side, key=lambda record: record["seed"]) for side in (more, less))
    values = [[_value(record, metric) for record in side] for side in (more, less)]
    return _claimed(name, text, *values, paired, margin, digits, headline, confounders)


def contrast(name, text, records, more, less, margin, digits=3, headline=False):
    """Claim that one metric of a run exceeds another of the same run, seed by seed."""
    values = [[_value(record, metric) for record in records] for metric in (more, less)]
    return _claimed(name, text, *values, True, margin, digits, headline)


def above(name, text, values, limit, digits=3, headline=False):
    """Claim that the mean of values over seeds lies above a limit."""
    limits = [limit] * len(values)
    return _claimed(name, text, values, limits, True, 0.0, digits, headline, limit=limit)


def below(name, text, values, limit, digits=3, headline=False):
    """Claim that the mean of values over seeds lies below a limit."""
    limits = [limit] * len(values)
    return _claimed(name, text, limits, values, True, 0.0, digits, headline, limit=limit)


def _claimed(name, text, more, less, paired, margin, digits, headline, confounders=(), limit=None):
    looks = 1 + (min(len(more), len(less)) >= 2 * FEWEST)  # two where both sides have the seeds
    rule = [(FEWEST, LOOK), (2 * FEWEST, LOOK)][:looks] if headline else [(None, LEVEL)]
    for seeds, error in rule:
        found = Difference(more[:seeds], less[:seeds], paired)
        low, high = found.interval(error)
        verdict = decide(low, high, margin)
        if verdict != OPEN:
            break
    p = min(1.0, found.p(verdict, margin) * LEVEL / error)
    if limit is None:
        sides = f"{mean(found.more):.{digits}f} against {mean(found.less):.{digits}f}: "
        measured = f"{sides}{found.mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
    else:
        side, sign = (found.more, 1) if list(less) == [limit] * len(less) else (found.less, -1)
        ends = sorted((limit + sign * low, limit + sign * high))
        if min(*side, limit) >= 0 and max(*side, limit) <= 1:  # a share
            ends = [min(max(end, 0.0), 1.0) for end in ends]
        measured = f"{mean(side):.{digits}f} ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})"
    how = found.how if limit is None else f"t, {len(found.more)} values"
    return Claim(name, text, measured, verdict, how + HEADLINE * headline, p, confounders)


def share_above(name, text, right, total, limit, digits=2, error=LEVEL):
    """Claim that a share, counted as `right` of `total`, lies above a limit (Wilson's interval)."""
    from scipy import stats

    found = stats.binomtest(int(right), int(total)).proportion_ci(1 - error, "wilson")
    z = (right / total - limit) / math.sqrt(limit * (1 - limit) / total)  # what Wilson inverts
    measured = f"{right / total:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"
    how, verdict = f"Wilson, {right:,} of {total:,}", decide(found.low - limit, found.high - limit)
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
    low, high = bootstrap(values)
    measured = f"{mean(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
    verdict = decide(low - limit, high - limit, margin)
    return Claim(name, text, measured, verdict, f"bootstrap, {len(values)} pictures")


def pictures_contrast(name, text, more, less, margin=0.02, digits=2):
    """Claim that one value of a picture exceeds another of the same picture, over pictures."""
    low, high = bootstrap([float(a) - float(b) for a, b in zip(more, less, strict=True)])
    sides = f"{mean(more):.{digits}f} against {mean(less):.{digits}f}"
    change = f"{mean(more) - mean(less):+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
    how = f"bootstrap, {len(more)} pictures"
    return Claim(name, text, f"{sides}: {change}", decide(low, high, margin), how)


def equal(name, text, measured, expected):
    """Claim that counted numbers equal expected ones; both are lists."""
    shown = ", ".join(f"{value:,}" for value in measured)
    return Claim(name, text, shown, YES if list(measured) == list(expected) else REVERSE, "counted")


def inside(name, text, value, values):
    """Claim that a value of this session lies in the 99 % prediction interval of recorded ones."""
    low, high = prediction_interval(values)
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
