// What belongs together: a dot, a line of the table and a network are chosen at once, wherever one is chosen.

async function start() {
  const data = await unpack("data");
  const drawings = await unpack("drawings");
  const columns = columnsOf(data);
  const all = data.key.map((_, i) => i);
  const runOf = (i) => data.runs[data.run[i]];
  const several = data.runs.length > 1;
  const remark = (i) => {
    const run = runOf(i), parts = [];
    if (i === run.best) parts.push(run.finished ? "found" : "best so far");
    if (i === run.start) parts.push("start");
    else if (data.number[i] < run.begun) parts.push("there at the beginning");
    if (data.origin[i]) parts.push(data.origin[i]);
    if (data.failed[i]) parts.push(data.failed[i]);
    return parts.join(", ");
  };
  const scoreOf = (i) => {
    const value = columns.score.values[i];
    if (value == null) return data.fresh[i] ? "" : "none";
    return `${score(value)}${data.error[i] == null ? "" : ` ± ${score(data.error[i])}`}`;
  };
  const describe = (i) => [
    `${data.key[i]}${several ? ` · ${runOf(i).label}` : ""}`,
    scoreOf(i) && `score ${scoreOf(i)}`,
    data.fresh[i] ? `${score(data.fresh[i][0])} on fresh seeds` : "",
    `${count(data.params[i])} parameters, ${count(data.macs[i])} MACs`,
    data.moves[data.move[i]], remark(i),
  ].filter(Boolean).join("\n");

  // One network, beside another.
  const facts = (i, title) => {
    const list = make("dl");
    const add = (name, ...values) => { if (values[0]) list.append(make("dt", {}, name), make("dd", {}, ...values)); };
    add("key", data.key[i]);
    add("cost", `${count(data.params[i])} parameters, ${count(data.macs[i])} MACs`);
    add("score", scoreOf(i));
    if (data.fresh[i]) add("on fresh seeds", `${score(data.fresh[i][0])}${data.fresh[i][1] == null ? "" : ` ± ${score(data.fresh[i][1])}`}`);
    add("move", data.moves[data.move[i]]);
    if (data.parent[i] >= 0) add("parent", make("button", { type: "button", class: "link", onclick: () => choose(data.parent[i]) }, data.key[data.parent[i]]));
    add("remark", remark(i));
    return make("header", {}, make("h3", {}, title), list);
  };
  const pair = (row, other, title, otherTitle, changes) => {
    const letters = new Letters();
    const mine = make("article", { class: "network" }, facts(row, title));
    if (changes) mine.append(against(otherTitle, changes[0]));
    mine.append(outline(drawings, row, letters, changes ? changes[1] : {}));
    const root = make("div", { class: "pair" }, mine);
    if (other != null && other !== row) root.append(make("article", { class: "network" }, facts(other, otherTitle), outline(drawings, other, letters)));
    return root;
  };

  // The network found.
  const winner = () => {
    const run = data.runs[$("winner-run")?.value || 0];
    $("unfold").setAttribute("aria-pressed", "false");
    $("unfold").textContent = "unfold all";
    if (run.best == null) { $("winner-view").textContent = "No network has a score yet."; return; }
    const asParent = $("winner-other").value === "parent" && data.parent[run.best] >= 0;
    const [other, changes] = asParent ? [data.parent[run.best], drawings.changes[run.best]] : drawings.sinceStart[run.best] || [null, null];
    $("winner-view").replaceChildren(pair(run.best, other, "the network found", asParent ? "its parent" : "the start", other === run.best ? null : changes));
    $("commands").replaceChildren(...commands(run, data));
  };
  $("winner-run")?.addEventListener("change", winner);
  $("winner-other").addEventListener("change", winner);
  $("unfold").addEventListener("click", () => {
    const open = $("unfold").getAttribute("aria-pressed") !== "true";
    for (const block of document.querySelectorAll("#winner-view .block")) block.open = open;
    $("unfold").setAttribute("aria-pressed", String(open));
    $("unfold").textContent = open ? "fold all" : "unfold all";
  });
  winner();

  // Plots.
  const plots = [];
  const plot = (id, show) => {
    if (!$(id)) return null;
    const made = new Plot($(id), { pick: choose, describe });
    plots.push(made);
    show(made);
    return made;
  };
  const stars = data.runs.flatMap((run) => [
    ...(run.start == null ? [] : [{ row: run.start, name: several ? "" : "start" }]),
    ...(run.best == null ? [] : [{ row: run.best, name: several ? run.label : run.finished ? "found" : "best so far" }]),
  ]);
  const lineage = (row) => { const path = [row]; while (data.parent[path[0]] >= 0) path.unshift(data.parent[path[0]]); return path; };
  const walks = data.runs.some((run) => run.trail.length);
  $("trail-name").textContent = walks ? "the walk" : "lineage of what was found";
  const scatter = (made) => {
    const x = columns[$("axis-x").value], y = columns[$("axis-y").value];
    const points = (rows) => rows.map((i) => [x.values[i], y.values[i]]).filter(([a, b]) => a != null && b != null);
    const guides = [], lines = [];
    if ($("show-limits").checked) {
      for (const [axis, column] of [["x", x], ["y", y]]) guides.push(...limitsOf(data, axis, column, columns));
    }
    if ($("show-front").checked && !y.less) lines.push({ style: "front", steps: true, points: points(frontOf(x, y, all)) });
    if ($("show-trail").checked) {
      data.runs.forEach((run, i) => {
        const rows = run.trail.length ? run.trail : run.best == null ? [] : lineage(run.best);
        lines.push({ style: "trail", run: i, points: points(rows) });
      });
    }
    const fresh = y === columns.score ? data.fresh : {};
    made.show({ x, y, rows: all, fresh, runs: several ? data.run : null, error: $("show-error").checked && y === columns.score ? data.error : null, lines, guides, stars });
  };
  for (const [name, column] of Object.entries(columns)) {
    $("axis-x").append(make("option", { value: name }, column.label));
    $("axis-y").append(make("option", { value: name }, column.label));
  }
  $("axis-x").value = "params";
  $("axis-y").value = "score";
  const main = plot("scatter", scatter);
  for (const id of ["axis-x", "axis-y", "show-error", "show-limits", "show-front", "show-trail"]) $(id).addEventListener("change", () => scatter(main));
  for (const button of document.querySelectorAll(".matrix button")) {
    button.addEventListener("click", () => {
      $("axis-x").value = button.dataset.x;
      $("axis-y").value = button.dataset.y;
      scatter(main);
      $("explore").scrollIntoView({ behavior: "smooth" });
    });
  }
  plot("best", (made) => {
    const lines = data.runs.map((run, r) => {
      const points = [];
      let best = -Infinity;
      const rows = all.filter((i) => data.run[i] === r);
      for (const i of rows) {
        const value = columns.score.values[i];
        if (value != null && value > best) { best = value; points.push([data.number[i], value]); }
      }
      const last = rows.findLast((i) => columns.score.values[i] != null);
      if (last != null) points.push([data.number[last], best]);
      return { style: "step", run: r, steps: true, points };
    });
    made.show({ x: columns.evaluation, y: columns.score, rows: all, runs: several ? data.run : null, error: data.error, lines });
  });
  plot("noise", (made) => made.show({ x: columns.evaluation, y: { values: data.error, format: score, label: "standard error" }, rows: all, runs: several ? data.run : null }));

  // The table.
  const text = (name, label, value) => ({ name, label, text: true, format: String, values: all.map(value) });
  const shown = [
    ...(several ? [text("run", "run", (i) => runOf(i).label)] : []),
    { name: "number", label: "#", values: data.number, format: String, less: true },
    text("key", "key", (i) => data.key[i]),
    ...Object.entries(columns).filter(([name]) => name !== "evaluation").flatMap(([name, column]) => [
      { ...column, name, label: name },
      ...(name === "score" ? [{ name: "error", label: "±", values: data.error, format: score }] : []),
    ]),
    text("move", "move", (i) => data.moves[data.move[i]]),
    text("remark", "remark", remark),
  ];
  const haystack = all.map((i) => `${data.key[i]} ${data.moves[data.move[i]]} ${remark(i)} ${runOf(i).label}`.toLowerCase());
  const table = new Candidates($("candidates"), shown, {
    pick: choose,
    search: (i) => haystack[i],
    filtered: (rows) => plots.forEach((made) => made.highlight(rows)),
  });

  function choose(row, { quiet = false } = {}) {
    for (const made of plots) made.select(row);
    table.select(row);
    const parent = data.parent[row];
    $("candidate").replaceChildren(pair(row, parent >= 0 ? parent : null, `candidate ${data.number[row]}${several ? ` of ${runOf(row).label}` : ""}`, "its parent", drawings.changes[row]),
      ...(quiet ? [] : keep(runOf(row), data.key[row])));
    $("candidate").dataset.row = row;
  }

  const redraw = () => plots.forEach((made) => made.draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => { document.documentElement.dataset.print = ""; redraw(); });
  addEventListener("afterprint", () => { delete document.documentElement.dataset.print; redraw(); });
  document.documentElement.dataset.ready = "";
}

