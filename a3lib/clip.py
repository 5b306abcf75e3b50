"""Two towers, one space: CLIP, and for machines without a model hub a labelled stand-in that is not CLIP."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from a3lib import weights
from a3lib.encoders import load_encoder

TRUE = "ViT-B-32-quickgelu"  # the published weights were trained with QuickGELU, which plain ViT-B-32 lacks
LIKELIEST = 10  # classes that describe a picture in the stand-in
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

    @torch.no_grad()
    def encode_image(self, images):
        """(B, 3, 224, 224) from `preprocess` -> (B, D) unit vectors."""
        parts = images.contiguous(memory_format=torch.channels_last).split(8)  # fits the processor's caches
        logits = torch.cat([self.tower(part) for part in parts])  # (B, 1000)
        top = logits.softmax(-1).topk(LIKELIEST)  # (B, 10)
        return functional.normalize((top.values[..., None] * self.classes[top.indices]).sum(1), dim=-1)  # (B, D)

    def encode_text(self, texts):
        """List of B strings -> (B, D) unit vectors; tokens beyond `context_length` are cut off."""
        return sentence_vectors(self.encoder, texts)

    def count_tokens(self, text):
        """Tokens of a text with its two end marks, before any is cut off."""
        return len(self.encoder.tokenizer(text, verbose=False)["input_ids"])


@torch.no_grad()
def sentence_vectors(encoder, texts, batch=100):
    """List of B strings -> (B, D): the mean of the last hidden states, at length 1."""
    vectors = []
    for start in range(0, len(texts), batch):
        part = list(texts[start : start + batch])
        tokens = encoder.tokenizer(part, padding=True, truncation=True, max_length=STANDIN_TOKENS, return_tensors="pt")
        states = encoder.model(**tokens).last_hidden_state  # (B, S, D)
        weight = tokens["attention_mask"][..., None]  # (B, S, 1)
        vectors.append(functional.normalize((states * weight).sum(1) / weight.sum(1), dim=-1))
    return torch.cat(vectors)


def load_clip(name="auto", source=None):
    """CLIP, or what stands in for it, behind `encode_image` and `encode_text`.

    `auto`: CLIP where a hub or its cache has it, else the stand-in; `offline` always takes the stand-in, so that results
    do not depend on what a cache holds. `ViT-B-32` (published weights), another tag of open_clip as `ViT-B-32/tag`, a
    folder with `open_clip_config.json` and weights, or `standin`. Raises `WeightsUnavailable`, ValueError.
    """
    source = weights.chosen_source(source)
    if name == "auto":
        try:
            return load_clip("standin" if source == "offline" else "ViT-B-32", source)
        except weights.WeightsUnavailable:
            if source == "hub":
                raise
            name = "standin"
    if name == "standin":
        return _stand_in(source)
    if Path(name).is_dir():
        return _open_clip(Path(name), f"CLIP from the folder {Path(name).name}")
    from open_clip import get_pretrained_cfg

    architecture, _, tag = str(name).partition("/")
    architecture, tag = TRUE if name == "ViT-B-32" else architecture, tag or "openai"
    published = get_pretrained_cfg(architecture, tag)
    if not published.get("hf_hub"):
        raise ValueError(f"no folder or model {name!r}: take auto, ViT-B-32, ViT-B-32/laion2b_s34b_b79k or standin")
    folder = weights.hub_folder(published["hf_hub"].strip("/"), source)
    return _open_clip(folder, f"CLIP {architecture}, weights {tag}", quick=published.get("quick_gelu", False))


def _open_clip(folder, label, quick=None):
    import open_clip

    if not (folder / "open_clip_config.json").is_file():
        raise weights.WeightsUnavailable(
            f"{folder} has no open_clip_config.json: it is not the folder of an open_clip model"
        )
    config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf8"))["model_cfg"]
    if quick is not None and config.get("quick_gelu", False) != quick:
        raise ValueError(
            f"{label}: trained with QuickGELU {quick}, but {folder} says otherwise; its results would be wrong"
        )
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}", load_weights=False)
    model.load_state_dict(weights.read_tensors(folder, ("open_clip*.safetensors", "open_clip*.bin")))
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    scale = model.logit_scale.exp().item()
    return Clip(model.eval(), tokenizer, preprocess, folder.name, label, scale, model.context_length)


def _stand_in(source):
    import timm
    from open_clip import IMAGENET_CLASSNAMES
    from torchvision import transforms

    tower = timm.create_model("tf_efficientnet_lite0")
    stored = weights.read_tensors(next(weights.wheel_files(weights.EFFICIENTNET).glob("*.pth")))
    tower.load_state_dict(dict(zip(tower.state_dict(), stored.values(), strict=True)))  # same order, other names
    crop = transforms.CenterCrop(224)
    resize = transforms.Resize(256, transforms.InterpolationMode.BICUBIC)
    scale = transforms.Normalize([127 / 255] * 3, [128 / 255] * 3)
    preprocess = transforms.Compose(
        [lambda picture: picture.convert("RGB"), resize, crop, transforms.ToTensor(), scale]
    )
    encoder = load_encoder(source=source)
    return StandIn(tower.eval(), encoder, sentence_vectors(encoder, IMAGENET_CLASSNAMES), preprocess)
