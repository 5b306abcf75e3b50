// What the reader touches. Text reaches the page by textContent and appended strings alone.
const at = (id) => document.getElementById(id), data = JSON.parse(at("data").textContent);
const percent = (share) => `${Math.round(100 * share)} %`, count = (n) => n.toLocaleString("en");
const listen = (id, event, act) => at(id).addEventListener(event, act);
const choose = (id, named) =>
  at(id).replaceChildren(...named.map(([value, text]) => make("option", { value }, text)));

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
  node.append(...children);
  return node;
}

// ---- translator
const MAPS = { pointer: "pointer", cross: "output over source", decoder: "output over output",
  encoder: "source over source" }, LONGEST_WORD = 64, models = {};
const model = () => (models[at("model").value] ??= built(data.models[at("model").value]));

function named(key) {
  const [kind, layer, head] = key.split(" "), place = `, layer ${+layer + 1}, head ${+head + 1}`;
  return MAPS[kind] + (kind === "pointer" ? "" : place);
}

function change() { // another model: its maps, as a trial word has them, and a box for each
  translated(model(), "a");
  const of = (kind) => Object.keys(model().maps).filter((key) => key.startsWith(kind));
  const kinds = Object.keys(MAPS).filter((kind) => of(kind).length);
  at("switches").replaceChildren(...kinds.map((kind) => {
    const boxes = of(kind).map((key) => {
      const box = make("input", { type: "checkbox", value: key });
      box.checked = !model().off.has(key);
      return make("label", {}, box, named(key).slice(MAPS[kind].length + 2) || "on");
    });
    return make("fieldset", {}, make("legend", {}, MAPS[kind]), ...boxes);
  }));
  at("heads").hidden = at("map").disabled = !kinds.length;
  const written = kinds.filter((kind) => kind !== "encoder").flatMap(of);
  choose("map", written.map((key) => [key, named(key)]));
  translate();
}

function cased(out, word) {
  if (word.length > 1 && word !== word.toLowerCase() && word === word.toUpperCase())
    return out.toUpperCase();
  return word[0] === word[0].toLowerCase() ? out : out.charAt(0).toUpperCase() + out.slice(1);
}

