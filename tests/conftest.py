"""Settings of every test."""

import torch

torch.set_num_threads(
    1
)  # the models are tiny: two threads on a busy machine take ten times longer than one
