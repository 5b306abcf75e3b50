"""Published losses of the textbook version on our splits, five seeds: `python tests/benchmarks/textbook_losses.py`.

Appends to `textbook_losses.jsonl` beside it; `test_textbook_losses.py` compares it with the records.
"""

from pathlib import Path

import part1
import torch

from a3lib.records import append_record, read_records

FILE = Path(__file__).with_suffix(".jsonl")

if __name__ == "__main__":
    torch.set_num_threads(1)
    known = {(record["run"], record["seed"]) for record in read_records(FILE)}
    for seed in range(5):
        for name in ("gru-small", "gru-large"):
            if (name, seed) not in known:
                seconds, _, bucket_mean = part1.train_textbook(name, seed)
                record = {"run": name, "seed": seed, "bucket_mean": min(bucket_mean), "seconds": round(seconds, 1)}
                append_record(FILE, record)
                print(record, flush=True)
