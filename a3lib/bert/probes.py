"""Probes: what a frozen encoder knows, read off its cached features by a linear classifier."""

import torch

from a3lib.bert.fine_tuning import FineTuningSettings, fine_tune
from a3lib.bert.heads import Encoded, Head, encode, pool
from a3lib.common import one_thread

STRENGTHS = (0.01, 0.1, 1.0)  # C of the logistic regression: inverse weight of the squared weights
PROPER = FineTuningSettings(learning_rate=1e-2, epochs=60, batch_size=64)  # for a head: 480 updates


@torch.no_grad()
def features(encoder, table):
    """{(layer, pooling): vectors (N, H)}; layer 0 is the embedding, only the last has a pooler."""
    inputs, _ = encode(encoder, table).batch(slice(None), encoder.model.device)
    with one_thread():
        outputs = encoder.model.eval()(**inputs, output_hidden_states=True)
    found = {(len(outputs.hidden_states) - 1, "pooler"): outputs.pooler_output}
    for layer, states in enumerate(outputs.hidden_states):  # (N, S, H)
        for pooling in ("cls", "mean"):
            found[layer, pooling] = pool(states, None, inputs["attention_mask"], pooling)
    return {key: vectors.float().cpu() for key, vectors in found.items()}


def train_head(vectors, labels, settings, seed, on_epoch=None):
    """A `Head` trained on vectors {'train': (N, H), 'validation': ...} -> (head, `History`)."""
    head = Head(vectors["train"].shape[1], seed)
    sides = (Encoded({"features": vectors[s]}, labels[s]) for s in ("train", "validation"))
    return head, fine_tune(head, *sides, settings, seed, on_epoch)


def regression(vectors, labels):
    """Logistic regression on standardised vectors; accuracy on validation decides its strength."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models = []
    for strength in STRENGTHS:
        fresh = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        models.append(fresh.fit(vectors["train"].numpy(), labels["train"]))
    points, truth = vectors["validation"].numpy(), labels["validation"]
    return max(models, key=lambda model: model.score(points, truth))  # the first of equals
