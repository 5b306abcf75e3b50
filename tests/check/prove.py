"""What the checks can do, measured: `python tests/check/prove.py [--seeds N] [--pairs N]`.

Writes tests/check/proof.md: per item the variants caught and named, pairs of them, right answers
accepted over many seeds, and mutants of right answers killed or shown to be equivalent. What is
measured is kept in proof.jsonl: an interrupted run goes on, and a change of the checks starts anew.
"""

import argparse
import datetime
import hashlib
import json
import random
import sys
import time
import warnings
from pathlib import Path

import joblib
import rewrites
import torch
from bank_submissions import SPECS, accepted, pairs, verdict_on
from freezing_submissions import WRONG
from mutants import mutants
from tqdm import tqdm

from a3lib import check
from a3lib.check.runner import Runner
from a3lib.common import written_by_rename

TITLES = (
    "| item | variants | caught | named | pairs | caught | both named | same numbers as others "
    "| right answers | checks | passed | mutants | killed | equivalent |"
)
TABLE, ROWS = Path(__file__).with_name("proof.md"), Path(__file__).with_name("proof.jsonl")
REFERENCES = {  # item -> (a right answer, what of it is mutated)
    "gru_cell": (rewrites.SixLayers, "forward"),
    "lstm_cell": (rewrites.FusedLSTM, "forward"),
    "additive_attention": (rewrites.Additive, "forward"),
    "scaled_dot_attention": (rewrites.OneFunction, "forward"),
    "causal_attention": (rewrites.MaskedFill, "forward"),
    "rnn_attention_decoder": (rewrites.EmbeddingThenContext, "forward"),
    "transformer_decoder": (rewrites.HandoutLoop, "forward"),
    "decoder_only_tensors": (rewrites.by_concatenation, ""),
    "find_optimal_params": (rewrites.vertex, ""),
    "fit_linear_log": (rewrites.polyfit, ""),
    "positional_encoding": (rewrites.with_log, ""),
    "pig_latin": (rewrites.with_loops, ""),
    "parameter_counts": (rewrites.lstm_parameters, ""),
    "freezing": (rewrites.by_name, ""),
}


def variants(item):
    """(how many, caught, named)."""
    names = [n for n in SPECS[item].bank.mistakes() if n not in accepted(item)]
    verdicts = [verdict_on(item, [name]) for name in names]
    named = sum(name in one.mistakes for name, one in zip(names, verdicts, strict=True))
    return len(names), sum(not one.right for one in verdicts), named


def frozen():
    """The same of freezing, whose mistakes are functions; pairs of them are not tried."""
    verdicts = [(check.freezing(function), set(names)) for function, names in WRONG.values()]
    caught = sum(not one.right for one, _ in verdicts)
    named = sum(set(one.mistakes) == names for one, names in verdicts)
    return len(WRONG), caught, named, "", "", "", ""


def two(item, most):
    """(pairs tried, caught, both named, told by fewer or other mistakes with the same numbers)."""
    found = sorted(map(sorted, pairs(item)))
    tried = random.Random(item).sample(found, min(most, len(found)))
    verdicts = [verdict_on(item, pair) for pair in tried]
    named = sum(set(p) <= set(one.mistakes) for p, one in zip(tried, verdicts, strict=True))
    known = [set(one.mistakes) & set(SPECS[item].bank.wrong) for one in verdicts]
    caught = sum(not one.right for one in verdicts)
    return len(tried), caught, named, sum(map(bool, known)) - named


def right(item, seeds):
    """(right answers, checks, checks that were passed)."""
    found = rewrites.RIGHT.get(item, [])
    if item == "sentence_classifier":
        found = [(one, {}) for one in rewrites.classifiers()]
    passed = [
        getattr(check, item)(one, seed=seed, **options).right
        for one, options in found
        for seed in range(seeds)
    ]
    return len(found), len(passed), sum(passed)


def killed(item):
    """(mutants, killed, equivalent, the others)."""
    answer, method = REFERENCES[item]
    counts, alive = [0, 0, 0], []
    for what, function in mutants(getattr(answer, method) if method else answer):
        mutant = type("Mutant", (answer,), {method: function}) if method else function
        counts[0] += 1
        if not getattr(check, item)(mutant).right:
            counts[1] += 1
        elif equivalent(item, answer, mutant):
            counts[2] += 1
        else:
            alive.append(what)
    return (*counts, alive)


def equivalent(item, answer, mutant):
    """Whether two submissions give the same numbers for 20 other seeds, asked in the same way."""
    return all(_recorded(item, answer, seed) == _recorded(item, mutant, seed) for seed in range(20))


