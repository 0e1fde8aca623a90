// Line charts as SVG. Charts.draw(figure, chart) draws one; a pointer or the arrow keys read values off it.
"use strict";

const Charts = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const SHAPES = [
    "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z",
    "M-3.6,-3.6h7.2v7.2h-7.2Z",
    "M0,-4.8L4.5,3.4H-4.5Z",
    "M0,-5L5,0L0,5L-5,0Z",
    "M0,4.8L4.5,-3.4H-4.5Z",
    "M-1.6,-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3Z",
    "M0,-4.8L4.6,-1.5L2.8,3.9H-2.8L-4.6,-1.5Z",
    "M-4.6,-2.2h9.2v4.4h-9.2Z",
  ];
  const DASHES = ["", "7 3", "2 3", "9 3 2 3"];
  const MARGIN = { top: 12, right: 18, bottom: 40, left: 42 };
  const LABEL_HEIGHT = 14;
  const LETTER_WIDTH = 6.9;
  const NEAR = 44;

  function make(tag, attributes, parent, content) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (content !== undefined) element.textContent = content;
    if (parent) parent.append(element);
    return element;
  }

  // How the series of a slot looks: colour, shape and, from the second eight on, dashes.
  function look(slot) {
    return { colour: `var(--s${slot % 8})`, shape: SHAPES[slot % 8], dash: DASHES[Math.floor(slot / 8) % 4] };
  }

  // How the line of one of several ordered difficulties looks: from the easy to the hard colour.
  function orderedLook(place, number) {
    const hard = number < 2 ? 0 : Math.round((100 * place) / (number - 1));
    return { colour: `color-mix(in oklch, var(--easy), var(--hard) ${hard}%)`, shape: null, dash: DASHES[place % 4] };
  }

  function swatch(style) {
    const picture = document.createElementNS(SVG, "svg");
    picture.setAttribute("viewBox", "0 0 22 12");
    picture.setAttribute("aria-hidden", "true");
    picture.style.setProperty("--c", style.colour);
    make("path", { d: "M0,6H22", stroke: style.colour, "stroke-width": 1.75, "stroke-dasharray": style.dash }, picture);
    if (style.shape) make("path", { d: style.shape, transform: "translate(11,6)", fill: style.colour }, picture);
    return picture;
  }

  const shown = (number) => number.toLocaleString("en-US");

  function logTicks(from, to) {
    const ticks = [];
    for (let power = 1; power <= to; power *= 10) {
      for (const digit of [1, 2, 5]) if (digit * power >= from && digit * power <= to) ticks.push(digit * power);
    }
    return ticks;
  }

  // Where things are: functions from values to pixels.
  function scales(chart, width, height, right) {
    const along = chart.linear ? (x) => x : (x) => Math.log2(x);
    const [from, to] = [along(chart.from), along(chart.to)];
    const span = Math.max(to - from, 1e-9);
    const inner = width - MARGIN.left - right;
    return {
      x: (value) => MARGIN.left + inner * (0.015 + (0.97 * (along(value) - from)) / span),
      y: (share) => height - MARGIN.bottom - (height - MARGIN.top - MARGIN.bottom) * share,
    };
  }

  function drawAxes(svg, chart, at, width, height, right) {
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const y = at.y(share);
      make("line", { x1: MARGIN.left, x2: width - right, y1: y, y2: y, class: share ? "grid" : "axis" }, svg);
      make("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, svg, `${100 * share}%`);
    }
    let last = -Infinity;
    for (const tick of chart.ticks ?? logTicks(chart.from, chart.to)) {
      const [x, label] = [at.x(tick), shown(tick)];
      const half = (label.length * LETTER_WIDTH) / 2;
      make("line", { x1: x, x2: x, y1: at.y(0), y2: at.y(0) + 4, class: "axis" }, svg);
      if (x - half < last + 8) continue;
      make("text", { x, y: at.y(0) + 17, "text-anchor": "middle" }, svg, label);
      last = x + half;
    }
    const middle = (MARGIN.left + width - right) / 2;
    make("text", { x: middle, y: height - 4, "text-anchor": "middle" }, svg, chart.axis);
  }

  // How many iterations there were in training, over the lines so that the words can be read.
  function drawTrained(svg, chart, at) {
    if (!chart.trained || chart.trained < chart.from || chart.trained > chart.to) return;
    const x = at.x(chart.trained);
    make("line", { x1: x, x2: x, y1: at.y(1), y2: at.y(0), class: "trained" }, svg);
    make("text", { x: x + 5, y: at.y(0) - 6, class: "halo" }, svg, "most in training");
  }

  // Series are set apart a little, so that equal accuracies are not drawn over one another.
  function shifts(chart, at) {
    const number = chart.series.length;
    if (!chart.apart || number < 2) return chart.series.map(() => 0);
    const places = [...new Set(chart.series.flatMap((one) => one.points.map((point) => at.x(point.x))))];
    places.sort((a, b) => a - b);
    const gap = Math.min(...places.slice(1).map((x, i) => x - places[i]), 200);
    const step = Math.min(7, (0.6 * gap) / number);
    return chart.series.map((_, i) => (i - (number - 1) / 2) * step);
  }

  function drawSeries(svg, one, at, shift) {
    const group = make("g", { style: `--c:${one.look.colour}` }, svg);
    const places = one.points.map((point) => [at.x(point.x) + shift, at.y(point.y)]);
    const path = places.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
    make("path", { d: path, class: "line", "stroke-dasharray": one.look.dash }, group);
    one.points.forEach((point, i) => {
      const [x, y] = places[i];
      if (point.low !== undefined) {
        make("line", { x1: x, x2: x, y1: at.y(point.low), y2: at.y(point.high), class: "whisker" }, group);
      }
      if (one.look.shape) make("path", { d: one.look.shape, transform: `translate(${x},${y})`, class: "point" }, group);
    });
    return places;
  }

  // The name of each line at its end, one below the other where they would meet.
  function drawLabels(svg, chart, placed, height) {
    const taken = [];
    chart.series.forEach((one, i) => {
      const [x, y] = placed[i][placed[i].length - 1];
      const width = one.label.length * LETTER_WIDTH;
      const beside = taken.filter((box) => x < box.to && x + width > box.from);
      const meets = (line) => beside.some((box) => Math.abs(box.y - line) < LABEL_HEIGHT);
      const tries = [0, -1, 1, -2, 2, 3, 4, 5].map((step) => y + 4 + step * LABEL_HEIGHT);
      const inside = (line) => line >= MARGIN.top && line < height - MARGIN.bottom + LABEL_HEIGHT;
      const low = tries.find((line) => inside(line) && !meets(line)) ?? y + 4;
      taken.push({ from: x, to: x + width + 8, y: low });
      make("text", { x: x + 9, y: low, class: "direct", style: `--c:${one.look.colour}` }, svg, one.label);
    });
  }

  function drawLegend(figure, chart) {
    const list = document.createElement("ul");
    list.className = "legend";
    for (const one of chart.series) {
      const item = document.createElement("li");
      const name = document.createElement("span");
      name.textContent = one.name;
      item.append(swatch(one.look), name);
      list.append(item);
    }
    figure.append(list);
  }

  // One stop for the tab key; then arrows go along a line and from line to line.
  function addReading(figure, svg, chart, placed) {
    const tip = document.createElement("output");
    tip.className = "tip";
    tip.setAttribute("aria-live", "polite");
    figure.append(tip);
    const ring = make("circle", { r: 7.5, class: "cursor", visibility: "hidden" }, svg);
    let now = null;
    const hide = () => {
      tip.replaceChildren();
      ring.setAttribute("visibility", "hidden");
    };
    const show = (series, point) => {
      now = { series, point };
      const [x, y] = placed[series][point];
      const name = document.createElement("b");
      name.textContent = chart.series[series].name;
      tip.replaceChildren(name, chart.series[series].points[point].text);
      ring.setAttribute("cx", x);
      ring.setAttribute("cy", y);
      ring.setAttribute("visibility", "visible");
      const [wide, top] = [figure.clientWidth, svg.getBoundingClientRect().top - figure.getBoundingClientRect().top];
      tip.style.left = `${Math.max(0, Math.min(x + 14, wide - tip.offsetWidth))}px`;
      const above = top + y - tip.offsetHeight - 12;
      tip.style.top = `${above < 0 ? top + y + 14 : above}px`;
    };
    const nearest = (x, y, among) => {
      let best = { distance: Infinity };
      for (const series of among) {
        placed[series].forEach(([px, py], point) => {
          const distance = Math.hypot(px - x, y === null ? 0 : py - y);
          if (distance < best.distance) best = { distance, series, point };
        });
      }
      return best;
    };
    const all = chart.series.map((_, i) => i);
    const follow = (event) => {
      const box = svg.getBoundingClientRect();
      const found = nearest(event.clientX - box.left, event.clientY - box.top, all);
      if (found.distance <= NEAR) show(found.series, found.point);
      else if (document.activeElement !== svg) hide();
    };
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
    svg.addEventListener("pointerleave", () => document.activeElement !== svg && hide());
    svg.addEventListener("focus", () => now ?? show(0, 0));
    svg.addEventListener("blur", () => {
      now = null;
      hide();
    });
    svg.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && now) {
        now = null;
        hide();
        event.preventDefault();
        event.stopPropagation();
        return;
      }
      const { series, point } = now ?? { series: 0, point: 0 };
      const last = placed[series].length - 1;
      const steps = { ArrowLeft: Math.max(0, point - 1), ArrowRight: Math.min(last, point + 1), Home: 0, End: last };
      if (event.key in steps) show(series, steps[event.key]);
      else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
        const step = event.key === "ArrowUp" ? -1 : 1;
        const other = (series + step + all.length) % all.length;
        show(other, nearest(placed[series][point][0], null, [other]).point);
      } else return;
      event.preventDefault();
    });
  }

  // figure: the element to draw in, below its caption.
  // chart: {series: [{name, label, look, points: [{x, y, low?, high?, text}]}], axis, linear, from, to, ticks?, trained?,
  //   apart, direct, empty, description}; y, low and high are shares.
  function draw(figure, chart) {
    const caption = figure.querySelector("figcaption");
    figure.replaceChildren(caption);
    if (!chart.series.length) {
      const none = document.createElement("p");
      none.className = "quiet";
      none.textContent = chart.empty;
      figure.append(none);
      return;
    }
    const width = Math.max(figure.clientWidth, 240);
    const height = Math.round(Math.min(340, Math.max(230, 0.42 * width)));
    const longest = Math.max(...chart.series.map((one) => one.label.length)) * LETTER_WIDTH + 12;
    const direct = chart.direct && longest < 0.3 * width;
    const ends = scales(chart, width, height, MARGIN.right);
    const beyond = chart.series.some((one) => ends.x(one.points[one.points.length - 1].x) + longest > width);
    const right = direct && beyond ? longest : MARGIN.right;
    const svg = make("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, height, tabindex: 0, role: "group" });
    svg.setAttribute("aria-label", `${chart.description} Arrow keys read the values.`);
    figure.append(svg);
    const at = scales(chart, width, height, right);
    drawAxes(svg, chart, at, width, height, right);
    const apart = shifts(chart, at);
    const placed = chart.series.map((one, i) => drawSeries(svg, one, at, apart[i]));
    drawTrained(svg, chart, at);
    if (direct) drawLabels(svg, chart, placed, height);
    drawLegend(figure, chart);
    addReading(figure, svg, chart, placed);
  }

  return { draw, look, orderedLook, swatch, shown };
})();
