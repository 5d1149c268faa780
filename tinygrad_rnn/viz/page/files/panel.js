// The panel: the formula of a step with its numbers, its tensors, and the cotangents that arrive one by one.

const panel = document.getElementById("panel");

function colourOf(x, most) {
  if (!Number.isFinite(x)) return [214, 0, 147];
  const part = Math.min(1, Math.abs(x) / (most || 1));
  const dark = isDark();
  const zero = dark ? [30, 34, 40] : [255, 255, 255];
  const full = x < 0 ? [0, 114, 178] : [213, 94, 0];
  return zero.map((value, i) => Math.round(value + (full[i] - value) * part));
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function tableSize(array) {
  if (!array.isWhole) return [array.rows, array.columns];
  const columns = array.shape.at(-1) ?? 1;
  return [columns ? array.size / columns : 0, columns];
}

function heatMap(array, label) {
  const [rows, columns] = tableSize(array);
  const canvas = element("canvas", { width: Math.max(1, columns), height: Math.max(1, rows), class: "map", role: "img", "aria-label": label });
  const context = canvas.getContext("2d");
  const data = array.isWhole ? array.data : array.means;
  const image = context.createImageData(canvas.width, canvas.height);
  const most = data.reduce((high, x) => (Number.isFinite(x) ? Math.max(high, Math.abs(x)) : high), 0);
  data.forEach((x, i) => image.data.set([...colourOf(x, most), 255], 4 * i));
  context.putImageData(image, 0, 0);
  return canvas;
}

function notFinite(array) {
  return array.bad ? `; ${array.bad} not finite` : "";
}

function statisticsText(array) {
  if (array.size === 0) return "no numbers";
  return `min ${formatted(array.least)}, mean ${formatted(array.mean)}, max ${formatted(array.most)}, norm ${formatted(array.norm)}${notFinite(array)}`;
}

// A tensor: numbers where there are few, else a heat map with what sums it up.
function tensorView(array, title, chosen) {
  const made = element("figure", { class: "tensor" });
  const caption = element("figcaption", {}, element("b", {}, title));
  if (array === null) {
    made.append(caption);
    caption.append(element("span", { class: "dim" }, content.values ? " value not kept" : " values left out"));
    return made;
  }
  caption.append(element("span", { class: "dim" }, ` ${shapeText(array.shape)}${array.isWhole ? "" : ", a summary"}`));
  made.append(caption);
  const [rows, columns] = tableSize(array);
  if (array.isWhole && array.size <= 64 && columns <= 16) {
    made.append(numberTable(array, rows, columns, chosen));
    if (columns > 4) made.tabIndex = 0; // a wide one scrolls, by keyboard too
  } else made.append(heatMap(array, `heat map of ${title}`));
  if (array.size > 1) made.append(element("p", { class: "dim" }, statisticsText(array)));
  return made;
}

function numberTable(array, rows, columns, chosen) {
  const most = Math.max(Math.abs(array.least), Math.abs(array.most));
  const table = element("table", { class: "numbers" });
  for (let i = 0; i < rows; i++) {
    const row = table.insertRow();
    for (let j = 0; j < columns; j++) {
      const place = i * columns + j;
      const cell = row.insertCell();
      cell.textContent = formatted(array.data[place]);
      cell.title = exact(array.data[place]);
      const [red, green, blue] = colourOf(array.data[place], most);
      cell.style.backgroundColor = `rgb(${red} ${green} ${blue} / 0.45)`;
      cell.dataset.element = place;
      if (place === chosen) cell.className = "chosen";
    }
  }
  return table;
}

// The number of an argument that an element of the result comes from; undefined where it cannot be told.
function numberAt(array, place, shape) {
  if (array === null || !array.isWhole) return undefined;
  if (array.size === 1) return array.data[0];
  let index = 0;
  let stride = 1;
  let rest = place;
  for (let back = 1; back <= shape.length; back++) {
    const length = shape.at(-back);
    const at = rest % length;
    rest = Math.floor(rest / length);
    const own = array.shape.at(-back) ?? 1;
    if (own !== 1) index += at * stride;
    if (own !== 1) stride *= own;
  }
  return array.data[index];
}

// The formula with numbers in it, for one element; null where elements cannot be told apart.
function withNumbers(formula, arrays, result, place) {
  if (!formula.elementwise || result === null || !result.isWhole || result.size === 0) return null;
  const at = Math.min(place, result.size - 1);
  const known = new Map();
  for (const [letter, array] of arrays) {
    if (typeof array === "string") known.set(letter, array);
    else {
      const number = numberAt(array, at, result.shape);
      if (number === undefined) return null;
      known.set(letter, number < 0 ? `(${formatted(number)})` : formatted(number));
    }
  }
  const index = result.shape.length ? `[${indexOf(at, result.shape).join(", ")}] ` : "";
  return element("p", { class: "worked" }, element("span", { class: "dim" }, index), `${substituted(formula.text, known)} = `, element("b", {}, formatted(result.data[at])));
}

function indexOf(place, shape) {
  const index = [];
  let rest = place;
  for (const length of [...shape].reverse()) {
    index.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return index;
}

function argumentArrays(node) {
  return nodes[node].arguments.map((argument, i) => {
    const [parent, second, third] = argument;
    const letter = letterOf(node, i);
    if (parent >= 0) return { letter, array: arrayOf(nodes[parent].values[second]), name: reference(parent, second), parent };
    if (parent === -1) return { letter, array: texts[second], name: texts[second], parent };
    return { letter, array: arrayOf(second), name: texts[third], parent };
  });
}

function link(node, text, state) {
  return element("button", { class: "ref", type: "button", "data-node": node }, text);
}

function headOf(node, state) {
  const made = nodes[node];
  const where = [chainOf[made.module].map((m) => texts[modules[m][0]]).join(" / "), timeText(node)].filter(Boolean).join(", ");
  const head = [element("h2", {}, `%${node} ${nameOf(node) || texts[made.symbol]}`)];
  head.push(element("p", { class: "dim" }, [texts[made.types[0]], where].filter(Boolean).join(" · ")));
  if (made.line !== undefined) {
    const [place, code] = made.line.map((text) => texts[text]);
    head.push(element("p", { class: "source" }, element("code", {}, code), element("span", { class: "dim" }, ` ${place}`)));
  }
  return head;
}

function showStep(state) {
  const node = state.selected ?? nodeAt(state.step);
  const parts = [...headOf(node, state)];
  if (state.selected !== null && state.selected !== nodeAt(state.step)) {
    parts.unshift(element("p", { class: "pinned" }, "Pinned. ", element("button", { type: "button", "data-unpin": "1" }, "Back to the walk")));
  }
  if (isBackward(state.step)) parts.push(...backwardPart(node, state));
  else parts.push(...forwardPart(node, state));
  parts.push(element("p", { class: "dim whole" }, wholeText()));
  panel.replaceChildren(...parts);
}

function forwardPart(node, state) {
  const made = nodes[node];
  const results = made.values.map(arrayOf);
  if (made.rules === undefined) {
    const kind = KINDS[made.kind] === "input" ? "An input" : "A parameter";
    return [element("p", {}, `${kind}: given, not computed.`), tensorView(results[0], nameOf(node) || `%${node}`, state.cell)];
  }
  const given = argumentArrays(node);
  const { value } = rulesOf(node);
  const parts = [element("p", { class: "formula" }, `out = ${value.text}`)];
  const worked = content.values ? withNumbers(value, given.map(({ letter, array }) => [letter, array]), results[0], state.cell) : null;
  if (worked !== null) parts.push(worked);
  parts.push(...given.map((argument) => argumentView(argument, state)));
  results.forEach((array, slot) => {
    parts.push(tensorView(array, `${results.length > 1 ? `out${slot}` : "out"}${nameOf(node, slot) ? ` = ${nameOf(node, slot)}` : ""}`, state.cell));
  });
  return parts;
}

function argumentView({ letter, array, name, parent }, state) {
  if (typeof array === "string") return element("p", {}, element("b", {}, letter), ` = ${array}`);
  const made = tensorView(array, `${letter} = ${name}`, nothing);
  if (parent >= 0) made.querySelector("figcaption").append(" ", link(parent, "go there"));
  return made;
}

function backwardPart(node, state) {
  const made = nodes[node];
  const parts = [];
  made.types.forEach((_, slot) => parts.push(...arrivals(node, slot, state)));
  if (made.rules === undefined) return parts;
  const given = argumentArrays(node);
  const letters = given.map(({ letter, array }) => [letter, array]);
  const isSingle = made.types.length === 1;
  made.types.forEach((_, slot) => {
    letters.push([isSingle ? "g" : `g${slot}`, totalOf(node, slot)], [isSingle ? "out" : `out${slot}`, arrayOf(made.values[slot])]);
  });
  for (const { argument, text, elementwise } of rulesOf(node).cotangents) {
    const [parent, slot] = made.arguments[argument];
    const sent = sentBy[node].find((contribution) => contribution.argument === argument);
    const result = sent ? arrayOf(sent.record) : null;
    const block = element("section", { class: "rule" });
    block.append(element("h3", {}, `To ${letterOf(node, argument)} = `, link(parent, reference(parent, slot))));
    block.append(element("p", { class: "formula" }, text));
    const shaped = result !== null && totalOf(node, 0) !== null && String(result.shape) === String(totalOf(node, 0).shape);
    const worked = shaped ? withNumbers({ text, elementwise }, letters, result, state.cell) : null;
    if (worked !== null) block.append(worked);
    if (content.values) {
      block.append(tensorView(result, `∂loss/∂${reference(parent, slot)}, from here`, state.cell));
      const used = lettersIn(text);
      for (const [letter, array] of letters) {
        if (used.has(letter) && typeof array !== "string" && letter !== "g" && array) block.append(tensorView(array, letter, nothing));
      }
    }
    parts.push(block);
  }
  return parts;
}

function lettersIn(text) {
  return new Set(text.match(/(?<![\w.])(out\d*|g\d*|[a-f]|a\d+)(?![\w(=])/g) ?? []);
}

// The cotangents that arrive at an output, one by one, with their running sum.
function arrivals(node, slot, state) {
  const list = arrivingAt[node][slot];
  const total = totals.get(`${node}.${slot}`);
  const isLeaf = nodes[node].rules === undefined;
  const many = nodes[node].types.length > 1;
  const symbol = isLeaf ? ".grad" : many ? `g${slot}` : "g";
  if (!content.values) return [element("p", { class: "dim" }, "Values are left out of this page.")];
  if (total === undefined) return [element("p", {}, `No gradient reaches ${reference(node, slot)}.`)];
  const sum = arrayOf(total.record);
  if (!list.length) return [tensorView(sum, `${symbol}: the walk back begins here with`, state.cell)];
  const parts = [element("h3", {}, list.length === 1 ? "One cotangent arrives" : `${list.length} cotangents arrive, and are added up`)];
  const rows = element("ol", { class: "arrivals" });
  let running = null;
  for (const contribution of list) {
    const array = arrayOf(contribution.record);
    running = running === null ? array : sumOf([running, array], contribution.running);
    rows.append(arrival(contribution, array, running, state));
  }
  parts.push(rows);
  const complete = hasArrived(node, state.step);
  if (!complete) {
    parts.push(element("p", { class: "dim" }, "The sum is not complete at this step of the walk."));
    return parts;
  }
  if (total.isHooked) parts.push(element("p", {}, "A hook put another gradient in the place of the sum."));
  parts.push(tensorView(sum, list.length > 1 || isLeaf ? `${symbol} = the sum` : symbol, state.cell));
  if (!total.isHooked && (list.length > 1 || isLeaf)) parts.push(element("p", { class: "check" }, agreement(list, sum, total, symbol)));
  return parts;
}

function agreement(list, sum, total, symbol) {
  const difference = differenceOf(list, sum, total);
  const kind = sum.isWide ? "float64" : "float32";
  if (difference === 0) return `The sum in float64 equals ${symbol} exactly.`;
  return `The sum in float64 differs from ${symbol} by ${formatted(difference)} at most: ${symbol} was added up in ${kind}.`;
}

function differenceOf(list, sum, total) {
  const arrays = list.map((contribution) => arrayOf(contribution.record));
  if (!sum.isWhole) return arrayOf(total.difference).data[0];
  const added = sumOf(arrays, list.at(-1).running);
  return added.data.reduce((most, x, i) => (Object.is(x, sum.data[i]) || x === sum.data[i] ? most : Math.max(most, Math.abs(x - sum.data[i]))), 0);
}

// In a row: a few numbers, or a heat map with the norm.
function smallView(array, label, sign) {
  if (array.isWhole && array.size <= 3) return element("span", { class: "small" }, sign + [...array.data].map(formatted).join(", "));
  return element("span", { class: "small" }, sign, heatMap(array, label), `norm ${formatted(array.norm)}${notFinite(array)}`);
}

function arrival(contribution, array, sum, state) {
  const arrived = hasSent(contribution.node, state.step);
  const place = Math.min(state.cell, array.size - 1);
  const time = timeText(contribution.node);
  const row = element("li", { class: arrived ? "here" : "awaited" });
  row.append(element("span", {}, `${time ? `${time}, ` : ""}from `, link(contribution.node, reference(contribution.node))));
  row.append(smallView(array, "contribution", ""), smallView(sum, "running sum", "Σ "));
  if (array.isWhole && array.size > 1) {
    row.title = `element ${indexOf(place, array.shape).join(", ")}: ${exact(array.data[place])}, running sum ${exact(sum.data[place])}`;
  }
  return row;
}
