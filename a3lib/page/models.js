"use strict";
// The translators, and the text tower of the small CLIP, symbol by symbol as they decode. Plain
// JavaScript, since they are small (at most 270,000 weights) and the code can be read beside the
// equations in a3lib/translation. Numbers are doubles, weights those that the page holds.
const SYMBOLS = "-abcdefghijklmnopqrstuvwxyz", SOS = 27, EOS = 28, TINY = 2 ** -126;

function half(bits) {
  const exponent = (bits >> 10) & 31, fraction = bits & 1023, sign = bits >> 15 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
}

function numbers(text) {  // base64 of half precision numbers, low byte first
  const bytes = atob(text), at = (i) => bytes.charCodeAt(i);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => half(at(2 * i) + 256 * at(2 * i + 1)));
}

function unpack({ names, data }) {
  const all = numbers(data), weights = {};
  let start = 0;
  for (const [name, length] of names) weights[name] = all.subarray(start, (start += length));
  return weights;
}

function linear(w, name, x) {
  const weight = w[`${name}.weight`], out = Float64Array.from(w[`${name}.bias`]), n = x.length;
  for (let i = 0, k = 0; i < out.length; i++) {
    let sum = out[i];
    for (let j = 0; j < n; j++) sum += weight[k++] * x[j];
    out[i] = sum;
  }
  return out;
}

const add = (a, b) => a.map((value, i) => value + b[i]);
const relu = (x) => x.map((value) => Math.max(0, value));
const sigmoid = (value) => 1 / (1 + Math.exp(-value));
const row = (table, i, H) => Float64Array.from(table.subarray(i * H, (i + 1) * H));

function dot(a, b, start = 0, end = a.length) {
  let sum = 0;
  for (let i = start; i < end; i++) sum += a[i] * b[i];
  return sum;
}

function softmax(scores) {
  const most = scores.reduce((a, b) => Math.max(a, b)), p = scores.map((s) => Math.exp(s - most));
  const sum = p.reduce((a, b) => a + b);
  return p.map((value) => value / sum);
}

function layerNorm(w, name, x) {
  const mean = x.reduce((a, b) => a + b) / x.length, centred = x.map((value) => value - mean);
  const size = Math.sqrt(dot(centred, centred) / x.length + 1e-5);
  return centred.map((value, i) => (value / size) * w[`${name}.weight`][i] + w[`${name}.bias`][i]);
}

function gelu(x) {  // x times the normal distribution function: a series without cancellation
  const z = Math.abs(x) / Math.SQRT2;
  let term = 2 * z * Math.exp(-z * z) / Math.sqrt(Math.PI), erf = 0;
  for (let n = 1; term > 1e-17; n++) { erf += term; term *= 2 * z * z / (2 * n + 1); }
  return (x * (1 + Math.sign(x) * Math.min(1, erf))) / 2;
}

function waves(place, H) {
  const angle = (i) => place / 10000 ** ((i - (i % 2)) / H);
  return Float64Array.from({ length: H }, (_, i) => (i % 2 ? Math.cos : Math.sin)(angle(i)));
}

function rotated(x, place, heads) {  // pairs of numbers turn with the place, alike in each head
  const d = x.length / heads, out = new Float64Array(x.length);
  for (let i = 0; i < x.length; i += 2) {
    const angle = place * 20 ** (-(i % d) / d), c = Math.cos(angle), s = Math.sin(angle);
    out[i] = x[i] * c - x[i + 1] * s;
    out[i + 1] = x[i] * s + x[i + 1] * c;
  }
  return out;
}

// One query over all keys -> context, weights [head][key]. What isOff(head) is left out.
function attend(q, keys, values, heads, isOff) {
  const d = q.length / heads, context = new Float64Array(q.length), weights = [];
  for (let head = 0; head < heads; head++) {
    const start = head * d, end = start + d;
    weights.push(softmax(keys.map((key) => dot(q, key, start, end) / Math.sqrt(d))));
    if (isOff(head)) continue;
    values.forEach((value, i) => {
      for (let j = start; j < end; j++) context[j] += weights[head][i] * value[j];
    });
  }
  return [context, weights];
}

