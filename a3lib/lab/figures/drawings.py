"""Drawings of cells, decoders, attention and fine-tuning, with the numbers of a running example."""

from itertools import pairwise, product

import torch

from a3lib.lab.figures.base import COLOURS
from a3lib.lab.figures.sheet import FADED, INK, PALE, WIDTH, Sheet, numbers, some, symbols
from a3lib.translation import attention

BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
GRU = ("x", "h_prev", "z", "r", "candidate", "h_new")
LOOKS = (FADED, PALE), (ORANGE, "#fdeee3")  # edge and face of what stays, and of what learns
STEPS, PLACES = 28, 14  # at most so many letters, and numbers, side by side


def gru_cell(values, letter="", units=3):
    """One step of `MyGRUCell` with the first few numbers of each part; unit 1 is worked out.

    values: {'x': (D,), 'h_prev', 'z', 'r', 'candidate' and 'h_new': (H,)}; letter: what x stands
    for. Raises ValueError where one is missing, or h_new is not (1 - z) h_prev + z candidate.
    """
    if missing := [name for name in GRU if name not in values]:
        raise ValueError(f"the values lack {', '.join(missing)}: give {', '.join(GRU)}")
    x, h, z, r, g, new = (numbers(values[name], name) for name in GRU)
    sizes = {len(part) for part in (h, z, r, g, new)}
    if len(sizes) > 1 or not torch.allclose(new, (1 - z) * h + z * g, atol=1e-4):
        told = f"h_new of {len(new)} numbers is not (1 - z) h_prev + z candidate"
        raise ValueError(f"{told}: give H numbers each, of a cell whose z weighs the candidate")
    sheet = Sheet("One step of the GRU cell" + f", which reads {letter}" * bool(letter), 4.3)
    for a, b, width, text, part, edge in (
        (0.95, 3.4, 1.7, "state before\nh", h, INK),
        (0.95, 1.7, 1.7, f"input {letter}\nx", x, INK),
        (3.1, 2.55, 1.7, "reset gate\nr = σ(Wir x + Whr h)", r, GREEN),
        (3.1, 0.85, 1.7, "update gate\nz = σ(Wiz x + Whz h)", z, BLUE),
        (5.63, 2.55, 2.1, "candidate\ng = tanh(Wih x + Whh (r × h))", g, ORANGE),
        (7.8, 1.7, 1.8, "new state\nh′ = (1 − z) × h + z × g", new, PURPLE),
    ):
        sheet.box(a, b, f"{text}\n{some(part, units)}", (width, 0.78), edge)
    for colour, *points in (
        (INK, (1.8, 3.4), (8.2, 3.4), (8.2, 2.09)),  # the state, and where it branches
        (INK, (2.0, 3.4), (2.0, 0.85), (2.25, 0.85)),
        (INK, (3.1, 3.4), (3.1, 2.94)),
        (INK, (4.26, 3.4), (4.26, 2.67)),
        (FADED, (1.8, 1.7), (5.63, 1.7), (5.63, 2.16)),  # the input
        (FADED, (3.1, 1.7), (3.1, 2.16)),
        (FADED, (3.1, 1.7), (3.1, 1.24)),
        (GREEN, (3.95, 2.55), (4.58, 2.55)),  # goes on behind the product
        (BLUE, (3.95, 0.85), (7.8, 0.85), (7.8, 1.31)),
        (ORANGE, (6.68, 2.55), (7.4, 2.55), (7.4, 2.09)),
    ):
        sheet.arrow(*points, color=colour)
    sheet.box(4.26, 2.55, "×", (0.24, 0.24), GREEN)
    sheet.axes.plot([2.0, 3.1, 4.26, 3.1], [3.4, 3.4, 3.4, 1.7], "o", color=INK, ms=4)  # branches
    total = f"(1 − {z[0]:.2f}) × ({some(h)}) + {z[0]:.2f} × ({some(g)}) ≈ {some(new)}"
    sheet.write(WIDTH / 2, 0.2, f"unit 1:  h′ = {total}", font=10)
    told = f"over {len(h)} units the cell keeps {1 - z.mean():.0%} of the state before on average, "
    return sheet.picture(f"{told}{z.mean():.0%} comes from the candidate; unit 1 becomes {total}")