function translate() {
  const known = new Map(), copied = [], start = performance.now();
  const pattern = /[\p{L}\p{N}_]+(?:['’-][\p{L}\p{N}_]+)*/gu;
  at("translation").textContent = at("text").value.normalize("NFC").replace(pattern, (word) => {
    const plain = word.replace(/['’]/g, "").toLowerCase();
    if (!/^[a-z-]+$/.test(plain) || plain.length > LONGEST_WORD) return copied.push(word) && word;
    if (!known.has(plain)) known.set(plain, translated(model(), plain));
    return cased(spelled(known.get(plain)), word);
  });
  const each = ((performance.now() - start) / known.size).toFixed(1);
  const told = copied.length ? ` Copied, as no word of a to z: ${copied.join(", ")}.` : "";
  at("notes").textContent = (known.size ? `${each} ms a word.` : "Type English words.") + told;
  const chosen = at("word").value;
  choose("word", [...known.keys()].map((word) => [word, word]));
  if (known.has(chosen)) at("word").value = chosen;
  letters();
}

function letters() { // a column for each output letter: its probability, then what it looks at
  const word = at("word").value, key = at("map").value, name = (symbol) => SYMBOLS[symbol] ?? "end";
  if (!word) return at("letters").replaceChildren();
  const out = translated(model(), word), map = model().maps[key], symbols = out.map(([one]) => one);
  const first = out.map(([symbol, share]) =>
    make("th", { scope: "col" }, name(symbol), make("small", {}, percent(share))));
  const before = ["start", ...symbols.slice(0, -1).map(name)];
  const keys = key.startsWith("decoder") ? before : encoded(word).map(name);
  const rows = !map ? [] : keys.map((text, i) => {
    const cells = map.map((weights) => {
      const share = Math.round(100 * (weights[i] ?? 0)), cell = make("td", {}, `${share || ""}`);
      cell.style.setProperty("--weight", `${share}%`);
      return cell;
    });
    return make("tr", {}, make("th", { scope: "row" }, text), ...cells);
  });
  const told = map ? `Attention in percent, ${named(key)}: columns are written, rows looked at`
    : "Letters and their probabilities; this model has no attention";
  const top = make("tr", {}, make("td"), ...first);
  at("letters").replaceChildren(make("caption", {}, told), top, ...rows);
}

// ---- failures
function fail() {
  const names = Object.keys(data.models), place = names.indexOf(at("failing").value) + 2;
  const [low, high, begins, holds] = ["low", "high", "begins", "holds"].map((id) => at(id).value);
  const chosen = data.failures.filter(([word]) => {
    const size = word.replaceAll("-", "").length;
    return size >= low && (!high || size <= high) && word.startsWith(begins.toLowerCase())
      && word.includes(holds.toLowerCase());
  });
  const wrong = chosen.filter((line) => line[place]), listed = wrong.slice(0, 20);
  const told = `${count(chosen.length)} words, ${count(wrong.length)} of them wrong in `;
  at("counted").textContent = `${told}${names[place - 2]}; ${listed.length} are listed.`;
  const share = (i) => chosen.filter((line) => !line[i + 2]).length / chosen.length;
  const heads = names.map((name, i) => make("th", { scope: "col" }, name,
    make("small", {}, chosen.length ? `${percent(share(i))} right` : "no word")));
  const rows = listed.map(([word, target, ...outputs]) => {
    const button = make("button", { type: "button", title: "translate" }, word);
    const cells = outputs.map((out) =>
      make("td", { class: out ? "wrong" : "" }, out ? `✗ ${out}` : "✓"));
    return make("tr", {}, make("th", { scope: "row" }, button), make("td", {}, target), ...cells);
  });
  const first = ["word", "right"].map((text) => make("th", { scope: "col" }, text));
  at("failed").replaceChildren(make("tr", {}, ...first, ...heads), ...rows);
}

// ---- hunt
const hunt = data.hunt, tried = [];
let target, hints, tower, features;

function tile(place, text) { // one picture of the sheet
  const canvas = make("canvas", { width: 32, height: 32, role: "img", "aria-label": text });
  const from = [32 * (place % 40), 32 * Math.floor(place / 40), 32, 32];
  const draw = () => canvas.getContext("2d").drawImage(at("sheet"), ...from, 0, 0, 32, 32);
  at("sheet").decode().then(draw);
  const found = { class: place === target ? "found" : "" };
  return make("figure", found, canvas, make("figcaption", {}, text));
}

const tokens = (word) => Object.hasOwn(hunt.words, word) ? hunt.words[word] : [];
const wordsOf = (caption) => caption.toLowerCase().match(/[\p{L}\p{N}'’-]+/gu) ?? [];

function scores(caption) { // cosine with each picture
  [tower, features] = [tower ?? built(hunt.tower), features ?? numbers(hunt.features)];
  const [start, end] = hunt.ends, read = [start, ...wordsOf(caption).flatMap(tokens)];
  const vector = tower.vector([...read.slice(0, hunt.longest - 1), end]), D = vector.length;
  return hunt.names.map((_, i) => dot(vector, features, 0, D, i * D));
}

function aim() { // at a new target
  target = Math.floor(Math.random() * hunt.names.length);
  hints = tried.length = 0;
  at("target").replaceChildren(tile(target, "the target"));
  at("found").replaceChildren();
  at("hunted").textContent = `Describe the target; it is one of ${hunt.names.length} pictures.`;
}

function look() {
  const caption = at("caption").value, cosines = scores(caption);
  const unknown = wordsOf(caption).filter((word) => !tokens(word).length).join(", ");
  const rank = cosines.filter((cosine) => cosine >= cosines[target]).length;
  const best = [...cosines.keys()].sort((a, b) => cosines[b] - cosines[a]).slice(0, 5);
  tried.push(rank);
  at("found").replaceChildren(...best.map((place, i) =>
    tile(place, `${i + 1}: ${hunt.names[place][0]}`)));
  const told = rank === 1 ? `Found: “${hunt.names[target][0]}”.` : `The target has rank ${rank}.`;
  at("hunted").textContent = `${told} Ranks so far: ${tried.join(", ")}.`
    + (unknown && ` Words that it does not know: ${unknown}.`);
}

// ---- begin
const titles = Object.entries(data.models).map(([name, { told }]) => [name, `${name}: ${told}`]);
["model", "failing"].forEach((id) => choose(id, titles));
at("failing").selectedIndex = 1;
const acts = { text: translate, model: change, word: letters, map: letters };
listen("translator", "input", ({ target: { id, value, checked } }) => {
  if (!id) model().off[checked ? "delete" : "add"](value); // the box of a head
  (acts[id] ?? translate)();
});
listen("failures", "input", fail);
listen("failed", "click", ({ target }) => {
  if (target.tagName !== "BUTTON") return;
  at("text").value = target.textContent;
  translate();
  at("text").focus();
});
change();
fail();
at("hunting").hidden = !hunt;
if (hunt) {
  [at("sheet").src, at("credit").textContent] = [hunt.sheet, hunt.credit];
  listen("caption", "keydown", ({ key }) => key === "Enter" && look()); // notebooks allow no form
  listen("look", "click", look);
  listen("another", "click", aim);
  listen("hint", "click", () => {
    const words = hunt.names[target][1].split(", ").slice(0, ++hints);
    at("hunted").textContent = `It goes with: ${words.join(", ")}.`;
  });
  aim();
}
