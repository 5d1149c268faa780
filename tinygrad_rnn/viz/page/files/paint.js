// The picture of a step on a canvas, for frames that are saved.

function paint(canvas, layout, bounds, step) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const styles = getComputedStyle(document.documentElement);
  const colour = (name) => styles.getPropertyValue(`--${name}`).trim();
  const scale = Math.min(canvas.width / (bounds.right - bounds.left), (canvas.height - 34) / (bounds.bottom - bounds.top));
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = colour("ground");
  context.fillRect(0, 0, canvas.width, canvas.height);
  write(context, 12, canvas.height - 12, stepText(step), colour("ink"), 15, "left", canvas.width - 24);
  context.setTransform(scale, 0, 0, scale, -scale * bounds.left + (canvas.width - scale * (bounds.right - bounds.left)) / 2, -scale * bounds.top);
  for (const frame of layout.frames) {
    context.strokeStyle = colour("edge");
    context.lineWidth = 1;
    context.strokeRect(frame.left, frame.top, frame.right - frame.left, frame.bottom - frame.top);
    write(context, frame.left + 6, frame.top + 12, frame.label, colour("dim"), 10, "left", frame.right - frame.left - 10);
  }
  for (const curve of layout.curves) paintCurve(context, curve, step, colour);
  for (const shape of layout.shapes.all) paintShape(context, shape, step, colour);
  for (const { x, y, text, second } of layout.captions) write(context, x, y, `${text}  ${second}`, colour("ink"), 14, "center", 400);
}

function write(context, x, y, text, colour, size, align, most) {
  context.fillStyle = colour;
  context.font = `${size}px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = align;
  context.fillText(text, x, y, most);
}

function paintCurve(context, curve, step, colour) {
  const { lit, flowed } = statusOf(curve, nodeAt(step), isBackward(step), step);
  context.strokeStyle = colour(lit && !isBackward(step) ? "lit" : lit || flowed ? "back" : "line");
  context.lineWidth = lit ? 3 : flowed ? 1.8 : 1;
  context.globalAlpha = lit || flowed ? 1 : 0.6;
  context.stroke(new Path2D(pathText(curve.points)));
  // Values go to the end of a curve, cotangents to its beginning.
  const { points } = curve;
  const back = isBackward(step) && (lit || flowed);
  const [x, y, fromX, fromY] = back ? [points[0], points[1], points[2], points[3]] : [...points.slice(-2), ...points.slice(-4, -2)];
  const angle = Math.atan2(y - fromY, x - fromX);
  context.beginPath();
  for (const turn of [0, 2.6, -2.6]) context.lineTo(x + (turn ? 8 * Math.cos(angle + turn) : 0), y + (turn ? 8 * Math.sin(angle + turn) : 0));
  context.fillStyle = context.strokeStyle;
  context.fill();
  context.globalAlpha = 1;
}

function paintShape(context, shape, step, colour) {
  const { left, top, right, bottom } = shape;
  const node = shape.main.node;
  const done = isComputed(node, step);
  const isCurrent = shape.kind !== "constant" && shape.boxes.some((box) => box.node === nodeAt(step) && box.argument < 0);
  context.globalAlpha = done ? 1 : 0.42;
  context.fillStyle = colour(isCurrent ? "glow" : shape.kind);
  context.fillRect(left, top, right - left, bottom - top);
  context.strokeStyle = colour(isCurrent ? (isBackward(step) ? "back" : "lit") : shape.kind === "parameter" ? "parameter-edge" : "line");
  context.lineWidth = isCurrent ? 3.5 : 1.2;
  context.strokeRect(left, top, right - left, bottom - top);
  const x = (left + right) / 2;
  write(context, x, top + (shape.note ? 16 : 17), shape.title, colour("ink"), 13, "center", right - left - 4);
  if (shape.note) write(context, x, top + 30, shape.note, colour("dim"), 10, "center", right - left - 4);
  if (shape.numbers && done) paintNumbers(context, shape, step, colour);
  context.globalAlpha = 1;
}

function paintNumbers(context, shape, step, colour) {
  const top = shape.top + (shape.note ? 36 : 26);
  rowsOf(shape).forEach(([array, name], row) => {
    if (array === null || !array.isWhole || (name === "slope" && !hasArrived(shape.main.node, step))) return;
    const width = (shape.right - shape.left - 6) / array.size;
    array.data.forEach((number, i) => {
      const x = shape.left + 3 + i * width;
      context.globalAlpha = strengthOf(array, number) * (name === "slope" ? 0.45 : 1);
      context.fillStyle = colour(number < 0 ? "minus" : "plus");
      context.fillRect(x + 0.5, top + row * 17, width - 1, 16);
      context.globalAlpha = 1;
      write(context, x + width / 2, top + row * 17 + 12, brief(number), colour(name === "slope" ? "back" : "ink"), 11, "center", width);
    });
  });
}
