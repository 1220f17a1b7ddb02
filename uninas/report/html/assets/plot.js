// A scatter plot: dots on a canvas, so that 10,000 of them stay quick; axes, lines and what is chosen as SVG above it.

const MARGIN = { left: 66, right: 16, top: 12, bottom: 40 };
const LETTER = 7; // pixels that a letter of a guide takes at most

class Plot {
  /** @param pick called with the index of a dot that was clicked, or reached by the arrow keys. */
  constructor(root, { pick, describe }) {
    Object.assign(this, { root, pick, describe, picked: null, dim: null });
    root.tabIndex = 0;
    root.setAttribute("role", "application");
    root.setAttribute("aria-label", "Scatter plot; arrow keys move from dot to dot. The table below holds the same numbers.");
    this.canvas = root.appendChild(document.createElement("canvas"));
    this.svg = root.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "svg"));
    this.box = null;
    root.addEventListener("mousemove", (event) => this.hover(this.nearest(event), event));
    root.addEventListener("mouseleave", () => this.hover(null));
    root.addEventListener("click", (event) => { const found = this.nearest(event); if (found != null) pick(found); });
    root.addEventListener("keydown", (event) => this.step(event));
    new ResizeObserver(() => this.draw()).observe(root);
  }

  /** @param plot {x, y: columns; rows: indices to draw; error?: values; runs?; lines, guides, stars} */
  show(plot) {
    this.plot = plot;
    this.rows = plot.rows.filter((i) => plot.x.values[i] != null && plot.y.values[i] != null);
    const byX = (a, b) => plot.x.values[a] - plot.x.values[b];
    this.order = [...this.rows].sort(byX);
    this.draw();
  }

  draw() {
    if (!this.plot || !this.root.clientWidth) return;
    const { plot, rows } = this;
    this.width = this.root.clientWidth;
    this.height = this.root.clientHeight;
    const guides = plot.guides || [];
    this.x = scale(plot.x, rows, guides.filter((g) => g.axis === "x"), MARGIN.left, this.width - MARGIN.right);
    this.y = scale(plot.y, rows, guides.filter((g) => g.axis === "y"), this.height - MARGIN.bottom, MARGIN.top);
    this.dots();
    this.axes();
  }

  place(i) { return [this.x.at(this.plot.x.values[i]), this.y.at(this.plot.y.values[i])]; }

  dots() {
    const ratio = Math.max(2, window.devicePixelRatio || 1); // 2 at least: it may be printed
    this.canvas.width = this.width * ratio;
    this.canvas.height = this.height * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const { plot, rows } = this;
    const radius = rows.length > 3000 ? 1.8 : rows.length > 600 ? 2.4 : 3.2;
    const groups = new Map();
    for (const i of rows) {
      const dim = this.dim && !this.dim.has(i);
      const name = `${plot.runs ? plot.runs[i] % 8 : 0}/${dim ? 1 : 0}`;
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(i);
    }
    for (const [name, members] of [...groups].sort((a, b) => b[0].endsWith("1") - a[0].endsWith("1"))) {
      const [run, dim] = name.split("/");
      pen.fillStyle = pen.strokeStyle = style.getPropertyValue(`--run-${run}`);
      pen.globalAlpha = dim === "1" ? 0.08 : 0.35;
      if (plot.error) {
        pen.beginPath();
        for (const i of members) {
          if (plot.error[i] == null) continue;
          const [x] = this.place(i), value = plot.y.values[i];
          pen.moveTo(x, this.y.at(value - plot.error[i]));
          pen.lineTo(x, this.y.at(value + plot.error[i]));
        }
        pen.stroke();
      }
      pen.globalAlpha = dim === "1" ? 0.12 : rows.length > 3000 ? 0.45 : 0.75;
      pen.beginPath();
      for (const i of members) {
        const [x, y] = this.place(i);
        pen.moveTo(x + radius, y);
        pen.arc(x, y, radius, 0, 2 * Math.PI);
      }
      pen.fill();
    }
  }

  axes() {
    const { plot, width, height, x, y } = this;
    const bottom = height - MARGIN.bottom;
    let text = "";
    for (const tick of x.ticks) {
      text += `<path class="grid" d="M${x.at(tick)} ${MARGIN.top}V${bottom}"/>`;
      text += `<text x="${x.at(tick)}" y="${bottom + 17}" text-anchor="middle">${tickText(plot.x, tick, x.step)}</text>`;
    }
    for (const tick of y.ticks) {
      text += `<path class="grid" d="M${MARGIN.left} ${y.at(tick)}H${width - MARGIN.right}"/>`;
      text += `<text x="${MARGIN.left - 7}" y="${y.at(tick) + 4}" text-anchor="end">${tickText(plot.y, tick, y.step)}</text>`;
    }
    text += `<path class="axis" fill="none" d="M${MARGIN.left} ${MARGIN.top}V${bottom}H${width - MARGIN.right}"/>`;
    text += `<text x="${(MARGIN.left + width) / 2}" y="${height - 6}" text-anchor="middle">${escape(plot.x.label)}</text>`;
    text += `<text transform="translate(12 ${bottom / 2}) rotate(-90)" text-anchor="middle">${escape(plot.y.label)}</text>`;
    for (const guide of plot.guides || []) {
      const at = guide.axis === "x" ? x.at(guide.value) : y.at(guide.value);
      const before = at - MARGIN.left > LETTER * guide.text.length; // there is room for the words left of the line
      text += guide.axis === "x"
        ? `<path class="guide" d="M${at} ${MARGIN.top}V${bottom}"/><text class="guide-text" x="${at + (before ? -5 : 5)}" y="${bottom - 6}" text-anchor="${before ? "end" : "start"}">${escape(guide.text)}</text>`
        : `<path class="guide" d="M${MARGIN.left} ${at}H${width - MARGIN.right}"/><text class="guide-text" x="${MARGIN.left + 6}" y="${at - 5}">${escape(guide.text)}</text>`;
    }
    for (const line of plot.lines || []) {
      const path = line.points.map(([a, b], i) => {
        const [px, py] = [x.at(a), y.at(b)];
        return i === 0 ? `M${px} ${py}` : line.steps ? `H${px}V${py}` : `L${px} ${py}`;
      });
      if (line.points.length) text += `<path class="${line.style}" style="--run: var(--run-${(line.run || 0) % 8})" d="${path.join("")}"/>`;
    }
    for (const { row, name } of plot.stars || []) {
      const value = plot.y.values[row] ?? plot.fresh?.[row]?.[0]; // what was tidied has been scored on fresh seeds only
      if (plot.x.values[row] == null || value == null) continue;
      const [px, py] = [x.at(plot.x.values[row]), y.at(value)];
      const right = px > width - 120;
      text += `<circle class="star" cx="${px}" cy="${py}" r="5"/><text class="name" x="${px + (right ? -9 : 9)}" y="${py - 7}" text-anchor="${right ? "end" : "start"}">${escape(name)}</text>`;
    }
    if (this.picked != null && this.rows.includes(this.picked)) {
      const [px, py] = this.place(this.picked);
      text += `<circle class="picked" cx="${px}" cy="${py}" r="7"/>`;
    }
    this.svg.innerHTML = text;
  }

  select(row) { this.picked = row; if (this.plot && this.x) this.axes(); }

  highlight(rows) { this.dim = rows; if (this.plot && this.x) this.dots(); }

  nearest(event) {
    if (!this.x) return null;
    const area = this.root.getBoundingClientRect();
    const [mx, my] = [event.clientX - area.left, event.clientY - area.top];
    let best = null, least = 18 * 18;
    for (const i of this.rows) {
      if (this.dim && !this.dim.has(i)) continue;
      const [x, y] = this.place(i);
      const distance = (x - mx) ** 2 + (y - my) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  hover(row, event) {
    this.root.style.cursor = row == null ? "" : "pointer";
    if (row == null) { this.box?.remove(); this.box = null; return; }
    this.box ??= this.root.appendChild(make("div", { class: "tip-box" }));
    this.box.textContent = this.describe(row);
    const [x, y] = this.place(row);
    this.box.style.left = x > this.width / 2 ? "" : `${x + 12}px`;
    this.box.style.right = x > this.width / 2 ? `${this.width - x + 12}px` : "";
    this.box.style.top = `${Math.min(y, this.height - 90)}px`;
  }

  step(event) {
    const move = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 10, ArrowDown: -10 }[event.key];
    if (!move || !this.order?.length) return;
    event.preventDefault();
    const order = this.dim ? this.order.filter((i) => this.dim.has(i)) : this.order;
    const here = order.indexOf(this.picked);
    const there = here < 0 ? 0 : Math.min(Math.max(here + move, 0), order.length - 1);
    if (order.length) this.pick(order[there], { quiet: true });
  }
}

