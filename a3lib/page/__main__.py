"""`python -m a3lib.page -o page.html`: the page without a server."""

import argparse
import sys
from pathlib import Path

from a3lib.page.build import build

RUN = "live-noto"  # of the small CLIP
KEPT = Path("notebooks", "runs", "page")


def small_clip(root):
    """The `SmallClip` of the hunt; trained where it is not kept: a minute and a half of one core."""
    from a3lib.lab import clip_experiments as experiments

    path = root / KEPT / f"{RUN}-0.safetensors"
    if not path.is_file():
        experiments.run(RUN, seed=0, models=path.parent)
    return experiments.load(RUN, path)


def main(arguments=None):
    """Build the page as the arguments say; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m a3lib.page", description=__doc__)
    parser.add_argument("-o", "--output", default="page.html", help="the file to write")
    parser.add_argument("--no-hunt", action="store_true", help="train no CLIP, leave its hunt out")
    chosen = parser.parse_args(arguments)
    above = (one for one in (Path.cwd(), *Path.cwd().parents))
    root = next((one for one in above if (one / "notebooks/records").is_dir()), None)
    if root is None:
        parser.error("there are no notebooks/records here or above: go to the project's folder")
    build(root, chosen.output, None if chosen.no_hunt else small_clip(root))
    size = Path(chosen.output).stat().st_size / 1e6
    sys.stdout.write(f"{chosen.output}: {size:.1f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
