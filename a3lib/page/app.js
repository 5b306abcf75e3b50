// What the reader touches. Text reaches the page by textContent and appended strings alone.
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)} %`;

function make(tag, properties = {}, ...children) {
  const { role, label, scope, ...rest } = properties, node = Object.assign(document.createElement(tag), rest);
  if (role) node.setAttribute("role", role);
  if (label) node.setAttribute("aria-label", label);
  if (scope) node.scope = scope;
  node.append(...children);
  return node;
}

const options = (select, named) =>
  select.replaceChildren(...named.map(([value, text]) => make("option", { value }, text)));

// ---- translator
const MAPS = { cross: "output over source", decoder: "output over output", encoder: "source over source", pointer: "pointer" };
const models = {}, LONGEST_WORD = 64;
const model = () => (models[at("model").value] ??= built(data.models[at("model").value]));
const named = (key) => {
  const [kind, layer, head] = key.split(" ");
  return `${MAPS[kind]}, layer ${+layer + 1}, head ${+head + 1}`;
};

function switches() {  // a box for each head of each layer, as a trial word has them
  translated(model(), "a");
  const kinds = Object.keys(MAPS).filter((kind) => `${kind} 0 0` in model().maps);
  at("switches").replaceChildren(...kinds.map((kind) => {
    const heads = Object.keys(model().maps).filter((key) => key.startsWith(`${kind} `));
    const boxes = heads.map((key) => {
      const box = make("input", { type: "checkbox", checked: !model().off.has(key) });
      box.addEventListener("change", () => {
        model().off[box.checked ? "delete" : "add"](key);
        translate();
      });
      return make("label", {}, box, named(key).replace(`${MAPS[kind]}, `, ""));
    });
    return make("fieldset", {}, make("legend", {}, MAPS[kind]), ...boxes);
  }));
  at("heads").hidden = !kinds.length;
  const before = at("map").value, all = Object.keys(model().maps).filter((key) => !key.startsWith("encoder"));
  options(at("map"), [...all].sort().map((key) => [key, named(key)]));
  at("map").value = all.includes(before) ? before : all.find((key) => key.startsWith("pointer")) ?? all[0] ?? "";
  at("map").disabled = !all.length;
}

function cased(out, word) {
  if (word.length > 1 && word === word.toUpperCase() && word !== word.toLowerCase()) return out.toUpperCase();
  return word[0] === word[0].toLowerCase() ? out : out.charAt(0).toUpperCase() + out.slice(1);
}

function translate() {
  const text = at("text").value.normalize("NFC"), known = new Map(), copied = [], start = performance.now();
  const result = text.replace(/[\p{L}\p{N}_]+(?:['’-][\p{L}\p{N}_]+)*/gu, (word) => {
    const plain = word.replace(/['’]/g, "").toLowerCase();
    if (!/^[a-z-]+$/.test(plain) || plain.length > LONGEST_WORD) { copied.push(word); return word; }
    if (!known.has(plain)) known.set(plain, translated(model(), plain));
    return cased(spelled(known.get(plain)), word);
  });
  const spent = (performance.now() - start) / Math.max(1, known.size);
  at("translation").textContent = result;
  const notes = known.size ? [`${spent.toFixed(1)} ms a word.`] : ["Type English words."];
  if (copied.length) notes.push(`Copied, since only a to z and hyphens are known: ${copied.join(", ")}.`);
  at("notes").textContent = notes.join(" ");
  const chosen = at("word").value;
  options(at("word"), [...known.keys()].map((word) => [word, word]));
  if (known.has(chosen)) at("word").value = chosen;
  letters();
}

function letters() {  // a column for each output letter: its probability, then what it looks at
  const word = at("word").value, key = at("map").value, table = at("letters");
  if (!word) return table.replaceChildren();
  const out = translated(model(), word), map = model().maps[key], name = (symbol) => SYMBOLS[symbol] ?? "end";
  const head = (symbol, share) =>
    make("th", { scope: "col" }, name(symbol), make("small", {}, percent(share)));
  const rows = [make("tr", {}, make("td"), ...out.map(([symbol, share]) => head(symbol, share)))];
  const keys = key.startsWith("decoder") ? [SOS, ...out.slice(0, -1).map(([symbol]) => symbol)] : encoded(word);
  if (map) keys.forEach((symbol, i) => {
    const first = symbol === SOS ? "start" : name(symbol);
    const cells = out.map((_, step) => {
      const weight = map[step]?.[i] ?? 0, cell = make("td", {}, weight < 0.005 ? "" : `${Math.round(100 * weight)}`);
      cell.style.setProperty("--weight", `${Math.round(100 * weight)}%`);
      return cell;
    });
    rows.push(make("tr", {}, make("th", { scope: "row" }, first), ...cells));
  });
  const told = map ? `Attention in percent, ${named(key)}: columns are written, rows are looked at`
    : "Letters with their probability; this model has no attention";
  table.replaceChildren(make("caption", {}, told), ...rows);
}

// ---- failures
function failures() {
  const low = +at("low").value || 1, high = +at("high").value || 99, which = Object.keys(data.models);
  const begins = at("begins").value.toLowerCase(), holds = at("holds").value.toLowerCase();
  const place = which.indexOf(at("failing").value) + 2;
  const chosen = data.failures.filter(([word]) => {
    const size = word.replaceAll("-", "").length;
    return size >= low && size <= high && word.startsWith(begins) && word.includes(holds);
  });
  const wrong = chosen.filter((line) => line[place]);
  const share = which.map((_, i) => chosen.filter((line) => !line[i + 2]).length);
  at("counted").textContent = `${chosen.length.toLocaleString("en")} of ${data.failures.length.toLocaleString("en")} unseen words; `
    + `${wrong.length.toLocaleString("en")} of them wrong in the chosen model, the first ${Math.min(20, wrong.length)} are listed.`;
  const title = (i) => make("th", { scope: "col" }, which[i], make("small", {}, chosen.length ? `${percent(share[i] / chosen.length)} right` : "no word"));
  const rows = wrong.slice(0, 20).map(([word, target, ...outputs]) => {
    const button = make("button", { type: "button", label: `translate ${word}` }, word);
    button.addEventListener("click", () => { at("text").value = word; translate(); at("text").focus(); });
    const cells = outputs.map((out) => make("td", { className: out ? "wrong" : "" }, out ? `✗ ${out}` : "✓"));
    return make("tr", {}, make("th", { scope: "row" }, button), make("td", {}, target), ...cells);
  });
  const first = ["word", "right"].map((text) => make("th", { scope: "col" }, text));
  at("failed").replaceChildren(make("tr", {}, ...first, ...which.map((_, i) => title(i))), ...rows);
}

// ---- hunt
const hunt = data.hunt && { ...data.hunt, features: numbers(data.hunt.features), tried: [], hints: 0 };

function tile(place, text, found) {  // one picture of the sheet
  const canvas = make("canvas", { width: 32, height: 32, role: "img", label: text });
  const draw = () => canvas.getContext("2d").drawImage(
    at("sheet"), 32 * (place % 40), 32 * Math.floor(place / 40), 32, 32, 0, 0, 32, 32);
  at("sheet").decode().then(draw);
  return make("figure", { className: found ? "found" : "" }, canvas, make("figcaption", {}, text));
}

function scores(caption) {  // -> cosine with each picture, words that the model does not know
  const words = caption.toLowerCase().match(/[\p{L}\p{N}'’-]+/gu) ?? [], [start, end] = hunt.ends;
  const known = (word) => (Object.hasOwn(hunt.words, word) ? hunt.words[word] : []);
  const tokens = [start, ...words.flatMap(known)].slice(0, hunt.longest - 1);
  hunt.model ??= new TextTower(hunt.tower.settings, unpack(hunt.tower.weights));
  const vector = hunt.model.vector([...tokens, end]), D = vector.length;
  const cosines = hunt.names.map((_, i) => dot(vector, hunt.features.subarray(i * D, (i + 1) * D)));
  return [cosines, words.filter((word) => !known(word).length)];
}

const among = () => (at("among").value === "short" ? hunt.short : hunt.names.map((_, i) => i));

function aim() {  // a new target
  const places = among();
  hunt.target = places[Math.floor(Math.random() * places.length)];
  Object.assign(hunt, { tried: [], hints: 0 });
  at("target").replaceChildren(tile(hunt.target, "the target", true));
  at("found").replaceChildren();
  at("hunted").textContent = `Describe the target in English; it is one of ${places.length.toLocaleString("en")} pictures.`;
}

function look(event) {
  event.preventDefault();
  const caption = at("caption").value.trim();
  if (!caption) return;
  const [cosines, unknown] = scores(caption), places = [...among()];
  const rank = places.filter((place) => cosines[place] >= cosines[hunt.target]).length;
  hunt.tried.push(rank);
  places.sort((a, b) => cosines[b] - cosines[a]);
  at("found").replaceChildren(...places.slice(0, 5).map((place, i) =>
    tile(place, `${i + 1}: ${hunt.names[place][0]}`, place === hunt.target)));
  const told = [rank === 1 ? `Found: “${hunt.names[hunt.target][0]}”.` : `The target has rank ${rank} of ${places.length}.`];
  told.push(`Ranks so far: ${hunt.tried.join(", ")}.`);
  if (unknown.length) told.push(`Words that it does not know: ${unknown.join(", ")}.`);
  at("hunted").textContent = told.join(" ");
}

function hint() {
  const words = hunt.names[hunt.target][1].split(", ").slice(0, ++hunt.hints);
  at("hunted").textContent = `It goes with: ${words.join(", ")}.`;
}

// ---- begin
const listen = (ids, event, act) => ids.forEach((id) => at(id).addEventListener(event, act));
for (const id of ["model", "failing"]) options(at(id), Object.entries(data.models).map(([name, one]) => [name, `${name}: ${one.told}`]));
listen(["text"], "input", translate);
listen(["model"], "change", () => { switches(); translate(); });
listen(["word", "map"], "change", letters);
listen(["low", "high", "begins", "holds", "failing"], "input", failures);
switches();
translate();
failures();
if (hunt) {
  at("sheet").src = hunt.sheet;
  at("credit").textContent = `${hunt.label} Pictures: ${hunt.credit}.`;
  listen(["hunt"], "submit", look);
  listen(["among"], "change", aim);
  listen(["another"], "click", aim);
  listen(["hint"], "click", hint);
  aim();
}
at("hunting").hidden = !hunt;
