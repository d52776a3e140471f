document.querySelectorAll("thead th").forEach(head => {
  const name = head.textContent.trim();
  if (!name) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.title = "Sort by " + name;
  head.replaceChildren(button);
  button.onclick = () => {
    const table = head.closest("table"), column = head.cellIndex;
    const down = head.getAttribute("aria-sort") !== "descending";
    const units = {us: 1e-6, ms: 1e-3, s: 1, KiB: 1024, MiB: 1048576, GiB: 1073741824, TiB: 1099511627776};
    const value = row => {
      const text = row.cells[column] ? row.cells[column].textContent.trim() : "";
      const clock = text.match(/^(?:(\d+)h)?(\d+)m(\d+)s$/);
      if (clock) return 3600 * (clock[1] || 0) + 60 * clock[2] + +clock[3];
      const found = text.replace(/,/g, "").match(/^(-?[\d.]+) ?([a-zA-Z]*)%?$/);
      return found ? found[1] * (units[found[2]] || 1) : text === "-" || !text ? -Infinity : text;
    };
    const order = (a, b) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? 1 : -1;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => (down ? -1 : 1) * order(value(a), value(b)));
    table.tBodies[0].append(...rows);
    table.querySelectorAll("thead th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  };
});
