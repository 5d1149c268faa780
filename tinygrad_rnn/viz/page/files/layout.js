// Where everything stands: the places of one step from Python, without the room of closed modules, repeated for each step.

const GAP = { column: 44, band: 46, between: 18, frame: 9, label: 15, caption: 40 };
const chainOf = modules.map((_, module) => {
  const chain = [];
  for (let at = module; at > 0; at = modules[at][1]) chain.unshift(at);
  return chain;
});
const allTimes = [...new Set(bands.flatMap((band) => band.times))].sort((a, b) => a - b);

const boxAt = boxes.map(([kind, node, argument, band, time, module, role, title, note, numbers, record], number) => ({
  number, kind: KINDS[kind], node, argument, band, time, module, role, title: texts[title], note: texts[note], numbers, record,
}));
const boxOfNode = new Map();
for (const box of boxAt) if (box.kind !== "constant" && !boxOfNode.has(box.node)) boxOfNode.set(box.node, box);

// The module of each role, per band.
const moduleOfRole = bands.map((band) => band.boxes.map(() => 0));
for (const box of boxAt) moduleOfRole[box.band][box.role] = box.module;

function closedAround(module, closed) {
  return chainOf[module].find((at) => closed.has(at)) ?? nothing;
}

// What is drawn of a band: roles, and closed modules in the place of theirs.
function unitsOf(number, closed) {
  const band = bands[number];
  const units = new Map();
  band.boxes.forEach(([x, y, width, height], role) => {
    const module = closedAround(moduleOfRole[number][role], closed);
    const rectangle = { left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 };
    if (module === nothing) {
      units.set(`r${role}`, { role, module: nothing, inside: moduleOfRole[number][role], ...rectangle });
      return;
    }
    const key = `m${module}`;
    const known = units.get(key);
    units.set(key, known ? { ...known, ...union(known, rectangle) } : { role: nothing, module, inside: modules[module][1], ...rectangle });
  });
  for (const unit of units.values()) {
    if (unit.module !== nothing) shrink(unit, number);
  }
  return units;
}

function union(a, b) {
  return {
    left: Math.min(a.left, b.left), right: Math.max(a.right, b.right),
    top: Math.min(a.top, b.top), bottom: Math.max(a.bottom, b.bottom),
  };
}

// The box of a closed module: in the middle of the room it had, with room for the numbers of its result.
function shrink(unit, band) {
  const found = summaryOf(unit.module, band);
  const numbers = content.values && found.size <= 6 ? found.size : 0;
  const width = Math.max(43 * numbers + 6, 8.2 * found.title.length + 20, 6 * found.note.length + 12);
  const height = 38 + (numbers ? 36 : 0);
  const x = (unit.left + unit.right) / 2;
  const y = (unit.top + unit.bottom) / 2;
  Object.assign(unit, { left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 });
  Object.assign(unit, { title: found.title, note: found.note, numbers });
}

const summaries = new Map();
function summaryOf(module, band) {
  const key = `${module}.${band}`;
  if (!summaries.has(key)) {
    const inside = boxAt.filter((box) => box.band === band && chainOf[box.module].includes(module));
    const operations = new Set(inside.filter((box) => nodes[box.node].rules !== undefined && box.argument < 0).map((box) => box.role));
    const parameters = new Set(inside.filter((box) => box.kind === "parameter").map((box) => box.node));
    const count = [...parameters].reduce((sum, node) => sum + nodes[node].size, 0);
    const last = inside.filter((box) => box.argument < 0 && nodes[box.node].rules !== undefined).at(-1);
    const several = last !== undefined && nodes[last.node].types.length > 1;
    const name = last === undefined || several ? "" : nameOf(last.node).replace(/\d+$/, "");
    summaries.set(key, {
      title: texts[modules[module][0]] || "module",
      note: `${name ? `${name}: ` : ""}${operations.size} op${operations.size === 1 ? "" : "s"}${count ? `, ${count.toLocaleString("en")} params` : ""}`,
      size: last === undefined || several ? Infinity : nodes[last.node].size,
    });
  }
  return summaries.get(key);
}

