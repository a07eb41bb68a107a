"use strict";
// What makes a complete page handier: sorting, finding, copying, folding, light and dark. All that is
// used for it is made here, so that a page without its script has no button that does nothing.

(() => {
  const make = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const button = (words, act) => make("button", { type: "button", textContent: words, onclick: act });
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // --- the page: light and dark, folding ---

  const root = document.documentElement;
  const KEY = "inspect-theme";
  const remembered = () => {
    try { return localStorage.getItem(KEY); } catch { return null; }
  };
  const remember = (theme) => {
    try { localStorage.setItem(KEY, theme); } catch { /* a page from a file may have no storage */ }
  };
  const show = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };

  const themes = () => {
    const choice = make("select");
    for (const [value, words] of [["auto", "as the system"], ["light", "light"], ["dark", "dark"]]) {
      choice.append(make("option", { value, textContent: words }));
    }
    const before = remembered();
    choice.value = before === "light" || before === "dark" ? before : "auto";
    show(choice.value);
    choice.onchange = () => { show(choice.value); remember(choice.value); };
    return make("label", {}, "Colours ", choice);
  };

  const folding = () => {
    const folds = () => all("details").filter((one) => !one.closest("tbody"));
    const made = button("Unfold all", () => {
      const open = !folds().every((one) => one.open);
      for (const one of folds()) one.open = open;
      made.textContent = open ? "Fold all" : "Unfold all";
    });
    return made;
  };

  const tools = make("div", { className: "tools page" }, themes());
  if (all("details").length) tools.append(folding());
  document.querySelector("header.top").append(tools);

  // What is folded is printed unfolded, and folded again.
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = all("details:not([open])").filter((one) => !one.closest("tbody"));
    for (const one of unfolded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of unfolded) one.open = false;
  });

  // --- copying ---

  const copy = async (text, pressed) => {
    const words = pressed.textContent;
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = make("textarea", { value: text, className: "unseen" });
      document.body.append(field);
      field.select();
      done = document.execCommand("copy");
      field.remove();
      pressed.focus();
    }
    pressed.textContent = done ? "Copied" : "Not copied";
    setTimeout(() => { pressed.textContent = words; }, 1500);
  };

  // A cell's word: of one that folds, what is there while it is shut.
  const word = (cell) => (cell.querySelector("summary") ?? cell).textContent.trim();
  // And what is folded in, as a cell of its own.
  const cells = (cell) => {
    const fold = cell.querySelector("details");
    if (!fold) return [word(cell)];
    const texts = [...fold.childNodes].filter((one) => one.nodeType === Node.TEXT_NODE);
    return [word(cell), texts.map((one) => one.textContent.trim()).join(" ")];
  };
  const rowsOf = (table) => [...table.tBodies[0].rows];
  // A cell of a number as one; NaN where it is none.
  const figure = (words) => {
    const plain = words.replaceAll(",", "").replace(" %", "").replace("inf", "Infinity")
      .replace(/^(under|over) /, "");
    return plain === "" ? NaN : Number.parseFloat(plain);
  };
  // No spreadsheet takes a name for a formula: such a one gets a leading quote, as in csv.
  const guard = (cell) => (/^[=+@-]./.test(cell) && Number.isNaN(figure(cell)) ? `'${cell}` : cell);
  const tsv = (table) => {
    const heads = [...table.tHead.rows[0].cells].flatMap((one) => (
      one.classList.contains("folds") ? [word(one), "why"] : [word(one)]
    ));
    const rows = rowsOf(table).filter((one) => one.dataset.found !== "no")
      .map((row) => [...row.cells].flatMap(cells));
    return [heads, ...rows].map((row) => row.map(guard).join("\t")).join("\n");
  };

  // --- sorting ---

  const collator = new Intl.Collator("en", { numeric: true });
  const sort = (table, column, down) => {
    const numbers = table.classList.contains(`n${column + 1}`);
    const keyed = rowsOf(table).map((row, at) => {
      const words = word(row.cells[column]);
      return { row, at, key: numbers ? figure(words) : words };
    });
    const sign = down ? -1 : 1;
    keyed.sort((a, b) => {
      // What is unknown stands last, whichever way it is sorted.
      const gone = (one) => (numbers ? Number.isNaN(one.key) : one.key === "");
      if (gone(a) || gone(b)) return gone(a) - gone(b) || a.at - b.at;
      const order = numbers ? (a.key > b.key) - (a.key < b.key) : collator.compare(a.key, b.key);
      return sign * order || a.at - b.at;
    });
    table.tBodies[0].append(...keyed.map((one) => one.row));
    table.dispatchEvent(new Event("sorted"));
  };
  const sorts = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const pressed = button(head.textContent.trim(), () => {
        const numbers = table.classList.contains(`n${column + 1}`);
        const was = head.getAttribute("aria-sort");
        // Of numbers the largest are looked for.
        const down = was ? was === "ascending" : numbers;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down);
      });
      head.replaceChildren(pressed);
    });
  };

  // --- finding ---

  const plural = (many, words) => `${many.toLocaleString("en")} ${words}${many === 1 ? "" : "s"}`;
  const chips = (table, column, chosen, changed) => {
    const times = new Map();
    for (const row of rowsOf(table)) {
      const role = word(row.cells[column]);
      times.set(role, (times.get(role) ?? 0) + 1);
    }
    if (times.size < 2) return [];
    return [...times].map(([role, many]) => {
      const chip = button(`${role} ${many.toLocaleString("en")}`, () => {
        const on = chosen.delete(role) ? false : Boolean(chosen.add(role));
        chip.setAttribute("aria-pressed", String(on));
        changed();
      });
      chip.setAttribute("aria-pressed", "false");
      return chip;
    });
  };
  // Of thousands of rows the browser lays out the first few hundred that are found, unless asked.
  const FEW = 400;
  const finds = (table) => {
    const chosen = new Set();
    const column = [...table.tHead.rows[0].cells].findIndex((one) => one.classList.contains("folds"));
    // What is folded away is not searched: a row that is found shows why.
    const searched = new Map(
      rowsOf(table).map((row) => [row, [...row.cells].map(word).join("\n").toLowerCase()]),
    );
    const field = make("input", { type: "search", placeholder: "a name, a dtype, a shape" });
    const told = make("span", { className: "told" });
    told.setAttribute("role", "status");
    let most = FEW;
    const more = button("Show all", () => { most = Infinity; changed(); });
    const changed = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      for (const row of rowsOf(table)) {
        const said = searched.get(row);
        const fits = words.every((one) => said.includes(one))
          && (!chosen.size || chosen.has(word(row.cells[column])));
        found += fits;
        row.hidden = !fits || found > most;
        row.dataset.found = fits ? "" : "no";
      }
      const all = plural(searched.size, "row");
      const part = found === searched.size ? all : `${found.toLocaleString("en")} of ${all}`;
      more.hidden = found <= most;
      told.textContent = more.hidden ? part : `${part}, the first ${most.toLocaleString("en")} shown`;
    };
    field.oninput = () => { clearTimeout(field.waiting); field.waiting = setTimeout(changed, 120); };
    table.addEventListener("sorted", changed);
    const group = make("div", { className: "chips" });
    if (column >= 0) group.append(...chips(table, column, chosen, changed));
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", `Only these: ${table.tHead.rows[0].cells[column]?.textContent ?? ""}`);
    changed();
    return [make("label", {}, "Find ", field), told, more, ...(group.childElementCount ? [group] : [])];
  };

  for (const one of all("[data-copies]")) {
    const copying = button("Copy", () => copy(one.textContent.trim(), copying));
    one.after(" ", copying);
  }

  for (const table of all("table.sorts")) {
    if (!table.tBodies[0].rows.length) continue;
    const [field, told, more, ...rest] = table.classList.contains("finds") ? finds(table) : [];
    const copying = button("Copy table", () => copy(tsv(table), copying));
    copying.className = "end";
    sorts(table);
    const parts = [field, told, more, copying, ...rest].filter(Boolean);
    table.closest(".scrolls").before(make("div", { className: field ? "tools" : "tools alone" }, ...parts));
  }

  // A tensor's name is copied from where its evidence is unfolded: thousands of buttons would be in the way.
  addEventListener("toggle", ({ target }) => {
    const row = target instanceof HTMLDetailsElement && target.open && target.closest("tbody tr");
    if (!row || target.querySelector("button")) return;
    const copying = button("Copy name", () => copy(word(row.cells[0]), copying));
    target.append(make("div", {}, copying));
  }, true);
})();
