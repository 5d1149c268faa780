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
  tape.replaceChildren(...rows);
}

function lightTape(state) {
  if (tapeRow) tapeRow.removeAttribute("aria-current");
  tapeRow = tape.children[state.step + (isBackward(state.step) ? 2 : 1)];
  tapeRow.setAttribute("aria-current", "step");
  const frame = tape.parentElement;
  const top = tapeRow.offsetTop;
  if (top < frame.scrollTop + 40 || top + tapeRow.offsetHeight > frame.scrollTop + frame.clientHeight - 40) {
    frame.scrollTop = top - frame.clientHeight / 2;
  }
}