// Frames around open modules; one around nothing but another shares its label.
function framesOf(units) {
  const frames = new Map();
  for (const unit of units.values()) {
    for (const module of chainOf[unit.inside]) {
      const known = frames.get(module);
      frames.set(module, known ? { ...known, ...union(known, unit), count: known.count + 1 } : { ...unit, module, count: 1 });
    }
  }
  const kept = [...frames.values()].filter((frame) => {
    const parent = frames.get(modules[frame.module][1]);
    return parent === undefined || parent.count > frame.count;
  });
  // Innermost first, so that an outer frame goes around the inner ones.
  kept.sort((a, b) => chainOf[b.module].length - chainOf[a.module].length);
  const sized = [];
  for (const frame of kept) {
    let room = { left: frame.left, right: frame.right, top: frame.top, bottom: frame.bottom };
    for (const inner of sized) if (chainOf[inner.module].includes(frame.module)) room = union(room, inner);
    const path = [texts[modules[frame.module][0]]];
    for (let at = lowest(frame, frames); at !== frame.module; at = modules[at][1]) path.splice(1, 0, texts[modules[at][0]]);
    sized.push({
      module: frame.module, label: path.join(" / "),
      left: room.left - GAP.frame, right: room.right + GAP.frame, top: room.top - GAP.frame - GAP.label, bottom: room.bottom + GAP.frame,
    });
  }
  return sized.reverse();
}

function lowest(frame, frames) {
  for (const other of frames.values()) {
    if (other.count === frame.count && other.module !== frame.module && chainOf[other.module].includes(frame.module)) {
      return lowest(other, frames);
    }
  }
  return frame.module;
}

// A map that leaves out what no interval covers, but for a small gap.
function squeezed(intervals, gap) {
  const sorted = [...intervals].sort((a, b) => a[0] - b[0]);
  const knots = [];
  let end = sorted[0][0];
  let shift = sorted[0][0];
  for (const [from, to] of sorted) {
    if (from - end > gap) shift += from - end - gap;
    knots.push([from, shift]);
    end = Math.max(end, to);
  }
  return (x) => {
    let found = knots[0][1];
    let limit = Infinity;
    for (const [from, by] of knots) {
      if (from > x) {
        limit = from - by;
        break;
      }
      found = by;
    }
    return Math.min(x - found, limit);
  };
}

function bandLayout(number, closed) {
  const units = unitsOf(number, closed);
  const frames = framesOf(units);
  const across = [];
  const down = [];
  for (const unit of units.values()) {
    across.push([unit.left, unit.right]);
    down.push([unit.top, unit.bottom]);
  }
  for (const frame of frames) {
    across.push([frame.left, frame.left + GAP.frame], [frame.right - GAP.frame, frame.right]);
    down.push([frame.top, frame.top + GAP.frame + GAP.label], [frame.bottom - GAP.frame, frame.bottom]);
  }
  const x = squeezed(across, GAP.between);
  const y = squeezed(down, 24);
  const moved = (item) => ({ ...item, left: x(item.left), right: x(item.right), top: y(item.top), bottom: y(item.bottom) });
  const placed = new Map([...units].map(([key, unit]) => [key, moved(unit)]));
  const outlines = frames.map(moved);
  if (closed.size) straighten(placed, outlines, number);
  const all = [...placed.values(), ...outlines];
  const edge = Math.min(...all.map((item) => item.left));
  if (closed.size) all.forEach((item) => Object.assign(item, { left: item.left - edge, right: item.right - edge }));
  const paths = new Map(bands[number].paths.map(([tail, head, points]) => [
    `${tail}.${head}`, points.map((value, i) => (i % 2 ? y(value) : x(value) - (closed.size ? edge : 0))),
  ]));
  return {
    units: placed, frames: outlines, paths,
    width: Math.max(...all.map((item) => item.right)), height: Math.max(...all.map((item) => item.bottom)),
  };
}

