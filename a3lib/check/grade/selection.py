"""Which hand-out a submission belongs to, and which of its definitions an item needs."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

POINTS = Path(__file__).with_name("points.csv")


@dataclass(frozen=True)
class Item:
    """A line of the table of points: a name that the student defines, its check, its points."""

    year: str
    check: str  # a key of a3lib.check.ITEMS, or "shown by": any of these names shows the year
    name: str
    section: str  # where a name is defined twice: what the headings above it must match
    points: float
    title: str


def load_items(path=POINTS):
    """All Items of a table. Raises ValueError with its name where it is none, OSError."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.DictReader(file, strict=True))
        if not lines:
            raise ValueError("it has no lines")
        return [Item(**line | {"points": float(line["points"] or 0)}) for line in lines]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ValueError(f"{path} is no table of points ({error!r}): see {POINTS}") from error


def year_of(names, items):
    """(year, its items); an unknown year is '', with every item whose name is defined."""
    shown = [one.year for one in items if one.check == "shown by" and names & {*one.name.split()}]
    items = [one for one in items if one.check != "shown by"]
    if shown:
        return shown[0], [one for one in items if one.year == shown[0]]
    return "", list({one.name: one for one in items if one.name in names}.values())


def chosen(definitions, item):
    """The definition that counts, None where there is none.

    Of several: those in the item's section, if there are any, the last.
    """
    found = [one for one in definitions if item.name in one.names]
    found = [one for one in found if re.search(item.section, one.heading, re.I)] or found
    return found[-1] if found else None


def needed(definitions, target):
    """`target` and the definitions that it builds on, in the order of the files.

    Of several with one name the last above `target` counts, else the first below it.
    """
    kept, waiting, at = {definitions.index(target)}, [target], definitions.index(target)
    while waiting:
        for name in waiting.pop().uses:
            places = [n for n, one in enumerate(definitions) if name in one.names]
            place = max([n for n in places if n < at], default=min(places, default=at))
            if place not in kept and name not in target.names:
                kept.add(place)
                waiting.append(definitions[place])
    return [definitions[n] for n in sorted(kept)]