def unrolled(source, target, written=None, forced=True):
    """Encoder and decoder with a box per symbol; dashed arrows feed back the symbol before.

    source, target: words; written: what the model wrote, a word or the symbols of all steps, by
    default the target; forced: the target is fed back, else what was written. Raises ValueError for
    an empty word, an unknown symbol, too many of them, or forced output of another length.
    """
    read, right = symbols(source), symbols(target)
    out = right if written is None else symbols(written)
    count = len(read) + max(len(out), len(right))
    if count > STEPS:
        raise ValueError(f"{count} symbols are too many side by side ({STEPS}): take shorter words")
    if forced and len(out) != len(right):
        told = f"under teacher forcing {len(right)} symbols are written, not {len(out)}"
        raise ValueError(f"{told}: give as many, or forced=False")
    sheet = Sheet(f"The translator unrolled: {source} → {''.join(out).removesuffix('EOS')}", 4.0)
    pitch = min(0.95, (WIDTH - 1.0) / count)
    left, half, head = (WIDTH - pitch * count - 0.4) / 2, 0.35 * pitch, min(9, 22 * pitch)
    places = [left + pitch * (n + 0.5) + 0.4 * (n >= len(read)) for n in range(count)]
    start, blank = places[len(read) :], [""] * len(read)
    fed = ["SOS", *(right if forced else out)[:-1]]
    for y, edge, texts in (
        (0.95, FADED, read + fed),
        (1.8, BLUE, ["GRU"] * len(read + fed)),
        (2.65, PURPLE, blank + out),
        (3.4, FADED, blank + right),
    ):
        for x, symbol in ((x, symbol) for x, symbol in zip(places, texts, strict=False) if symbol):
            narrow = pitch < 0.5 and len(symbol) > 1  # from top to bottom then
            text, font = ("\n".join(symbol), 7.5) if narrow else (symbol, 11)
            sheet.box(x, y, text, (2 * half, 0.44), edge, font=font)
            if edge in (BLUE, PURPLE):  # from the row below
                sheet.arrow((x, y - 0.63), (x, y - 0.22), head=head)
    for n, (a, b) in enumerate(pairwise(places[: len(read + fed)]), 1):
        sheet.arrow((a + half, 1.8), (b - half, 1.8), head=head)
        if n > len(read):
            middle, y = a + pitch / 2, 3.4 if forced else 2.65
            points = (a + half, y), (middle, y), (middle, 0.95), (b - half, 0.95)
            sheet.arrow(*points, color=ORANGE, line="--", head=head)
    wrong = []
    for n, (x, one, other) in enumerate(zip(start, out, right, strict=False), 1):
        sheet.write(x, 3.03, "=" if one == other else "≠", font=12)
        wrong += [f"{one} instead of {other} at step {n}"] if one != other else []
    left, own = start[0] - half - 0.15, "the right" if forced else "its own"
    sheet.write(left - 0.15, 2.02, "last\nstate", 0.34, font=8)
    sheet.write(left, 2.65, "writes", left - 0.1, ha="right")
    sheet.write(left, 3.4, "should write", left - 0.1, ha="right")
    told = f"the decoder is fed {own} symbol before" + "\n(teacher forcing)" * forced
    sheet.write(places[-1] + half, 0.4, told, ha="right")
    sheet.write(places[0] - half, 0.4, "the encoder\nreads the word", ha="left")
    told = f"the encoder reads {' '.join(read)}; the decoder, fed SOS and then {own} symbol before,"
    told += f" writes {' '.join(out)} in {len(out)} steps; wrong: {', '.join(wrong) or 'none'}"
    return sheet.picture(told)