// Where modules are closed, boxes move to the side until those that are connected stand one above another.
function straighten(units, frames, number) {
  const keyOf = (role) => [...chainOf[moduleOfRole[number][role]].map((module) => `m${module}`), `r${role}`].find((key) => units.has(key));
  const pairs = bands[number].paths.map(([tail, head]) => [keyOf(tail), keyOf(head)]).filter(([tail, head]) => tail !== head);
  const centre = (unit) => (unit.left + unit.right) / 2;
  for (let round = 0; round < 8; round++) {
    for (const [key, unit] of units) {
      const beside = pairs.filter((pair) => pair.includes(key)).map(([tail, head]) => centre(units.get(tail === key ? head : tail)));
      if (!beside.length) continue;
      const wanted = beside.reduce((sum, x) => sum + x, 0) / beside.length - centre(unit);
      const chain = chainOf[unit.inside];
      const others = [...[...units.values()].filter((other) => other !== unit), ...frames.filter((frame) => !chain.includes(frame.module))]
        .filter((other) => other.top < unit.bottom + 12 && other.bottom > unit.top - 12);
      const around = frames.filter((frame) => chain.includes(frame.module));
      const low = Math.max(0 - unit.left, ...around.map((frame) => frame.left + GAP.frame - unit.left),
        ...others.filter((other) => centre(other) < centre(unit)).map((other) => other.right + GAP.between - unit.left));
      const high = Math.min(...around.map((frame) => frame.right - GAP.frame - unit.right),
        ...others.filter((other) => centre(other) >= centre(unit)).map((other) => other.left - GAP.between - unit.right));
      const shift = Math.max(Math.min(0, low), Math.min(Math.max(0, high), wanted));
      unit.shifted ||= Math.abs(shift) > 1;
      unit.left += shift;
      unit.right += shift;
    }
  }
}

// The layout of all: shapes with rectangles, and curves between them.
function layoutOf({ closed, folded, time }) {
  const placed = bands.map((_, number) => bandLayout(number, closed));
  const loops = bands.map((band) => band.times.length > 0);
  const shown = folded ? [nearest(time)] : allTimes;
  const pitch = Math.max(0, ...placed.filter((_, i) => loops[i]).map((band) => band.width)) + GAP.column + (folded ? 40 : 0);
  const span = Math.max(pitch * shown.length - GAP.column, 0);
  const firstLoop = loops.indexOf(true);
  const offsets = [];
  let bottom = 0;
  placed.forEach((band, number) => {
    if (number) bottom -= GAP.band;
    if (loops[number]) bottom -= GAP.caption;
    const right = number > firstLoop && firstLoop >= 0 ? Math.max(0, span - band.width) : 0;
    const middle = folded || shown.length === 1;
    offsets.push({ x: middle ? (span - band.width) / 2 : right, y: bottom - band.height });
    bottom -= band.height;
  });
  const shapes = shapesOf(placed, offsets, loops, shown, pitch, folded);
  return { shapes, ...captionsAndFrames(placed, offsets, loops, shown, pitch, folded), curves: curvesOf(shapes, placed, folded), folded };
}

function nearest(time) {
  return allTimes.reduce((best, at) => (Math.abs(at - time) < Math.abs(best - time) ? at : best), allTimes[0] ?? nothing);
}

function columnLeft(band, placed, offsets, loops, place, pitch, folded) {
  return loops[band] && !folded ? place * pitch + (pitch - GAP.column - placed[band].width) / 2 : offsets[band].x;
}

// What is drawn at each place: one box, or all those of a closed module.
function shapesOf(placed, offsets, loops, shown, pitch, folded) {
  const shapes = new Map();
  const shapeOfBox = new Map();
  for (const box of boxAt) {
    const place = box.time < 0 ? 0 : shown.indexOf(box.time);
    if (place < 0) continue;
    const units = placed[box.band].units;
    const isOpen = units.has(`r${box.role}`);
    const unit = units.get(isOpen ? `r${box.role}` : [...chainOf[box.module]].map((m) => `m${m}`).find((key) => units.has(key)));
    const key = isOpen ? `b${box.number}` : `m${unit.module}.${box.band}.${box.time}`;
    if (!shapes.has(key)) {
      const left = columnLeft(box.band, placed, offsets, loops, place, pitch, folded);
      const top = offsets[box.band].y;
      shapes.set(key, {
        key, band: box.band, time: box.time, boxes: [], isOpen, module: unit.module,
        left: left + unit.left, right: left + unit.right, top: top + unit.top, bottom: top + unit.bottom,
        shiftX: left, shiftY: top, shifted: unit.shifted,
        kind: isOpen ? box.kind : "closed", title: isOpen ? box.title : unit.title, note: isOpen ? box.note : unit.note,
        numbers: isOpen ? box.numbers : unit.numbers,
      });
    }
    shapes.get(key).boxes.push(box);
    shapeOfBox.set(box.number, shapes.get(key));
  }
  for (const shape of shapes.values()) {
    const made = shape.boxes.filter((box) => box.argument < 0 && nodes[box.node].rules !== undefined);
    shape.main = shape.isOpen ? shape.boxes[0] : made.at(-1) ?? shape.boxes[0];
    if (!shape.isOpen && made.some((box) => box.kind === "result")) shape.isResult = true;
  }
  return { all: [...shapes.values()], ofBox: shapeOfBox };
}

