"""Checks of the sentence classifier on BERT, and of freezing."""

from dataclasses import replace

import torch

from a3lib.check.bank import Bank, written
from a3lib.check.modules import SQUEEZED, ModuleCheck
from a3lib.check.verdict import exception_verdict, judged
from a3lib.check.weights import linear

CLASSES = 3
CONFIG = {  # a BERT of a few hundred weights, without dropout
    "vocab_size": 11,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 6,
    "max_position_embeddings": 8,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "num_labels": CLASSES,
}


TAKES = "input_ids attention_mask labels"
CLASSIFIER = Bank(TAKES, written("sentence_classifier"), {"labels": None})


def _inputs(sizes, generator):
    """Tokens and mask (B, S), the last ones of the first sentence padded; labels (B)."""
    B, S = sizes["B"], sizes["S"]
    tokens, mask = torch.randint(1, 11, (B, S), generator=generator), torch.ones(B, S).long()
    mask[0, -2:] = 0
    return [tokens * mask, mask, torch.arange(B) % CLASSES][: 2 + sizes["labels"]]


class Head:
    """A reading of the one layer for the classes; the rest is BERT, called through the session."""

    def __init__(self, trial, weight):
        self.trial, self.layer = trial, weight.removesuffix("weight")
        self.owners = ("embeddings", "encoder", "bert", weight.split(".")[0])

    def weights(self, parameters):
        """The functions of the bank's formulas."""
        values = {name: value.double() for name, value in parameters.items()}
        head = linear(values, self.layer + "weight", self.layer + "bias")
        mask = self.trial.inputs[1][:, :, None].double()
        return {"bert": self.bert, "head": lambda x: head(x.double()), "mask": mask}

    def bert(self, input_ids, attention_mask):
        """(states (B, S, H), pooled (B, H)) of the learner's BERT."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        part = {"path": "bert"} if "bert" in self.trial.built["children"] else {"method": "base"}
        outputs = self.trial.part(inputs, **part)[0]
        return outputs["last_hidden_state"].double(), outputs["pooler_output"].double()


def _read(trial):
    own = ("embeddings.", "encoder.", "pooler.", "bert.")
    heads = [n for n in trial.parameters if not n.startswith(own) and n.endswith("weight")]
    fits = [trial.parameters[n].shape == (CLASSES, trial.sizes["H"]) for n in heads]
    return [Head(trial, heads[0])] if fits == [True] else []


def _classes(trial):
    """One logit per class."""
    width = trial.outputs[0].shape[-1]
    if width == CLASSES:
        return None
    shown, hint = f"{width} per sentence; expected {CLASSES}", "How many labels has the task?"
    return f"logits for {width} classes, not {CLASSES}", shown, hint


def _one_bert(trial):
    """No second BERT, which the pretrained weights would not reach."""
    found = [n for n in trial.parameters if n.endswith("word_embeddings.weight")]
    if len(found) < 2:
        return None
    hint = "What is the class that yours inherits from, already?"
    return "a second BERT inside, which no pretrained weights reach", ", ".join(found), hint


def _bare(reading):
    """Without labels a tuple is returned, too: its reader takes element 0, the logits."""
    trial = reading.trial.again({"labels": 0}, 1)
    told = "without labels the bare logits are returned, not a tuple"
    hint = "What is outputs[0] then: the logits, or their first row?"
    if any(torch.is_tensor(one) and not one.is_floating_point() for one in trial.outputs[:1]):
        return "without labels classes are returned, not logits", "", "Who reads outputs[0] then?"
    return None if trial.error or not trial.answer.get("bare") else (told, "", hint)


SENTENCE_CLASSIFIER = ModuleCheck(
    item="sentence classifier",
    bank=CLASSIFIER,
    sizes={"B": 4, "S": 5, "H": 8, "labels": 1},
    values=lambda sizes: {"config": {**CONFIG, "hidden_size": sizes["H"]}},
    inputs=_inputs,
    returns=("logits", "loss"),
    read=_read,
    hidden={
        "prediction without labels": (None, {"labels": 0}, "Is a loss computed in any case?"),
        "a batch of one": (None, {"B": 1}, SQUEEZED),
    },
    arranged=lambda inputs, takes: dict(zip(CLASSIFIER.takes, inputs, strict=False)),
    differentiable=False,
    properties=(_one_bert, _classes),
    lacks=_bare,
    smallest={"H": 8, "labels": 1, "S": 5},
    accepted=lambda year, built: CLASSIFIER.accepted,
)


def check_sentence_classifier(session, name, year=None, seed=0):
    """`Verdict` on a class with a small BERT, or with one of 768 features where it needs that."""
    spec, wide = SENTENCE_CLASSIFIER, {"H": 768}
    told = spec(session, name, year, seed)
    if "768" in told.message:
        spec = replace(spec, sizes=spec.sizes | wide, smallest=spec.smallest | wide)
        told = spec(session, name, year, seed)
        told = replace(told, remarks=(*told.remarks, "768 is fixed: why not config.hidden_size?"))
    return told


GROUPS = ("embeddings", "encoder", "pooler", "classifier")
_HINT = "Print name and requires_grad of every parameter after your function has run."


def check_freezing(session, name, year=None, seed=0):
    """`Verdict` on a function that leaves only the parameters of `classifier` trainable."""
    answer = session.ask("freeze", name=name, config=CONFIG, nested=False)
    missing = answer.get("error", {}).get("type") == "AttributeError"  # model.bert.parameters()
    if missing and year not in (2022, 2023):  # their class is itself a BertModel
        answer = session.ask("freeze", name=name, config=CONFIG, nested=True)
    if "error" in answer:
        return exception_verdict("freezing", answer["error"])
    groups = {g: [n for n in answer["names"] if g in n.split(".")] for g in GROUPS}
    left = {g: [n for n in names if n in answer["trainable"]] for g, names in groups.items()}
    mistakes = []
    if all(left[g] == groups[g] for g in GROUPS[:3]):
        mistakes.append("nothing is frozen" if left["classifier"] else "frozen the wrong way round")
    else:
        for group in GROUPS[:3]:
            part = "" if left[group] == groups[group] else "partly "
            verb = "are" if group == "embeddings" else "is"
            mistakes += [f"the {group} {verb} {part}not frozen"] * bool(left[group])
        part = "partly " * bool(left["classifier"])
        if left["classifier"] != groups["classifier"]:
            mistakes.append(f"the classifier is {part}frozen, too")
    mistakes += ["pretrained weights are changed or removed"] * bool(answer["moved"])
    mistakes += ["gradients are switched off for all that follows"] * answer["blocked"]
    shown = f"trainable: {', '.join(answer['trainable']) or 'none'}"
    problems = [(name, shown * (n == 0), _HINT) for n, name in enumerate(mistakes)]
    told = ("Not only the classifier is left to train", "Only the classifier is left to train.")
    return judged("freezing", problems, *told, ["requires_grad of every parameter"])
