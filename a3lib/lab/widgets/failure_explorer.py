"""The failure explorer: choose words by what they are like, and see which models fail on them."""

import html
from importlib import resources

from a3lib.common import one_thread
from a3lib.lab.widgets.display import explorer, live_region
from a3lib.translation.batches import encode_pairs
from a3lib.translation.metrics import predictions

FREQUENCIES = {  # how often a word stands in Austen's six novels
    "any": (0, None),
    "not in them": (0, 0),
    "once": (1, 1),
    "2 to 9 times": (2, 9),
    "10 and more": (10, None),
}
HYPHENS = {"any": None, "with": True, "without": False}
SHOWN = 20  # words listed at once
ABOUT = ["word", "target", "letters", "cluster", "hyphen", "frequency"]  # then the models' columns


def word_table(models, pairs):
    """A pandas table, one row per word: the columns `ABOUT`, then each model's output.

    `models` maps names to translators. Raises ValueError without a model, or for one that has the
    name of another column.
    """
    import pandas

    if not models or (taken := set(models) & set(ABOUT)):
        problem = f"no model may be called {', '.join(sorted(taken))}" if models else "no model"
        raise ValueError(f"{problem}: give {{name: translator}}")
    encoded = encode_pairs(pairs)
    with one_thread():
        found = {name: predictions(model, encoded) for name, model in models.items()}
    frame = next(iter(found.values()))[ABOUT[:-1]].copy()
    source = resources.files("a3lib").joinpath("data/words/sources/austen.tsv")
    with source.open(encoding="utf8") as file:
        counts = pandas.read_csv(file, sep="\t", index_col="word", keep_default_na=False)
    frame["frequency"] = frame["word"].map(counts["count_six_novels"]).fillna(0).astype(int)
    return frame.assign(**{name: table["output"] for name, table in found.items()})


def choose(table, letters=(1, None), cluster=None, hyphen=None, frequency=(0, None)):
    """The rows with letters and frequency in ranges (low, high), a first cluster and a hyphen.

    None stands for any; the cluster '' is that of words that begin with a vowel or y.
    """
    for column, (low, high) in {"letters": letters, "frequency": frequency}.items():
        table = table[table[column].between(low, float("inf") if high is None else high)]
    for column, value in {"cluster": cluster, "hyphen": hyphen}.items():
        table = table if value is None else table[table[column] == value]
    return table


def accuracy(table):
    """A pandas table, one row per model: share of right words, right words, words."""
    right = table.drop(columns=ABOUT).eq(table["target"], axis=0)
    found = right.agg(["mean", "sum"]).T.set_axis(["accuracy", "right"], axis=1)
    return found.assign(words=len(table))


def chosen_html(table):
    """Accuracy by model and the words behind it: first those that most models get wrong."""
    if table.empty:
        return live_region("No word is like that: choose less.")
    shares = accuracy(table).astype({"right": int})
    shares["accuracy"] = shares["accuracy"].map("{:.0%}".format)
    wrong = table.drop(columns=ABOUT).ne(table["target"], axis=0)
    worst = wrong.sum(axis=1).sort_values(ascending=False, kind="stable").index[:SHOWN]
    words = table.loc[worst].set_index("word").drop(columns=["letters", "cluster", "hyphen"])
    for name in wrong:
        words[name] = list(map(_marked, words[name], wrong.loc[worst, name]))
    told = f"{len(table):,} words; the {len(words)} that most models get wrong are listed"
    words["target"] = words["target"].map(html.escape)
    words = words.rename(index=html.escape, columns=html.escape)
    shown = words.to_html(escape=False, index_names=False)
    return live_region(f"<p>{told}</p>{shares.to_html()}{shown}", "overflow-x:auto")


def _marked(output, is_wrong):
    """A mark as well as a colour."""
    shown = html.escape(output)
    return f"<b style='color:#A33B00'>✗ {shown}</b>" if is_wrong else f"✓ {shown}"


def failure_explorer(table):
    """Controls that `choose` from a `word_table`; the last child shows what they choose.

    Raises ValueError for a table without a word.
    """
    import ipywidgets

    if table.empty:
        raise ValueError("the table has no word to choose from: give word_table some pairs")
    longest, clusters = int(table["letters"].max()), table["cluster"].value_counts().index
    named = [("any", None), *((cluster or "none", cluster) for cluster in clusters)]
    controls = [
        ipywidgets.IntRangeSlider(value=(1, longest), min=1, max=longest, description="letters"),
        ipywidgets.Dropdown(options=named, value=None, description="cluster"),
        ipywidgets.Dropdown(options=list(HYPHENS.items()), value=None, description="hyphen"),
        ipywidgets.Dropdown(options=list(FREQUENCIES.items()), description="in Austen"),
    ]
    return explorer(controls, lambda *chosen: chosen_html(choose(table, *chosen)))
