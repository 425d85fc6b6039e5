"use strict";
// Keeps a page up to date. Its words come from the server as they did before; only what is live is drawn here.
(() => {
  const paused = () => document.querySelector("[data-pause]")?.getAttribute("aria-pressed") === "true";

  // What is alike stays as it is, so that nobody loses the place where they are; a row of another run is another row.
  function merge(shown, fresh) {
    if (shown.isEqualNode(fresh)) return;
    const target = (node) => (node.nodeName === "TR" ? node.querySelector("a")?.getAttribute("href") : null);
    const alike =
      shown.nodeType === Node.ELEMENT_NODE &&
      shown.nodeName === fresh.nodeName &&
      shown.childNodes.length === fresh.childNodes.length &&
      target(shown) === target(fresh);
    if (!alike) {
      shown.replaceWith(document.adoptNode(fresh));
      return;
    }
    for (const { name } of [...shown.attributes]) if (!fresh.hasAttribute(name)) shown.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
    const children = [...fresh.childNodes];
    [...shown.childNodes].forEach((child, place) => merge(child, children[place]));
  }

  async function refresh() {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) return location.reload();
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live]");
    const shown = document.querySelector("[data-live]");
    if (fresh && shown) merge(shown, fresh);
    else location.reload();
  }

  // The same, one at a time; what goes wrong is tried again the next time.
  let busy = false;
  function update() {
    if (busy || paused() || document.hidden) return;
    busy = true;
    refresh().catch(() => {}).finally(() => (busy = false));
  }

  const live = document.querySelector("[data-live]");
  const seconds = Number(live?.dataset.live);
  if (seconds) setInterval(update, seconds * 1000);

  const pause = document.querySelector("[data-pause]");
  if (pause) {
    pause.hidden = false;
    pause.setAttribute("aria-pressed", "false");
    pause.addEventListener("click", () => {
      pause.setAttribute("aria-pressed", String(!paused()));
      pause.textContent = paused() ? "Go on updating" : "Pause updates";
    });
  }

  const charts = document.querySelector("[data-events]");
  if (!charts) return;

  const LEFT = 62, RIGHT = 988, TOP = 12, BOTTOM = 122;
  const number = (text) => {
    const value = parseFloat(text);
    if (!Number.isFinite(value)) return null;
    return text.endsWith("us") ? value / 1000 : text.endsWith("ms") || !text.endsWith("s") ? value : value * 1000;
  };

  // What was seen before, where the page was looked at before.
  const place = `crucible ${charts.dataset.run}`;
  let points = [];
  try {
    points = JSON.parse(sessionStorage.getItem(place) ?? "[]");
  } catch {
    points = [];
  }

  function node(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // A round number that is not exceeded, half of which is round as well.
  function ceiling(value) {
    if (!(value > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 3, 4, 6, 8, 10].map((factor) => factor * power).find((step) => step >= value * 1.02) ?? 20 * power;
  }

  const plain = (value) => (value >= 10000 ? `${+(value / 1000).toPrecision(3)} k` : String(+value.toPrecision(3)));
  const clock = (at) => (at < 60 ? `${Math.round(at)} s` : `${Math.floor(at / 60)}:${String(Math.round(at % 60)).padStart(2, "0")}`);

  function draw(figure) {
    const key = figure.dataset.chart;
    const seen = points.filter((point) => point[key] !== null);
    const top = ceiling(Math.max(0, ...seen.map((point) => point[key])));
    const x = (at) => LEFT + ((RIGHT - LEFT) * at) / 100;
    const y = (value) => BOTTOM - ((BOTTOM - TOP) * value) / top;
    const parts = [];
    for (const value of [0, top / 2, top]) {
      parts.push(node("path", { class: "grid", d: `M${LEFT} ${y(value)}H${RIGHT}` }));
      parts.push(node("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, plain(value)));
    }
    const total = Number(charts.dataset.seconds);
    for (const at of total ? [0, 25, 50, 75, 100] : []) {
      parts.push(node("text", { x: x(at), y: BOTTOM + 20, "text-anchor": at === 100 ? "end" : "middle" }, clock((total * at) / 100)));
    }
    if (seen.length > 0) {
      const line = seen.map((point, index) => `${index ? "L" : "M"}${x(point.at).toFixed(1)} ${y(point[key]).toFixed(1)}`).join("");
      const last = seen[seen.length - 1];
      parts.push(node("path", { class: "area", d: `${line}L${x(last.at).toFixed(1)} ${BOTTOM}L${x(seen[0].at).toFixed(1)} ${BOTTOM}Z` }));
      parts.push(node("path", { class: "trace s1", d: line }));
      parts.push(node("circle", { class: "dot", cx: x(last.at).toFixed(1), cy: y(last[key]).toFixed(1), r: 4 }));
    }
    figure.querySelector("svg").replaceChildren(...parts);
  }

  function take(run) {
    const at = number(run.progress ?? "");
    if (run.started_at && run.ends_at) charts.dataset.seconds = String(Math.max(1, Math.round((Date.parse(run.ends_at) - Date.parse(run.started_at)) / 1000)));
    if (run.phase === "Executing" && at !== null && run.queries_per_second) {
      const point = { at, queries_per_second: number(run.queries_per_second), p95: number(run.p95 ?? ""), error_rate: number(run.error_rate ?? "") };
      points = [...points.filter((before) => before.at < at), point];
      try {
        sessionStorage.setItem(place, JSON.stringify(points));
      } catch {
        // A full or forbidden storage costs only the line that was drawn before a reload.
      }
    }
    show();
  }

  function show() {
    charts.hidden = points.length === 0;
    charts.querySelectorAll("[data-chart]").forEach(draw);
  }

  show();
  const stream = new EventSource(charts.dataset.events);
  stream.addEventListener("run", (event) => {
    take(JSON.parse(event.data));
    update();
  });
  for (const end of ["end", "gone", "denied"]) {
    stream.addEventListener(end, () => {
      stream.close();
      location.reload();
    });
  }
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
})();
