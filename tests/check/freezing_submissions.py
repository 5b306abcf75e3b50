"""Wrong ways to freeze BERT below its classifier; each has the mistakes that are to be named."""

import torch
from torch import nn

NO_EMBEDDINGS = "the embeddings are not frozen"
NO_ENCODER = "the encoder is not frozen"
NO_POOLER = "the pooler is not frozen"
NOTHING = "nothing is frozen"
WRONG = {}  # name -> (function, its mistakes)


def wrong(*mistakes):
    def keep(function):
        WRONG[function.__name__] = function, mistakes
        return function

    return keep


@wrong(NOTHING)
def flag_on_the_module(model):
    for name, module in model.named_children():
        if name != "classifier":
            module.requires_grad = False  # an attribute that nobody reads


@wrong(NOTHING)
def evaluation_mode(model):
    model.eval()
    model.classifier.train()


@wrong(NOTHING)
def misspelled_flag(model):
    for name, parameter in model.named_parameters():
        if not name.startswith("classifier"):
            parameter.require_grad = False


@wrong(NOTHING)
def name_that_no_parameter_has(model):
    for name, parameter in model.named_parameters():
        if name == "bert":
            parameter.requires_grad = False


@wrong(NOTHING)
def a_copy_is_frozen(model):
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.requires_grad_(True).requires_grad_(False)


@wrong(NO_ENCODER, NO_POOLER)
def embeddings_alone(model):
    for name, parameter in model.named_parameters():
        if "embeddings" in name:
            parameter.requires_grad = False


@wrong(NO_EMBEDDINGS, NO_POOLER)
def encoder_alone(model):
    for name, parameter in model.named_parameters():
        if "encoder" in name:
            parameter.requires_grad_(False)


@wrong(NO_POOLER)
def pooler_forgotten(model):
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "pooler" in name or "classifier" in name


@wrong("the encoder is partly not frozen", NO_EMBEDDINGS, NO_POOLER)
def attention_alone(model):
    for name, parameter in model.named_parameters():
        if "attention" in name:
            parameter.requires_grad = False


@wrong(
    "the embeddings are partly not frozen",
    "the encoder is partly not frozen",
    "the pooler is partly not frozen",
    "the classifier is partly frozen, too",
)
def weights_without_biases(model):
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            parameter.requires_grad = False


@wrong("the classifier is frozen, too")
def everything(model):
    for parameter in model.parameters():
        parameter.requires_grad = False


@wrong("the classifier is partly frozen, too")
def all_but_the_last_parameter(model):
    for parameter in list(model.parameters())[:-1]:
        parameter.requires_grad = False


@wrong("frozen the wrong way round")
def wrong_way_round(model):
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "classifier" not in name


@wrong("pretrained weights are changed or removed")
def drawn_anew(model):
    for name, parameter in model.named_parameters():
        if "classifier" not in name:
            nn.init.normal_(parameter.data)
            parameter.requires_grad = False


@wrong("gradients are switched off for all that follows")
def gradients_off(model):
    torch.set_grad_enabled(False)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "classifier" in name
