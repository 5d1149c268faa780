// The content of the page: what Python wrote down, with its arrays decoded.

const content = JSON.parse(document.getElementById("data").textContent);
const { nodes, boxes, lines, bands, texts, modules } = content;
const KINDS = ["operation", "parameter", "input", "constant", "result"];
const nothing = -1;

function numbersOf(text, Type) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return new Type(bytes.buffer);
}

const wide = numbersOf(content.arrays.float64, Float64Array);
const narrow = numbersOf(content.arrays.float32, Float32Array);
const decoded = new Map();

// One array: {shape, size, bad, isWhole, data or means with rows and columns, least, mean, most, norm}.
function arrayOf(record) {
  if (record === nothing) return null;
  if (!decoded.has(record)) decoded.set(record, decode(content.arrays.records[record]));
  return decoded.get(record);
}

function decode([shape, isWide, start, rows, columns, bad]) {
  const size = shape.reduce((product, n) => product * n, 1);
  if (rows > 0) {
    const [least, mean, most, norm] = narrow.subarray(start, start + 4);
    const means = narrow.subarray(start + 4, start + 4 + rows * columns);
    return { shape, size, bad, isWhole: false, isWide, means, rows, columns, least, mean, most, norm };
  }
  return wholeArray(shape, (isWide ? wide : narrow).subarray(start, start + size), isWide);
}

function wholeArray(shape, data, isWide) {
  const finite = data.filter(Number.isFinite);
  const total = finite.reduce((sum, x) => sum + x, 0);
  const ifAny = (x) => (finite.length ? x : NaN);
  return {
    shape,
    size: data.length,
    bad: data.length - finite.length,
    isWhole: true,
    isWide,
    data,
    least: ifAny(finite.reduce((a, b) => Math.min(a, b), Infinity)),
    mean: ifAny(total / finite.length),
    most: ifAny(finite.reduce((a, b) => Math.max(a, b), -Infinity)),
    norm: ifAny(Math.sqrt(finite.reduce((sum, x) => sum + x * x, 0))),
  };
}

// The sum of several arrays, in float64; of summaries the sum of the block means and the statistics that Python found.
function sumOf(arrays, running) {
  const [first] = arrays;
  if (arrays.length === 1) return first;
  const key = first.isWhole ? "data" : "means";
  const total = Float64Array.from(first[key]);
  for (const array of arrays.slice(1)) array[key].forEach((x, i) => { total[i] += x; });
  if (first.isWhole) return wholeArray(first.shape, total, 1);
  const [least, mean, most, norm] = arrayOf(running).data;
  return { ...first, means: total, least, mean, most, norm, isWide: 1 };
}

function formatted(x) {
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  const text = size >= 1e5 || size < 1e-3 ? x.toExponential(3) : String(Number(x.toPrecision(5)));
  return text.replace("-", "−").replace("e−", "e-").replace("e-", "e−").replace("e+", "e");
}

// At most five characters: what fits in a box of the picture.
function brief(x) {
  if (!Number.isFinite(x)) return formatted(x);
  const size = Math.abs(x);
  const text = size !== 0 && size < 0.005 ? x.toExponential(0) : size >= 100 ? x.toPrecision(2) : x.toFixed(2);
  return text.replace("e-", "e−").replace(/^-/, "−");
}

function exact(x) {
  return Number.isFinite(x) ? String(x).replace("-", "−") : formatted(x);
}

function shapeText(shape) {
  return `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
}

// How a text refers to a node: by the user's name where there is one.
function nameOf(node, slot = 0) {
  return texts[nodes[node].names[slot]] || "";
}

// A leaf's name without what all others do without.
const shortNames = new Map();
{
  const names = nodes.map((made, node) => (made.rules === undefined ? texts[made.names[0]] : ""));
  names.forEach((name, node) => {
    const parts = name.split(".");
    let count = 1;
    const suffix = () => parts.slice(-count).join(".");
    const isShared = () => names.some((other) => other !== name && (other === suffix() || other.endsWith(`.${suffix()}`)));
    while (count < parts.length && isShared()) count++;
    shortNames.set(node, suffix());
  });
}

function reference(node, slot = 0) {
  const many = nodes[node].types.length > 1;
  const isLeaf = nodes[node].rules === undefined;
  const name = nameOf(node, slot);
  if (isLeaf && name) return shortNames.get(node);
  return `%${node}${many ? `.${slot}` : ""}`;
}

function timeText(node) {
  const { time } = nodes[node];
  return time < 0 ? "" : `t = ${time}`;
}

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key in made && !key.startsWith("aria")) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
