"""Seconds that each check takes, right and wrong: `python tests/benchmarks/check_speed.py`.

Processor time of one thread, the median of several right answers and of all known mistakes, and the
slowest of all; a check shall stay below two seconds.
"""

import statistics
import sys
import time
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "check"))

from bank_submissions import SPECS, accepted, verdict_on

LIMIT = 2.0  # seconds


def seconds(item, mistakes=()):
    """Of one check, without making the submission's first imports."""
    start = time.process_time()
    verdict_on(item, mistakes)
    return time.process_time() - start


def main():
    """Prints a table; 1 if a check was slower than the limit."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    slowest = 0.0
    print("| item | right, median s | wrong, median s | slowest s |\n|---|---|---|---|")
    for item in SPECS:
        verdict_on(item)
        right = [seconds(item) for _ in range(5)]
        names = [name for name in SPECS[item].bank.mistakes() if name not in accepted(item)]
        wrong = [seconds(item, [name]) for name in names]
        slowest = max(slowest, *right, *wrong)
        medians = statistics.median(right), statistics.median(wrong)
        print(f"| {item} | {medians[0]:.3f} | {medians[1]:.3f} | {max(*right, *wrong):.3f} |")
    return int(slowest > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
