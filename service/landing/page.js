"use strict";
const result = document.getElementById("result");
const runs = new Map();
const shownHeaders = JSON.parse(document.getElementById("headers").textContent);

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "width") made.style.width = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function bytes(count) {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(2)} MB`;
}

function milliseconds(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function stages(header) {
  return (header || "").split(",").map((part) => {
    const [name, ...rest] = part.trim().split(";");
    const found = rest.map((word) => word.trim()).find((word) => word.startsWith("dur="));
    return { name, duration: found ? Number(found.slice(4)) : 0 };
  }).filter((stage) => stage.name);
}

function bars(className, rows) {
  const longest = Math.max(...rows.map((row) => row.duration), 0.001);
  const grid = element("div", { class: className });
  for (const row of rows) {
    const share = Math.max(0.5, (100 * row.duration) / longest);
    grid.append(element("span", {}, row.name), element("i", { width: `${share}%` }), element("b", {}, milliseconds(row.duration)));
  }
  return grid;
}

function figure(name, value, className = "") {
  return element("div", {}, element("dt", {}, name), element("dd", { class: className }, value));
}

async function run(path, method = "GET") {
  const started = performance.now();
  let response;
  let body;
  try {
    response = await fetch(path, { method, headers: { Accept: "application/json" } });
    body = await response.text();
  } catch (error) {
    result.replaceChildren(element("p", { class: "hint" }, `No response: ${error.message}`));
    return;
  }
  const took = performance.now() - started;
  const timing = performance.getEntriesByName(new URL(path, location.href).href).at(-1);
  const plain = new TextEncoder().encode(body).length;
  const wire = timing && timing.encodedBodySize && timing.transferSize ? timing.encodedBodySize : plain;
  const fromBrowser = timing && timing.transferSize === 0 && method === "GET";
  const history = [...(runs.get(path) || []), took].slice(-6);
  runs.set(path, history);

  const again = element("button", { type: "button" }, "Send again");
  again.addEventListener("click", () => run(path, method));
  const open = element("a", { href: path }, "Open the response");
  const named = shownHeaders.filter((name) => response.headers.has(name) && name !== "Server-Timing");
  let text = body;
  try {
    text = JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    // not JSON: shown unchanged
  }
  result.replaceChildren(
    element("dl", { class: "figures" },
      figure("status", String(response.status), response.ok ? "" : "bad"),
      figure("until complete", milliseconds(took)),
      figure("on the wire", fromBrowser ? "0 B" : bytes(wire)),
      figure("uncompressed", bytes(plain))),
    element("p", { class: "caption" }, "Time on the server"),
    bars("stages mono", stages(response.headers.get("Server-Timing"))),
    element("p", { class: "caption" }, history.length > 1 ? "Times of the last requests" : "Send again to see the effect of a cache"),
    bars("runs mono", history.map((duration, index) => ({ name: `${index + 1}`, duration }))),
    element("p", { class: "caption" }, "Headers"),
    element("pre", {}, named.map((name) => `${name}: ${response.headers.get(name)}`).join("\n") || "none of the headers below"),
    element("p", { class: "caption" }, "Body"),
    element("pre", {}, text.length > 4000 ? `${text.slice(0, 4000)}\n…` : text),
    element("div", { class: "again" }, again, method === "GET" ? open : ""));
}

function choose(link) {
  for (const other of document.querySelectorAll(".examples a[aria-current]")) other.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  run(link.getAttribute("href"));
}

for (const link of document.querySelectorAll(".examples a")) {
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    choose(link);
    if (matchMedia("(max-width: 820px)").matches) result.scrollIntoView({ behavior: "smooth", block: "start" });
  });
}
document.getElementById("raise").addEventListener("click", () => {
  run("/error", "POST");
  result.scrollIntoView({ behavior: "smooth", block: "nearest" });
});
choose(document.querySelector(".examples a"));