class Translator {  // start(source), then step(symbol) -> logits; `maps` keep the weights
  constructor(settings, weights) {
    Object.assign(this, { settings, w: weights, H: settings.hidden_size, off: new Set(), maps: {} });
  }
  seen(kind, layer, weights) {
    weights.forEach((one, head) => (this.maps[`${kind} ${layer} ${head}`] ??= []).push([...one]));
  }
  isOff(kind, layer) { return (head) => this.off.has(`${kind} ${layer} ${head}`); }
}

class Recurrent extends Translator {  // Part 1, and Part 2.1 with attention
  cell(name, x, h) {
    const both = (a, b, y) => add(linear(this.w, `${name}.${a}`, x), linear(this.w, `${name}.${b}`, y));
    const z = both("Wiz", "Whz", h).map(sigmoid), r = both("Wir", "Whr", h).map(sigmoid);
    const g = both("Wih", "Whh", r.map((value, i) => value * h[i])).map(Math.tanh);
    return h.map((value, i) => (1 - z[i]) * value + z[i] * g[i]);
  }
  start(source) {
    this.maps = {};
    this.h = new Float64Array(this.H);
    this.states = source.map((symbol) => {
      const x = row(this.w["encoder.embedding.weight"], symbol, this.H);
      return (this.h = this.cell("encoder.gru", x, this.h));
    });
  }
  step(symbol) {
    let x = row(this.w["decoder.embedding.weight"], symbol, this.H);
    if (this.settings.kind === "rnn-attention") x = Float64Array.from([...x, ...this.context()]);
    this.h = this.cell("decoder.rnn", x, this.h);
    return linear(this.w, "decoder.out", this.h);
  }
  context() {
    const name = "decoder.attention.attention_network", context = new Float64Array(this.H);
    const scores = this.states.map((key) => {
      const pair = Float64Array.from([...this.h, ...key]);
      return linear(this.w, `${name}.2`, relu(linear(this.w, `${name}.0`, pair)))[0];
    });
    const weights = softmax(scores);
    this.seen("cross", 0, [weights]);
    if (this.off.has("cross 0 0")) return context;
    this.states.forEach((value, i) => value.forEach((v, j) => { context[j] += weights[i] * v; }));
    return context;
  }
}

