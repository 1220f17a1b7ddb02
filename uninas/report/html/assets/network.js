// A network as stages that hold blocks, each of which unfolds to the drawings of its sub-blocks.

const KIND_NAMES = { c: "convolution", n: "norm", a: "activation", p: "pool", t: "attention", m: "merge", o: "other" };
const SIGNS = { added: "+", removed: "−", changed: "~" };

/** Names A, B, ... of distinct sub-blocks; two networks side by side share one. */
class Letters {
  constructor() { this.known = new Map(); }
  of(sign) {
    if (!this.known.has(sign)) {
      const n = this.known.size;
      this.known.set(sign, String.fromCharCode(65 + (n % 26)) + (n >= 26 ? Math.floor(n / 26) + 1 : ""));
    }
    return this.known.get(sign);
  }
}

/** The stages of network `row`; `marks` has the nodes to be marked by place, as "stage.block.subblock". */
function outline(drawings, row, letters, marks = {}) {
  const root = make("div");
  drawings.networks[row].forEach((number, place) => {
    const [name, output, params, macs, blocks] = drawings.stages[number];
    const stage = make("section", { class: "stage" });
    stage.append(make("header", {}, make("b", {}, name), make("span", { class: "quiet" }, output),
      make("span", { class: "number" }, count(params)), make("span", { class: "number" }, count(macs))));
    blocks.forEach((block, j) => stage.append(blockOf(drawings, block, `${place - 1}.${j}`, letters, marks)));
    root.append(stage);
  });
  return root;
}

function blockOf(drawings, number, place, letters, marks) {
  const [params, macs, panels] = drawings.blocks[number];
  let sub = -1;
  const parts = panels.map((index) => {
    const [width, height, kinds, words, sign, svg] = drawings.panels[index];
    const letter = sign < 0 ? "" : letters.of(sign);
    return { width, height, kinds, words, letter, svg, nodes: sign < 0 ? undefined : marks[`${place}.${++sub}`] };
  });
  const name = parts.map((part) => part.letter || (part.words.startsWith("down") ? "↓" : "")).join("");
  const changed = parts.some((part) => part.nodes);
  const strip = make("span", { class: "strip", "aria-hidden": "true" }, ...parts.map((part) =>
    make("span", {}, ...[...part.kinds].map((kind) => make("i", { class: kind })))));
  const block = make("details", { class: changed ? "block changed" : "block" },
    make("summary", { title: changed ? "differs" : null }, make("span", {}, name || "layers"), strip,
      make("span", { class: "number" }, count(params)), make("span", { class: "number" }, count(macs))));
  block.addEventListener("toggle", () => { if (block.open && block.children.length === 1) block.append(panelsOf(parts)); });
  return block;
}

/** The drawings of a block, made when it is unfolded. */
function panelsOf(parts) {
  const panels = make("div", { class: "panels" });
  for (const part of parts) {
    const figure = make("figure", {}, make("figcaption", { class: "quiet" }, part.letter ? `${part.letter}: ${part.words}` : part.words));
    const kinds = [...new Set(part.kinds)].map((kind) => KIND_NAMES[kind]).join(", ");
    figure.insertAdjacentHTML("beforeend",
      `<svg class="panel" role="img" aria-label="${escape(part.words)}: ${kinds}" width="${part.width + 4}" height="${part.height + 4}" viewBox="-2 -2 ${part.width + 4} ${part.height + 4}">${part.svg}</svg>`);
    for (const node of part.nodes || []) figure.querySelector(`[data-node="${node}"]`)?.classList.add("marked");
    panels.append(figure);
  }
  return panels;
}

/** [sign, place, how often, what] as a list. */
function changesOf(changes) {
  const list = make("ul", { class: "changes" });
  for (const [kind, place, places, what] of changes) {
    const others = places > 1 ? ` and ${places - 1} more` : "";
    list.append(make("li", {}, make("b", { title: kind }, SIGNS[kind]), what, make("span", { class: "quiet" }, ` ${words(place)}${others}`)));
  }
  return list;
}

/** What differs, folded where it is much. */
function against(title, changes) {
  const number = changes.length;
  if (!number) return make("p", { class: "against" }, `No difference from ${title}.`);
  const summary = make("summary", {}, `${number} difference${number > 1 ? "s" : ""} from ${title}`);
  const unfold = make("button", { type: "button", onclick: () => {
    for (const block of unfold.closest(".network").querySelectorAll(".block.changed")) block.open = true;
  } }, "unfold what differs");
  return make("details", { class: "against", open: number <= 6 }, summary, changesOf(changes), unfold);
}

/** stages[1].blocks[0].subblocks[1] -> stage 2, block 1, sub-block 2 */
function words(place) {
  return place.replace(/(stage|block|subblock)s\[(\d+)\]\.?/g, (_, what, n) => `${what === "subblock" ? "sub-block" : what} ${+n + 1}, `).replace(/, $/, "");
}
