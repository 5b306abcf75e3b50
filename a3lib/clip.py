"""Two towers, one space: CLIP, and for machines without a model hub a labelled stand-in that is not CLIP."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from a3lib import weights
from a3lib.encoders import load_encoder, quiet
from a3lib.training import one_thread

OPENAI = "ViT-B-32-quickgelu/openai"  # trained with QuickGELU, which open_clip's plain ViT-B-32 does not have
FILES = ("open_clip*.safetensors", "open_clip*.bin")
# Of the stand-in. Chosen 100 times on the captions and pictures of a random half of the gallery, from 24 settings a
# template, these three won most often; the other half's captions then found their pictures among all 89 at recall@1
# .65 and recall@5 .85. The plain setting (the name alone, 10 classes, temperature 1) has .58 and .78.
TEMPLATE = "a photo of a {}"  # MiniLM reads a class name in the company of a caption
LIKELIEST = 20  # classes that describe a picture
TEMPERATURE = 2.0  # of the class probabilities: more than one class has a say
STANDIN_LABEL = "This is not CLIP: EfficientNet-Lite0 and all-MiniLM-L6-v2, never trained together, stand in for it."
STANDIN_TOKENS = 256  # MiniLM was trained on texts up to this length
STANDIN_SCALE = 20.0  # of cosines in MiniLM's own training


@dataclass(frozen=True, eq=False)
class Clip:
    """CLIP by open_clip. Vectors have length 1; similarity is their product times `logit_scale`."""

    model: torch.nn.Module
    tokenizer: object
    preprocess: object  # PIL picture -> (3, 224, 224)
    name: str
    label: str
    logit_scale: float
    context_length: int
    is_clip: bool = True

    @torch.no_grad()
    def encode_image(self, images):
        """(B, 3, 224, 224) from `preprocess` -> (B, D) unit vectors."""
        return functional.normalize(self.model.encode_image(images), dim=-1)

    @torch.no_grad()
    def encode_text(self, texts):
        """List of B strings -> (B, D) unit vectors; tokens beyond `context_length` are cut off."""
        return functional.normalize(self.model.encode_text(self.tokenizer(list(texts))), dim=-1)

    def count_tokens(self, text):
        """Tokens of a text with its two end marks, before any is cut off."""
        return len(self.tokenizer.encode(text)) + 2


@dataclass(frozen=True, eq=False)
class StandIn:
    """ConSE (Norouzi et al. 2014): class probabilities of a picture, averaged over the classes' sentence vectors."""

    tower: torch.nn.Module
    encoder: object
    classes: torch.Tensor  # (1000, D)
    preprocess: object
    name: str = "standin"
    label: str = STANDIN_LABEL
    logit_scale: float = STANDIN_SCALE
    context_length: int = STANDIN_TOKENS
    is_clip: bool = False

    @one_thread()
    @torch.no_grad()
    def encode_image(self, images):
        """(B, 3, 224, 224) from `preprocess` -> (B, D) unit vectors."""
        parts = images.contiguous(memory_format=torch.channels_last).split(
            8
        )  # fits the processor's caches
        logits = torch.cat([self.tower(part) for part in parts])  # (B, 1000)
        top = (logits / TEMPERATURE).softmax(-1).topk(LIKELIEST)  # (B, 20)
        return functional.normalize(
            (top.values[..., None] * self.classes[top.indices]).sum(1), dim=-1
        )  # (B, D)

    def encode_text(self, texts):
        """List of B strings -> (B, D) unit vectors; tokens beyond `context_length` are cut off."""
        return sentence_vectors(self.encoder, texts)

    def count_tokens(self, text):
        """Tokens of a text with its two end marks, before any is cut off."""
        return len(self.encoder.tokenizer(text, verbose=False)["input_ids"])


@one_thread()
@torch.no_grad()
def sentence_vectors(encoder, texts, batch=32):
    """List of B strings -> (B, D): the mean of the last hidden states, at length 1."""
    texts = list(texts)
    order = sorted(
        range(len(texts)), key=lambda index: len(texts[index])
    )  # similar lengths together: less padding
    vectors = torch.empty(len(texts), encoder.model.config.hidden_size)
    for start in range(0, len(texts), batch):
        rows = order[start : start + batch]
        limits = {"padding": True, "truncation": True, "max_length": STANDIN_TOKENS}
        tokens = encoder.tokenizer([texts[row] for row in rows], return_tensors="pt", **limits)
        states = encoder.model(**tokens).last_hidden_state  # (B, S, D)
        weight = tokens["attention_mask"][..., None]  # (B, S, 1)
        vectors[rows] = functional.normalize((states * weight).sum(1) / weight.sum(1), dim=-1)
    return vectors


