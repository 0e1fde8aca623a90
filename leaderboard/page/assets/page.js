// Sorting, filter, charts, details and theme. All of it is extra: the tables stand in the page without it.
"use strict";

(() => {
  const FIRST_SHOWN = 8;
  const DIRECT_LABELS = 4;
  const THEME_KEY = "easy-to-hard-theme";
  const byId = (id) => document.getElementById(id);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;

  const sections = new Map();
  const rows = new Map();
  for (const section of JSON.parse(byId("data").textContent).sections) {
    const table = document.querySelector(`table[data-section="${CSS.escape(section.id)}"]`);
    // Which rows are in the chart, each in a slot that gives it its colour and shape.
    sections.set(section.id, { ...section, table, slots: new Map() });
    for (const row of section.rows) rows.set(row.id, { ...row, section: section.id });
  }

  // --- Theme: the system's, until somebody chooses.

  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const labelTheme = () => {
    byId("theme").textContent = dark() ? "Light theme" : "Dark theme";
  };
  byId("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem(THEME_KEY, document.documentElement.dataset.theme);
    } catch {
      // Not remembered, then.
    }
    labelTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", labelTheme);
  labelTheme();

  // --- Sorting: numbers from large to small first, text from A to Z; what has no value is always last.

  function sort(table, heading) {
    const headings = [...heading.parentElement.cells];
    const column = headings.indexOf(heading);
    const now = heading.getAttribute("aria-sort");
    const order = now ? (now === "ascending" ? "descending" : "ascending") : heading.dataset.first;
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order);
    const text = heading.classList.contains("text");
    const value = (row) => row.cells[column].dataset.value;
    const compare = (a, b) => {
      const [left, right] = [value(a), value(b)];
      if (left === "" || right === "") return (left === "") - (right === "");
      const difference = text ? left.localeCompare(right, "en", { numeric: true }) : left - right;
      return order === "ascending" ? difference : -difference;
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(compare));
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const button of table.tHead.querySelectorAll("button")) {
      button.addEventListener("click", () => sort(table, button.closest("th")));
    }
  }

  // --- Charts.

  const rowOf = (id) => document.querySelector(`tr[data-id="${CSS.escape(id)}"]`);

  function freeSlot(section) {
    const used = new Set(section.slots.values());
    let slot = 0;
    while (used.has(slot)) slot += 1;
    return slot;
  }

  function pick(section, id, on) {
    if (on) section.slots.set(id, freeSlot(section));
    else section.slots.delete(id);
    const row = rowOf(id);
    row.querySelector("input").checked = on;
    row.querySelector(".swatch").replaceChildren(...(on ? [Charts.swatch(Charts.look(section.slots.get(id)))] : []));
  }

  function difficultyPoint(section, [difficulty, accuracy, low, high, right, items]) {
    const counts = `${Charts.shown(right)} of ${Charts.shown(items)}`;
    const text = `${section.axis} ${Charts.shown(difficulty)}: ${percent(accuracy)} (${percent(low)} to ${percent(high)}), ${counts}`;
    return { x: difficulty, y: accuracy, low, high, text };
  }

  function drawSection(section) {
    const figure = document.querySelector(`.chart[data-section="${CSS.escape(section.id)}"]`);
    const drawn = section.rows.filter((row) => section.slots.has(row.id) && !rowOf(row.id).hidden);
    const ticks = [...new Set(drawn.flatMap((row) => row.points.map((point) => point[0])))];
    Charts.draw(figure, {
      series: drawn.map((row) => ({
        name: row.name,
        label: row.label,
        look: Charts.look(section.slots.get(row.id)),
        points: row.points.map((point) => difficultyPoint(section, point)),
      })),
      axis: section.axis,
      linear: section.linear,
      from: section.from,
      to: section.to,
      ticks: [...new Set([...ticks, section.from, section.to])].sort((a, b) => a - b),
      apart: true,
      direct: drawn.length <= DIRECT_LABELS,
      empty: "Nothing to draw: no row is both shown and ticked.",
      description: `Accuracy against ${section.axis}, ${drawn.length} results.`,
    });
  }

  function drawThinking(figure) {
    const row = rows.get(figure.dataset.id);
    const section = sections.get(row.section);
    const curves = row.runs[figure.dataset.run];
    const last = Math.max(2, ...curves.map(([, iterations]) => iterations[iterations.length - 1]));
    Charts.draw(figure, {
      series: curves.map(([difficulty, iterations, accuracies], i) => ({
        name: `${section.axis} ${Charts.shown(difficulty)}`,
        label: Charts.shown(difficulty),
        look: Charts.orderedLook(i, curves.length),
        points: iterations.map((iteration, t) => ({
          x: iteration,
          y: accuracies[t],
          text: `iteration ${Charts.shown(iteration)}: ${percent(accuracies[t])}`,
        })),
      })),
      axis: "iterations",
      linear: false,
      from: 1,
      to: last,
      trained: row.trained,
      apart: false,
      direct: true,
      empty: "",
      description: `Accuracy against iterations, ${curves.length} difficulties.`,
    });
  }

  for (const section of sections.values()) {
    section.rows.slice(0, FIRST_SHOWN).forEach((row) => pick(section, row.id, true));
    section.table.addEventListener("change", (event) => {
      pick(section, event.target.closest("tr").dataset.id, event.target.checked);
      drawSection(section);
    });
  }

  // Drawn for the width that there is, and again when it changes.
  const widths = new WeakMap();
  const watch = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      if (!contentRect.width || widths.get(target) === contentRect.width) continue;
      widths.set(target, contentRect.width);
      if (target.dataset.chart === "thinking") drawThinking(target);
      else drawSection(sections.get(target.dataset.section));
    }
  });
  document.querySelectorAll(".chart").forEach((figure) => watch.observe(figure));

  // --- Filter.

  function filter() {
    const wanted = byId("filter-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const provenance = byId("filter-provenance").value;
    let left = 0;
    for (const section of sections.values()) {
      let here = 0;
      for (const row of section.table.tBodies[0].rows) {
        const fits = wanted.every((word) => row.dataset.text.includes(word));
        row.hidden = !fits || Boolean(provenance && row.dataset.provenance !== provenance);
        here += row.hidden ? 0 : 1;
      }
      section.table.querySelector(".nothing").hidden = here > 0;
      left += here;
      drawSection(section);
    }
    const total = Charts.shown(rows.size);
    byId("filter-count").textContent = left ? `${Charts.shown(left)} of ${total} results` : `none of ${total} results`;
  }
  byId("filter").addEventListener("input", filter);
  byId("filter").addEventListener("change", filter);
  byId("filter").addEventListener("submit", (event) => event.preventDefault());
  // The fields are empty only after the event.
  byId("filter").addEventListener("reset", () => setTimeout(filter));

  // --- Details, in a window of their own; the address names the result that is shown.

  const dialog = byId("window");
  let home = null;

  function putBack() {
    if (!home) return;
    home.place.append(home.article);
    home.article.id = home.id;
    home = null;
  }

  function open(id) {
    putBack();
    const article = byId(id);
    home = { article, id, place: article.parentElement };
    // Without its id the browser does not scroll to what is in the window.
    article.removeAttribute("id");
    byId("window-body").replaceChildren(article);
    byId("window-link").value = location.href.split("#")[0] + "#" + id;
    byId("window-copy").textContent = "Copy link";
    document.querySelectorAll("tr.marked").forEach((row) => row.classList.remove("marked"));
    const row = rowOf(id);
    row.classList.add("marked");
    dialog.setAttribute("aria-label", `Details of ${rows.get(id).name}`);
    if (!dialog.open) {
      row.scrollIntoView({ block: "center", behavior: "instant" });
      dialog.showModal();
    }
    article.focus({ preventScroll: true });
    dialog.scrollTop = 0;
  }

  function follow() {
    const id = decodeURIComponent(location.hash.slice(1));
    if (rows.has(id)) {
      if (home?.id !== id || !dialog.open) open(id);
    } else if (dialog.open) dialog.close();
  }

  dialog.addEventListener("close", () => {
    // The event comes a little later: by then another result may be shown.
    if (dialog.open) return;
    const id = home?.id;
    putBack();
    if (id && location.hash === "#" + id) history.replaceState(null, "", location.href.split("#")[0]);
    if (id) rowOf(id).querySelector("a").focus({ preventScroll: true });
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  byId("window-close").addEventListener("click", () => dialog.close());
  byId("window-copy").addEventListener("click", async () => {
    const field = byId("window-link");
    field.select();
    let copied = false;
    try {
      await navigator.clipboard.writeText(field.value);
      copied = true;
    } catch {
      copied = document.execCommand("copy");
    }
    byId("window-copy").textContent = copied ? "Copied" : "Press Ctrl+C";
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.open");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    // The address changes without the jump that following the link would make.
    history.pushState(null, "", link.getAttribute("href"));
    follow();
  });
  addEventListener("hashchange", follow);
  addEventListener("popstate", follow);
  follow();
})();
