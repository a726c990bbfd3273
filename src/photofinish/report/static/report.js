"use strict";
// The page is complete without this script. It adds four things: sorting, a choice of models, values under the
// pointer, and open details on paper.

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if ("nosort" in head.dataset) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(table, head, column));
  });
}

function sortBy(table, head, column) {
  const down = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down < 0 ? "descending" : "ascending");
  const key = (row) => {
    const cell = row.cells[column];
    return "order" in cell.dataset ? Number(cell.dataset.order) : cell.textContent.trim();
  };
  const compare = (one, other) => {
    const a = key(one), b = key(other);
    if (typeof a === "number" && typeof b === "number") return down * (a - b);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return -down * a.localeCompare(b, undefined, { numeric: true });
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
}

// Models that the reader has taken out of the page, by their places.
const out = new Set();
const rows = [...document.querySelectorAll("#models tr[data-models]")];
// With two there is nothing to choose.
if (rows.length > 2) {
  const picker = document.createElement("fieldset");
  picker.className = "picker";
  const legend = document.createElement("legend");
  legend.textContent = "Show";
  picker.append(legend);
  for (const row of rows) {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => {
      if (box.checked) out.delete(row.dataset.models);
      else out.add(row.dataset.models);
      for (const part of document.querySelectorAll("[data-models]")) {
        part.classList.toggle("out", part.dataset.models.split(" ").some((model) => out.has(model)));
      }
    });
    const name = document.createElement("label");
    name.append(box, ...[...row.querySelector(".rowname").childNodes].map((node) => node.cloneNode(true)));
    picker.append(name);
  }
  document.querySelector("main").prepend(picker);
}

const tip = document.getElementById("tip");

function show(text, x, y) {
  tip.textContent = text;
  tip.hidden = false;
  const left = Math.min(Math.max(8, x + 12), document.documentElement.clientWidth - tip.offsetWidth - 8);
  const top = y - tip.offsetHeight - 12;
  tip.style.left = `${left + window.scrollX}px`;
  tip.style.top = `${(top < 8 ? y + 18 : top) + window.scrollY}px`;
}

function hide() {
  tip.hidden = true;
}

for (const figure of document.querySelectorAll("svg[data-hover]")) {
  const everything = JSON.parse(figure.dataset.hover);
  // A point without a model belongs to the whole figure.
  const shown = () => everything.filter((candidate) => !out.has(String(candidate[3])));
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  ring.setAttribute("r", "6");
  ring.setAttribute("class", "ring");
  ring.setAttribute("visibility", "hidden");
  figure.append(ring);
  let at = -1;
  const point = (index) => {
    const points = shown();
    if (!points.length) return;
    at = (index + points.length) % points.length;
    const [x, y, text] = points[at];
    const box = figure.getBoundingClientRect(), scale = box.width / figure.viewBox.baseVal.width;
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y ?? 0);
    ring.setAttribute("visibility", y === null ? "hidden" : "visible");
    show(text, box.left + x * scale, box.top + (y ?? 12) * scale);
  };
  const leave = () => {
    ring.setAttribute("visibility", "hidden");
    at = -1;
    hide();
  };
  figure.addEventListener("pointermove", (event) => {
    const box = figure.getBoundingClientRect(), scale = box.width / figure.viewBox.baseVal.width;
    const x = (event.clientX - box.left) / scale, y = (event.clientY - box.top) / scale;
    const far = ([px, py, , , reach = 0]) =>
      Math.hypot(Math.max(0, Math.abs(px - x) - reach), py === null ? 0 : py - y);
    const points = shown();
    if (!points.length) return;
    let best = 0;
    points.forEach((candidate, index) => {
      if (far(candidate) < far(points[best])) best = index;
    });
    if (far(points[best]) < 60) point(best);
    else leave();
  });
  figure.addEventListener("pointerleave", leave);
  figure.addEventListener("blur", leave);
  figure.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      event.preventDefault();
      point(at < 0 && step < 0 ? -1 : at + step);
    } else if (event.key === "Escape") leave();
  });
}

for (const group of document.querySelectorAll("[data-classes]")) {
  const names = JSON.parse(group.dataset.classes);
  group.addEventListener("pointermove", (event) => {
    const cell = event.target.closest("[data-c]");
    if (!cell) return hide();
    const [row, column, count, total] = cell.dataset.c.split(",").map(Number);
    tell(names, row, column, count, total, event);
  });
  group.addEventListener("pointerleave", hide);
}

for (const group of document.querySelectorAll("[data-cells]")) {
  const { names, totals, left, top, side, cells } = JSON.parse(group.dataset.cells);
  const figure = group.closest("svg"), pointed = group.querySelector(".pointed");
  const counts = new Map();
  for (let at = 0; at < cells.length; at += 3) counts.set(cells[at] * names.length + cells[at + 1], cells[at + 2]);
  const leave = () => {
    pointed.setAttribute("visibility", "hidden");
    hide();
  };
  figure.addEventListener("pointermove", (event) => {
    const box = figure.getBoundingClientRect(), scale = box.width / figure.viewBox.baseVal.width;
    const column = Math.floor(((event.clientX - box.left) / scale - left) / side);
    const row = Math.floor(((event.clientY - box.top) / scale - top) / side);
    if (row < 0 || column < 0 || row >= names.length || column >= names.length) return leave();
    pointed.setAttribute("x", left + column * side);
    pointed.setAttribute("y", top + row * side);
    pointed.setAttribute("visibility", "visible");
    tell(names, row, column, counts.get(row * names.length + column) ?? 0, totals[row], event);
  });
  figure.addEventListener("pointerleave", leave);
}

function tell(names, row, column, count, total, event) {
  const share = ((100 * count) / total).toFixed(1);
  const what = row === column ? `${names[row]} recognised` : `${names[row]} taken for ${names[column]}`;
  show(`${what}\n${count} of ${total} (${share}%)`, event.clientX, event.clientY);
}

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
