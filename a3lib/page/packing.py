"""What the page computes with: weights in half precision, words and their failures, emoji."""

import base64
import io
import json

import torch
from PIL import Image
from safetensors import safe_open

from a3lib.data.emoji import emoji, gallery
from a3lib.lab.widgets.failure_explorer import ABOUT, word_table
from a3lib.translation.models import load_model
from a3lib.translation.pairs import load_pairs

HUNTED, COLUMNS = 240, 40  # pictures of the hunt, and of a row of their sheet
# parts of open_clip's text tower, each before its name in models.js
RENAMED = """token_embedding embedding positional_embedding positions transformer.resblocks blocks
ln_1 attention_norm ln_2 mlp_norm attn. attention. out_proj out c_fc 0 c_proj 2 ln_final norm"""


def halves(tensor):
    """A tensor in half precision, low byte first, as base64."""
    return base64.b64encode(tensor.detach().cpu().numpy().astype("<f2").tobytes()).decode()


def packed(settings, weights):
    """Settings and named tensors as `built` of models.js takes them."""
    names = [[name, value.numel()] for name, value in weights.items()]
    data = halves(torch.cat([value.flatten() for value in weights.values()]))
    return {"settings": settings, "weights": {"names": names, "data": data}}


def translator(path):
    """A kept translator with weights rounded to half precision, and the same `packed`.

    Raises ValueError for settings that models.js does not know.
    """
    model = load_model(path)
    with safe_open(path, framework="pt") as file, torch.no_grad():
        settings = json.loads(file.metadata()["settings"])
        for weight in model.parameters():  # its tables of places stay exact
            weight.copy_(weight.half())
    places, causal = settings["transformer"].values()
    known = {
        "gru": True,
        "rnn-attention": settings["attention"] == "additive",
        "transformer": causal and places in ("none", "sinusoid"),
        "modern": all(settings["modern"].values()),
    }
    if not known[settings["kind"]]:
        raise ValueError(f"{path}: models.js has no {settings}, take a model with the defaults")
    return model, packed(settings, model.state_dict())


def failures(models):
    """The unseen words: [[word, target, each model's output or '' where it is right], ...]."""
    table = word_table(models, load_pairs("unseen")).drop(columns=ABOUT[2:])
    rows = table.itertuples(index=False)
    return [[word, right, *("" if o == right else o for o in out)] for word, right, *out in rows]


def text_tower(tower):
    """The text tower of an open_clip model, `packed`."""
    weights = {}
    for name, value in tower.state_dict().items():
        for old, new in zip(RENAMED.split()[::2], RENAMED.split()[1::2], strict=True):
            name = name.replace(old, new)
        if "in_proj" in name:  # three maps in one
            for letter, part in zip("QKV", value.chunk(3), strict=True):
                weights[f"decoder.{name.replace('in_proj_', letter + '.')}"] = part
        else:
            weights[f"decoder.{name}"] = value
    last = weights.pop("decoder.text_projection").T
    weights |= {"projection.weight": last, "projection.bias": torch.zeros(len(last))}
    settings = {"kind": "text", "hidden_size": tower.width, "modern": {"heads": tower.heads}}
    return packed({**settings, "layers": len(tower.transformer.resblocks)}, weights)


def hunt(clip, style="noto"):
    """The hunt among some emoji of a style that the `SmallClip` has not seen."""
    pictures, vocabulary = gallery(clip, style), clip.vocabulary
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))[:HUNTED]
    tiles = torch.stack([pictures.photographs[place].pixels for place in order])  # (N, 3, 32, 32)
    rows = tiles.unflatten(0, (-1, COLUMNS)).permute(0, 3, 1, 4, 2)  # (rows, 32, columns, 32, 3)
    named = " ".join(f"{one.name} {one.keywords}" for one in emoji()).lower()
    words = {word.strip(",.:!?“”") for word in named.split()} | set(load_pairs("large").words)
    tokens = {word: vocabulary.tokens(word)[1:-1] for word in sorted(words)}
    return {
        "tower": text_tower(clip.model.text),
        "words": {word: found for word, found in tokens.items() if found},
        "ends": [vocabulary.places[token] for token in vocabulary.ends],
        "longest": clip.context_length,
        "features": halves(pictures.features[order]),
        "names": [[emoji()[place].name, emoji()[place].keywords] for place in order],
        "credit": f"{clip.label} Pictures: {pictures.photographs[0].credit}.",
        "sheet": address(Image.fromarray(rows.flatten(2, 3).flatten(0, 1).numpy())),
    }


def address(image):
    """A picture as an address that holds it."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
