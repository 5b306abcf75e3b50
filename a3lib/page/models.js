"use strict";
// The translators, and the text tower of the small CLIP, symbol by symbol as they decode. Plain
// JavaScript: the models are small, and it can be read beside the equations in a3lib/translation.
// Numbers are doubles, weights those that the page holds.
const SYMBOLS = "-abcdefghijklmnopqrstuvwxyz", SOS = 27, EOS = 28, TINY = 2 ** -126;

function half(bits) {
  const exponent = (bits >> 10) & 31, fraction = bits & 1023, sign = bits >> 15 ? -1 : 1;
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
}

function numbers(text) { // base64 of finite numbers in half precision, low byte first
  const bytes = atob(text), bits = (i) => bytes.charCodeAt(i) + 256 * bytes.charCodeAt(i + 1);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => half(bits(2 * i)));
}

const add = (a, b) => a.map((value, i) => value + b[i]);
const relu = (x) => x.map((value) => Math.max(0, value));
const sigmoid = (value) => 1 / (1 + Math.exp(-value));
const sum = (x) => x.reduce((a, b) => a + b);
const row = (table, i, H) => Float64Array.from(table.subarray(i * H, (i + 1) * H));

function dot(a, b, start = 0, end = a.length, shift = 0) {
  let total = 0;
  for (let i = start; i < end; i++) total += a[i] * b[i + shift];
  return total;
}

function linear(w, name, x) {
  const weight = w[`${name}.weight`], out = new Float64Array(w[`${name}.bias`]), n = x.length;
  for (let i = 0; i < out.length; i++) out[i] += dot(x, weight, 0, n, i * n);
  return out;
}

function softmax(scores) {
  const most = scores.reduce((a, b) => Math.max(a, b)), p = scores.map((s) => Math.exp(s - most));
  const total = sum(p);
  return p.map((value) => value / total);
}

function layerNorm(w, name, x) {
  const mean = sum(x) / x.length, centred = x.map((value) => value - mean);
  const size = Math.sqrt(dot(centred, centred) / x.length + 1e-5);
  return centred.map((value, i) => value / size * w[`${name}.weight`][i] + w[`${name}.bias`][i]);
}

function gelu(x) { // x times the normal distribution function, by a series of positive terms
  const z = Math.abs(x) / Math.SQRT2;
  let term = 2 * z * Math.exp(-z * z) / Math.sqrt(Math.PI), erf = 0;
  for (let n = 1; term > 1e-17; n++, term *= 2 * z * z / (2 * n - 1)) erf += term;
  return x * (1 + Math.sign(x) * Math.min(1, erf)) / 2;
}

function waves(place, H) {
  const angle = (i) => place / 10000 ** ((i - i % 2) / H);
  return Float64Array.from({ length: H }, (_, i) => (i % 2 ? Math.cos : Math.sin)(angle(i)));
}

function rotated(x, place, heads) { // pairs of numbers turn with the place, alike in each head
  const d = x.length / heads, angle = (i) => place * 20 ** (-((i - i % 2) % d) / d);
  return x.map((value, i) =>
    value * Math.cos(angle(i)) + (i % 2 ? x[i - 1] : -x[i + 1]) * Math.sin(angle(i)));
}

class Translator { // start(source), then step(symbol) -> logits
  constructor(settings, weights) {
    Object.assign(this, { settings, w: weights, H: settings.hidden_size, off: new Set() });
    this.maps = {}; // "kind layer head" -> weights [query][key]
  }
  // Weights by scores [key] and the context of the values from `start` on; zeros where it is off.
  attend(key, scores, values, context, start = 0, end = context.length) {
    const weights = softmax(scores);
    (this.maps[key] ??= []).push(weights);
    if (this.off.has(key)) return;
    values.forEach((value, i) => {
      for (let j = start; j < end; j++) context[j] += weights[i] * value[j];
    });
  }
}

class Recurrent extends Translator { // Part 1, and Part 2.1 with attention
  cell(name, x, h) {
    const part = (map, y) => linear(this.w, `${name}.${map}`, y);
    const z = add(part("Wiz", x), part("Whz", h)).map(sigmoid);
    const r = add(part("Wir", x), part("Whr", h)).map(sigmoid);
    const g = add(part("Wih", x), part("Whh", h.map((value, i) => r[i] * value))).map(Math.tanh);
    return h.map((value, i) => (1 - z[i]) * value + z[i] * g[i]);
  }
  start(source) {
    this.maps = {};
    this.h = new Float64Array(this.H);
    const next = (x) => (this.h = this.cell("encoder.gru", x, this.h));
    const embedding = this.w["encoder.embedding.weight"];
    this.states = source.map((symbol) => next(row(embedding, symbol, this.H)));
  }
  step(symbol) {
    let x = row(this.w["decoder.embedding.weight"], symbol, this.H);
    if (this.settings.kind === "rnn-attention") {
      const layer = (i, x) => linear(this.w, `decoder.attention.attention_network.${i}`, x);
      const score = (key) => layer(2, relu(layer(0, Float64Array.of(...this.h, ...key))))[0];
      const context = new Float64Array(this.H);
      this.attend("cross 0 0", this.states.map(score), this.states, context);
      x = Float64Array.of(...x, ...context);
    }
    this.h = this.cell("decoder.rnn", x, this.h);
    return linear(this.w, "decoder.out", this.h);
  }
}

