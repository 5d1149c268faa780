// Saving: this picture, the frames of the walk, or a GIF of it; and the list of keys.

const MOST_FRAMES = 240;

// The steps that light one box after another, thinned to what one file can hold.
function framesOfWalk() {
  const steps = [];
  let before = null;
  for (let step = 0; step < stepCount; step++) {
    const key = `${isBackward(step)} ${shapesShowing(nodeAt(step))[0]?.key ?? step}`;
    if (key !== before || state.folded) steps.push(step);
    before = key;
  }
  if (steps.at(-1) !== stepCount - 1) steps.push(stepCount - 1);
  const every = Math.ceil(steps.length / MOST_FRAMES);
  return steps.filter((_, i) => i % every === 0 || i === steps.length - 1);
}

function canvasFor(width) {
  const { left, right, top, bottom } = view.bounds;
  const height = Math.max(160, Math.min(0.9 * width, Math.round((width * (bottom - top)) / (right - left)) + 34));
  return element("canvas", { width, height });
}

function painter(width) {
  const canvas = canvasFor(width);
  let time = state.time;
  let layout = view.layout;
  return (step) => {
    const at = nodes[nodeAt(step)].time;
    if (state.folded && at >= 0 && at !== time) {
      time = at;
      layout = layoutOf({ ...state, time });
    }
    paint(canvas, layout, view.bounds, step);
    return canvas;
  };
}

function hand(parts, name, type) {
  const address = URL.createObjectURL(new Blob(parts, { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

const pause = () => new Promise((done) => { setTimeout(done); });
const pngOf = (canvas) => new Promise((done) => { canvas.toBlob(async (blob) => done(new Uint8Array(await blob.arrayBuffer())), "image/png"); });

async function savePicture() {
  hand([await pngOf(painter(1600)(state.step))], "step.png", "image/png");
}

async function saveFrames(tell) {
  const draw = painter(1280);
  const steps = framesOfWalk();
  const files = [];
  for (const step of steps) {
    files.push({ name: `frame-${String(step + 1).padStart(5, "0")}.png`, bytes: await pngOf(draw(step)) });
    tell(`${files.length} of ${steps.length} frames`);
  }
  hand(zipped(files), "frames.zip", "application/zip");
}

async function saveGif(tell) {
  const draw = painter(960);
  const steps = framesOfWalk();
  const pixels = (step) => {
    const canvas = draw(step);
    return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  };
  const samples = [0, 0.5, 1].map((part) => pixels(steps[Math.round(part * (steps.length - 1))]));
  const palette = paletteOf(samples);
  const [{ width, height }] = samples;
  const parts = [gifHeader(width, height, palette)];
  let before = null;
  for (const step of steps) {
    const indices = indexed(pixels(step), palette);
    parts.push(gifFrame(indices, before, width, height, step === stepCount - 1 ? 300 : 45));
    before = indices;
    tell(`${parts.length - 1} of ${steps.length} frames`);
    await pause();
  }
  parts.push(Uint8Array.of(0x3b));
  hand(parts, "walk.gif", "image/gif");
}

const dialog = document.getElementById("help");

function showDialog(title, ...parts) {
  const close = element("button", { type: "button", autofocus: true }, "close");
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(element("h2", {}, title), ...parts, close);
  dialog.setAttribute("aria-label", title);
  dialog.showModal();
}

function openExport() {
  const told = element("p", { role: "status" }, `${framesOfWalk().length} frames, of the view as it stands now.`);
  const tell = (text) => { told.textContent = text; };
  const make = (id, text, action) => {
    const made = element("button", { type: "button", id }, text);
    made.addEventListener("click", async () => {
      await action(tell);
      tell("Saved.");
    });
    return made;
  };
  showDialog("Save", element("p", {}, make("save-picture", "this picture (PNG)", savePicture), " ", make("save-frames", "frames (PNG, in a ZIP)", saveFrames), " ",
    make("save-gif", "the walk (GIF)", saveGif)), told);
}

const KEY_LIST = [
  ["→ ←", "a step on, a step back"], ["n p", "to the next box, to the one before: a closed module is one"], ["space", "play, pause"],
  ["Home End", "first step, last step"], ["b", "forward or backward at this node"], ["t", "fold time, unfold it"], ["[ ]", "a time step back, on"],
  ["x", "close the module of this step, or open it"], ["c o", "close all modules, open all"], ["+ − 0", "larger, smaller, all"],
  ["/", "search; Enter goes from one find to the next"], ["d", "light or dark"], ["?", "this list"],
];

function showHelp() {
  const list = element("dl", {});
  for (const [keys, text] of KEY_LIST) {
    const term = element("dt", {});
    for (const key of keys.split(" ")) term.append(element("kbd", {}, key), " ");
    list.append(term, element("dd", {}, text));
  }
  const colours = element("ul", { class: "legend" });
  for (const [kind, text] of [["operation", "an operation"], ["parameter", "a parameter, one box beside each use"], ["input", "an input"], ["constant", "a constant"],
    ["result", "the result that the walk back begins at"], ["closed", "a closed module, with what its last operation gives"]]) {
    colours.append(element("li", {}, element("span", { class: `sample ${kind}` }), text));
  }
  showDialog("Keys and colours", list, colours, element("p", { class: "dim" },
    "In a box: values, below them in orange the cotangents once they have arrived; where numbers do not fit, a bar whose length is the size of the gradient, from the smallest to the largest of the page on a logarithmic scale."),
  element("p", { class: "dim" }, wholeText()));
}

// Which tensors are whole in this page.
function wholeText() {
  if (!content.values) return "This page holds no values.";
  const { whole, cells } = content.arrays;
  const cut = content.arrays.records.filter(([, , , rows]) => rows > 0).length;
  if (!cut) return "Every tensor is whole in this page.";
  return `Tensors of up to ${whole} numbers are whole in this page. Larger ones are summaries, and say so: the means of at most ${cells} blocks, with minimum, mean, maximum and norm of all numbers.`;
}
