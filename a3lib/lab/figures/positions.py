"""Waves of places, and how alike their vectors are."""

import numpy as np

from a3lib.lab.figures.base import COLOURS, Picture, canvas, label_axes


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
