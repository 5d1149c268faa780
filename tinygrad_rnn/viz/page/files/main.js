// What the reader does: the controls, the keys, the place in the address, and the state that they change.

const state = {
  step: 0,
  time: 0,
  folded: false,
  closed: new Set(),
  selected: null,
  cell: 0,
  playing: 0,
  tab: "panel",
};
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const initial = content.view;
let hits = [];
let hit = -1;

function redraw(keepView = false) {
  const before = { x: view.x, y: view.y, scale: view.scale };
  draw(state);
  light(state);
  markHits();
  if (keepView) Object.assign(view, before);
  else fitAround(nodeAt(state.step));
  apply();
}

function show() {
  const { time } = nodes[nodeAt(state.step)];
  if (state.folded && time >= 0 && time !== state.time) {
    state.time = time;
    redraw(true);
  } else if (time >= 0) state.time = time;
  light(state);
  lightTape(state);
  showStep(state);
  showControls();
  if (state.selected === null) follow(nodeAt(state.step), calm.matches);
  writeAddress();
}

function goTo(step) {
  state.step = Math.min(stepCount - 1, Math.max(0, step));
  state.selected = null;
  show();
}

// To the next step that lights another box: a closed module is one.
function overBox(by) {
  const shapeOf = (step) => shapesShowing(nodeAt(step))[0]?.key;
  const here = shapeOf(state.step);
  let step = state.step + by;
  while (step > 0 && step < stepCount - 1 && shapeOf(step) === here && isBackward(step) === isBackward(state.step)) step += by;
  goTo(step);
}

function playFor() {
  return Number(document.getElementById("speed").value);
}

function setPlaying(on) {
  clearTimeout(state.playing);
  state.playing = 0;
  if (on && state.step === stepCount - 1) goTo(0);
  if (on) state.playing = setTimeout(tick, playFor());
  showControls();
}

function tick() {
  overBox(1);
  if (state.step === stepCount - 1) setPlaying(false);
  else state.playing = setTimeout(tick, playFor());
}

function select(node) {
  const backward = isBackward(state.step);
  const step = stepOf(node, backward);
  if (nodes[node].rules === undefined && backward) {
    state.selected = node;
    show();
  } else goTo(step ?? stepOf(node, false));
}

function setClosed(module, close) {
  if (close) state.closed.add(module);
  else state.closed.delete(module);
  redraw(true);
  show();
}

function setFolded(folded) {
  state.folded = folded;
  redraw();
  show();
}

// To the node that does at another time step what this one does, or to the first one there.
function setTime(time) {
  const at = nearest(time);
  const spot = boxOfNode.get(nodeAt(state.step));
  const there = boxAt.filter((box) => box.time === at && box.argument < 0 && nodes[box.node].rules !== undefined);
  const same = there.find((box) => spot && box.band === spot.band && box.role === spot.role) ?? there[0];
  if (same) goTo(stepOf(same.node, isBackward(state.step)) ?? state.step);
}

// The address.

let written = "";

function writeAddress() {
  const backward = isBackward(state.step);
  const parts = [`step=${(backward ? state.step - forwardOrder.length : state.step) + 1}`, `dir=${backward ? "back" : "forward"}`];
  if (state.folded !== initial.folded) parts.push(`time=${state.folded ? "fold" : "unroll"}`);
  const closed = [...state.closed].sort((a, b) => a - b).join(".");
  if (closed !== initial.closed.join(".")) parts.push(`closed=${closed}`);
  if (state.selected !== null) parts.push(`node=${state.selected}`);
  written = `#${parts.join("&")}`;
  try {
    history.replaceState(null, "", written);
  } catch {
    // A sandboxed frame has no history of its own.
  }
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const backward = given.get("dir") === "back";
  const step = Number(given.get("step") ?? 1) - 1;
  const count = backward ? backwardOrder.length : forwardOrder.length;
  const inside = Number.isInteger(step) ? Math.min(count - 1, Math.max(0, step)) : 0;
  state.step = inside + (backward ? forwardOrder.length : 0);
  state.folded = given.has("time") ? given.get("time") === "fold" && allTimes.length > 0 : initial.folded;
  const closed = given.has("closed") ? given.get("closed").split(".").map(Number) : initial.closed;
  state.closed = new Set(closed.filter((module) => module > 0 && module < modules.length));
  const node = Number(given.get("node") ?? -1);
  state.selected = node >= 0 && node < nodes.length ? node : null;
  state.time = Math.max(0, nodes[nodeAt(state.step)].time);
}

// Controls.

const buttons = {};