def load_clip(name="auto", source=None):
    """CLIP, or what stands in for it, behind `encode_image` and `encode_text`.

    `auto`: CLIP where a hub or its cache has it, else the stand-in; with source `offline` always the stand-in, so that
    results do not depend on what a cache holds. `ViT-B-32`: OpenAI's weights; `ViT-B-32/laion2b_s34b_b79k`: any other
    architecture/tag of open_clip; a folder with `open_clip_config.json` and weights; `standin`.
    Raises `WeightsUnavailable`, and ValueError for an unknown name or an activation that the weights do not have.
    """
    source = weights.chosen_source(source)
    if name == "auto" and source == "auto":
        with contextlib.suppress(weights.WeightsUnavailable):
            return load_clip("ViT-B-32", source)
    if name == "standin" or (name == "auto" and source != "hub"):
        return _stand_in()
    if Path(name).is_dir():
        return _open_clip(Path(name), Path(name).name, f"CLIP from the folder {Path(name).name}.")
    from open_clip import get_model_config, get_pretrained_cfg

    name = OPENAI if name in ("auto", "ViT-B-32") else str(name)
    architecture, _, tag = name.partition("/")
    published = get_pretrained_cfg(architecture, tag)
    if not published.get("hf_hub"):
        raise ValueError(
            f"no folder or model {name!r}: take auto, ViT-B-32, ViT-B-32/laion2b_s34b_b79k or standin"
        )
    quick = published.get("quick_gelu", False)
    _check_activation(name, quick, get_model_config(architecture))
    folder = weights.hub_folder(
        published["hf_hub"].strip("/"), source, ("open_clip_config.json",), FILES
    )
    return _open_clip(folder, name, f"CLIP: {architecture} with the weights {tag}.", quick)


def _check_activation(name, quick, config):
    if config.get("quick_gelu", False) != quick:
        used, not_used = ("QuickGELU", "GELU") if quick else ("GELU", "QuickGELU")
        raise ValueError(
            f"{name}: its weights were trained with {used}, not {not_used}; results would be wrong"
        )


def _open_clip(folder, name, label, quick=None):
    import open_clip

    try:
        config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf8"))[
            "model_cfg"
        ]
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise weights.WeightsUnavailable(
            f"{folder} has no readable open_clip_config.json ({error})"
        ) from error
    if "hf_tokenizer_name" in config.get("text_cfg", {}):
        raise ValueError(
            f"{folder} has another tokenizer than CLIP's, which is the only one read here"
        )
    if quick is not None:
        _check_activation(folder, quick, config)
    tensors = weights.read_tensors(folder, FILES)
    with quiet():
        model, _, preprocess = open_clip.create_model_and_transforms(
            f"local-dir:{folder}", load_weights=False
        )
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{folder}: the weights do not fit open_clip_config.json ({reason})"
        ) from error
    tokenizer = open_clip.SimpleTokenizer(context_length=model.context_length)
    scale = model.logit_scale.exp().item()
    return Clip(model.eval(), tokenizer, preprocess, name, label, scale, model.context_length)


def _stand_in():
    import timm
    from open_clip import IMAGENET_CLASSNAMES
    from torchvision import transforms

    tower = timm.create_model("tf_efficientnet_lite0")
    stored = weights.read_tensors(next(weights.wheel_files(weights.EFFICIENTNET).glob("*.pth")))
    tower.load_state_dict(
        dict(zip(tower.state_dict(), stored.values(), strict=True))
    )  # same order, other names
    steps = [
        lambda picture: picture.convert("RGB"),
        transforms.Resize(
            256, transforms.InterpolationMode.BICUBIC
        ),  # 1.14 x the input, as in its training
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize([127 / 255] * 3, [128 / 255] * 3),
    ]
    encoder = load_encoder(source="offline")  # the wheel: the same bytes as the hub's
    classes = sentence_vectors(encoder, [TEMPLATE.format(name) for name in IMAGENET_CLASSNAMES])
    return StandIn(tower.eval(), encoder, classes, transforms.Compose(steps))
