"""`python -m a3lib.check.grade NOTEBOOK_OR_MODULE_OR_FOLDER...`: points for each submission."""

import argparse
import sys
import zipfile
from dataclasses import replace
from itertools import chain
from pathlib import Path

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from a3lib.check.grade import reports
from a3lib.check.grade.grading import grade, ungraded
from a3lib.check.grade.sandbox import LIMITS
from a3lib.check.grade.selection import POINTS, load_items
from a3lib.common import written_by_rename

HERE = Path(__file__).parent


def grade_all(paths, items, limits=LIMITS, jobs=-1):
    """(place in `paths`, rows) of each, as they get ready, several at a time.

    Where a worker dies (a file that breaks Python's parser), the submissions that were not ready
    are graded again, each alone, and only the one that kills its worker is given up.
    """

    def one(number):
        return number, grade(paths[number], items, limits)

    waiting = set(range(len(paths)))
    for group in [sorted(waiting), *([number] for number in range(len(paths)))]:
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
        try:
            for number, rows in parallel(joblib.delayed(one)(n) for n in group if n in waiting):
                waiting.discard(number)
                yield number, rows
        except TerminatedWorkerError:
            if len(group) == 1:
                waiting.discard(group[0])
                yield group[0], [ungraded(paths[group[0]], "reading it ended the grader's process")]


def pack(target):
    """Writes the zip that Gradescope asks for as an autograder."""
    package = HERE.parents[1]
    with written_by_rename(target) as part, zipfile.ZipFile(part, "w") as out:
        for name in ("setup.sh", "run_autograder"):
            out.write(HERE / name, name)
        data = [*HERE.parent.rglob("*.csv"), *HERE.parent.rglob("*.txt")]  # points and mistakes
        for file in sorted([*package.rglob("*.py"), *data]):
            out.write(file, Path("a3lib") / file.relative_to(package))


def main(arguments=None):
    """Grades, shows the progress, writes the report after every step."""
    command = argparse.ArgumentParser("python -m a3lib.check.grade", description=__doc__)
    command.add_argument("submissions", nargs="*", help="notebook, module or folder of one student")
    for form in ("text", "csv", "json", "html", "gradescope"):
        command.add_argument(f"--{form}", dest="form", action="store_const", const=form)
    command.add_argument("-o", "--output", type=Path, help="file, written anew after every step")
    command.add_argument("--points", default=POINTS, help=f"items and points, default {POINTS}")
    command.add_argument("--jobs", type=int, default=-1, help="submissions at a time")
    command.add_argument("--seconds", type=float, default=LIMITS.seconds, help="per question")
    command.add_argument("--pack", type=Path, metavar="ZIP", help="write Gradescope's autograder")
    options = command.parse_args(arguments)
    if options.pack:
        return pack(options.pack)
    shown, paths = getattr(reports, f"as_{options.form or 'text'}"), options.submissions
    if not paths:
        command.error("give at least one notebook, module or folder")
    items, limits = load_items(options.points), replace(LIMITS, seconds=options.seconds)
    done = [[] for _ in paths]

    def tell(rows, number=0):
        done[number] = rows
        if options.output:
            with written_by_rename(options.output) as part:
                part.write_text(shown(list(chain(*done))), encoding="utf-8")

    tell([])  # a valid file from the first moment on
    if len(paths) == 1:
        tell(grade(paths[0], items, limits, tell))
    else:
        graded = grade_all(paths, items, limits, options.jobs)
        for number, rows in tqdm(graded, total=len(paths), unit="submission"):
            tell(rows, number)
    if not options.output:
        sys.stdout.write(shown(list(chain(*done))))


if __name__ == "__main__":
    main()