function button(name, text, label, action, parent) {
  buttons[name] = element("button", { type: "button", id: name, title: label, "aria-label": label }, text);
  buttons[name].addEventListener("click", action);
  parent.append(buttons[name]);
}

function makeControls() {
  const controls = document.getElementById("controls");
  button("first", "|◀", "To the first step (Home)", () => goTo(0), controls);
  button("back", "◀", "One step back (←)", () => goTo(state.step - 1), controls);
  button("play", "▶ play", "Play or pause (space)", () => setPlaying(!state.playing), controls);
  button("next", "▶", "One step on (→)", () => goTo(state.step + 1), controls);
  button("last", "▶|", "To the last step (End)", () => goTo(stepCount - 1), controls);
  button("turn", "⇄", "Forward or backward at this node (b)", turn, controls);
  controls.append(element("label", {}, element("span", { class: "hidden" }, "Step"), element("input", { type: "range", id: "walk", min: 0, max: stepCount - 1, step: 1 })));
  controls.append(element("output", { id: "where" }));
  controls.append(element("label", {}, "speed ", element("select", { id: "speed" },
    ...[["slow", 1600], ["normal", 700], ["fast", 200], ["fastest", 40]].map(([name, value]) => element("option", { value, selected: value === 700 }, name)))));
  document.getElementById("walk").addEventListener("input", (event) => goTo(Number(event.target.value)));
  const tools = document.getElementById("tools");
  tools.append(element("label", {}, element("span", { class: "hidden" }, "Search"), element("input", { type: "search", id: "search", placeholder: "search", autocomplete: "off", spellcheck: false })));
  tools.append(element("output", { id: "found" }));
  if (allTimes.length > 1) {
    button("fold", "fold time", "One column for all time steps, or one for each (t)", () => setFolded(!state.folded), tools);
    tools.append(element("label", { class: "time" }, "t ", element("input", { type: "range", id: "time", min: 0, max: allTimes.length - 1, step: 1 }), element("output", { id: "now" })));
    document.getElementById("time").addEventListener("input", (event) => setTime(allTimes[Number(event.target.value)]));
  }
  button("close", "⊟ all", "Close all modules (c)", closeAll, tools);
  button("open", "⊞ all", "Open all modules (o)", () => { state.closed.clear(); redraw(); show(); }, tools);
  button("fit", "fit", "Show all (0)", () => fit(), tools);
  button("larger", "+", "Larger (+)", () => zoom(1.3), tools);
  button("smaller", "−", "Smaller (−)", () => zoom(1 / 1.3), tools);
  button("theme", "◐", "Light or dark (d)", changeTheme, tools);
  button("export", "save…", "Save frames or a GIF of the walk", openExport, tools);
  button("keys", "?", "Keys and colours (?)", showHelp, tools);
}

function closeAll() {
  for (const { module } of boxAt) if (module) state.closed.add(module);
  redraw();
  show();
}

function turn() {
  const node = nodeAt(state.step);
  goTo(stepOf(node, !isBackward(state.step)) ?? state.step);
}

function showControls() {
  const backward = isBackward(state.step);
  const place = backward ? state.step - forwardOrder.length : state.step;
  document.getElementById("where").textContent = `${backward ? "backward" : "forward"} ${place + 1} / ${backward ? backwardOrder.length : forwardOrder.length}`;
  const walk = document.getElementById("walk");
  walk.value = state.step;
  walk.setAttribute("aria-valuetext", stepText(state.step));
  buttons.play.textContent = state.playing ? "⏸ pause" : "▶ play";
  buttons.back.disabled = buttons.first.disabled = state.step === 0;
  buttons.next.disabled = buttons.last.disabled = state.step === stepCount - 1;
  if (buttons.fold) {
    buttons.fold.setAttribute("aria-pressed", state.folded);
    buttons.fold.textContent = state.folded ? "unfold time" : "fold time";
    document.getElementById("time").value = allTimes.indexOf(nearest(state.time));
    document.getElementById("now").textContent = `${nearest(state.time)}`;
  }
  if (!state.playing) document.getElementById("spoken").textContent = stepText(state.step);
}

function changeTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  show();
}

// Search: a text in names, operations and modules.

function search(text) {
  const wanted = text.trim().toLowerCase();
  hits = wanted ? forwardOrder.filter((node) => searchable(node).includes(wanted)) : [];
  hit = -1;
  markHits();
  document.getElementById("found").textContent = wanted ? `${hits.length} found` : "";
}