class Transformer extends Translator {  // Part 2.2; 'modern': heads, norm, rotary places, pointer
  constructor(settings, weights) {
    super(settings, weights);
    const modern = settings.kind === "modern", heads = modern ? settings.modern.heads : 1;
    const waved = !modern && settings.transformer?.positions === "sinusoid";
    Object.assign(this, { modern, heads, waved, cross: true, activation: relu });
  }
  embedded(side, symbol, place) {
    const x = row(this.w[`${side}.embedding.weight`], symbol, this.H);
    return this.waved ? add(x, waves(place, this.H)) : x;
  }
  norm(name, x) { return this.modern ? layerNorm(this.w, name, x) : x; }
  turn(x, place, heads) { return this.modern ? rotated(x, place, heads) : x; }
  query(name, x, place) { return this.turn(linear(this.w, `${name}.Q`, x), place, this.heads); }
  remember(name, x, place, memory) {
    memory.keys.push(this.turn(linear(this.w, `${name}.K`, x), place, this.heads));
    memory.values.push(linear(this.w, `${name}.V`, x));
    return memory;
  }
  remembered(name, rows) {
    const memory = { keys: [], values: [] };
    rows.forEach((x, place) => this.remember(name, x, place, memory));
    return memory;
  }
  look(kind, layer, name, x, place, { keys, values }) {
    const q = this.query(name, x, place), off = this.isOff(kind, layer);
    const [context, weights] = attend(q, keys, values, this.heads, off);
    this.seen(kind, layer, weights);
    return this.modern ? linear(this.w, `${name}.out`, context) : context;
  }
  mlp(name, x) {
    const inside = this.activation(linear(this.w, `${name}.mlp.0`, this.norm(`${name}.mlp_norm`, x)));
    return add(x, this.modern ? linear(this.w, `${name}.mlp.2`, inside) : inside);
  }
  start(source) {
    this.maps = {};
    let rows = source.map((symbol, place) => this.embedded("encoder", symbol, place));
    for (let layer = 0; layer < this.settings.layers; layer++) {
      const name = `encoder.blocks.${layer}`, own = `${name}.attention`;
      const normed = rows.map((x) => this.norm(`${own}_norm`, x)), memory = this.remembered(own, normed);
      rows = normed.map((n, i) => add(rows[i], this.look("encoder", layer, own, n, i, memory)));
      rows = rows.map((x) => this.mlp(name, x));
    }
    this.source = source;
    this.states = rows.map((x) => this.norm("encoder.norm", x));
    this.begin();
  }
  begin() {
    this.place = 0;
    const layers = [...Array(this.settings.layers).keys()];
    this.past = layers.map(() => ({ keys: [], values: [] }));
    if (!this.cross) return;
    this.memory = layers.map((l) => this.remembered(`decoder.blocks.${l}.cross`, this.states));
    if (this.modern) this.pointed = this.states.map((x, place) =>
      rotated(linear(this.w, "decoder.pointer.K", x), place, 1));
  }
  state(symbol) {
    const place = this.place++;
    let x = this.embedded("decoder", symbol, place);
    this.past.forEach((past, layer) => {
      const name = `decoder.blocks.${layer}`, own = `${name}.attention`, cross = `${name}.cross`;
      const n = this.norm(`${own}_norm`, x);
      x = add(x, this.look("decoder", layer, own, n, place, this.remember(own, n, place, past)));
      if (this.cross) {
        const asked = this.norm(`${cross}_norm`, x);
        x = add(x, this.look("cross", layer, cross, asked, place, this.memory[layer]));
      }
      x = this.mlp(name, x);
    });
    return this.norm("decoder.norm", x);
  }
  step(symbol) {
    const x = this.state(symbol), logits = linear(this.w, "decoder.out", x);
    return this.modern ? this.mixture(x, logits, this.place - 1) : logits;
  }
  mixture(x, logits, place) {
    const q = rotated(linear(this.w, "decoder.pointer.Q", x), place, 1), written = softmax(logits);
    const [, [weights]] = attend(q, this.pointed, [], 1, () => false);
    this.seen("pointer", 0, [weights]);
    const off = this.off.has("pointer 0 0");
    const gate = off ? 0 : sigmoid(linear(this.w, "decoder.pointer.gate", x)[0]);
    const mixed = written.map((p) => (1 - gate) * p);
    this.source.forEach((symbol, i) => { mixed[symbol] += gate * weights[i]; });
    return mixed.map((p) => Math.log(Math.max(p, TINY)));
  }
}

class TextTower extends Transformer {  // tokens between two end marks -> a vector of length 1
  constructor(settings, weights) {
    super({ kind: "modern", modern: { heads: settings.heads }, ...settings }, weights);
    Object.assign(this, { cross: false, activation: (x) => x.map(gelu) });
  }
  turn(x) { return x; }
  embedded(side, token, place) {
    return add(super.embedded(side, token), row(this.w["decoder.positions"], place, this.H));
  }
  vector(tokens) {
    this.begin();
    const last = tokens.map((token) => this.state(token)).at(-1);
    const out = linear(this.w, "projection", last), length = Math.sqrt(dot(out, out));
    return out.map((value) => value / length);
  }
}

function built({ settings, weights }) {
  const recurrent = settings.kind === "gru" || settings.kind === "rnn-attention";
  return new (recurrent ? Recurrent : Transformer)(settings, unpack(weights));
}

function encoded(word) { return [...word].map((letter) => SYMBOLS.indexOf(letter)).concat(EOS); }

// Greedy: [[symbol, probability], ...] up to the end symbol or what the rule can add at most.
function translated(model, word) {
  model.start(encoded(word));
  const out = [], bound = word.length + 3 * word.split("-").length + 1;
  for (let symbol = SOS; symbol !== EOS && out.length < bound; ) {
    const p = softmax(model.step(symbol));
    p[SOS] = 0;
    if (!out.length) p[EOS] = 0;
    symbol = p.indexOf(Math.max(...p));
    out.push([symbol, p[symbol]]);
  }
  return out;
}

const spelled = (out) => out.map(([symbol]) => SYMBOLS[symbol] ?? "").join("");
