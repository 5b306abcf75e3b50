"""Checks of what a learner wrote: right, or which mistake it is, with the smallest example.

`check.gru_cell(MyGRUCell)` runs the class in this process and returns a `Verdict`, which shows
itself in a notebook. Modules: runner runs the learner's code; bank holds the search, the texts
in mistakes the equations and what people write instead; the others the checks.
"""

from a3lib.check import attentions, bert, cells, decoders, functions
from a3lib.check.caption import check_caption as caption
from a3lib.check.runner import Runner

ITEMS = {  # item -> (the hand-out's name, its check: (session, name, year, seed) -> Verdict)
    "gru_cell": ("MyGRUCell", cells.GRU_CELL),
    "lstm_cell": ("MyLSTMCell", cells.LSTM_CELL),
    "additive_attention": ("AdditiveAttention", attentions.ADDITIVE_ATTENTION),
    "scaled_dot_attention": ("ScaledDotAttention", attentions.SCALED_DOT_ATTENTION),
    "causal_attention": ("CausalScaledDotAttention", attentions.CAUSAL_ATTENTION),
    "rnn_attention_decoder": ("RNNAttentionDecoder", decoders.check_rnn_attention_decoder),
    "transformer_decoder": ("TransformerDecoder", decoders.check_transformer_decoder),
    "decoder_only_tensors": ("generate_tensors_for_training_decoder_nmt", functions.TENSORS),
    "find_optimal_params": ("find_optimal_params", functions.BEST_SIZE),
    "fit_linear_log": ("fit_linear_log", functions.POWER_LAW),
    "positional_encoding": ("PositionalEncoding", functions.ENCODINGS),
    "sentence_classifier": ("BertForSentenceClassification", bert.check_sentence_classifier),
    "freezing": ("freeze", bert.check_freezing),
    "rank_by_caption": ("rank_by_caption", functions.RANKS),
    "pig_latin": ("pig_latin", functions.RULE),
    "parameter_counts": ("parameter_count", functions.check_parameter_counts),
}
__all__ = [*ITEMS, "caption"]


def _public(item):
    title, check = ITEMS[item]

    def run(learned, year=None, seed=0):
        name = getattr(learned, "__name__", None)
        if not name:
            kind = type(learned).__name__
            raise TypeError(f"check.{item} takes a class or a function itself, not a {kind}")
        return check(Runner({name: learned}), name, year, seed)

    run.__name__ = item
    run.__doc__ = f"""The `Verdict` on a learner's {title}.

    year: of its hand-out, where years differ; seed: of all inputs and weights. Raises TypeError
    for an instance in place of its class.
    """
    return run


globals().update({item: _public(item) for item in ITEMS})
