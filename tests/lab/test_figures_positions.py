"""Figures of positions: waves, and how alike the vectors of places are."""

import numpy as np
from drawings import alt_of, named

from a3lib.lab.figures.positions import positions
from a3lib.translation.positional_encoding import PositionalEncoding


def test_positions_draw_waves_and_the_cosines_of_all_places():
    encodings = PositionalEncoding(32)(24)
    picture = positions(encodings, waves=(0, 6))
    waves, similar, _ = picture.figure.axes
    for line, wave in zip(waves.lines, (0, 6), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), encodings[:, wave])
    vectors = encodings.numpy() / np.linalg.norm(encodings.numpy(), axis=1, keepdims=True)
    drawn = similar.images[0].get_array()
    np.testing.assert_allclose(drawn, vectors @ vectors.T, atol=1e-5)
    assert named(waves) and named(similar)
    near = np.mean([drawn[n, n + 1] for n in range(23)])
    far = np.mean([drawn[n, n + 8] for n in range(16)])
    told = f"24 places; mean cosine {near:.2f} of neighbours, {far:.2f} eight places apart"
    assert alt_of(picture).endswith(told)