class Transformer extends Translator { // Part 2.2; 'modern': heads, norm, turned places, pointer;
  constructor(settings, weights) { //       'text': a decoder alone, with a table of places
    super(settings, weights);
    this.plain = settings.kind === "transformer";
    this.text = settings.kind === "text";
    this.heads = this.plain ? 1 : settings.modern.heads;
    this.layers = [...Array(settings.layers).keys()];
  }
  embedded(side, symbol, place) {
    const x = row(this.w[`${side}.embedding.weight`], symbol, this.H);
    if (this.text) return add(x, row(this.w["decoder.positions"], place, this.H));
    const waved = this.plain && this.settings.transformer.positions === "sinusoid";
    return waved ? add(x, waves(place, this.H)) : x;
  }
  norm(name, x) { return this.plain ? x : layerNorm(this.w, name, x); }
  turn(x, place, heads) { return this.plain || this.text ? x : rotated(x, place, heads); }
  memory(name, rows, into = { keys: [], values: [] }) {
    rows.forEach((x) => {
      const place = into.keys.length;
      into.keys.push(this.turn(linear(this.w, `${name}.K`, x), place, this.heads));
      into.values.push(linear(this.w, `${name}.V`, x));
    });
    return into;
  }
  look(kind, layer, name, x, place, { keys, values }) {
    const q = this.turn(linear(this.w, `${name}.Q`, x), place, this.heads), d = this.H / this.heads;
    const context = new Float64Array(this.H);
    for (let head = 0; head < this.heads; head++) {
      const start = head * d, end = start + d;
      const scores = keys.map((key) => dot(q, key, start, end) / Math.sqrt(d));
      this.attend(`${kind} ${layer} ${head}`, scores, values, context, start, end);
    }
    return this.plain ? context : linear(this.w, `${name}.out`, context);
  }
  mlp(name, x) {
    const inside = linear(this.w, `${name}.mlp.0`, this.norm(`${name}.mlp_norm`, x));
    if (this.plain) return add(x, relu(inside));
    return add(x, linear(this.w, `${name}.mlp.2`, this.text ? inside.map(gelu) : relu(inside)));
  }
  start(source) {
    this.maps = {};
    this.source = source;
    let rows = source.map((symbol, place) => this.embedded("encoder", symbol, place));
    for (const layer of this.layers) {
      const name = `encoder.blocks.${layer}`, own = `${name}.attention`;
      const normed = rows.map((x) => this.norm(`${own}_norm`, x));
      const memory = this.memory(own, normed);
      rows = rows.map((x, i) => add(x, this.look("encoder", layer, own, normed[i], i, memory)));
      rows = rows.map((x) => this.mlp(name, x));
    }
    this.begin(rows.map((x) => this.norm("encoder.norm", x)));
  }
  begin(states) {
    this.place = 0;
    this.past = this.layers.map(() => this.memory("", []));
    this.cross = this.text ? [] : this.layers.map((layer) =>
      this.memory(`decoder.blocks.${layer}.cross`, states));
    this.pointed = states.map((x, i) => this.plain || this.pointing("K", x, i));
  }
  state(symbol) {
    const place = this.place++;
    let x = this.embedded("decoder", symbol, place);
    for (const layer of this.layers) {
      const name = `decoder.blocks.${layer}`, own = `${name}.attention`, cross = `${name}.cross`;
      let n = this.norm(`${own}_norm`, x);
      const past = this.memory(own, [n], this.past[layer]);
      x = add(x, this.look("decoder", layer, own, n, place, past));
      if (!this.text) {
        n = this.norm(`${cross}_norm`, x);
        x = add(x, this.look("cross", layer, cross, n, place, this.cross[layer]));
      }
      x = this.mlp(name, x);
    }
    return this.norm("decoder.norm", x);
  }
  step(symbol) {
    const x = this.state(symbol), logits = linear(this.w, "decoder.out", x);
    if (this.plain) return logits;
    const q = this.pointing("Q", x, this.place - 1), key = "pointer 0 0";
    this.attend(key, this.pointed.map((k) => dot(q, k) / Math.sqrt(this.H)), [], q);
    const gate = this.off.has(key) ? 0 : sigmoid(linear(this.w, "decoder.pointer.gate", x)[0]);
    const mixed = softmax(logits).map((p) => (1 - gate) * p), weights = this.maps[key].at(-1);
    this.source.forEach((symbol, i) => { mixed[symbol] += gate * weights[i]; });
    return mixed.map((p) => Math.log(Math.max(p, TINY)));
  }
  pointing(map, x, place) { return rotated(linear(this.w, `decoder.pointer.${map}`, x), place, 1); }
  vector(tokens) { // of a text between two end marks, of length 1
    this.begin([]);
    const out = linear(this.w, "projection", tokens.map((token) => this.state(token)).at(-1));
    return out.map((value) => value / Math.sqrt(dot(out, out)));
  }
}

function built({ settings, weights: { names, data } }) {
  const all = numbers(data), weights = {}, recurrent = ["gru", "rnn-attention"];
  let start = 0;
  for (const [name, size] of names) weights[name] = all.subarray(start, start += size);
  return new (recurrent.includes(settings.kind) ? Recurrent : Transformer)(settings, weights);
}

const encoded = (word) => [...word].map((letter) => SYMBOLS.indexOf(letter)).concat(EOS);
const spelled = (out) => out.map(([symbol]) => SYMBOLS[symbol] ?? "").join("");

// Greedy: [[symbol, probability], ...] up to the end symbol or what the rule can add at most.
function translated(model, word) {
  model.start(encoded(word));
  const out = [], bound = word.length + 3 * word.split("-").length + 1;
  for (let symbol = SOS; symbol !== EOS && out.length < bound;) {
    const p = softmax(model.step(symbol));
    p[SOS] = 0;
    if (!out.length) p[EOS] = 0;
    symbol = p.indexOf(Math.max(...p));
    out.push([symbol, p[symbol]]);
  }
  return out;
}
