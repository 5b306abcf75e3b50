"""Claims: a sentence, the number that decides it, and a verdict by a rule that is fixed beforehand.

The rule: a claimed difference *holds* if the 95 % interval of its mean over seeds excludes zero in the claimed
direction; it *does not hold* if the interval excludes zero the other way or lies within a stated margin of zero;
otherwise it is *not decided*.
"""

import html
import math
from dataclasses import dataclass

HOLDS, FAILS, OPEN = "holds", "does not hold", "not decided"
_SIGNS = {HOLDS: "✓", FAILS: "✗", OPEN: "?"}
FEWEST_SEEDS = 5  # below this an interval says little


@dataclass(frozen=True)
class Claim:
    """One row of a claims table."""

    name: str  # cited in the prose as [name: verdict; measured]
    text: str
    measured: str  # '' where the number depends on live training
    verdict: str
    confounders: tuple = ()  # settings that differ between the two sides besides the named factor

    @property
    def statement(self):
        """The claim's text, followed by what else differs between its two sides."""
        return self.text + (f" (confounded: {', '.join(self.confounders)} differ too)" if self.confounders else "")


class Claims(tuple):
    """Claims that show themselves as a table in a notebook and as lines of text elsewhere."""

    def __new__(cls, *claims):
        return super().__new__(cls, claims)

    def __repr__(self):
        return "\n".join(f"[{c.name}: {c.verdict}; {c.measured}] {c.statement}" for c in self)

    def _repr_html_(self):
        cells = ((c.name, c.statement, c.measured, f"{_SIGNS[c.verdict]} {c.verdict}") for c in self)
        rows = "".join(f"<tr>{''.join(map(_cell_html, row))}</tr>" for row in cells)
        names = "".join(f"<th style='text-align:left'>{name}</th>" for name in ("", "claim", "measured", "verdict"))
        return f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>"


def _cell_html(text):
    return f"<td style='text-align:left'>{html.escape(text)}</td>"


def interval(values, confidence=0.95):
    """Mean and Student t interval of its true value -> (mean, low, high). Raises ValueError for under five values."""
    return _spread(values, confidence, lambda n: math.sqrt(1 / n))


def prediction_interval(values, confidence=0.99):
    """Mean and the interval for one further value of the same kind -> (mean, low, high)."""
    return _spread(values, confidence, lambda n: math.sqrt(1 + 1 / n))


def _spread(values, confidence, factor):
    from scipy.stats import t

    values = [float(value) for value in values]
    n = len(values)
    if n < FEWEST_SEEDS:
        raise ValueError(f"an interval needs at least {FEWEST_SEEDS} values, not {n}: run more seeds")
    mean = math.fsum(values) / n
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(t.ppf((1 + confidence) / 2, n - 1)) * deviation * factor(n)
    return mean, mean - half, mean + half


def verdict(low, high, margin):
    """The rule, for the interval low..high of a difference that is claimed to be positive."""
    if low > 0:
        return HOLDS
    if high < 0 or (-margin <= low and high <= margin):
        return FAILS
    return OPEN


def compare(name, text, more, less, metric, margin, factor, digits=3):
    """Claim that `more` exceeds `less` (records of equal seeds) in a metric, a name or a function of a record.

    `factor` names the settings that are meant to differ ('data', 'training.batches', ...); any other difference is
    told with the claim as a confounder. Raises ValueError if the seeds differ or are fewer than five.
    """
    if isinstance(factor, str):
        raise TypeError(f"factor is a list of settings, [{factor!r}], not a string")
    seeds = [[record["seed"] for record in side] for side in (more, less)]
    if seeds[0] != seeds[1]:
        raise ValueError(f"{name} compares seeds {seeds[0]} with {seeds[1]}: paired differences need the same seeds")
    confounders = tuple(key for key in differences(more[0], less[0]) if key not in factor)
    values = [[_value(record, metric) for record in side] for side in (more, less)]
    return _paired(name, text, *values, margin, digits, confounders)


def contrast(name, text, records, more, less, margin, digits=3):
    """Claim that one metric of a run exceeds another of the same run; each is a name or a function of a record."""
    values = [[_value(record, metric) for record in records] for metric in (more, less)]
    return _paired(name, text, *values, margin, digits)


def _value(record, metric):
    return metric(record) if callable(metric) else record["metrics"][metric]


def _paired(name, text, more, less, margin, digits, confounders=()):
    mean, low, high = interval([a - b for a, b in zip(more, less, strict=True)])
    sides = " against ".join(f"{math.fsum(side) / len(side):.{digits}f}" for side in (more, less))
    measured = f"{sides}: {mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
    return Claim(name, text, measured, verdict(low, high, margin), confounders)


def differences(first, second):
    """Names of the settings in which two records differ; sets of own validation words differ where the data do."""
    flat = [dict(_flat(record["settings"])) for record in (first, second)]
    names = [key for key in {**flat[0], **flat[1]} if flat[0].get(key) != flat[1].get(key) and key != "name"]
    own = any(settings["validation"] == "own" for settings in flat)
    return names + (["validation words"] if own and "data" in names else [])


def _flat(settings, prefix=""):
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def above(name, text, values, limit, digits=3):
    """Claim that the mean of values over seeds lies above a limit."""
    mean, low, high = interval(values)
    measured = f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
    return Claim(name, text, measured, verdict(low - limit, high - limit, 0.0))


def below(name, text, values, limit, digits=3):
    """Claim that the mean of values over seeds lies below a limit."""
    mean, low, high = interval(values)
    measured = f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
    return Claim(name, text, measured, verdict(limit - high, limit - low, 0.0))


def equal(name, text, measured, expected):
    """Claim that counted numbers equal expected ones; both are lists."""
    agree = list(measured) == list(expected)
    shown = ", ".join(f"{value:,}" for value in measured)
    return Claim(name, text, shown, HOLDS if agree else FAILS)


def inside(name, text, value, values):
    """Claim that a value of this session lies in the 99 % prediction interval of recorded ones.

    Only the verdict is shown, since the value differs from machine to machine.
    """
    _, low, high = prediction_interval(values)
    return Claim(name, text, "", HOLDS if low <= value <= high else FAILS)
