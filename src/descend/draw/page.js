"use strict";
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

// Column heads sort their table; numbers as numbers, names as names.
for (const button of all(".results thead button")) {
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
    body.append(...[...body.rows].sort((a, b) => (rising ? compare(a, b) : compare(b, a))));
  });
}

// Everything that belongs to one optimizer lights up in the charts of a section; the rest fades.
const light = (charts, index) => {
  if (charts.dataset.lit === String(index)) return;
  charts.dataset.lit = String(index);
  charts.classList.toggle("lit", index !== null);
  for (const mark of all("[data-series]", charts)) mark.classList.toggle("on", mark.dataset.series === index);
};

// A chip hides and shows one optimizer in all charts of its section, and lights it up under the pointer.
for (const chip of all(".chips button")) {
  const charts = chip.closest("section").querySelector(".charts"), index = chip.dataset.index;
  chip.addEventListener("click", () => {
    const shown = chip.getAttribute("aria-pressed") !== "true";
    chip.setAttribute("aria-pressed", String(shown));
    for (const mark of all(`[data-series="${index}"]`, charts)) mark.classList.toggle("hidden", !shown);
    if (!shown) light(charts, null);
  });
  chip.addEventListener("pointerenter", () => chip.getAttribute("aria-pressed") === "true" && light(charts, index));
  chip.addEventListener("pointerleave", () => light(charts, null));
}

// The point nearest to the pointer tells its numbers.
const tip = document.getElementById("tip"), REACH = 40;
const hide = () => {
  tip.hidden = true;
  for (const charts of all(".charts.lit")) light(charts, null);
};
for (const picture of all("[data-places]")) {
  const chart = picture.closest(".chart"), svg = picture.querySelector("svg");
  const places = JSON.parse(picture.dataset.places), told = JSON.parse(chart.dataset.points);
  const point = (event) => {
    const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
    const hidden = new Set(all(".hidden", svg).map((mark) => mark.dataset.series));
    let best = -1, least = REACH;
    places.forEach(([index, x, y], i) => {
      if (hidden.has(String(index))) return;
      const gap = Math.hypot(box.left + x * scale - event.clientX, box.top + y * scale - event.clientY);
      if (gap < least) [best, least] = [i, gap];
    });
    if (best < 0) return hide();
    const [index, x, y] = places[best];
    tip.textContent = told[best];
    tip.hidden = false;
    const left = box.left + x * scale, top = box.top + y * scale, wide = tip.offsetWidth, high = tip.offsetHeight;
    tip.style.left = `${Math.max(6, Math.min(left + 14, innerWidth - wide - 6))}px`;
    tip.style.top = `${top - high - 14 > 6 ? top - high - 14 : top + 18}px`;
    light(chart.parentElement, index < 0 ? null : String(index));
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", hide);
}
addEventListener("scroll", hide, { passive: true });

// Colours follow the system until the button says otherwise; the choice is kept where the browser keeps anything.
const theme = document.getElementById("theme"), CHOICES = ["auto", "light", "dark"];
const recall = () => { try { return localStorage.getItem("descend-theme"); } catch { return null; } };
const keep = (choice) => { try { localStorage.setItem("descend-theme", choice); } catch { /* a private window */ } };
const paint = (choice) => {
  document.documentElement.dataset.theme = choice;
  theme.querySelector("span").textContent = choice;
  theme.setAttribute("aria-label", `Colours: ${choice === "auto" ? "as the system" : choice}`);
};
paint(CHOICES.includes(recall()) ? recall() : "auto");
theme.addEventListener("click", () => {
  const next = CHOICES[(CHOICES.indexOf(document.documentElement.dataset.theme) + 1) % CHOICES.length];
  paint(next);
  keep(next);
});

// Settings are copied with one press; without a clipboard they are selected instead.
for (const button of all(".copy")) {
  button.addEventListener("click", async () => {
    const text = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    } catch {
      getSelection().selectAllChildren(text);
    }
  });
}

// A link to an optimizer opens its details.
const open = () => { const found = document.getElementById(location.hash.slice(1)); if (found) found.open = true; };
addEventListener("hashchange", open);
open();
