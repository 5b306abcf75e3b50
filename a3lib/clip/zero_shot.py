"""Zero-shot labels: pictures get labels from a text model's words, without any training."""

from torch.nn import functional


def label_scores(gallery, labels, templates):
    """Cosine of each picture with each label: (N, labels).

    A template has `{}` in place of the label; several are averaged as text vectors (Radford et al.
    2021, section 3.1.4).
    """
    texts = [template.format(label) for template in templates for label in labels]
    vectors = gallery.model.encode_text(texts).reshape(len(templates), len(labels), -1)
    return gallery.features @ functional.normalize(vectors.mean(0), dim=-1).T