/** From values to pixels, with round ticks. */
function scale(column, rows, guides, from, to) {
  let low = Infinity, high = -Infinity;
  for (const i of rows) { const v = column.values[i]; if (v < low) low = v; if (v > high) high = v; }
  for (const guide of guides) { if (guide.value < low) low = guide.value; if (guide.value > high) high = guide.value; }
  if (!Number.isFinite(low)) [low, high] = [0, 1]; // nothing is known yet
  if (low === high) { const pad = Math.abs(low) / 10 || 1; low -= pad; high += pad; }
  const pad = (high - low) * 0.04;
  low -= pad; high += pad;
  const rough = (high - low) / Math.max(3, (to > from ? to - from : 1.6 * (from - to)) / 95);
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= 0.7 * rough);
  if (column.integer) step = Math.max(1, step);
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) ticks.push(Math.abs(tick) < step / 1e6 ? 0 : tick);
  return { at: (value) => Math.round((from + ((value - low) / (high - low)) * (to - from)) * 10) / 10, ticks, step };
}

function tickText(column, value, step) {
  if (column.format === count || column.format === milliseconds) {
    return column.format(value).replace(/\.(\d*?)0+(?=\D|$)/, (_, digits) => (digits ? `.${digits}` : ""));
  }
  if (Math.abs(value) >= 1e5 || (value && step < 1e-4)) return value.toExponential(1);
  return value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/** What nothing beats: higher y, and less of x, or more where more is better. */
function frontOf(x, y, rows) {
  const known = rows.filter((i) => x.values[i] != null && y.values[i] != null);
  const sign = x.less ? 1 : -1;
  known.sort((a, b) => sign * (x.values[a] - x.values[b]) || y.values[b] - y.values[a]);
  const found = [];
  let best = -Infinity;
  for (const i of known) if (y.values[i] > best) { best = y.values[i]; found.push(i); }
  return found;
}
