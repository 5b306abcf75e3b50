"""Checks of functions: Pig Latin, decoder-only tensors, fits, positions, counts, ranking.

A function's answers on cases from small to large are compared with a bank.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from a3lib.check.bank import Bank, close, written
from a3lib.check.examples import numbers
from a3lib.check.verdict import PRINTS, exception_verdict, is_empty, judged, not_attempted


@dataclass(frozen=True)
class FunctionCheck:
    """All that is particular to one item; calling it checks a function (or a class)."""

    item: str
    bank: Bank
    returns: tuple  # names of the outputs
    # (session, name, inputs) -> answer
    ask: Callable = lambda session, name, inputs: session.ask("apply", name=name, inputs=inputs)
    cases: tuple = ()  # inputs, from small to large, beside those of the bank
    most: int = 2  # mistakes at once that are looked for
    single: bool = False  # whether a tensor in double precision is a mistake

    @property
    def accepted(self):
        """Names of formulas that are right as well."""
        return tuple(self.bank.accepted)

    def __call__(self, session, name, year=None, seed=0):
        """The `Verdict` on the function of that name; year and seed change nothing."""
        tried = [*self.bank.cases, *self.cases]
        asked = [(inputs, self.ask(session, name, inputs)) for inputs in tried]
        failed = [(inputs, answer["error"]) for inputs, answer in asked if "error" in answer]
        cases = [(inputs, answer["outputs"]) for inputs, answer in asked if "error" not in answer]
        if not cases:
            return exception_verdict(self.item, failed[0][1])
        if all(is_empty(outputs) for _, outputs in cases):
            return not_attempted(self.item)
        bank, titles = self.bank, ", ".join(self.returns)
        tried = [(*case, [{}]) for case in cases]
        names, _ = bank.explain(tried, bank.sets(self.accepted, self.most)) or (frozenset(), 0)
        problems, remarks = bank.told(names, self.accepted)
        remarks += [PRINTS] * any(answer["printed"] for _, answer in asked)
        if self.single and "torch.float64" in [str(getattr(o, "dtype", "")) for o in cases[-1][1]]:
            problems.append(("in double precision (float64)", "", "Which dtype has a sum with it?"))
        right, example, line = names - {name for name, _, _ in problems}, "", None
        wrong = next(((i, o) for i, o in cases if not close(bank.run(right, i, {}), o)), None)
        if wrong:
            unknown = "the answers differ, in a way that is not in the bank"
            problems = problems or [(unknown, "", "Work out the example by hand, step by step.")]
            expected = numbers(list(bank.run(right, wrong[0], {})))
            example = f"{self.shown(wrong[0])}\nyour {titles}: {numbers(list(wrong[1]))}"
            example += f"\nexpected: {expected}"
        if failed:
            told = exception_verdict(self.item, failed[0][1])
            name, line = f"{told.mistakes[0]}, at {self.shown(failed[0][0])}", told.line
            problems.append((name, f"{told.message}\n{told.counter_example}", told.hint))
        told, verified = f"All {len(cases)} cases agree.", [f"{titles} for {len(cases)} inputs"]
        found = (problems, "Not as the rule says", told, verified, remarks, line, example)
        return judged(self.item, *found)

    def shown(self, inputs):
        """The inputs as text."""
        named = zip(self.bank.takes, inputs, strict=False)
        return ", ".join(f"{name} = {numbers(value)}" for name, value in named)


PIG_LATIN = Bank("word", written("pig_latin"))
DECODER_TENSORS = Bank("src_EOP tgt_EOS start_token", written("decoder_only_tensors"))
OPTIMUM = Bank("x y", written("find_optimal_params"))
LINE = Bank("x y", written("fit_linear_log"))
POSITIONS = Bank("length H", written("positional_encoding"))
PARAMETERS = Bank("H V D K gates", written("parameter_counts"))
RANKING = Bank("caption pictures", written("rank_by_caption"))


def _tokens(B, S, T):
    generator = torch.Generator().manual_seed(B)
    source, target = (torch.randint(2, 27, (B, n), generator=generator) for n in (S, T))
    source[:, -1], target[:, -1] = 29, 28  # EOP, EOS
    return [source, target, 27]


def _vectors(N, D):
    """A caption (D,) and pictures (N, D) of different lengths."""
    generator = torch.Generator().manual_seed(N)
    lengths = torch.rand(N, 1, generator=generator).mul(4).add(0.2)
    pictures = torch.randn(N, D, generator=generator) * lengths
    return [torch.randn(D, generator=generator), pictures]


def _named(values, names):
    """Values by the first name of each, in order, then by all the names that people give them."""
    pairs = [(one.split(), value) for one, value in zip(names, values, strict=True)]
    first = {known[0]: value for known, value in pairs}
    return first | {name: value for known, value in pairs for name in known}


def _encodings(session, name, inputs):
    """From a function of length and size, or from a class with a method or a forward for it."""
    names = ("max_seq_len length seq_len max_len L n", "hidden_size d_model H dim d hidden_dim")
    values = _named(inputs, names)
    if not session.ask("describe", name=name)["is_class"]:
        return session.ask("apply", name=name, values=values)
    made = {"hidden_size": inputs[1], "vocab_size": 5, "num_layers": 1, **values}
    built = session.ask("build", name=name, values=made)
    if "error" in built:
        return built
    method = {"create_positional_encodings"} & {*built["methods"]}
    call = {"handle": built["handle"]}
    answer = session.ask("call", **call, inputs=inputs[:1], method="".join(method))
    if "error" in answer:  # a forward that adds the encodings to embeddings (B, length, H)
        answer = session.ask("call", **call, inputs=[torch.zeros(1, *inputs)])
        answer["outputs"] = [one[0] for one in answer.get("outputs", []) if one.dim() == 3]
    return answer


def _count(session, name, inputs):
    """A number from a function of any of H, V, D, K, told by the names of its parameters."""
    names = ("H hidden_size hidden hidden_dim h", "V vocab_size vocab v")
    names += ("D embedding_size embed_size embed_dim input_size d",)
    names += ("K seq_len num_states num_steps length S k",)
    return session.ask("apply", name=name, values=_named(inputs[:4], names))


def _places(session, name, inputs):
    """Of the pictures; a list of numbers is one output, not several."""
    answer = session.ask("apply", name=name, inputs=inputs)
    if all(isinstance(place, int) for place in answer.get("outputs", [[]])):
        answer["outputs"] = [torch.tensor(answer["outputs"])]
    return answer


RULE = FunctionCheck("Pig Latin rule", PIG_LATIN, ("translation",), most=4)
TENSORS = FunctionCheck(
    "decoder-only tensors",
    DECODER_TENSORS,
    ("input", "target"),
    lambda session, name, inputs: session.ask("apply", name=name, inputs=[*inputs, False]),
    (_tokens(1, 2, 3), _tokens(2, 4, 3), _tokens(3, 3, 5)),
)
BEST_SIZE = FunctionCheck("find_optimal_params", OPTIMUM, ("coefficients", "optimal size"))
POWER_LAW = FunctionCheck("fit_linear_log", LINE, ("slope", "intercept"))
ENCODINGS = FunctionCheck("positional encoding", POSITIONS, ("encodings",), _encodings, single=True)
COUNTS = FunctionCheck("number of parameters", PARAMETERS, ("number",), _count)
FEW_AND_MORE = (_vectors(1, 2), _vectors(3, 2), _vectors(5, 3), _vectors(9, 4), _vectors(12, 6))
RANKS = FunctionCheck("ranking by a caption", RANKING, ("places",), _places, FEW_AND_MORE)


def check_parameter_counts(session, name, year=None, seed=0):
    """`Verdict` on the weights of an LSTM or a GRU as a function of any of H, V, D, K.

    The function's name tells the cell, else both are tried; without D it is H; two numbers are
    those of the LSTM and of the GRU.
    """
    takes = session.ask("describe", name=name).get("takes", [])
    told = [gates for cell, gates in {"lstm": 4, "gru": 3}.items() if cell in name.lower()]
    sizes = [[2, 7, 3, 5], [5, 29, 4, 11], [8, 13, 6, 3]]
    pair = len(_count(session, name, sizes[0]).get("outputs", [])) == 2

    def one_of(session, name, inputs):
        answer = _count(session, name, inputs)
        return {**answer, "outputs": answer["outputs"][4 - inputs[4] :]} if pair else answer

    verdicts = []
    for gates in [4, 3] if pair else told or [4, 3]:
        cases = tuple([H, V, H if len(takes) == 1 else D, K, gates] for H, V, D, K in sizes)
        verdicts.append(replace(COUNTS, cases=cases, ask=one_of)(session, name))
    return sorted(verdicts, key=lambda one: (one.right, len(one.mistakes)), reverse=not pair)[0]
