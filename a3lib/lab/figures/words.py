"""Figures of the data: lengths of words, and vectors of places."""

import numpy as np

from a3lib.lab.figures.base import COLOURS, Picture, canvas, label_axes


def word_lengths(words):
    """Histogram of word lengths; `words` maps a name to a list of words."""
    (figure, axes), parts = canvas(7, 2.8), []
    longest = max(len(word) for some in words.values() for word in some)
    width = 0.8 / len(words)
    for number, (name, some) in enumerate(words.items()):
        lengths = [len(word) for word in some]
        share = np.bincount(lengths, minlength=longest + 1) / len(lengths)
        places = np.arange(longest + 1) + (number - 0.5) * width
        axes.bar(places, share, width, color=COLOURS[number], label=name)
        told = f"mean length {np.mean(lengths):.1f}, longest {max(lengths)}"
        parts.append(f"{name} has {len(some):,} words, {told}")
    axes.set_xticks(range(0, longest + 1, 2))
    label_axes(axes, "Word lengths", "characters", "share of words")
    axes.legend()
    return Picture(figure, "Word lengths", "; ".join(parts))


def positions(encodings, waves=(0, 4, 8, 12)):
    """A few sine curves of position encodings (places, H), and the similarity of all places."""
    encodings = encodings.numpy()
    figure, (left, right) = canvas(9, 3.2, 1, 2, width_ratios=[3, 2])
    for number, wave in enumerate(waves):
        left.plot(encodings[:, wave], ".-", color=COLOURS[number], label=f"number {wave}")
    label_axes(left, "A few of the waves", "place", "value")
    left.legend(fontsize=8, ncols=len(waves), loc="upper center", bbox_to_anchor=(0.5, -0.22))
    products = encodings @ encodings.T
    cosines = products / np.sqrt(np.outer(products.diagonal(), products.diagonal()))
    image = right.imshow(cosines, cmap="cividis")
    figure.colorbar(image, ax=right, label="cosine")
    right.set(title="Similarity of places", xlabel="place", ylabel="place")
    near, far = cosines.diagonal(1).mean(), cosines.diagonal(8).mean()
    told = f"mean cosine {near:.2f} of neighbours, {far:.2f} eight places apart"
    return Picture(figure, "Positions as waves", f"{len(encodings)} places; {told}")
