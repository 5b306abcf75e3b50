"""The failure explorer: choose words by length, first cluster, hyphen, frequency, and see which models fail on them."""

import html
from importlib import resources

from a3lib.batches import encode_pairs
from a3lib.metrics import predictions
from a3lib.training import one_thread

FREQUENCIES = {
    "any": (0, None),
    "not in them": (0, 0),
    "once": (1, 1),
    "2 to 9 times": (2, 9),
    "10 and more": (10, None),
}
HYPHENS = {"any": None, "with": True, "without": False}
SHOWN = 20  # words listed at once
ABOUT = ["word", "target", "letters", "cluster", "hyphen", "frequency"]  # a table's columns before the models'


def word_table(models, pairs):
    """A pandas table, one row a word: word, target, letters, cluster, hyphen, frequency, then each model's output.

    `frequency` counts the word in Austen's six novels; `models` maps names to translators. Raises ValueError without
    a model, or for one that has the name of another column.
    """
    import pandas

    if not models or (taken := set(models) & set(ABOUT)):
        problem = f"no model may be called {', '.join(sorted(taken))}" if models else "there is no model to look at"
        raise ValueError(f"{problem}: give {{name: translator}}")
    encoded = encode_pairs(pairs)
    with one_thread():
        found = {name: predictions(model, encoded) for name, model in models.items()}
    frame = next(iter(found.values()))[ABOUT[:-1]].copy()
    with resources.files("a3lib").joinpath("data", "sources", "austen.tsv").open(encoding="utf8") as file:
        counts = pandas.read_csv(file, sep="\t", index_col="word", keep_default_na=False)["count_six_novels"]
    frame["frequency"] = frame["word"].map(counts).fillna(0).astype(int)
    return frame.assign(**{name: table["output"] for name, table in found.items()})


def choose(table, letters=(1, None), cluster=None, hyphen=None, frequency=(0, None)):
    """The rows of a `word_table` with letters and frequency in ranges (low, high), and a first cluster ('': a vowel or
    y) and a hyphen or not; None stands for any."""
    kept = table["word"].notna()
    for column, (low, high) in {"letters": letters, "frequency": frequency}.items():
        kept &= table[column].between(low, float("inf") if high is None else high)
    for column, value in {"cluster": cluster, "hyphen": hyphen}.items():
        kept &= True if value is None else table[column] == value
    return table[kept]


def accuracy(table):
    """A pandas table, one row a model of a `word_table`: share of right words, right words, words."""
    right = table.drop(columns=ABOUT).eq(table["target"], axis=0)
    return right.agg(["mean", "sum"]).T.set_axis(["accuracy", "right"], axis=1).assign(words=len(table))


def chosen_html(table):
    """Accuracy by model and the words behind it as HTML: first the words that most models get wrong."""
    if table.empty:
        return "<div role='status' aria-live='polite'>No word is like that: choose less.</div>"
    by_model = accuracy(table)
    shares = by_model.assign(accuracy=by_model["accuracy"].map("{:.0%}".format), right=by_model["right"].astype(int))
    wrong = table.drop(columns=ABOUT).ne(table["target"], axis=0)
    order = wrong.sum(axis=1).sort_values(ascending=False, kind="stable").index[:SHOWN]
    words = table.loc[order].set_index("word").drop(columns=["letters", "cluster", "hyphen"])
    for name in wrong:  # a mark as well as a colour
        marks = zip(words[name], wrong.loc[order, name], strict=True)
        words[name] = [f"<b style='color:#A33B00'>✗ {html.escape(o)}</b>" if bad else f"✓ {o}" for o, bad in marks]
    told = f"{len(table):,} words; listed are {len(words)}, those that most models get wrong first"
    tables = shares.to_html() + words.rename(columns=html.escape).to_html(escape=False, index_names=False)
    return f"<div role='status' aria-live='polite' style='overflow-x:auto'><p>{told}</p>{tables}</div>"


def failure_explorer(table):
    """Controls that `choose` from a `word_table`; the last child is the `chosen_html` of what they choose.

    Raises ValueError for a table without a word.
    """
    import ipywidgets

    if table.empty:
        raise ValueError("the table has no word to choose from: give word_table some pairs")
    longest, clusters = int(table["letters"].max()), table["cluster"].value_counts().index
    named = [("any", None), *((cluster or "none", cluster) for cluster in clusters)]
    letters = ipywidgets.IntRangeSlider(value=(1, longest), min=1, max=longest, description="letters")
    cluster = ipywidgets.Dropdown(options=named, value=None, description="cluster")
    hyphen = ipywidgets.Dropdown(options=list(HYPHENS.items()), value=None, description="hyphen")
    frequency = ipywidgets.Dropdown(options=list(FREQUENCIES.items()), description="in Austen")
    output = ipywidgets.HTML(chosen_html(table))

    def update(_):
        chosen = choose(table, letters.value, cluster.value, hyphen.value, frequency.value)
        output.value = chosen_html(chosen)

    for control in (letters, cluster, hyphen, frequency):
        control.observe(update, names="value")
    return ipywidgets.VBox([letters, cluster, hyphen, frequency, output])