function markHits() {
  const found = new Set(hits);
  for (const shape of view.shapes.values()) {
    shape.group.classList.toggle("found", shape.boxes.some((box) => box.argument < 0 && found.has(box.node)));
  }
}

function searchable(node) {
  const made = nodes[node];
  const path = chainOf[made.module].map((module) => texts[modules[module][0]]).join("/");
  return [`%${node}`, texts[made.operation], texts[made.symbol], ...made.names.map((name) => texts[name]), path].join(" ").toLowerCase();
}

function nextHit(by) {
  if (!hits.length) return;
  hit = (hit + by + hits.length) % hits.length;
  document.getElementById("found").textContent = `${hit + 1} of ${hits.length}`;
  const node = hits[hit];
  const parents = closedAround(nodes[node].module, state.closed);
  if (parents !== nothing && nodes[node].rules !== undefined) setClosed(parents, false);
  select(node);
  markHits();
}

const KEYS = {
  ArrowRight: () => goTo(state.step + 1),
  ArrowLeft: () => goTo(state.step - 1),
  n: () => overBox(1),
  p: () => overBox(-1),
  " ": () => setPlaying(!state.playing),
  Home: () => goTo(0),
  End: () => goTo(stepCount - 1),
  b: turn,
  t: () => buttons.fold?.click(),
  "[": () => setTime(allTimes[Math.max(0, allTimes.indexOf(nearest(state.time)) - 1)]),
  "]": () => setTime(allTimes[Math.min(allTimes.length - 1, allTimes.indexOf(nearest(state.time)) + 1)]),
  c: closeAll,
  o: () => buttons.open.click(),
  x: () => toggleHere(),
  0: () => fit(),
  "+": () => zoom(1.3),
  "=": () => zoom(1.3),
  "-": () => zoom(1 / 1.3),
  d: changeTheme,
  "/": () => document.getElementById("search").focus(),
  "?": showHelp,
};

// Close the innermost module of this step, or open the closed one around it.
function toggleHere() {
  const { module } = nodes[nodeAt(state.step)];
  const closed = closedAround(module, state.closed);
  if (closed !== nothing) setClosed(closed, false);
  else if (module) setClosed(module, true);
}

function onKey(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.id === "search") {
    if (key === "Enter") nextHit(event.shiftKey ? -1 : 1);
    if (key === "Escape") target.blur();
    return;
  }
  if (document.getElementById("help").open || target.tagName === "SELECT") return;
  if (target.type === "range" && /Arrow|Home|End/.test(key)) return;
  if (key === " " && target.tagName === "BUTTON") return;
  const action = KEYS[key];
  if (action) {
    event.preventDefault();
    action();
  }
}

function listen() {
  const wasDragged = readPointers();
  picture.addEventListener("click", (event) => {
    const target = event.target.closest(".shape, .fold");
    if (target === null || wasDragged()) return;
    if (target.classList.contains("fold")) {
      setClosed(Number(target.parentElement.dataset.module), true);
      return;
    }
    const shape = view.shapes.get(target.dataset.key);
    select(shape.main.node);
  });
  picture.addEventListener("dblclick", (event) => {
    const shape = view.shapes.get(event.target.closest(".shape")?.dataset.key);
    if (shape && !shape.isOpen) setClosed(shape.module, false);
  });
  tape.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row) goTo(Number(row.dataset.step));
  });
  panel.addEventListener("click", (event) => {
    const { node, unpin, element: place } = event.target.dataset;
    if (node !== undefined) select(Number(node));
    if (unpin !== undefined) goTo(state.step);
    if (place !== undefined) {
      state.cell = Number(place);
      showStep(state);
    }
  });
  document.getElementById("search").addEventListener("input", (event) => search(event.target.value));
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", () => {
    if (location.hash === written) return;
    readAddress();
    redraw();
    show();
  });
  new ResizeObserver(() => apply()).observe(picture);
}

function makeTabs() {
  const tabs = document.getElementById("tabs");
  for (const [name, text] of [["panel", "this step"], ["tape", "tape"]]) {
    button(`tab-${name}`, text, `Show ${text}`, () => showTab(name), tabs);
    buttons[`tab-${name}`].setAttribute("role", "tab");
  }
  showTab("panel");
}

function showTab(name) {
  document.body.dataset.tab = name;
  for (const tab of ["panel", "tape"]) buttons[`tab-${tab}`].setAttribute("aria-selected", tab === name);
  if (name === "tape" && tapeRow) lightTape(state);
}

makeControls();
makeTabs();
writeTape();
readAddress();
redraw();
listen();
show();
document.documentElement.dataset.ready = "yes";
