"""The gates of a recurrent cell over a word."""

import torch

from a3lib.lab.figures.base import Picture, canvas


def gates(letters, update, reset):
    """Both gates (S, H) of all units over the S letters of a word, and their means.

    Units stand in the order of their mean update gate. Raises ValueError where sizes do not fit.
    """
    parts = {"update gate z: how much is written": update, "reset gate r: how much is read": reset}
    values = [torch.as_tensor(part).detach().cpu().numpy() for part in parts.values()]
    if {part.shape for part in values} != {(len(letters), values[0].shape[-1])}:
        shapes = " and ".join(str(part.shape) for part in values)
        raise ValueError(f"{len(letters)} letters need two gates (S, H), not {shapes}")
    order = values[0].mean(0).argsort()
    (figure, panels), told = canvas(8.6, 3.6, 1, 2, sharey=True), []
    for axes, name, part in zip(panels, parts, values, strict=True):
        image = axes.imshow(part.T[order], cmap="cividis", vmin=0, vmax=1, aspect="auto")
        means = [f"{one}\n{mean:.2f}" for one, mean in zip(letters, part.mean(1), strict=True)]
        axes.set_xticks(range(len(letters)), means, fontsize=9)
        axes.set(title=name, xlabel="letter read, with the mean of all units")
        told.append(f"{name}, mean per letter: " + ", ".join(means).replace("\n", " "))
    panels[0].set_ylabel("unit")
    figure.colorbar(image, ax=panels, label="0: closed, 1: open")
    return Picture(figure, f"The gates over {' '.join(letters)}", "; ".join(told))
