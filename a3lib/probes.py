"""Probes: what a frozen encoder knows, read off its cached features by a linear classifier."""

from dataclasses import dataclass

import torch

from a3lib.arithmetic import scores
from a3lib.bert import POOLINGS, Encoded, Head, encode, pool
from a3lib.training import one_thread
from a3lib.tuning import TuningSettings, fine_tune

STRENGTHS = (0.01, 0.1, 1.0)  # C of the logistic regression: inverse weight of the squared weights
PROPER = TuningSettings(
    learning_rate=1e-2, epochs=60, batch_size=64
)  # 200 times the published rate, 480 steps
PLACES = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Features:
    """Vectors of expressions: layer 0 is the embedding; only the last layer has a pooler."""

    vectors: dict  # (layer, pooling) -> tensor (N, H)
    layers: int

    def of(self, pooling, layer=None):
        """(N, H) of one pooling, of the last layer if none is given. Raises KeyError naming what there is."""
        key = (self.layers if layer is None else layer, pooling)
        if key not in self.vectors:
            raise KeyError(f"there are no features {key}; there are {sorted(self.vectors)}")
        return self.vectors[key]


def features(encoder, table, batch_size=256):
    """`Features` of the expressions of a table: one pass through the frozen trunk, dropout off."""
    data, found = encode(encoder, table), {}
    device = next(encoder.model.parameters()).device
    encoder.model.eval()
    with torch.inference_mode(), one_thread():
        for rows in torch.arange(len(data)).split(batch_size):
            inputs, _ = data.batch(rows, device)
            outputs = encoder.model(**inputs, output_hidden_states=True)
            for layer, states in enumerate(outputs.hidden_states):  # (B, S, H)
                last = layer == len(outputs.hidden_states) - 1
                for pooling in POOLINGS if last else POOLINGS[1:]:
                    vectors = pool(states, outputs.pooler_output, inputs["attention_mask"], pooling)
                    found.setdefault((layer, pooling), []).append(vectors.float().cpu())
    return Features({key: torch.cat(parts).clone() for key, parts in found.items()}, layer)


def train_head(vectors, labels, settings, seed, on_epoch=None):
    """A `Head` trained on vectors {'train', 'validation'} -> (head, `TuningHistory`)."""
    head = Head(vectors["train"].shape[1], seed)
    sides = (Encoded({"features": vectors[place]}, labels[place]) for place in PLACES[:2])
    return head, fine_tune(head, *sides, settings, seed, on_epoch)


def regression(vectors, labels):
    """Logistic regression on standardised vectors, its strength chosen by accuracy on validation alone.

    Ties go to the stronger penalty.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    best = None
    for strength in STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        model.fit(vectors["train"].numpy(), labels["train"])
        accuracy = scores(
            labels["validation"], model.predict(vectors["validation"].numpy())
        ).accuracy
        if best is None or accuracy > best[0]:
            best = accuracy, model
    return best[1]
