"""Right answers in other clothes, as different people write them: {item: [class or function]}."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

RIGHT = {}


def right(item, **options):
    """Registers a class or function as a right answer; options such as the year of its hand-out."""

    def add(learned):
        RIGHT.setdefault(item, []).append((learned, options))
        return learned

    return add


class Options(dict):
    """The hand-out's AttrDict."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.__dict__ = self


opts = Options(cuda=True)


def to_var(tensor, cuda):
    """The hand-out's helper: it asks for a GPU."""
    return tensor.cuda() if cuda else tensor


# --- cells


@right("gru_cell")
class SixLayers(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        for gate in "zrh":
            setattr(self, "Wi" + gate, nn.Linear(input_size, hidden_size))
            setattr(self, "Wh" + gate, nn.Linear(hidden_size, hidden_size))

    def forward(self, x, h_prev):
        z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))
        r = torch.sigmoid(self.Wir(x) + self.Whr(h_prev))
        g = torch.tanh(self.Wih(x) + self.Whh(r * h_prev))
        return (1 - z) * h_prev + z * g


@right("gru_cell")
class FirstEdition(SixLayers):
    def forward(self, x, h_prev):
        z, r = (
            torch.sigmoid(i(x) + h(h_prev)) for i, h in ((self.Wiz, self.Whz), (self.Wir, self.Whr))
        )
        return torch.lerp(h_prev, torch.tanh(self.Wih(x) + r * self.Whh(h_prev)), z)


