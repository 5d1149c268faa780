// The walk: every node forward, then every cotangent backward, and what is known at each step.

const contributions = content.backward.contributions.map(([node, argument, parent, slot, record, running], order) => ({
  node, argument, parent, slot, record, running, order,
}));
const totals = new Map(); // "node.slot" -> {array, difference, isHooked}
for (const [node, slot, record, difference, hooked] of content.backward.totals) {
  totals.set(`${node}.${slot}`, { record, difference, isHooked: Boolean(hooked) });
}
const sentBy = nodes.map(() => []);
const arrivingAt = nodes.map((node) => node.types.map(() => []));
for (const contribution of contributions) {
  sentBy[contribution.node].push(contribution);
  arrivingAt[contribution.parent][contribution.slot].push(contribution);
}

const forwardOrder = nodes.map((_, node) => node);
const backwardOrder = forwardOrder
  .filter((node) => !content.values || nodes[node].types.some((_, slot) => totals.has(`${node}.${slot}`)))
  .reverse();
const forwardPlace = new Map(forwardOrder.map((node, place) => [node, place]));
const backwardPlace = new Map(backwardOrder.map((node, place) => [node, place]));
const stepCount = forwardOrder.length + backwardOrder.length;

// A step is a whole number: forward steps first.
function nodeAt(step) {
  return isBackward(step) ? backwardOrder[step - forwardOrder.length] : forwardOrder[step];
}

function isBackward(step) {
  return step >= forwardOrder.length;
}

function stepOf(node, backward) {
  if (backward && backwardPlace.has(node)) return forwardOrder.length + backwardPlace.get(node);
  return forwardPlace.get(node);
}

function isComputed(node, step) {
  return isBackward(step) || forwardPlace.get(node) <= step;
}

// Whether the whole cotangent of a node is known.
function hasArrived(node, step) {
  return isBackward(step) && backwardPlace.has(node) && stepOf(node, true) <= step;
}

// Whether a node has handed its cotangent on.
function hasSent(node, step) {
  return hasArrived(node, step) && nodes[node].rules !== undefined;
}

function totalOf(node, slot) {
  const total = totals.get(`${node}.${slot}`);
  return total === undefined ? null : arrayOf(total.record);
}

function rulesOf(node) {
  const [value, elementwise, cotangents] = content.rules[nodes[node].rules];
  return {
    value: { text: texts[value], elementwise },
    cotangents: cotangents.map(([argument, text, each]) => ({ argument, text: texts[text], elementwise: each })),
  };
}

// Replace the letters of a formula by what `known` has for them.
function substituted(text, known) {
  return text.replace(/(?<![\w.])(out\d*|g\d*|[a-f]|a\d+)(?![\w(=])/g, (letter) => known.get(letter) ?? letter);
}

function letterOf(node, argument) {
  return nodes[node].arguments.length <= 6 ? String.fromCharCode(97 + argument) : `a${argument}`;
}

// For each letter of a node's formulas: what a reader calls it.
function referencesOf(node) {
  const known = new Map();
  nodes[node].arguments.forEach((argument, i) => {
    const [parent, second, third] = argument;
    const text = parent >= 0 ? reference(parent, second) : texts[parent === -1 ? second : third];
    known.set(letterOf(node, i), text);
  });
  return known;
}

function forwardText(node) {
  const made = nodes[node];
  const name = nameOf(node);
  const shape = texts[made.types[0]].replace(/^\S+ /, "");
  if (made.rules === undefined) {
    return `${name || `%${node}`}: ${KINDS[made.kind] === "input" ? "input" : "parameter"} ${shape}`;
  }
  return `%${node}${name ? ` ${name}` : ""} = ${substituted(rulesOf(node).value.text, referencesOf(node))}`;
}

function backwardText(node) {
  const made = nodes[node];
  if (made.rules === undefined) {
    const count = arrivingAt[node][0].length;
    return `∂/∂${reference(node)}: ${count === 1 ? "its gradient" : `sum of ${count} contributions`}`;
  }
  const parts = rulesOf(node).cotangents.map(({ argument, text }) => {
    const [parent, slot] = made.arguments[argument];
    return `∂/∂${reference(parent, slot)} += ${substituted(text, new Map([...referencesOf(node), ["out", `%${node}`]]))}`;
  });
  return `%${node}: ${parts.join("; ")}`;
}

function stepText(step) {
  const node = nodeAt(step);
  return isBackward(step) ? backwardText(node) : forwardText(node);
}
