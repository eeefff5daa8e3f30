// Every long table can be sorted by any column: a button in each header, by mouse or key, and a third press brings the first order back.
// Without this script the page is whole; rows whose place means something (sums, differences) are never moved.
(() => {
  "use strict";
  const LONG = 8; // rows a reader does not take in at a glance
  const language = document.documentElement.lang;
  const hint = document.currentScript.dataset.hint;
  const text = (row, column) => row.cells[column].textContent.trim();

  // The number a cell holds, with the language's own decimal sign; "fewer than ten" stands before ten, and what holds no number last.
  const number = (shown) => {
    const plain = shown.replace(/[\s\u2009\u202f\u00a0]/g, "").replace("−", "-");
    const marks = language === "sv" ? plain.replace(",", ".") : plain.replaceAll(",", "");
    const found = marks.match(/^([<>]?)([+-]?\d+(?:\.\d+)?)/);
    if (!found) return null;
    return Number(found[2]) + { "<": -0.5, ">": 0.5, "": 0 }[found[1]];
  };
  const order = new Intl.Collator(language, { numeric: true });
  const isDate = (shown) => /^\d{4}-\d{2}/.test(shown);

  const sorted = (rows, column, down) => {
    const shown = rows.map((row) => text(row, column));
    const values = shown.map(number);
    const counts = shown.every((cell, at) => values[at] !== null || !/\d|\p{L}/u.test(cell)) && !shown.some(isDate);
    const compare = (a, b) => {
      if (!counts) return order.compare(shown[a], shown[b]) * (down ? -1 : 1);
      if (values[a] === null || values[b] === null) return (values[a] === null) - (values[b] === null);
      return (values[a] - values[b]) * (down ? -1 : 1);
    };
    return rows.map((_, at) => at).sort((a, b) => compare(a, b) || a - b).map((at) => rows[at]);
  };

  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    const first = [...body.rows];
    if (first.length < LONG || table.querySelector("tr.strong, tr.difference")) continue;
    const heads = [...table.tHead.rows[0].cells];
    const note = document.createElement("span");
    note.className = "unseen";
    note.textContent = ` (${hint})`;
    table.caption.append(note);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: "" }[head.ariaSort ?? ""] ?? "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        if (next) head.setAttribute("aria-sort", next);
        body.append(...(next ? sorted(first, column, next === "descending") : first));
      });
    });
  }
})();