def attention_step(letters, query, scores, weights, context, writing, units=3):
    """One step of attention with its numbers: query, scores, weights as bars, context.

    letters: of the S source places; query, context (H,); scores, weights (S,); writing: the symbol
    that is written with it. ValueError where sizes differ or the weights are no softmax(scores).
    """
    query, context = numbers(query, "the query"), numbers(context, "the context")
    scores, weights = numbers(scores, "the scores"), numbers(weights, "the weights")
    if not len(letters) == len(scores) == len(weights) <= PLACES:
        told = f"{len(letters)} letters, {len(scores)} scores, {len(weights)} weights"
        raise ValueError(f"{told}: give one each per place of the source, at most {PLACES}")
    if not torch.allclose(scores.softmax(0), weights, atol=1e-3):
        raise ValueError(f"weights {some(weights, 5)} are not the softmax of {some(scores, 5)}")
    sheet = Sheet(f"One step of attention: the decoder writes {writing}", 3.6)
    pitch, low, score, foot = 4.4 / len(letters), 0.4, 1.25, 1.9  # foot: of the bars
    width = min(0.75, 0.88 * pitch)
    sheet.axes.plot([2.2, 6.6], [foot, foot], color=FADED, lw=1)
    sheet.arrow((1.8, score), (6.6 - (pitch + width) / 2, score), color=BLUE)  # behind the boxes
    for n, letter in enumerate(letters):
        x, weight = 2.2 + pitch * (n + 0.5), float(weights[n])
        sheet.box(x, low, letter, (width, 0.4), FADED, PALE, font=11)
        sheet.arrow((x, low + 0.2), (x, score - 0.2))
        sheet.box(x, score, some(scores[n:][:1]), (width, 0.4), BLUE)
        sheet.arrow((x, score + 0.2), (x, foot - 0.02))
        sheet.axes.bar(x, weight, width, foot, color=ORANGE)
        sheet.write(x, foot + weight + 0.12, f"{weight:.2f}", width)
    sheet.box(0.95, score, f"query\n{some(query, units)}", (1.7, 0.6), BLUE)
    told = f"context: sum of\nweights × values\n{some(context, units)}"
    sheet.box(7.85, foot + 0.4, told, (1.7, 0.8), ORANGE)
    sheet.arrow((6.62, foot + 0.4), (7.0, foot + 0.4), color=ORANGE)
    sheet.write(2.1, low, "states of the\nencoder", ha="right")
    sheet.write(2.1, foot + 0.4, "weights: softmax\nof the scores", ha="right")
    sheet.write(7.85, score, "scores: how well\nquery and state fit")
    best, pairs = int(weights.argmax()), zip(letters, weights, strict=True)
    told = f"{letters[best]} (place {best + 1}) is read most, with score {scores[best]:+.2f}"
    return sheet.picture(f"{told}; weights: {', '.join(f'{one} {w:.2f}' for one, w in pairs)}")


def causal_mask(letters, scores=None, queries_down=False):
    """The staircase: scores, crossed out where a query may not see the key, and their weights.

    letters: of the T places; scores (T, T), keys by queries as in the library, by default all zero.
    queries_down: a row per query, not a column. Raises ValueError where sizes differ.
    """
    count = len(letters)
    scores = numbers(torch.zeros(count**2) if scores is None else scores, "the scores")
    if len(scores) != count**2 or count > PLACES:
        told = f"{len(scores)} scores for {count} letters"
        raise ValueError(f"{told}: give (T, T) for T letters, at most {PLACES} letters")
    scores, seen = scores.view(1, count, count), attention.causal_mask(count, count)
    weights = attention.masked_softmax(torch.nn.Softmax(1), scores, seen)
    side = min(3.6, 0.5 * count)
    cell, sheet = side / count, Sheet("The causal mask: no query sees a later key", side + 1.35)
    down, across = ("query", "key") if queries_down else ("key", "query")
    for left, name, part in ((0.75, "scores", scores[0]), (5.1, "weights: softmax", weights[0])):
        sheet.write(left + side / 2, side + 0.85, name)
        sheet.write(left - 0.55, 0.4 + side / 2, down, rotation=90)
        sheet.write(left + side / 2, 0.2, across)
        for place, letter in enumerate(letters):
            sheet.write(left - 0.25, side + 0.4 - cell * (place + 0.5), letter, 0.4)
            sheet.write(left + cell * (place + 0.5), side + 0.55, letter, cell)
        for key, query in product(range(count), repeat=2):
            row, column = (query, key) if queries_down else (key, query)
            x, y = left + cell * (column + 0.5), side + 0.4 - cell * (row + 0.5)
            value, hidden = float(part[key, query]), key > query
            shade = 0 if name == "scores" else value
            ink = FADED if hidden else "white" if shade > 0.6 else INK
            face = PALE if hidden else (BLUE, shade)
            sheet.box(x, y, f"{value:.2f}", (cell, cell), "white", face, color=ink)
            if hidden and name == "scores":
                corners = [x - cell / 2, x + cell / 2], [y - cell / 2, y + cell / 2]
                sheet.axes.plot(*corners, color=ORANGE, lw=1)
    told = f"each of {count} places sees itself and those before, {letters[0]} 1, {letters[-1]} "
    return sheet.picture(f"{told}{count}; crossed out: {count * (count - 1) // 2} of {count**2}")


