"""Speed and recall of the caption game: `python tests/benchmarks/bench_clip.py [model] [folder of pictures]`.

Processor time of one thread, so that other work on the machine hardly matters, and the wall clock beside it. An attempt
is everything between Enter and the new page, words explained; its ranking alone is one caption through the text tower
and one product. Operations are counted by PyTorch.
"""

import statistics
import sys
import tempfile
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from a3lib.clip.gallery import Gallery
from a3lib.clip.model import load_clip
from a3lib.clip.ranking import Ranking, caption_ranks
from a3lib.common import one_thread
from a3lib.lab.widgets import caption_game

CAPTIONS = [
    "purple flower",
    "butterfly",
    "a butterfly on a purple flower",
    "a black and white insect in front of green",
]


def timed(function):
    """(result, processor seconds, seconds)."""
    start = time.process_time(), time.perf_counter()
    result = function()
    return result, time.process_time() - start[0], time.perf_counter() - start[1]


def operations(function):
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def attempt_page(gallery, caption, target):
    return caption_game.game_html(gallery, target, [caption_game.attempt(gallery, caption, target)])


def main(name="auto", folder=None):
    model, processor, wall = timed(lambda: load_clip(name))
    print(f"{model.label}\nload: {processor:.1f} s of processor, {wall:.1f} s")
    with tempfile.TemporaryDirectory() as cache:
        gallery, encoding, wall = timed(lambda: Gallery(model, folder, cache=cache))
        print(f"encode {len(gallery)} pictures: {encoding:.2f} s of processor, {wall:.2f} s")
        _, again, wall = timed(lambda: Gallery(model, folder, cache=cache))
        print(f"the second time: {again:.2f} s of processor, {wall:.2f} s")
    attempt_page(gallery, CAPTIONS[0], 0)
    for label, function in (
        ("an attempt with its page", attempt_page),
        ("its ranking alone", ranking),
    ):
        rows = [
            timed(lambda c=c, f=function: f(gallery, c, 0))[1:] for _ in range(10) for c in CAPTIONS
        ]
        processor, wall = (statistics.median(column) for column in zip(*rows, strict=True))
        less = f"{encoding / processor:.0f} times less than encoding"
        print(f"{label}: {1000 * processor:.0f} ms of processor, {1000 * wall:.0f} ms, {less}")
    image = model.preprocess(gallery.photographs[0].image())[None]
    whole = len(gallery) * operations(lambda: model.encode_image(image))
    shares = [whole / operations(lambda c=c: gallery.scores([c])) for c in CAPTIONS]
    print(
        f"operations: encoding all pictures takes {min(shares):.0f} to {max(shares):.0f} times those of a caption"
    )
    if folder is None:
        captions = [photograph.caption for photograph in gallery.photographs]
        ranks = caption_ranks(gallery, captions, range(len(gallery)))
        print(
            *(
                f"recall@{k} of the gallery's own captions: {(ranks <= k).mean():.2f}"
                for k in (1, 5, 10)
            ),
            sep="\n",
        )


def ranking(gallery, caption, target):
    return Ranking(gallery.scores([caption])[0]).rank(target)


if __name__ == "__main__":
    with one_thread(), torch.inference_mode():
        main(*sys.argv[1:])