@right("gru_cell")
class OneBias(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.W_xz, self.W_hz = (
            nn.Linear(input_size, hidden_size, bias=False),
            nn.Linear(hidden_size, hidden_size),
        )
        self.W_xr, self.W_hr = (
            nn.Linear(input_size, hidden_size, bias=False),
            nn.Linear(hidden_size, hidden_size),
        )
        self.W_xg, self.W_hg = (
            nn.Linear(input_size, hidden_size, bias=False),
            nn.Linear(hidden_size, hidden_size),
        )

    def forward(self, x, h_prev):
        z = (self.W_xz(x) + self.W_hz(h_prev)).sigmoid()
        r = (self.W_xr(x) + self.W_hr(h_prev)).sigmoid()
        g = (self.W_xg(x) + self.W_hg(h_prev * r)).tanh()
        return h_prev + z * (g - h_prev)


@right("gru_cell", year=2019)
class PyTorchsForm(SixLayers):
    def forward(self, x, h_prev):
        z = F.sigmoid(self.Wiz(x) + self.Whz(h_prev))
        r = F.sigmoid(self.Wir(x) + self.Whr(h_prev))
        g = F.tanh(self.Wih(x) + torch.mul(r, self.Whh(h_prev)))
        return torch.mul(1 - z, g) + torch.mul(z, h_prev)


@right("gru_cell", year=2020)
class LibraryCell(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.cell = nn.GRUCell(input_size, hidden_size)

    def forward(self, x, h_prev):
        return self.cell(x, h_prev)


@right("gru_cell")
class Concatenated(nn.Module):
    def __init__(self, n_in, n_hid):
        super().__init__()
        self.update, self.reset, self.cand = (nn.Linear(n_in + n_hid, n_hid) for _ in range(3))

    def forward(self, x, h):
        both = torch.cat((x, h), dim=-1)
        z, r = torch.sigmoid(self.update(both)), torch.sigmoid(self.reset(both))
        return (1 - z) * h + z * torch.tanh(self.cand(torch.cat((x, r * h), dim=-1)))


@right("gru_cell")
class ConcatenatedStateFirst(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.gates = nn.Linear(hidden_size + input_size, 2 * hidden_size)
        self.candidate = nn.Linear(hidden_size + input_size, hidden_size)

    def forward(self, x, h_prev):
        r, z = torch.sigmoid(self.gates(torch.cat([h_prev, x], 1))).chunk(2, dim=1)
        g = torch.tanh(self.candidate(torch.cat([h_prev * r, x], 1)))
        return h_prev * (1 - z) + g * z


@right("gru_cell")
class Parameters(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.W = nn.Parameter(torch.zeros(input_size, 3 * hidden_size))
        self.U = nn.Parameter(torch.zeros(hidden_size, 3 * hidden_size))
        self.b = nn.Parameter(torch.zeros(3 * hidden_size))

    def forward(self, x, h_prev):
        xr, xz, xg = (x @ self.W + self.b).chunk(3, 1)
        hr, hz, hg = torch.einsum("bi,ij->bj", h_prev, self.U).chunk(3, 1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        return (1 - z) * h_prev + z * torch.tanh(xg + r * hg)


@right("gru_cell")
class InAModuleDict(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.x = nn.ModuleDict(
            {k: nn.Linear(input_size, hidden_size) for k in ("upd", "res", "new")}
        )
        self.h = nn.ModuleDict(
            {k: nn.Linear(hidden_size, hidden_size) for k in ("upd", "res", "new")}
        )

    def forward(self, x, h_prev):
        h_prev = to_var(h_prev, opts.cuda)
        z, r = (torch.sigmoid(self.x[k](x) + self.h[k](h_prev)) for k in ("upd", "res"))
        return (1 - z) * h_prev + z * torch.tanh(self.x["new"](x) + self.h["new"](r * h_prev))


@right("gru_cell")
class Stacked(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.W = nn.Parameter(torch.randn(3, hidden_size, input_size))
        self.U = nn.Parameter(torch.randn(3, hidden_size, hidden_size))
        self.b = nn.Parameter(torch.zeros(3, hidden_size))

    def forward(self, x, h):
        a = torch.einsum("bi,ghi->gbh", x, self.W) + self.b[:, None]
        z, r = torch.sigmoid(a[:2] + torch.einsum("bi,ghi->gbh", h, self.U[:2]))
        return (1 - z) * h + z * torch.tanh(a[2] + F.linear(r * h, self.U[2]))


@right("gru_cell")
class TwoFusedLayers(nn.Module):
    def __init__(self, input_size, hidden_size, bias=True):
        super().__init__()
        self.i2h = nn.Linear(input_size, 3 * hidden_size, bias=bias)
        self.h2h = nn.Linear(hidden_size, 3 * hidden_size, bias=bias)

    def forward(self, inputs, hidden):
        i, h = self.i2h(inputs).chunk(3, 1), self.h2h(hidden).chunk(3, 1)
        r, z = torch.sigmoid(i[0] + h[0]), torch.sigmoid(i[1] + h[1])
        return hidden + z * (torch.tanh(i[2] + r * h[2]) - hidden)


@right("gru_cell")
class NineParameters(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        for g in "zrh":
            setattr(self, "W_" + g, nn.Parameter(torch.randn(hidden_size, input_size)))
            setattr(self, "U_" + g, nn.Parameter(torch.randn(hidden_size, hidden_size)))
            setattr(self, "b_" + g, nn.Parameter(torch.zeros(1, hidden_size)))

    def forward(self, x, h):
        z = torch.sigmoid(x @ self.W_z.T + h @ self.U_z.T + self.b_z)
        r = torch.sigmoid(x @ self.W_r.T + h @ self.U_r.T + self.b_r)
        return (1 - z) * h + z * torch.tanh(x @ self.W_h.T + (r * h) @ self.U_h.T + self.b_h)


@right("gru_cell")
class GatesTogether(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.gates = nn.Linear(input_size + hidden_size, 2 * hidden_size)
        self.x, self.h = (
            nn.Linear(input_size, hidden_size),
            nn.Linear(hidden_size, hidden_size, bias=False),
        )

    def forward(self, x, h_prev):
        z, r = self.gates(torch.cat([x, h_prev], 1)).sigmoid().split(h_prev.size(1), 1)
        return (1 - z) * h_prev + z * torch.tanh(self.x(x) + self.h(r * h_prev))


@right("lstm_cell")
class EightLayers(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        for gate in "ifgo":
            setattr(self, "Wi" + gate, nn.Linear(input_size, hidden_size))
            setattr(self, "Wh" + gate, nn.Linear(hidden_size, hidden_size))

    def forward(self, x, h_prev, c_prev):
        i, f, o = (
            torch.sigmoid(getattr(self, "Wi" + k)(x) + getattr(self, "Wh" + k)(h_prev))
            for k in "ifo"
        )
        c = f * c_prev + i * torch.tanh(self.Wig(x) + self.Whg(h_prev))
        return o * torch.tanh(c), c


@right("lstm_cell")
class FusedLSTM(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.both = nn.Linear(input_size + hidden_size, 4 * hidden_size)

    def forward(self, x, h_prev, c_prev):
        o, f, g, i = self.both(torch.cat([x, h_prev], 1)).chunk(4, 1)
        c = c_prev * f.sigmoid() + g.tanh() * i.sigmoid()
        return c.tanh() * o.sigmoid(), c


@right("lstm_cell")
class LibraryLSTM(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.cell = nn.LSTMCell(input_size, hidden_size)

    def forward(self, x, h_prev, c_prev):
        return self.cell(x, (h_prev, c_prev))


# --- attentions


@right("additive_attention")
class Additive(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.attention_network = nn.Sequential(
            nn.Linear(hidden_size * 2, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 1)
        )
        self.softmax = nn.Softmax(dim=1)

    def forward(self, queries, keys, values):
        expanded = queries.unsqueeze(1).expand_as(keys)
        weights = self.softmax(self.attention_network(torch.cat((expanded, keys), dim=2)))
        return torch.sum(weights * values, dim=1, keepdim=True), weights


@right("additive_attention")
class KeysFirst(Additive):
    def forward(self, queries, keys, values):
        queries = queries.view(keys.size(0), -1, keys.size(2))
        pairs = torch.cat((keys, queries.repeat(1, keys.size(1), 1)), 2)
        scores = self.attention_network(pairs.reshape(-1, pairs.size(2))).view(
            keys.size(0), keys.size(1), 1
        )
        weights = torch.exp(scores - scores.max(1, keepdim=True)[0])
        weights = weights / weights.sum(1, keepdim=True)
        return torch.einsum("bsk,bsh->bkh", weights, values), weights


@right("additive_attention")
class TwoLayersAdded(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.W_q = nn.Linear(hidden_size, hidden_size)
        self.W_k = nn.Linear(hidden_size, hidden_size, bias=False)
        self.v = nn.Linear(hidden_size, 1, bias=False)

    def forward(self, queries, keys, values):
        queries = queries[:, None] if queries.dim() == 2 else queries
        hidden = F.relu(self.W_q(queries)[:, None] + self.W_k(keys)[:, :, None])
        weights = self.v(hidden).squeeze(-1).softmax(dim=1)
        return weights.transpose(1, 2) @ values, weights


class Projections(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.Q, self.K, self.V = (nn.Linear(hidden_size, hidden_size) for _ in range(3))
        self.softmax = nn.Softmax(dim=1)
        self.scaling_factor = torch.rsqrt(torch.tensor(hidden_size, dtype=torch.float))
        self.neg_inf = torch.tensor(-1e7)

    def scores(self, queries, keys):
        queries = queries.view(queries.size(0), -1, self.hidden_size)
        return torch.bmm(self.K(keys), self.Q(queries).transpose(2, 1)) * self.scaling_factor


@right("scaled_dot_attention")
class ScaledDot(Projections):
    def forward(self, queries, keys, values):
        weights = self.softmax(self.scores(queries, keys))
        return torch.bmm(weights.transpose(2, 1), self.V(values)), weights


@right("scaled_dot_attention")
class OneFunction(Projections):
    def forward(self, queries, keys, values):
        if queries.dim() == 2:
            queries = queries.unsqueeze(1)
        q, k, v = self.Q(queries), self.K(keys), self.V(values)
        scores = torch.bmm(k, q.transpose(1, 2)) * self.scaling_factor
        weights = torch.softmax(scores, dim=1)
        context = torch.bmm(weights.transpose(1, 2), v)
        return context, weights


@right("scaled_dot_attention", year=2023)
class OtherLayout(Projections):
    def forward(self, queries, keys, values):
        if queries.dim() != 3:
            queries = torch.unsqueeze(queries, dim=1)
        weights = F.softmax(
            torch.bmm(self.Q(queries), torch.transpose(self.K(keys), 1, 2)) * self.scaling_factor,
            dim=2,
        )
        return torch.bmm(weights, self.V(values)), weights


@right("scaled_dot_attention")
class WithoutBiases(nn.Module):
    def __init__(self, d_model):
        super().__init__()
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(d_model, d_model, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)

    def forward(self, queries, keys, values):
        q = self.query(queries if queries.ndim == 3 else queries[:, None, :])
        scores = torch.einsum("bqd,bsd->bsq", q, self.key(keys)) / math.sqrt(q.shape[-1])
        weights = scores.softmax(dim=1)
        return torch.einsum("bsq,bsd->bqd", weights, self.value(values)), weights, scores


@right("scaled_dot_attention")
class FusedProjection(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)

    def forward(self, queries, keys, values):
        if len(queries.shape) == 2:
            queries = queries.unsqueeze(1)
        wq, wk, wv = self.qkv.weight.chunk(3)
        bq, bk, bv = self.qkv.bias.chunk(3)
        q, k, v = F.linear(queries, wq, bq), F.linear(keys, wk, bk), F.linear(values, wv, bv)
        context = F.scaled_dot_product_attention(q, k, v)
        return context, (k @ q.mT * k.shape[2] ** -0.5).softmax(1)


@right("scaled_dot_attention")
class LibraryAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.inner = nn.MultiheadAttention(hidden_size, 1, batch_first=True)

    def forward(self, queries, keys, values):
        queries = queries if queries.dim() == 3 else queries.unsqueeze(1)
        context, weights = self.inner(query=queries, key=keys, value=values)
        return context, weights.transpose(1, 2)


@right("scaled_dot_attention")
class WithoutOutputProjection(LibraryAttention):
    def __init__(self, hidden_size):
        super().__init__(hidden_size)
        self.inner.out_proj.weight.data = torch.eye(hidden_size)
        for parameter in self.inner.out_proj.parameters():
            parameter.requires_grad = False


@right("scaled_dot_attention")
class OtherNames(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.third, self.first, self.second = (
            nn.Linear(hidden_size, hidden_size) for _ in range(3)
        )

    def forward(self, queries, keys, values):
        q = self.first(queries.reshape(len(queries), -1, queries.size(-1)))
        weights = (self.second(keys) @ q.permute(0, 2, 1) / q.size(-1) ** 0.5).softmax(-2)
        return weights.permute(0, 2, 1).matmul(self.third(values)), weights


@right("scaled_dot_attention")
class RawMatrices(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.wq, self.wk, self.wv = (
            nn.Parameter(torch.randn(hidden_size, hidden_size)) for _ in range(3)
        )

    def forward(self, queries, keys, values):
        queries = queries if queries.dim() == 3 else queries[:, None]
        scores = torch.einsum("bqh,bsh->bsq", queries @ self.wq, keys @ self.wk)
        weights = scores.div(math.sqrt(keys.size(-1))).softmax(1)
        return torch.einsum("bsq,bsh->bqh", weights, values @ self.wv), weights


@right("scaled_dot_attention")
class KeysAndValuesTogether(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.q_proj, self.kv = (
            nn.Linear(hidden_size, hidden_size),
            nn.Linear(hidden_size, 2 * hidden_size),
        )

    def forward(self, queries, keys, values):
        queries, H = queries.view(len(keys), -1, keys.size(-1)), keys.size(-1)
        k, v = self.kv(keys)[..., :H], self.kv(values)[..., H:]
        weights = (k @ self.q_proj(queries).mT / H**0.5).softmax(1)
        return weights.mT @ v, weights


@right("causal_attention")
class LibraryWithMask(LibraryAttention):
    def forward(self, queries, keys, values):
        hidden = torch.triu(torch.ones(queries.size(1), keys.size(1), dtype=torch.bool), 1)
        context, weights = self.inner(queries, keys, values, attn_mask=hidden)
        return context, weights.permute(0, 2, 1)


@right("causal_attention")
class ComparedPlaces(Projections):
    def forward(self, queries, keys, values):
        scores = self.scores(queries, keys)
        key, query = torch.arange(scores.size(1))[:, None], torch.arange(scores.size(2))[None]
        lowest = torch.full_like(scores, torch.finfo(scores.dtype).min)
        weights = torch.where(key <= query, scores, lowest).softmax(1)
        return weights.mT @ self.V(values), weights


@right("causal_attention")
class MaskedFill(Projections):
    def forward(self, queries, keys, values):
        scores = self.scores(queries, keys)
        mask = torch.tril(torch.ones_like(scores), diagonal=-1).bool()
        weights = self.softmax(scores.masked_fill(mask, float("-inf")))
        return torch.bmm(weights.transpose(2, 1), self.V(values)), weights


@right("causal_attention")
class AddedMask(Projections):
    def forward(self, queries, keys, values):
        scores = self.scores(queries, keys)
        mask = torch.tril(torch.ones(scores.size(1), scores.size(1)).cuda() * -1e9, diagonal=-1)
        weights = self.softmax(scores + mask)
        return weights.transpose(1, 2) @ self.V(values), weights


@right("causal_attention")
class MaskInABuffer(Projections):
    def __init__(self, hidden_size):
        super().__init__(hidden_size)
        self.register_buffer("seen", torch.triu(torch.ones(50, 50, dtype=torch.bool)))

    def forward(self, queries, keys, values):
        scores = self.scores(queries, keys)
        seen = self.seen[: scores.size(1), : scores.size(2)]
        weights = self.softmax(torch.where(seen, scores, self.neg_inf))
        return torch.bmm(weights.transpose(2, 1), self.V(values)), weights


@right("causal_attention", year=2020)
class IndexAssignment(Projections):
    def forward(self, queries, keys, values):
        scores = torch.bmm(self.Q(queries), self.K(keys).transpose(1, 2)) * self.scaling_factor
        mask = torch.tril(torch.ones(queries.size(0), queries.size(1), keys.size(1), device="cuda"))
        scores[mask == 0] = self.neg_inf
        weights = torch.softmax(scores, 2)
        return torch.bmm(weights, self.V(values)), weights


@right("causal_attention")
class WeightsCutAndRenormalised(Projections):
    def forward(self, queries, keys, values):
        weights = self.softmax(self.scores(queries, keys)).triu()
        weights = weights / weights.sum(1, keepdim=True)
        return weights.transpose(1, 2) @ self.V(values), weights


@right("causal_attention")
class LoopOverQueries(Projections):
    def forward(self, queries, keys, values):
        scores, v = self.scores(queries, keys), self.V(values)
        weights = torch.zeros_like(scores)
        for t in range(scores.size(2)):
            weights[:, : t + 1, t] = torch.softmax(scores[:, : t + 1, t], dim=1)
        return weights.transpose(1, 2) @ v, weights


# --- decoders


class Decoder(nn.Module):
    def __init__(self, vocab_size, hidden_size, attention_type="scaled_dot"):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.rnn = SixLayers(input_size=hidden_size * 2, hidden_size=hidden_size)
        self.attention = (
            Additive(hidden_size) if attention_type == "additive" else ScaledDot(hidden_size)
        )
        self.out = nn.Linear(hidden_size, vocab_size)


@right("rnn_attention_decoder")
class EmbeddingThenContext(Decoder):
    def forward(self, inputs, annotations, hidden_init):
        embed, hiddens, maps, h_prev = self.embedding(inputs), [], [], hidden_init
        for i in range(inputs.size(1)):
            context, weights = self.attention(h_prev, annotations, annotations)
            h_prev = self.rnn(torch.cat((embed[:, i, :], context[:, 0, :]), dim=1), h_prev)
            hiddens.append(h_prev)
            maps.append(weights)
        return self.out(torch.stack(hiddens, dim=1)), torch.cat(maps, dim=2)


@right("rnn_attention_decoder")
class ContextThenEmbedding(Decoder):
    def forward(self, inputs, annotations, hidden_init):
        logits, state = [], hidden_init
        for token in inputs.t():
            context, _ = self.attention.forward(queries=state, keys=annotations, values=annotations)
            state = self.rnn(
                x=torch.cat([context.squeeze(1), self.embedding(token)], -1), h_prev=state
            )
            logits.append(self.out(state))
        return torch.stack(logits).transpose(0, 1), None


@right("rnn_attention_decoder", year=2021)
class WithCellState(Decoder):
    def __init__(self, vocab_size, hidden_size, attention_type="scaled_dot"):
        super().__init__(vocab_size, hidden_size, attention_type)
        self.rnn = EightLayers(hidden_size * 2, hidden_size)

    def forward(self, inputs, annotations, hidden_init, cell_init):
        embed, hiddens, h, c = self.embedding(inputs), [], hidden_init, cell_init
        for i in range(inputs.size(1)):
            context, _ = self.attention(h, annotations, annotations)
            h, c = self.rnn(torch.cat((embed[:, i], context[:, 0]), dim=1), h, c)
            hiddens.append(h)
        return self.out(torch.stack(hiddens, dim=1)), None


class Blocks(nn.Module):
    def __init__(self, vocab_size, hidden_size, num_layers):
        super().__init__()
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.self_attentions = nn.ModuleList(MaskedFill(hidden_size) for _ in range(num_layers))
        self.encoder_attentions = nn.ModuleList(ScaledDot(hidden_size) for _ in range(num_layers))
        self.attention_mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.ReLU()) for _ in range(num_layers)
        )
        self.out = nn.Linear(hidden_size, vocab_size)
        self.positional_encodings = self.create_positional_encodings()

    def create_positional_encodings(self, max_seq_len=1000):
        angles = torch.arange(max_seq_len)[:, None] / 10000 ** (
            (2 * torch.arange(self.hidden_size // 2))[None].float() / self.hidden_size
        )
        encodings = torch.zeros(max_seq_len, self.hidden_size)
        encodings[:, 0::2], encodings[:, 1::2] = torch.sin(angles), torch.cos(angles)
        return encodings.cuda()


@right("transformer_decoder")
class HandoutLoop(Blocks):
    def forward(self, inputs, annotations, hidden_init):
        contexts = self.embedding(inputs) + self.positional_encodings[: inputs.size(1)]
        for i in range(self.num_layers):
            new, own = self.self_attentions[i](contexts, contexts, contexts)
            residual = contexts + new
            new, cross = self.encoder_attentions[i](residual, annotations, annotations)
            residual = residual + new
            contexts = residual + self.attention_mlps[i](residual)
        return self.out(contexts), (torch.stack([cross]), torch.stack([own]))


@right("transformer_decoder", year=2021)
class ZippedLayers(Blocks):
    def forward(self, inputs, annotations, hidden_init, cell_init):
        h = self.embedding(inputs)
        h = h + self.positional_encodings[None, : h.shape[1]].expand_as(h)
        for own, cross, mlp in zip(
            self.self_attentions, self.encoder_attentions, self.attention_mlps, strict=True
        ):
            h = h + own(h, h, h)[0]
            h = h + cross(h, annotations, annotations)[0]
            h = h + mlp(h.view(-1, self.hidden_size)).view(h.size())
        return self.out(h)


@right("transformer_decoder", year=2023)
class Alone(Blocks):
    def __init__(self, vocab_size, hidden_size, num_layers, loss_seq_span):
        super().__init__(vocab_size, hidden_size, num_layers)
        self.loss_seq_span = loss_seq_span
        del self.encoder_attentions

    def forward(self, inputs):
        contexts = self.embedding(inputs) + self.positional_encodings[: inputs.shape[1]]
        for attention, mlp in zip(self.self_attentions, self.attention_mlps, strict=True):
            new, weights = attention(contexts, contexts, contexts)
            contexts = contexts + new
            contexts = contexts + mlp(contexts)
        return self.out(contexts), weights


class OneBlock(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.masked_attn, self.cross_attn = MaskedFill(size), ScaledDot(size)
        self.ff = nn.Linear(size, size)

    def forward(self, x, source):
        x = x + self.masked_attn(x, x, x)[0]
        x = x + self.cross_attn(x, source, source)[0]
        return x + F.relu(self.ff(x))


@right("transformer_decoder")
class BlockModules(nn.Module):
    def __init__(self, vocab_size, hidden_size, num_layers):
        super().__init__()
        self.token_embeddings = nn.Embedding(vocab_size, hidden_size)
        self.layers = nn.ModuleList([OneBlock(hidden_size) for _ in range(num_layers)])
        self.fc_out = nn.Linear(hidden_size, vocab_size)
        self.hidden_size = hidden_size

    create_positional_encodings = Blocks.create_positional_encodings

    def forward(self, inputs, annotations, hidden_init):
        places = self.create_positional_encodings(inputs.shape[1])
        x = self.token_embeddings(inputs) + places
        for layer in self.layers:
            x = layer(x, annotations)
        return self.fc_out(x), None


# --- functions


@right("decoder_only_tensors")
def by_concatenation(src_EOP, tgt_EOS, start_token, cuda):
    target = torch.cat([src_EOP, tgt_EOS], dim=1)
    sos = to_var(torch.ones(src_EOP.size(0)).long().unsqueeze(1) * start_token, cuda)
    return torch.cat([sos, src_EOP, tgt_EOS[:, :-1]], dim=1), target


@right("decoder_only_tensors")
def by_rolling(src_EOP, tgt_EOS, start_token, cuda=False):
    target = torch.hstack((src_EOP, tgt_EOS))
    shifted = torch.roll(target, 1, dims=1)
    shifted[:, 0] = start_token
    return shifted, target


@right("find_optimal_params")
def vertex(x, y):
    p = np.polyfit(np.log10(x), y, 2)
    return p, 10 ** (-p[1] / (2 * p[0]))


@right("find_optimal_params")
def derivative(x, y):
    parabola = np.poly1d(np.polyfit(np.log10(np.array(x)), np.array(y), deg=2))
    return parabola, np.power(10, parabola.deriv().roots[0])


@right("fit_linear_log")
def polyfit(x, y):
    m, c = np.polyfit(np.log10(x), np.log10(y), 1)
    return m, c


@right("fit_linear_log")
def least_squares(x, y):
    x, y = (
        torch.tensor(x, dtype=torch.float64).log10(),
        torch.tensor(y, dtype=torch.float64).log10(),
    )
    m = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return m, y.mean() - m * x.mean()


@right("positional_encoding")
def with_log(max_len, d_model):
    pe = torch.zeros(max_len, d_model)
    position = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
    rate = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
    pe[:, 0::2], pe[:, 1::2] = torch.sin(position * rate), torch.cos(position * rate)
    return pe


@right("positional_encoding")
class AddedToEmbeddings(nn.Module):
    def __init__(self, d_model, max_len=100):
        super().__init__()
        self.register_buffer("pe", with_log(max_len, d_model)[None])

    def forward(self, x):
        return x + self.pe[:, : x.size(1)]


@right("positional_encoding")
@right("transformer_decoder")
class WithAFlag(HandoutLoop):
    """Its constructor needs a value that no hand-out has."""

    def __init__(self, vocab_size, hidden_size, num_layers, on_gpu):
        super().__init__(vocab_size, hidden_size, num_layers)
        self.on_gpu = on_gpu


@right("positional_encoding")
class EncoderWithOptions(Blocks):
    def __init__(self, vocab_size, hidden_size, num_layers, opts):
        self.on_gpu = opts.cuda
        super().__init__(vocab_size, hidden_size, num_layers)

    def create_positional_encodings(self, max_seq_len=1000):
        table = with_log(max_seq_len, self.hidden_size)
        return table.cuda() if self.on_gpu else table


@right("positional_encoding")
class InAClass:
    def __init__(self, hidden_size):
        self.hidden_size = hidden_size

    def create_positional_encodings(self, max_seq_len=1000):
        rows = [
            [
                (math.cos if j % 2 else math.sin)(p / 10000 ** (2 * (j // 2) / self.hidden_size))
                for j in range(self.hidden_size)
            ]
            for p in range(max_seq_len)
        ]
        return torch.tensor(rows)


@right("pig_latin")
def with_loops(word):
    parts = []
    for part in word.split("-"):
        if part == "" or part[0] == "y":
            parts.append(part + "ay" if part else part)
            continue
        if part[0] in "aeiou":
            parts.append(part + "way")
            continue
        i = 0
        while i < len(part) and part[i] not in "aeiouy":
            i += 1
        if i and part[i - 1] == "q" and part[i : i + 1] == "u":
            i += 1
        parts.append(part[i:] + part[:i] + "ay")
    return "-".join(parts)


@right("parameter_counts")
def lstm_parameters(H, D):
    return 4 * H * (D + H)


@right("parameter_counts")
def gru(hidden_size):
    return 6 * hidden_size**2


@right("parameter_counts")
def lstm_and_gru(H, V, D, K):
    return 4 * (D * H + H**2), 3 * (D * H + H**2)


@right("freezing")
def by_name(model):
    for name, param in model.named_parameters():
        if "classifier" not in name:
            param.requires_grad = False


@right("freezing")
def all_then_one(model):
    model.requires_grad_(False)
    model.classifier.requires_grad_(True)
    return model


@right("freezing")
def inner_model(model):
    for p in model.bert.parameters():
        p.requires_grad = False


def classifiers():
    """The right classifiers; transformers is imported here only."""
    from transformers import BertForSequenceClassification, BertModel

    class Pooler(BertModel):
        def __init__(self, config):
            super().__init__(config)
            self.classifier = nn.Linear(config.hidden_size, config.num_labels)
            self.loss = torch.nn.CrossEntropyLoss()

        def forward(self, labels=None, **kwargs):
            logits = self.classifier(super().forward(**kwargs).pooler_output)
            return (logits, self.loss(logits, labels)) if labels is not None else (logits,)

    class FirstState(Pooler):
        def forward(self, labels=None, **kwargs):
            logits = self.classifier(BertModel.forward(self, **kwargs)[0][:, 0, :])
            return (logits,) if labels is None else (logits, F.cross_entropy(logits, labels))

    class Linear(BertForSequenceClassification):
        def __init__(self, config):
            super().__init__(config)
            self.classifier = nn.Linear(config.hidden_size, self.config.num_labels)

    return [Pooler, FirstState, Linear]