def transformer_block(source, target, hidden_size, batch_size=1, positions=True):
    """A `DecoderBlock` with the shapes it has for two words. ValueError if they are none."""
    read, fed = symbols(source), ["SOS", *symbols(target)[:-1]]
    B, S, T, H = batch_size, len(read), len(fed), hidden_size
    sheet, y, up = Sheet("A decoder block adds three results to its stream", 4.0), 1.1, 2.2
    stream, own, cross = f"({B}, {T}, {H})", f"({B}, {T}, {T})", f"({B}, {S}, {T})"
    first = "embedding + positions" if positions else "embedding"
    sheet.box(0.85, y, f"{' '.join(fed)}\n{first}\n{stream}", (1.6, 0.8))
    sheet.box(5, 3.3, f"states of the encoder: {' '.join(read)}\n({B}, {S}, {H})", (3.6, 0.55))
    sheet.arrow((5, 3.02), (5, up + 0.4))
    sheet.write(5.08, 2.82, "keys, values", ha="left", font=8)
    for x, text, asked, colour in (
        (2.85, f"causal self-attention\nweights {own}", "queries,\nkeys, values", BLUE),
        (5.0, f"attention to the source\nweights {cross}", "queries", ORANGE),
        (7.15, "MLP at each place\nReLU(Linear)", "its input", GREEN),
    ):
        sheet.arrow((x - (1.2 if x < 3 else 1.03), y), (x + 0.88, y))
        sheet.arrow((x, y), (x, up - 0.4))
        sheet.write(x + 0.08, (y + up) / 2 - 0.18, asked, 0.8, ha="left", font=8)
        sheet.box(x, up, text, (1.6, 0.8), colour)
        sheet.arrow((x + 0.8, up), (x + 1, up), (x + 1, y + 0.12), color=colour)
        sheet.box(x + 1, y, "+", (0.24, 0.24), colour)
        sheet.write(x + 0.5, y - 0.25, stream, font=8)
    sheet.axes.plot([2.85, 5.0, 7.15], [y] * 3, "o", color=INK, ms=4)  # branches
    sheet.arrow((8.27, y), (8.7, y))
    told = f"+ adds a result to what came in (residual): the shape (B, T, H) = {stream} stays"
    sheet.write(WIDTH / 2, 0.3, told)
    told = f"the stream keeps its shape {stream}; added are causal self-attention (weights {own}), "
    return sheet.picture(f"{told}attention to {S} encoder states (weights {cross}) and an MLP")


def finetune_or_frozen(counts, learning=None):
    """A row of boxes per way of training: which parts get gradients, and how many weights learn.

    counts: {part: its number of weights}, from input to output; learning: {way: parts that learn},
    by default all parts, and only the last one. Raises ValueError for an unknown part or none.
    """
    names, total = list(counts), sum(counts.values())
    learning = learning or {"fine-tuning": names, "frozen encoder": names[-1:]}
    sheet = Sheet("Which weights learn by which way of training", 0.5 + 1.15 * len(learning))
    pitch, told = 5.7 / max(1, len(names)), []
    for row, (way, parts) in enumerate(learning.items()):
        if not parts or set(parts) - set(names):
            raise ValueError(f"{way!r} trains {list(parts)}: name some of {names}")
        y, share = 1.15 * (len(learning) - row) - 0.5, sum(counts[part] for part in parts)
        sheet.write(0.75, y, way, 1.3, font=10)
        for n, name in enumerate(names):
            x, learns = 1.5 + pitch * (n + 0.5), name in parts
            text = f"{name}\n{counts[name]:,}\n{'learns' if learns else 'stays'}"
            sheet.box(x, y, text, (0.84 * pitch, 0.66), *LOOKS[learns])
            if n:
                sheet.arrow((x - 0.58 * pitch, y), (x - 0.42 * pitch, y))
        first = 1.5 + pitch * (min(map(names.index, parts)) + 0.5)
        sheet.arrow((7.3, y - 0.45), (first, y - 0.45), color=ORANGE, line="--")
        sheet.write(7.35, y - 0.45, "gradient", ha="left", font=8)
        sheet.write(8.0, y, f"{share:,} of\n{total:,} learn", 1.4)
        told.append(f"{way}: {share:,} of {total:,} weights learn ({', '.join(parts)})")
    return sheet.picture("; ".join(told))
