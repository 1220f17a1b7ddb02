// Data of the page: unpacked once; columns are arrays with one entry a candidate.
"use strict";

const $ = (id) => document.getElementById(id);

/** JSON of a script element that holds base64 of gzip. */
async function unpack(id) {
  const text = atob($(id).textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** An element with attributes, listeners and children. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** 26869652 -> 26.87M, as all of uninas writes counts. */
function count(value) {
  for (const [suffix, scale] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["K", 1e3]]) {
    if (Math.abs(value) >= scale) return (value / scale).toFixed(2) + suffix;
  }
  return String(Math.round(value));
}

/** A score, short. */
function score(value) {
  if (value == null) return "";
  const size = Math.abs(value);
  return size && (size < 1e-3 || size >= 1e5) ? value.toExponential(3) : value.toPrecision(5);
}

/** Seconds as milliseconds. */
const milliseconds = (value) => (value == null ? "" : `${(1000 * value).toPrecision(4)} ms`);

/** What can be plotted, sorted and filtered: name -> {values, format, less} with `less` where less is better. */
function columnsOf(data) {
  const columns = {};
  data.objectives.forEach((name, i) => {
    columns[i ? name : "score"] = { values: data.scores[i], format: score, label: i ? name : name.length > 34 ? "score" : `score (${name})` };
  });
  columns.params = { values: data.params, format: count, less: true, label: "parameters", integer: true };
  columns.MACs = { values: data.macs, format: count, less: true, label: "MACs", integer: true };
  for (const [name, values] of Object.entries(data.metrics)) {
    const less = data.minimised.includes(name);
    if (!columns[name]) columns[name] = { values, format: less ? milliseconds : score, less, label: name };
  }
  columns.evaluation = { values: data.number, format: String, label: "evaluation", integer: true };
  return columns;
}
