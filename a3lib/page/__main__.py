"""`python -m a3lib.page -o page.html`: a page without a server."""

import argparse
import sys
from pathlib import Path

from a3lib.page.build import build


def small_clip(folder):
    """The `SmallClip` of a folder; trained where it is missing (80 seconds of a core)."""
    from a3lib.lab import clip_experiments as experiments

    kept = folder / "live-noto-0.safetensors"
    if not kept.is_file():
        experiments.run("live-noto", seed=0, models=folder)
    return experiments.load("live-noto", kept)


def main(arguments=None):
    """Build the page as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m a3lib.page", description=__doc__)
    parser.add_argument("-o", "--output", default="page.html", type=Path, help="the file to write")
    parser.add_argument("--no-hunt", action="store_true", help="train no CLIP, leave its hunt out")
    chosen, here = parser.parse_args(arguments), Path.cwd()
    root = next(
        (one for one in (here, *here.parents) if (one / "notebooks/records").is_dir()), None
    )
    if root is None:
        parser.error("no notebooks/records here or above: go to the project's folder")
    build(root, chosen.output, None if chosen.no_hunt else small_clip(root / "notebooks/runs/page"))
    sys.stdout.write(f"{chosen.output}: {chosen.output.stat().st_size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main()