def _recorded(item, learned, seed):
    """All outputs that a check sees, rounded."""
    outputs = []

    class Recorder(Runner):
        def ask(self, operation, **arguments):
            answer = super().ask(operation, **arguments)
            outputs.append(_rounded(answer.get("outputs", answer.get("trainable"))))
            return answer

    check.ITEMS[item][1](Recorder({"Learned": learned}), "Learned", seed=100 + seed)
    return outputs


def _rounded(value):
    if isinstance(value, torch.Tensor):
        return [round(v, 4) for v in value.double().flatten().tolist()], value.shape
    if isinstance(value, list):
        return list(map(_rounded, value))
    return round(value, 4) if isinstance(value, float) else value


def text(rows, alive, how):
    """The table and what its columns mean."""
    rows = [[*row, *[""] * (14 - len(row))] for row in rows]  # items without mutants
    table = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
    left = "\n".join(alive) or "* none"
    return f"""# What the checks can do

{datetime.date.today()}, torch {torch.__version__}, {how}.

{TITLES}
{"|---" * 14}|
{table}

Same numbers as others: one of the two has no effect beside the other one, or another mistake or pair
gives the same outputs, and that one is named. Right answers that several rows share are counted in the
first of them. Equivalent: the outputs are the same in 20 further runs of the check. A decoder's further
outputs (attention maps) are not judged, and [key; query] is as right as [query; key].

Mutants that are neither killed nor equivalent:
{left}
"""


def measured(item, part, number):
    """A row of proof.jsonl: cells of an item's row, its mutants that are left, seconds."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    start, alive = time.process_time(), []
    if part == "named":
        cells = variants(item) if item in SPECS else frozen()
    elif part == "pairs":
        cells = two(item, number)
    elif part == "right":
        cells = right(item, number)
    else:
        *cells, alive = killed(item)
    cells, alive = list(cells), [f"* {item}: `{what}`" for what in alive]
    return {"cells": cells, "alive": alive, "seconds": round(time.process_time() - start, 1)}


def parts(seeds, most):
    """(item, part, its number) of the whole table, in its order."""
    for item in [*SPECS, "freezing"]:
        yield item, "named", 0
        if item in SPECS:
            yield item, "pairs", most
        yield item, "right", seeds
        if item in REFERENCES:
            yield item, "mutants", 0


def state():
    """Hash of all that decides the table: the checks, their banks and the submissions."""
    folders = (Path(check.__file__).parent, Path(__file__).parent)
    files = [path for folder in folders for path in sorted(folder.glob("*.py"))]
    files += sorted(folders[0].glob("mistakes/*.txt"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def main(arguments=None):
    """Measures what is missing, several parts at a time, and writes the table of all."""
    command = argparse.ArgumentParser("python tests/check/prove.py", description=__doc__)
    command.add_argument("--seeds", type=int, default=1000, help="per right answer")
    command.add_argument("--pairs", type=int, default=300, help="per item")
    command.add_argument("--jobs", type=int, default=-1, help="parts at a time")
    options = command.parse_args(arguments)
    lines = ROWS.read_text("utf8").splitlines() if ROWS.exists() else []
    found, now = {tuple(row["key"]): row for row in map(json.loads, lines)}, state()
    asked = {(*one, now): one for one in parts(options.seeds, options.pairs)}
    missing = [key for key in asked if key not in found]
    calls = (joblib.delayed(lambda key: (key, measured(*asked[key])))(key) for key in missing)
    done = joblib.Parallel(options.jobs, return_as="generator_unordered")(calls)
    for key, row in tqdm(done, total=len(missing)):
        found[key] = {"key": key, **row}
        kept = [json.dumps(found[key]) for key in asked if key in found]
        with written_by_rename(ROWS) as part:
            part.write_text("\n".join([*kept, ""]), "utf8")
    rows = {item: [item] for item, *_ in asked}
    for key in asked:
        rows[key[0]] += found[key]["cells"]
    how = f"`python tests/check/prove.py --seeds {options.seeds} --pairs {options.pairs}`"
    seconds = sum(found[key]["seconds"] for key in asked)
    alive = [line for key in asked for line in found[key]["alive"]]
    with written_by_rename(TABLE) as part:
        told = f"{seconds:.0f} s of one core; made by {how}"
        part.write_text(text(rows.values(), alive, told), encoding="utf-8")
    sys.stdout.write(f"{TABLE}\n")


if __name__ == "__main__":
    main()
