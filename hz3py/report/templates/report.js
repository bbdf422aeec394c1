"use strict";
// Sort a table by the column that was pressed; empty figures stay at the end.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  table.tHead.querySelectorAll("button").forEach((button, column) => {
    const head = button.parentElement;
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const isNumber = head.classList.contains("n");
      const steps = isNumber ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
      const next = steps[(steps.indexOf(before === "none" ? "none" : before) + 1) % 3];
      table.tHead.querySelectorAll("th").forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      table.classList.toggle("sorted", next !== "none");
      const sign = next === "ascending" ? 1 : -1;
      const value = (row) => {
        const cell = row.cells[column];
        if (!isNumber) return cell.textContent;
        return cell.dataset.v === "" ? NaN : Number(cell.dataset.v);
      };
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (!isNumber) return sign * x.localeCompare(y);
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return sign * (x - y);
      };
      body.append(...(next === "none" ? original : [...original].sort(compare)));
    });
  });
}
// Show or hide an allocator in every chart and table.
for (const button of document.querySelectorAll("[data-toggle]")) {
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    for (const item of document.querySelectorAll(`[data-a="${button.dataset.toggle}"]`)) {
      item.classList.toggle("hidden", !shown);
    }
  });
}
document.getElementById("save").addEventListener("click", () => {
  const text = document.getElementById("data").textContent;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "hz3-report.json";
  link.click();
  URL.revokeObjectURL(link.href);
});
