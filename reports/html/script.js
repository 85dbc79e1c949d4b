"use strict";
// What the page can do beyond being read: walk through the matrix, and draw any case's latencies against the baseline.
// Text only ever enters the page as text (textContent): names and answers are somebody else's.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const cases = new Map(data.cases.map((one) => [one.i, one]));
  const byId = (id) => document.getElementById(id);

  const make = (name, attributes = {}, text = "") => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };
  const draw = (name, attributes = {}, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };

  const sentence = (one) => {
    const why = one.reason ? `, ${one.reason}` : "";
    const parts = [`${one.name}: ${data.states[one.state]}${why}.`];
    if (one.figures) parts.push(`${one.figures[1]} of ${one.figures[0]} requests failed${one.errors ? ` (${one.errors})` : ""}.`);
    if (one.ratio) parts.push(`${one.ratio}.`);
    if (one.grounds) parts.push(`${one.grounds}.`);
    return parts.join(" ");
  };

  // ---- the matrix: one tab stop, arrows within --------------------------------------------------------------------
  const heat = document.querySelector(".heat");
  if (heat) {
    const rows = [...heat.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")]);
    const name = (row) => heat.tBodies[0].rows[row].querySelector("th").textContent;
    const names = (row, column) => (row === column ? name(row) : `${name(row)} + ${name(column)}`);
    const place = (cell) => [cell.parentNode.rowIndex - 1, cell.cellIndex - 1];
    const pointed = byId("pointed");
    const told = (cell) => {
      const found = cases.get(Number(cell.dataset.case));
      if (cell.dataset.case && found) return sentence(found);
      return `${names(...place(cell))}: ${cell.textContent ? "not in this report, but in the store" : data.states.missing}.`;
    };
    let current = rows[0][0];
    const stay = (cell) => {
      current.tabIndex = -1;
      current = cell;
      cell.tabIndex = 0;
    };
    current.tabIndex = 0;
    const steps = {
      ArrowLeft: (r, c) => [r, c - 1], ArrowRight: (r, c) => [r, c + 1], ArrowUp: (r, c) => [r - 1, c],
      ArrowDown: (r, c) => [r + 1, c], Home: (r) => [r, 0], End: (r) => [r, rows.length - 1],
    };
    heat.addEventListener("keydown", (event) => {
      const cell = event.target.closest("td");
      if (!cell) return;
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        cell.click();
      }
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const [row, column] = step(...place(cell));
      const next = rows[row]?.[column];
      if (!next) return;
      next.tabIndex = -1; // without one it takes no focus
      next.focus();
    });
    heat.addEventListener("focusin", (event) => {
      const cell = event.target.closest("tbody td");
      if (!cell) return;
      stay(cell);
      cell.setAttribute("aria-label", told(cell));
      pointed.textContent = told(cell);
    });
    heat.addEventListener("mouseover", (event) => {
      const cell = event.target.closest("tbody td");
      if (cell) pointed.textContent = told(cell);
    });
  }

  // ---- the latencies of one case ----------------------------------------------------------------------------------
  const picker = byId("case");
  const groups = new Map();
  for (const one of data.cases) {
    if (!groups.has(one.state)) groups.set(one.state, picker.appendChild(make("optgroup", { label: data.states[one.state] })));
    const failing = one.figures ? `, ${one.figures[1]} errors` : "";
    groups.get(one.state).append(make("option", { value: one.i }, one.name + failing));
  }
  byId("explorer-body").hidden = !data.cases.length;

  const beside = (one) => (one.control === null || one.control === undefined ? cases.get(0) : data.controls[one.control]);

  const show = (index) => {
    const one = cases.get(index);
    if (!one) return;
    picker.value = String(index);
    const base = one.i === 0 ? null : beside(one);
    byId("case-line").textContent = sentence(one);
    figures(one, base);
    chart(one, base);
    const answer = byId("answer");
    const body = one.body === undefined ? "" : data.bodies[one.body];
    answer.hidden = one.status === undefined && !body;
    answer.textContent = `last answer: ${one.status ?? "none"}\n${body}`;
  };

  const figures = (one, base) => {
    const table = byId("figures");
    table.replaceChildren();
    if (!one.figures) return;
    const head = table.createTHead().insertRow();
    for (const title of ["", ...data.figures]) head.append(make("th", { scope: "col" }, title));
    const body = table.createTBody();
    for (const [title, arm] of [[one.name, one], ["baseline", base]]) {
      if (!arm?.figures) continue;
      const row = body.insertRow();
      row.append(make("th", { scope: "row" }, title));
      for (const value of arm.figures) row.append(make("td", {}, value));
    }
  };

  const HEIGHT = 240, LEFT = 44, RIGHT = 12, TOP = 12, BOTTOM = 34;
  const LEAST = Math.LN10 / 2; // half a power of ten: latencies that are all but equal do not look far apart
  const BIN = 10 ** (1 / 20); // twenty bounds to each power of ten (reports/model.py)
  const shares = (arm) => {
    const all = (arm?.histogram ?? []).reduce((sum, [, many]) => sum + many, 0);
    return all ? arm.histogram.map(([upper, many]) => [upper / BIN, upper, (100 * many) / all]) : [];
  };
  const label = (us) => (us < 1000 ? `${us} µs` : us < 1e6 ? `${us / 1000} ms` : `${us / 1e6} s`);

  const chart = (one, base) => {
    const svg = byId("distribution");
    const width = Math.max(280, Math.round(svg.getBoundingClientRect().width) || 800);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.replaceChildren(draw("title", { id: "distribution-title" }, `Latencies of ${one.name}${base ? " and of the baseline" : ""}`));
    byId("name-case").textContent = one.name;
    for (const part of document.querySelectorAll("#name-base, .swatch.of-base")) part.hidden = !base;
    const ours = shares(one), theirs = shares(base);
    const both = [...ours, ...theirs];
    if (!ours.length) {
      const why = !one.figures ? "was not measured" : one.successes ? "has no stored samples" : "had no successful request";
      svg.append(draw("text", { x: width / 2, y: 18, "text-anchor": "middle" }, `This case ${why}.`));
    }
    if (!both.length) return;
    const middle = Math.log(Math.sqrt(Math.min(...both.map((bin) => bin[0])) * Math.max(...both.map((bin) => bin[1]))));
    const reach = Math.max(Math.log(Math.max(...both.map((bin) => bin[1])) * BIN) - middle, LEAST / 2);
    const low = middle - reach, high = middle + reach;
    const top = Math.max(...both.map((bin) => bin[2]));
    const x = (us) => LEFT + ((Math.log(us) - low) / (high - low)) * (width - LEFT - RIGHT);
    const y = (share) => HEIGHT - BOTTOM - (share / top) * (HEIGHT - TOP - BOTTOM - (ours.length ? 0 : 20));
    axes(svg, width, x, y, low, high, top);
    for (const [from, to, share] of ours) {
      svg.append(draw("rect", { class: "case-bar", x: x(from), y: y(share), width: Math.max(x(to) - x(from) - 0.5, 1), height: y(0) - y(share) }));
    }
    if (theirs.length) svg.append(draw("path", { class: "base-line", d: outline(theirs, x, y) }));
    for (const [arm, kind] of [[one, "case"], [base, "base"]]) {
      if (!arm?.p95) continue;
      const at = x(arm.p95 * 1000);
      svg.append(draw("line", { class: `p95 of-${kind}`, x1: at, x2: at, y1: TOP, y2: y(0) }));
      svg.append(draw("text", { class: `p95 of-${kind}`, x: at + 3, y: TOP + (kind === "case" ? 9 : 22) }, kind === "case" ? "p95" : "its p95"));
    }
  };

  // Bars that touch share a line; between others it falls to the axis.
  const outline = (bins, x, y) => bins.map(([from, to, share], at) => {
    const touches = at && bins[at - 1][1] >= from * 0.99;
    const gone = at + 1 < bins.length && bins[at + 1][0] * 0.99 <= to;
    return `${touches ? "L" : `M${x(from)} ${y(0)}L`}${x(from)} ${y(share)}L${x(to)} ${y(share)}${gone ? "" : `L${x(to)} ${y(0)}`}`;
  }).join("");

  const axes = (svg, width, x, y, low, high, top) => {
    const powers = (high - low) / Math.LN10;
    const digits = powers > (width < 500 ? 1.2 : 2.5) ? [1] : powers > 0.8 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
    for (let power = Math.floor(low / Math.LN10); power <= high / Math.LN10; power += 1) {
      for (const digit of digits) {
        const us = digit * 10 ** power;
        if (Math.log(us) < low || Math.log(us) > high) continue;
        svg.append(draw("line", { class: "grid", x1: x(us), x2: x(us), y1: y(top), y2: y(0) }));
        const at = Math.min(Math.max(x(us), 24), width - 28); // not cut off at either side
        svg.append(draw("text", { x: at, y: HEIGHT - 14, "text-anchor": "middle" }, label(us)));
      }
    }
    for (const share of [0, top / 2, top]) {
      svg.append(draw("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share) }));
      svg.append(draw("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, `${share < 10 && share ? share.toFixed(1) : Math.round(share)}%`));
    }
  };

  picker.addEventListener("change", () => show(Number(picker.value)));
  addEventListener("resize", () => show(Number(picker.value)));
  document.addEventListener("click", (event) => {
    const from = event.target.closest("button[data-case], .heat td[data-case]");
    if (!from || !cases.has(Number(from.dataset.case))) return;
    show(Number(from.dataset.case));
    byId("explorer").scrollIntoView();
    picker.focus({ preventScroll: true });
  });
  // The first that has something to draw beside the baseline.
  if (data.cases.length) show((data.cases.find((one) => one.histogram?.length && one.i) ?? data.cases[0]).i);

  // What is folded on the screen belongs on paper.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });
})();
