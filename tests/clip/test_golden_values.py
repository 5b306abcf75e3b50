"""What CLIP's own preparation must give, known without a hub: token ids, pixels, the scale."""

import math

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from a3lib.clip.gallery import packaged_photographs
from a3lib.clip.model import Clip
from a3lib.pretrained.encoders import quiet

# ids of CLIP's byte-pair vocabulary between its two end marks; those of the first three stand in
# many introductions to CLIP
TOKENS = {
    "a photo of a cat": [320, 1125, 539, 320, 2368],
    "a dog": [320, 1929],
    "a diagram": [320, 22697],
    "a photo of a dog": [320, 1125, 539, 320, 1929],
    "This is a butterfly": [589, 533, 320, 9738],
    "a butterfly on a purple flower": [320, 9738, 525, 320, 5496, 4055],
    "purple flower": [5496, 4055],
    "scissors": [30867],
    "a wombat": [320, 1087, 6575],
    "two green bees on a daisy": [1237, 1901, 9100, 525, 320, 12865],
    "a close-up photo of the windmill": [320, 2660, 268, 705, 1125, 539, 518, 34084],
    "it's 3 o'clock!": [585, 568, 274, 334, 262, 6716, 256],
    "A RED SQUARE left of a blue circle": [320, 736, 3999, 1823, 539, 320, 1746, 7117],
    "an espresso, please": [550, 17098, 267, 1474],
    "naïve café": [1097, 35689, 563, 15304],
    "42": [275, 273],
    "giraffes' necks": [16949, 46441, 262, 29701],
    "rocket 🚀": [8383, 13542],
    "": [],
    "hello\nworld": [3306, 1002],
}
BUTTERFLY = [
    [[-0.7289999723434448, -0.9120000004768372], [-0.09000000357627869, -0.4429999887943268]],
    [[-0.37700000405311584, -0.5730000138282776], [0.03999999910593033, -0.10499999672174454]],
    [[-0.6650000214576721, -0.8600000143051147], [-0.04600000008940697, -0.7279999852180481]],
]  # mean of each quarter, (3, 2, 2)


@pytest.fixture(scope="module")
def model():
    with quiet():
        made = open_clip.create_model_and_transforms("ViT-B-32-quickgelu", pretrained=None)
    made[0].logit_scale.data.fill_(math.log(100))  # what OpenAI's weights hold
    return Clip(made[0], made[2], "random weights")


@pytest.mark.parametrize("caption", TOKENS, ids=repr)
def test_a_caption_has_the_token_ids_of_clip(model, caption):
    ids = [49406, *TOKENS[caption], 49407]
    assert model.tokenizer([caption])[0].tolist() == ids + [0] * (77 - len(ids))
    assert model.count_tokens(caption) == len(ids)


def test_a_picture_is_prepared_as_clip_s_are(model):
    photograph = next(p for p in packaged_photographs() if p.name == "butterfly.jpg")
    pixels = model.preprocess(photograph.image())
    assert pixels.shape == (3, 224, 224)
    quarters = torch.nn.functional.avg_pool2d(pixels, 112)
    torch.testing.assert_close(quarters, torch.tensor(BUTTERFLY), atol=0.003, rtol=0)


def test_black_and_white_have_clip_s_mean_and_spread(model):
    mean, spread = (
        np.array([0.48145466, 0.4578275, 0.40821073]),
        np.array([0.26862954, 0.26130258, 0.27577711]),
    )
    for value in (0, 255):
        pixels = model.preprocess(Image.new("RGB", (400, 300), (value,) * 3))
        expected = (value / 255 - mean) / spread
        np.testing.assert_allclose(pixels[:, 100, 100], expected, atol=1e-5)


def test_the_scale_is_the_exponential_of_what_is_stored(model):
    assert model.logit_scale == pytest.approx(100, rel=1e-6)