function captionsAndFrames(placed, offsets, loops, shown, pitch, folded) {
  const frames = [];
  const captions = [];
  placed.forEach((band, number) => {
    (loops[number] ? shown : [nothing]).forEach((time, place) => {
      const left = columnLeft(number, placed, offsets, loops, place, pitch, folded);
      const top = offsets[number].y;
      for (const frame of band.frames) {
        frames.push({ ...frame, left: left + frame.left, right: left + frame.right, top: top + frame.top, bottom: top + frame.bottom });
      }
      if (loops[number] && bands[number].times.includes(time)) {
        const bottom = top + band.height + 24;
        captions.push({ x: left + band.width / 2, y: bottom, text: `t = ${time}`, second: content.captions[time] ?? "", time });
      }
    });
  });
  return { frames, captions };
}

// Curves between shapes; all values that go from one shape to another share one.
function curvesOf({ ofBox, all }, placed, folded) {
  const curves = new Map();
  let loopsSoFar = 0;
  lines.forEach(([tail, head, slot], number) => {
    const from = boxAt[tail];
    const to = boxAt[head];
    const isLoop = folded && from.band === to.band && from.time !== to.time;
    const inPlaceOf = (box) => all.find((shape) => shape.boxes.some((other) => other.band === box.band && other.role === box.role));
    const first = isLoop ? inPlaceOf(from) : ofBox.get(tail);
    const second = isLoop ? inPlaceOf(to) : ofBox.get(head);
    if (first === undefined || second === undefined || (first === second && !isLoop)) return;
    const key = `${first.key}>${second.key}${isLoop ? "~" : ""}${first.isOpen ? slot : ""}`;
    if (!curves.has(key)) {
      const path = !isLoop && from.time === to.time && first.isOpen && second.isOpen && !first.shifted && !second.shifted ? placed[from.band].paths.get(`${from.role}.${to.role}`) : undefined;
      const inBand = from.band === to.band;
      curves.set(key, {
        lines: [], isLoop, isWeak: from.kind === "parameter" || from.kind === "constant", first, second,
        name: isLoop ? nameOf(from.node, slot).replace(/\d+$/, "") : "", step: to.time - from.time,
        points: path && inBand ? path.map((value, i) => value + (i % 2 ? first.shiftY : first.shiftX)) : isLoop ? around(first, second, placed, loopsSoFar++) : bow(first, second, from, to, slot),
      });
    }
    if (!isLoop || ofBox.has(head)) curves.get(key).lines.push(number);
  });
  return [...curves.values()];
}

const middle = (shape) => (shape.top + shape.bottom) / 2;

// The points of a curve from a step to the next one, beside the one column that is shown.
function around(first, second, placed, number) {
  const edge = first.shiftX + placed[first.band].width + 14 + 22 * number;
  const [top, bottom] = [middle(first), middle(second)];
  const bend = Math.min(40, Math.abs(bottom - top) / 2);
  const way = bottom > top ? bend : -bend;
  return [
    first.right, top, (first.right + edge) / 2, top, edge, top, edge, top + way,
    edge, top + way, edge, bottom - way, edge, bottom - way,
    edge, bottom, (second.right + edge) / 2, bottom, second.right, bottom,
  ];
}

// The points of a curve between shapes: to the side between steps, upwards otherwise.
function bow(first, second, from, to, slot) {
  const count = nodes[from.node].types.length;
  if (from.band === to.band && from.time !== to.time) {
    const forward = to.time > from.time;
    const x = forward ? first.right : first.left;
    const end = forward ? second.left : second.right;
    const bend = (forward ? 1 : -1) * Math.max(30, Math.abs(end - x) / 2);
    return [x, middle(first), x + bend, middle(first), end - bend, middle(second), end, middle(second)];
  }
  const width = first.right - first.left;
  const x = first.isOpen && count > 1 ? first.left + (width * (slot + 0.5)) / count : (first.left + first.right) / 2;
  const end = (second.left + second.right) / 2;
  const bend = Math.max(20, (first.top - second.bottom) / 2);
  return [x, first.top, x, first.top - bend, end, second.bottom + bend, end, second.bottom];
}
