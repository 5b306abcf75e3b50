"""Zero-shot labels: pictures get labels from a text model's words, without any training."""

import torch
from torch.nn import functional


def label_scores(gallery, labels, templates):
    """Cosine of each picture with each label: (N, labels).

    A template has `{}` in place of the label; several are averaged as text vectors (Radford et al.
    2021, section 3.1.4).
    """
    texts = [template.format(label) for template in templates for label in labels]
    vectors = gallery.model.encode_text(texts).reshape(len(templates), len(labels), -1)
    return gallery.features @ functional.normalize(vectors.mean(0), dim=-1).T


def log_loss(scores, targets, scale):
    """Negative log probability of each target under softmax(scale * scores): (N,), in nats."""
    return functional.cross_entropy(scale * scores, torch.as_tensor(targets), reduction="none")


def fit_scale(scores, targets):
    """The inverse softmax temperature with the lowest mean log loss (Guo et al. 2017).

    It is one of 1,001 numbers from 1 to 1,000 in steps of 0.7 %.
    """
    scales = torch.logspace(0, 3, 1001)
    losses = torch.stack([log_loss(scores, targets, scale).mean() for scale in scales])
    return float(scales[losses.argmin()])
