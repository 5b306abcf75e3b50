"""What would have happened, measured: `python tests/check/consequences.py [ITEM...]`.

Trains a small model with each wrong formula of the banks in the place of the right one. Writes a
line per training to tests/check/consequences.jsonl (what is there is not trained again) and, made
of them, a sentence per mistake to a3lib/check/consequences.csv.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

import joblib
from tqdm import tqdm
from wrong_models import measured

from a3lib import check
from a3lib.check import attentions, bert, cells, decoders, functions
from a3lib.common import written_by_rename

RECORDS = Path(__file__).with_name("consequences.jsonl")
TABLE = Path(check.__file__).with_name("consequences.csv")
ITEMS = {  # item -> (as its verdict calls it, its bank)
    "gru_cell": ("GRU cell", cells.GRU),
    "lstm_cell": ("LSTM cell", cells.LSTM),
    "additive_attention": ("additive attention", attentions.ADDITIVE),
    "scaled_dot_attention": ("scaled dot-product attention", attentions.SCALED_DOT),
    "causal_attention": ("causal attention", attentions.CAUSAL),
    "rnn_attention_decoder": ("RNN decoder with attention", decoders.RNN_GRU),
    "transformer_decoder": ("transformer decoder", decoders.DECODER),
    "positional_encoding": ("positional encoding", functions.POSITIONS),
    "sentence_classifier": ("sentence classifier", bert.CLASSIFIER),
}
SEEDS = (0, 1, 2)  # of the right formulas; a mistake is trained with the first
MARGIN = 0.05  # share of words that seeds scatter by
LOW = 0.1  # nats: a training loss that looks like success


def sentence(record, right):
    """One sentence on a record beside those of the right formulas."""
    if record["ends"] in ("does not fit", "error"):
        return "In a whole model it would not have run: shapes or types do not fit."
    if record["ends"] == "diverged":
        return f"The loss would have become NaN at update {record['update']}."
    best, worst = max(one["right"] for one in right), min(one["right"] for one in right)
    typical = sum(one["right"] for one in right) / len(right)
    share, loss = record["right"], number(record["training"])
    usual = number(sum(one["training"] for one in right) / len(right))
    things = "new words" if "endless" in record else "answers"
    if share >= worst - MARGIN:
        better = share > best + MARGIN
        told = "it would even have done better" if better else "it would have gone unnoticed"
        return f"In a short training {told}: {told_share(share)} of the {things} right, {typical:.0%} without it."
    how = f"{told_share(share)} of the {things} right, {typical:.0%} without it"
    if record["training"] < LOW and share < 0.5 * typical:
        told = f"The training loss would have fallen to {loss} and hidden it: {how}"
    elif share > 0.5 * typical:
        told = f"It would have learned, but worse: {how}"
    else:
        told = f"The training loss would have stayed at {loss}, where {usual} is usual: {how}"
    odd = {"endless": "never end", "repeats": "end in one letter again and again"}
    parts = [f"{record[n]:.0%} {what}" for n, what in odd.items() if record.get(n, 0) >= 0.2]
    return told + (f"; {' and '.join(parts)}." if parts else ".")


def number(loss):
    """A loss with two digits."""
    return f"{loss:.2g}" if loss < 0.1 else f"{loss:.1f}"


def told_share(share):
    """A share in per cent, where it is less than one in words."""
    return f"{share:.0%}" if share >= 0.01 else "almost none" if share else "none"


def recorded():
    """All records so far."""
    lines = RECORDS.read_text(encoding="utf-8").splitlines() if RECORDS.exists() else []
    return [json.loads(line) for line in lines]


def rows(records):
    """(item, mistake, sentence) of every mistake whose item has its right formulas recorded."""
    for item, (title, bank) in ITEMS.items():
        of_item = [one for one in records if one["item"] == item]
        right = [one for one in of_item if not one["mistake"]]
        found = {one["mistake"]: one for one in of_item}
        for name in bank.mistakes():
            if name in found and len(right) == len(SEEDS):
                yield title, name, sentence(found[name], right)


def main(arguments=None):
    """Trains what is not recorded yet, then writes the table."""
    command = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    command.add_argument("items", nargs="*", default=list(ITEMS), metavar="ITEM")
    command.add_argument("--jobs", type=int, default=joblib.cpu_count(), help="at a time")
    options = command.parse_args(arguments)
    done = {(one["item"], one["mistake"], one["seed"]) for one in recorded()}
    wanted = [(item, "", seed) for item in options.items for seed in SEEDS]
    wanted += [(i, name, SEEDS[0]) for i in options.items for name in ITEMS[i][1].mistakes()]
    tasks = [task for task in wanted if task not in done]
    parallel = joblib.Parallel(options.jobs, return_as="generator_unordered")
    made = parallel(joblib.delayed(measured)(*task) for task in tasks)
    for record in tqdm(made, total=len(tasks), file=sys.stderr):
        with RECORDS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    with written_by_rename(TABLE) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["item", "mistake", "sentence"])
        table.writerows(rows(recorded()))


if __name__ == "__main__":
    main()
