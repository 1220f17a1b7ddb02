// The table of candidates: sorted by a column, filtered by words and comparisons, a page at a time.

const PAGE = 25;

class Candidates {
  /** @param columns [{name, label, values, format, text?}] */
  constructor(table, columns, { pick, filtered, search }) {
    Object.assign(this, { table, columns, pick, filtered, search, page: 0, picked: null });
    this.count = columns[0].values.length;
    this.rows = Array.from({ length: this.count }, (_, i) => i);
    this.sorted = { column: columns.find((column) => column.name === "score") || columns[0], down: true };
    const head = make("tr", {}, ...columns.map((column) => make("th", { scope: "col", class: column.text ? "" : "number" },
      make("button", { type: "button", onclick: () => this.sortBy(column) }, column.label))));
    table.tHead.append(head);
    $("filter").addEventListener("input", () => { clearTimeout(this.timer); this.timer = setTimeout(() => this.filter(), 120); });
    $("back").addEventListener("click", () => this.turn(-1));
    $("next").addEventListener("click", () => this.turn(1));
    this.filter();
  }

  sortBy(column) {
    const down = this.sorted.column === column ? !this.sorted.down : !column.text && !column.less;
    this.sorted = { column, down };
    this.page = 0;
    this.sort();
    this.write();
  }

  sort() {
    const { column, down } = this.sorted;
    const sign = down ? -1 : 1;
    const value = (i) => column.values[i];
    this.rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x == null || y == null) return (x == null) - (y == null) || a - b; // what is missing comes last
      return sign * (x < y ? -1 : x > y ? 1 : 0) || a - b;
    });
  }

  filter() {
    const tests = $("filter").value.trim().split(/\s+/).filter(Boolean).map((word) => testOf(word, this.columns, this.search));
    const all = Array.from({ length: this.count }, (_, i) => i);
    this.rows = all.filter((i) => tests.every((test) => test(i)));
    this.page = 0;
    this.sort();
    this.write();
    this.filtered(tests.length ? new Set(this.rows) : null);
  }

  turn(pages) { this.page += pages; this.write(); }

  select(row) {
    this.picked = row;
    const place = this.rows.indexOf(row);
    if (place >= 0) this.page = Math.floor(place / PAGE);
    this.write();
  }

  write() {
    const pages = Math.max(1, Math.ceil(this.rows.length / PAGE));
    this.page = Math.min(Math.max(this.page, 0), pages - 1);
    $("found").textContent = `${this.rows.length.toLocaleString("en")} of ${this.count.toLocaleString("en")} networks`;
    $("page").textContent = `${this.page + 1} / ${pages}`;
    $("back").disabled = this.page === 0;
    $("next").disabled = this.page === pages - 1;
    [...this.table.tHead.rows[0].cells].forEach((cell, i) => {
      if (this.columns[i] === this.sorted.column) cell.setAttribute("aria-sort", this.sorted.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    const body = this.table.tBodies[0];
    body.replaceChildren(...this.rows.slice(this.page * PAGE, (this.page + 1) * PAGE).map((i) => this.line(i)));
  }

  line(i) {
    const cells = this.columns.map((column) => {
      const value = column.values[i];
      const text = value == null ? "" : column.format(value);
      const content = column.name === "key" ? make("button", { type: "button", class: "link" }, text) : text;
      return make("td", { class: column.text ? "" : "number" }, content);
    });
    return make("tr", { "data-row": i, "aria-selected": i === this.picked ? "true" : "false", onclick: () => this.pick(i) }, ...cells);
  }
}

/** `params<20M` compares a column; any other word has to be in the key, the move or a remark. */
function testOf(word, columns, search) {
  const found = word.match(/^(.+?)(<=|>=|<|>|=)(-?[\d.]+(?:e-?\d+)?)([KMGT]?|ms)$/i);
  const column = found && columns.find((c) => c.name.toLowerCase() === found[1].toLowerCase());
  if (column) {
    const unit = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12, ms: 1e-3 }[found[4].toLowerCase()];
    const limit = Number(found[3]) * unit;
    const compare = { "<": (v) => v < limit, ">": (v) => v > limit, "<=": (v) => v <= limit, ">=": (v) => v >= limit, "=": (v) => v === limit }[found[2]];
    return (i) => column.values[i] != null && compare(column.values[i]);
  }
  const plain = word.toLowerCase();
  return (i) => search(i).includes(plain);
}
