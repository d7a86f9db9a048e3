"use strict";
// Column heads sort their table; numbers as numbers, names as names.
for (const button of document.querySelectorAll(".results thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, table = head.closest("table"), body = table.tBodies[0];
    const column = head.cellIndex, rising = head.getAttribute("aria-sort") !== "ascending";
    const order = (row) => row.cells[column].dataset.order;
    const compare = (a, b) => {
      const x = Number(order(a)), y = Number(order(b));
      return Number.isNaN(x) || Number.isNaN(y) ? order(a).localeCompare(order(b)) : x - y;
    };
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const rows = [...body.rows].sort((a, b) => (rising ? compare(a, b) : compare(b, a)));
    body.append(...rows);
  });
}
// A chip hides and shows one optimizer in all charts of its task.
for (const chip of document.querySelectorAll(".chips button")) {
  chip.addEventListener("click", () => {
    const shown = chip.getAttribute("aria-pressed") !== "true";
    chip.setAttribute("aria-pressed", String(shown));
    const marks = ["line", "band", "label", "lost", "best"].map((kind) => `[id$="-series-${chip.dataset.series}-${kind}"]`);
    for (const mark of chip.closest("section").querySelectorAll(marks.join(","))) mark.classList.toggle("hidden", !shown);
  });
}
