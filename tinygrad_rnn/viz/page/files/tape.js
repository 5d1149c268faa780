// The tape in words: a row for each step, in step with the walk.

const tape = document.querySelector("#tape ol");
let tapeRow = null;

function writeTape() {
  const rows = [element("li", { class: "heading" }, "Forward")];
  for (let step = 0; step < stepCount; step++) {
    if (step === forwardOrder.length) rows.push(element("li", { class: "heading" }, "Backward"));
    const time = timeText(nodeAt(step));
    const row = element("li", { class: "row", "data-step": step }, element("span", { class: "words" }, stepText(step)));
    if (time) row.append(element("span", { class: "dim" }, time));
    rows.push(row);
  }
  // Of very many rows, a browser need not work out those out of sight.
  tape.classList.toggle("many", stepCount > 4000);
  tape.replaceChildren(...rows);
}

function lightTape(state) {
  if (tapeRow) tapeRow.removeAttribute("aria-current");
  tapeRow = tape.children[state.step + (isBackward(state.step) ? 2 : 1)];
  tapeRow.setAttribute("aria-current", "step");
  bringToSight();
  // Rows that come into sight for the first time take another height than was supposed.
  if (tape.classList.contains("many")) for (const delay of [30, 90]) setTimeout(bringToSight, delay);
}

function bringToSight() {
  const frame = tape.parentElement;
  const top = tapeRow.offsetTop;
  if (top < frame.scrollTop + 40 || top + tapeRow.offsetHeight > frame.scrollTop + frame.clientHeight - 40) {
    frame.scrollTop = top - frame.clientHeight / 2;
  }
}
