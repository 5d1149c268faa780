// The picture: boxes, frames and curves of the layout as SVG; panning and zooming; what is lit at a step.

const picture = document.getElementById("picture");
const world = drawn("g");
picture.append(
  drawn("defs", {}, ...["arrow", "arrow-lit", "arrow-back"].map((id) =>
    drawn("marker", { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" },
      drawn("path", { d: "M0 0.5L7.5 4L0 7.5z", class: id })))),
  world,
);
const view = { x: 0, y: 0, scale: 1, layout: null, shapes: new Map(), curves: [], columns: [] };

const norms = nodes.map((node, number) => totalOf(number, 0)?.norm ?? NaN);
const known = norms.filter((norm) => norm > 0 && Number.isFinite(norm));
const normRange = [Math.log(Math.min(...known)), Math.log(Math.max(...known))];

// From 0 (the smallest gradient of all) to 1 (the largest).
function heatOf(node) {
  const norm = norms[node];
  if (!(norm > 0)) return 0;
  const [low, high] = normRange;
  return high > low ? (Math.log(norm) - low) / (high - low) : 1;
}

function pathText(points) {
  const [x, y, ...rest] = points.map((value) => Math.round(value * 10) / 10);
  return `M${x} ${y}C${rest.join(" ")}`;
}

function draw(state) {
  const layout = layoutOf(state);
  view.layout = layout;
  const columns = new Map();
  const columnOf = (time) => {
    if (!columns.has(time)) columns.set(time, drawn("g", { class: "column" }));
    return columns.get(time);
  };
  view.shapes = new Map();
  view.curves = layout.curves.map((curve) => {
    const path = drawn("path", { d: pathText(curve.points), class: "curve" });
    columnOf(curve.second.time).append(path);
    if (curve.isLoop) columnOf(curve.second.time).append(loopLabel(curve));
    return { ...curve, path };
  });
  const frames = layout.frames.map(frameOf);
  for (const shape of layout.shapes.all) {
    const group = shapeElement(shape);
    columnOf(shape.time).append(group);
    view.shapes.set(shape.key, { ...shape, group });
  }
  const captions = layout.captions.map(({ x, y, text, second }) =>
    drawn("text", { x, y, class: "caption" }, drawn("tspan", {}, text), ...(second ? [drawn("tspan", { class: "said", dx: 10 }, second)] : [])));
  world.replaceChildren(...frames, ...columns.values(), ...captions);
  view.bounds = boundsOf(layout);
}

function loopLabel(curve) {
  const [x, y1, y2] = [curve.points[6], curve.points[7], curve.points[13]];
  const step = curve.step === 1 ? "t − 1 → t" : curve.step === -1 ? "t + 1 → t" : `${curve.step} steps`;
  return drawn("text", { x: x + 5, y: (y1 + y2) / 2, class: "loop" }, `${curve.name ? `${curve.name}: ` : ""}${step}`);
}

function boundsOf(layout) {
  const all = [...layout.shapes.all, ...layout.frames];
  return {
    left: Math.min(...all.map((item) => item.left)) - 20,
    right: Math.max(...all.map((item) => item.right)) + (layout.curves.some((curve) => curve.isLoop) ? 170 : 20),
    top: Math.min(...all.map((item) => item.top)) - 20,
    bottom: Math.max(...all.map((item) => item.bottom), ...layout.captions.map((caption) => caption.y)) + 20,
  };
}

function frameOf(frame) {
  const { left, top, right, bottom, label, module } = frame;
  const button = drawn("g", { class: "frame", "data-module": module },
    drawn("rect", { x: left, y: top, width: right - left, height: bottom - top, rx: 8 }),
    drawn("text", { x: left + 7, y: top + 13, class: "fold" }, `⊟ ${shortened(label, (right - left - 24) / 6.2)}`));
  button.append(drawn("title", {}, `${label} (click to close)`));
  return button;
}

function shortened(text, length) {
  return text.length <= length ? text : `…${text.slice(-Math.max(1, Math.floor(length) - 1))}`;
}

const ruler = document.createElement("canvas").getContext("2d");

// The end of a text that is no wider than its box, whatever its letters are.
function fitted(text, room, size) {
  ruler.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  let shown = text;
  for (let from = 1; from < text.length && ruler.measureText(shown).width > room; from += 1) shown = `…${text.slice(from)}`;
  return shown;
}

function shapeElement(shape) {
  const { left, top, right, bottom, kind, title, note, numbers, key } = shape;
  const width = right - left;
  const x = left + width / 2;
  const group = drawn("g", { class: `shape ${kind}${shape.isResult ? " result" : ""}`, "data-key": key });
  group.append(drawn("rect", { x: left, y: top, width, height: bottom - top, rx: { parameter: 0, constant: 0, input: 12 }[kind] ?? 6 }));
  if (kind === "result" || shape.isResult) {
    group.append(drawn("rect", { x: left - 3, y: top - 3, width: width + 6, height: bottom - top + 6, rx: 8, class: "outer" }));
  }
  const wide = Math.max(3, Math.floor(width / 7));
  group.append(drawn("text", { x, y: top + (note ? 16 : 17), class: "title" }, fitted(kind === "closed" ? `⊞ ${shortened(title, wide)}` : shortened(title, wide + 3), width - 4, 13)));
  if (note) group.append(drawn("text", { x, y: top + 30, class: "note" }, fitted(shortened(note, width / 5), width - 4, 10)));
  const node = shape.main.node;
  if (numbers) group.append(...numberRows(shape, top + (note ? 36 : 26)));
  else if (content.values && kind !== "constant" && backwardPlace.has(node)) {
    const bar = drawn("rect", { x: left + 3, y: bottom - 4, width: Math.max(2, (width - 6) * heatOf(node)), height: 3, class: "heat" });
    group.append(bar);
  }
  group.append(drawn("title", {}, tooltipOf(shape)));
  return group;
}

function tooltipOf(shape) {
  if (!shape.isOpen) return `${shape.title} (${shape.note}): double-click to open`;
  const made = nodes[shape.main.node];
  const parts = [shape.kind === "constant" ? "constant" : made.details === undefined ? nameOf(shape.main.node) || "leaf" : texts[made.details]];
  if (shape.kind !== "constant") parts.push(texts[made.types[0]]);
  return parts.join("\n");
}

function rowsOf(shape) {
  const box = shape.main;
  const isConstant = box.kind === "constant";
  return [
    [arrayOf(isConstant ? box.record : nodes[box.node].values[0]), "value"],
    [isConstant ? null : totalOf(box.node, 0), "slope"],
  ];
}

function strengthOf(array, number) {
  const most = Math.max(Math.abs(array.least), Math.abs(array.most)) || 1;
  return 0.08 + 0.4 * (Number.isFinite(number) ? Math.abs(number) / most : 1);
}

// Two rows of numbers in a box: the value and, once it has arrived, the cotangent.
function numberRows(shape, top) {
  const rows = [];
  rowsOf(shape).forEach(([array, name], row) => {
    if (array === null || !array.isWhole) return;
    const width = (shape.right - shape.left - 6) / array.size;
    const group = drawn("g", { class: name });
    array.data.forEach((number, i) => {
      const x = shape.left + 3 + i * width;
      const cell = drawn("rect", { x: x + 0.5, y: top + row * 17, width: width - 1, height: 16, class: number < 0 ? "minus" : "plus" });
      cell.style.fillOpacity = strengthOf(array, number) * (name === "slope" ? 0.45 : 1);
      group.append(cell, drawn("text", { x: x + width / 2, y: top + row * 17 + 12, class: "number" }, brief(number)));
    });
    rows.push(group);
  });
  return rows;
}

// Light what belongs to a step.
function light(state) {
  const node = nodeAt(state.step);
  const backward = isBackward(state.step);
  picture.classList.toggle("backward", backward);
  for (const shape of view.shapes.values()) {
    const isConstant = shape.kind === "constant";
    const main = shape.main.node;
    const done = isConstant ? isComputed(main, state.step) : isComputed(main, state.step);
    const list = shape.group.classList;
    list.toggle("pending", !done);
    list.toggle("arrived", !isConstant && hasArrived(main, state.step));
    list.toggle("current", !isConstant && shape.boxes.some((box) => box.node === node && box.argument < 0));
    list.toggle("selected", state.selected !== null && shape.boxes.some((box) => box.node === state.selected && box.argument < 0));
  }
  for (const curve of view.curves) lightCurve(curve, node, backward, state.step);
}

// Whether a value goes along a curve at this step, or its cotangent has come back along it.
function statusOf(curve, node, backward, step) {
  let lit = false;
  let flowed = false;
  let pending = true;
  for (const number of curve.lines) {
    const [tail, head] = lines[number];
    const reader = boxAt[head].node;
    const isConstant = boxAt[tail].kind === "constant";
    if (reader === node && !(backward && isConstant)) lit = true;
    if (backward && !isConstant && hasSent(reader, step)) flowed = true;
    if (backward || isComputed(reader, step)) pending = false;
  }
  return { lit, flowed, pending };
}

// Whether a curve goes past several steps, as many others do beside it.
function isLong({ points }) {
  return Math.abs(points[0] - points.at(-2)) > 1200;
}

function lightCurve(curve, node, backward, step) {
  const { lit, flowed, pending } = statusOf(curve, node, backward, step);
  const name = `curve${lit ? " lit" : flowed ? " flowed" : ""}${pending ? " pending" : ""}${curve.isWeak ? " weak" : ""}${isLong(curve) ? " long" : ""}`;
  if (curve.path.getAttribute("class") !== name) {
    curve.path.setAttribute("class", name);
    const marker = lit ? (backward ? "arrow-back" : "arrow-lit") : flowed ? "arrow-back" : "arrow";
    const [used, unused] = backward && (lit || flowed) ? ["marker-start", "marker-end"] : ["marker-end", "marker-start"];
    curve.path.setAttribute(used, `url(#${marker})`);
    curve.path.removeAttribute(unused);
  }
}

// Where the reader looks.

let moving = 0;

function apply() {
  world.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  picture.classList.toggle("far", view.scale < 0.38);
}

function room() {
  const { clientWidth, clientHeight } = picture;
  return { width: clientWidth || 300, height: clientHeight || 300 };
}

function fit(most = 1.6, least = 0) {
  const { left, right, top, bottom } = view.bounds;
  const { width, height } = room();
  const scale = Math.max(least, Math.min(most * Math.max(1, width / 1400), width / (right - left), height / (bottom - top)));
  view.scale = scale;
  view.x = (width - scale * (left + right)) / 2;
  view.y = (height - scale * (top + bottom)) / 2;
  apply();
}

function zoom(factor, x = room().width / 2, y = room().height / 2) {
  const scale = Math.min(6, Math.max(0.03, view.scale * factor));
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  apply();
}

function shapesShowing(node) {
  return [...view.shapes.values()].filter((shape) => shape.boxes.some((box) => box.node === node && box.argument < 0));
}

// All of it where it can be read, else the part around a node.
function fitAround(node) {
  fit();
  const { width, height } = room();
  const factor = Math.max(1, width / 1400);
  if (view.scale >= 0.5 * factor) return;
  const { top, bottom } = view.bounds;
  view.scale = Math.max(0.5 * factor, Math.min(factor, height / (bottom - top)));
  view.x = view.y = 1e9;
  follow(node, true);
  if (view.scale * (bottom - top) <= height) view.y = (height - view.scale * (top + bottom)) / 2;
}

// Move the view so that a node can be seen, if it cannot.
function follow(node, calm) {
  const shapes = shapesShowing(node);
  if (!shapes.length) return;
  const { width, height } = room();
  const edge = Math.min(60, width / 6);
  const isSeen = (shape) => shape.left * view.scale + view.x >= edge && shape.right * view.scale + view.x <= width - edge
    && shape.top * view.scale + view.y >= edge / 2 && shape.bottom * view.scale + view.y <= height - edge / 2;
  if (shapes.some(isSeen)) return;
  const [shape] = shapes;
  const x = width / 2 - (view.scale * (shape.left + shape.right)) / 2;
  const y = height / 2 - (view.scale * (shape.top + shape.bottom)) / 2;
  cancelAnimationFrame(moving);
  if (calm) {
    Object.assign(view, { x, y });
    apply();
    return;
  }
  const begin = { x: view.x, y: view.y, at: performance.now() };
  const glide = (now) => {
    const part = Math.min(1, (now - begin.at) / 250);
    const eased = part * (2 - part);
    view.x = begin.x + (x - begin.x) * eased;
    view.y = begin.y + (y - begin.y) * eased;
    apply();
    if (part < 1) moving = requestAnimationFrame(glide);
  };
  moving = requestAnimationFrame(glide);
}

function readPointers() {
  const pointers = new Map();
  let travelled = 0;
  picture.addEventListener("pointerdown", (event) => {
    cancelAnimationFrame(moving);
    pointers.set(event.pointerId, event);
    travelled = 0;
  });
  picture.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    const box = picture.getBoundingClientRect();
    if (pointers.size === 2) {
      const [other] = [...pointers.values()].filter((pointer) => pointer.pointerId !== event.pointerId);
      const distance = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
      zoom(distance(event) / Math.max(1, distance(before)), (event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top);
    }
    view.x += (event.clientX - before.clientX) / pointers.size;
    view.y += (event.clientY - before.clientY) / pointers.size;
    travelled += Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
    if (travelled > 4 && !picture.hasPointerCapture(event.pointerId)) picture.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    apply();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    picture.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  picture.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = picture.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  return () => travelled > 4;
}