/** Limits of all runs on one axis. */
function limitsOf(data, axis, column, columns) {
  const names = { max_params: columns.params, min_params: columns.params, max_macs: columns.MACs, min_macs: columns.MACs };
  const found = new Map();
  for (const run of data.runs) {
    for (const [name, value] of Object.entries(run.limits)) {
      const of = names[name] || Object.entries(columns).find(([metric]) => name.endsWith("latency") && metric.startsWith("latency"))?.[1];
      if (value && of === column) found.set(`${name}${value}`, { axis, value, text: `${name.startsWith("max") ? "at most" : "at least"} ${column.format(value)}` });
    }
  }
  return [...found.values()];
}

/** Lines to copy: what to do with the network found. */
function commands(run, data) {
  const file = run.finished ? `${run.folder}/best.yaml` : `${run.folder}/best_so_far.yaml`;
  const found = run.finished ? [] : keep(run, data.key[run.best], "best_so_far.yaml");
  const path = quoted(file);
  return [
    ...found,
    code("Build it in Python", `import uninas\n\ng = uninas.Genotype.load(${JSON.stringify(file)})\nnet = uninas.build(g, num_classes=1000, seed=0)\nbackbone = uninas.build(g, features_only=True, out_indices=(0, 1, 2, 3))`),
    code("Draw it for a paper", `uninas draw ${path} --out network.pdf`),
    code("Train it on ImageNet", `uninas train ${path} --protocol imagenet --data-root data/imagenet --out runs/imagenet`),
    code("Export it to mmdetection", `uninas export-backbone ${path} --to mmdet --framework mask_rcnn --weights runs/imagenet/epoch_150.pth --out exported/mmdet`),
  ];
}

/** Lines to copy: a candidate as a file. */
function keep(run, key, name) {
  const target = name ? `${run.folder}/${name}` : `${key}.yaml`;
  const python = `from uninas.search import Study; Study.open(${JSON.stringify(run.folder)}).genotype("${key}").save(${JSON.stringify(target)})`;
  return [code("Keep it as a file", `python -c ${quoted(python)}`)];
}

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

function code(title, text) {
  const copy = make("button", { type: "button", onclick: async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "copied";
    setTimeout(() => { copy.textContent = "copy"; }, 1500);
  } }, "copy");
  return make("div", {}, make("span", { class: "quiet" }, title), make("div", { class: "code" }, make("pre", {}, text), ...(navigator.clipboard ? [copy] : [])));
}

start().catch((error) => {
  $("problem").hidden = false;
  $("problem").textContent = typeof DecompressionStream === "undefined"
    ? "This browser is too old to unpack the report: Chrome 80, Firefox 113 or Safari 16.4 is needed."
    : `The report is damaged: ${error}`;
  console.error(error);
});
