// What the pages gain where scripts run; without it they work by links and forms alone.
// Follows the event stream and brings the page up to date in place, so that focus, scroll position
// and what is typed stay; asks before what cannot be undone; walks cells by arrow keys.
"use strict";
(() => {
  const root = document.documentElement;
  const main = document.getElementById("main");
  const pulse = document.getElementById("pulse");
  const announcer = document.getElementById("announcer");
  const ask = document.getElementById("ask");
  root.classList.add("js");

  // --- Bring one tree to look like another, keeping every node that can be kept ---

  // Attributes that belong to the person or to this script rather than to the server.
  const kept = (node, name) =>
    (name === "open" && node.matches("details, dialog")) ||
    (name === "tabindex" && node.classList.contains("cell"));

  function morphAttributes(from, to) {
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !kept(from, name)) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value && !kept(from, name)) from.setAttribute(name, value);
    }
  }

  const alike = (a, b) =>
    a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

  function morph(from, to) {
    if (from.isEqualNode(to)) return;
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    if (from.matches("input, textarea, select") && from === document.activeElement) return;
    morphAttributes(from, to);
    const wanted = new Set([...to.children].map((child) => child.id).filter(Boolean));
    for (const child of [...from.children]) {
      if (child.id && !wanted.has(child.id)) child.remove();
    }
    const byId = new Map([...from.children].filter((c) => c.id).map((c) => [c.id, c]));
    let cursor = from.firstChild;
    for (const child of [...to.childNodes]) {
      const match = child.id ? byId.get(child.id) : cursor && alike(cursor, child) ? cursor : null;
      if (!match || !alike(match, child)) {
        from.insertBefore(document.importNode(child, true), cursor);
        continue;
      }
      if (match === cursor) cursor = cursor.nextSibling;
      else from.insertBefore(match, cursor);
      morph(match, child);
    }
    while (cursor) {
      const next = cursor.nextSibling;
      cursor.remove();
      cursor = next;
    }
  }

  // --- Show what the server sent ---

  function show(html) {
    const page = new DOMParser().parseFromString(html, "text/html");
    const fresh = page.getElementById("main");
    if (!fresh || !page.querySelector(".frame")) return false;
    const focused = document.activeElement;
    const focusedId = focused && focused.id;
    const wasAction = focused && focused.closest(".actions");
    const before = main.dataset.announce;
    morph(main, fresh);
    document.title = page.title;
    if (focusedId && document.activeElement !== focused) {
      const next = wasAction && main.querySelector(".head .actions button");
      (document.getElementById(focusedId) || next || main).focus({ preventScroll: true });
    }
    if (main.dataset.announce && main.dataset.announce !== before) {
      announcer.textContent = main.dataset.announce;
    }
    prepare();
    return true;
  }

  function signedOut() {
    const dialog = document.getElementById("signed-out");
    const link = dialog.querySelector("[data-sign-in]");
    link.href = "/login?next=" + encodeURIComponent(location.pathname + location.search);
    if (!dialog.open) dialog.showModal();
  }

  // Fetches a page of the console; undefined once the session has ended.
  async function page(address, options) {
    const response = await fetch(address, { credentials: "same-origin", ...options });
    if (response.status === 401 || new URL(response.url).pathname === "/login") {
      signedOut();
      return undefined;
    }
    return { address: response.url, html: await response.text() };
  }

  let refreshing = false;
  let isStale = false;
  let timer = 0;
  let costMs = 0;

  async function refresh() {
    timer = 0;
    if (main.hasAttribute("data-still")) return;
    if (document.hidden || refreshing) {
      isStale = true;
      return;
    }
    refreshing = true;
    isStale = false;
    const began = performance.now();
    try {
      const answer = await page(location.href);
      if (answer) show(answer.html);
    } catch {
      isStale = true;
    }
    costMs = performance.now() - began;
    refreshing = false;
    if (isStale) soon();
  }

  // At most a fifth of the time goes into refreshing, however large the page is.
  function soon() {
    isStale = true;
    if (!timer) timer = setTimeout(refresh, Math.min(10000, Math.max(200, 4 * costMs)));
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && isStale) soon();
  });

  // --- The event stream ---

  function connection(state, words) {
    if (pulse.dataset.state === state) return;
    pulse.dataset.state = state;
    pulse.textContent = words;
  }

  // Reads the stream by hand: events of every kind matter alike, and a 401 must be seen.
  async function follow() {
    let delayMs = 500;
    for (;;) {
      try {
        const response = await fetch("/api/v1/events", { headers: { accept: "text/event-stream" } });
        if (response.status === 401) return signedOut();
        if (!response.ok) throw new Error(response.statusText);
        connection("live", "Live");
        delayMs = 500;
        soon();
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
          if (/^data:/m.test(part.value)) soon();
        }
      } catch {
        // Falls through to the next attempt: the server restarts, or the network is away.
      }
      connection("lost", "Reconnecting");
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      delayMs = Math.min(8000, 2 * delayMs);
    }
  }

  // --- Times that go on ---

  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  function spell(seconds) {
    const at = Math.max(0, units.findIndex(([, size]) => seconds >= size));
    if (seconds < 1) return "0 s";
    const [name, size] = units[at];
    const next = units[at + 1];
    const rest = next ? Math.floor((seconds % size) / next[1]) : 0;
    return `${Math.floor(seconds / size)} ${name}` + (rest ? ` ${rest} ${next[0]}` : "");
  }

  function ago(seconds) {
    if (seconds < 2) return "just now";
    const [name, size] = units.find(([, length]) => seconds >= length);
    return `${Math.floor(seconds / size)} ${name} ago`;
  }

  function tick() {
    const now = Date.now();
    const age = (text) => Math.max(0, Math.floor((now - Date.parse(text)) / 1000));
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const words = ago(age(time.dateTime));
      if (time.textContent !== words) time.textContent = words;
    }
    for (const node of document.querySelectorAll("[data-elapsed]")) {
      node.textContent = spell(age(node.dataset.elapsed));
    }
  }

  // --- Cells: one tab stop for each ring, arrow keys within, and a word on what lies under ---

  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);
  let tipped = null;

  function explain(cell) {
    tipped = cell;
    tip.hidden = !cell;
    if (!cell) return;
    tip.textContent = cell.getAttribute("aria-label");
    const box = cell.getBoundingClientRect();
    const below = box.bottom + 6 + tip.offsetHeight < innerHeight;
    tip.style.top = `${below ? box.bottom + 6 : Math.max(4, box.top - 6 - tip.offsetHeight)}px`;
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8))}px`;
  }

  function prepare() {
    for (const group of document.querySelectorAll("[data-roving]")) {
      const cells = [...group.querySelectorAll(".cell")];
      const stop = cells.find((cell) => cell.tabIndex === 0 && cell.hasAttribute("tabindex")) || cells[0];
      for (const cell of cells) {
        const index = cell === stop ? "0" : "-1";
        if (cell.getAttribute("tabindex") !== index) cell.setAttribute("tabindex", index);
      }
    }
    if (tipped) explain(tipped.isConnected ? tipped : null);
    scrub();
    tick();
  }

  // The cell straight above or below: the nearest in the next line of the picture.
  function vertical(cells, from, sign) {
    const here = from.getBoundingClientRect();
    const boxes = cells.map((cell) => [cell, cell.getBoundingClientRect()]);
    const beyond = boxes.filter(([, box]) => sign * (box.top - here.top) > 2);
    if (!beyond.length) return undefined;
    const line = beyond.reduce((best, [, box]) => (sign * (box.top - best) < 0 ? box.top : best), beyond[0][1].top);
    const distance = ([, box]) => Math.abs(box.left - here.left);
    return beyond
      .filter(([, box]) => Math.abs(box.top - line) < 2)
      .reduce((best, next) => (distance(next) < distance(best) ? next : best))[0];
  }

  function walk(event, group, cell) {
    const cells = [...group.querySelectorAll(".cell")];
    const at = cells.indexOf(cell);
    const target = {
      ArrowRight: () => cells[at + 1],
      ArrowLeft: () => cells[at - 1],
      ArrowDown: () => vertical(cells, cell, 1),
      ArrowUp: () => vertical(cells, cell, -1),
      Home: () => cells[0],
      End: () => cells[cells.length - 1],
    }[event.key];
    if (!target) return;
    event.preventDefault();
    const next = target();
    if (!next) return;
    cell.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  }

  const cellOf = (event) => (event.target.closest ? event.target.closest(".cell") : null);
  document.addEventListener("pointerover", (event) => explain(cellOf(event)));
  document.addEventListener("focusin", (event) => explain(cellOf(event)));
  document.addEventListener("focusout", () => explain(null));
  document.addEventListener("scroll", () => explain(null), { passive: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") explain(null);
    const cell = cellOf(event);
    const group = cell && cell.closest("[data-roving]");
    if (group) walk(event, group, cell);
  });

  // --- The timeline: one decision at a time, and where it stands in the charts ---

  // The decision that a person looks at; none: the latest, whatever comes.
  let looked = null;

  function scrub() {
    const range = document.querySelector("[data-scrub]");
    if (!range) return;
    const last = Number(range.max);
    const number = Math.min(looked || last, last);
    if (Number(range.value) !== number) range.value = number;
    for (const moment of document.getElementById("moments").children) {
      const isShown = moment.id === `moment-${number}`;
      if (moment.hidden === isShown) moment.hidden = !isShown;
      if (!isShown) continue;
      range.setAttribute("aria-valuetext", moment.innerText);
      const path = looked ? `M${moment.dataset.x} 0V300` : "";
      for (const cursor of document.querySelectorAll("[data-cursor]")) cursor.setAttribute("d", path);
    }
  }
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-scrub]")) return;
    const number = Number(event.target.value);
    looked = number === Number(event.target.max) ? null : number;
    scrub();
  });

  // --- The planner: which devices and when, while it is written ---

  let previewTimer = 0;
  let previewed = 0;

  async function preview() {
    const output = document.getElementById("preview");
    const fields = [...document.querySelectorAll("[data-preview]")];
    const asked = new URLSearchParams(fields.map((field) => [field.name, field.value]));
    const number = ++previewed;
    const response = await fetch(`/api/v1/rollouts/preview?${asked}`, { credentials: "same-origin" });
    if (response.status === 401) return signedOut();
    const answer = await response.json();
    // A later one may have overtaken it.
    if (number !== previewed || !output) return;
    output.textContent = response.ok ? answer.text : answer.detail;
    output.classList.toggle("wrong", !response.ok);
  }
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-preview]")) return;
    clearTimeout(previewTimer);
    previewTimer = setTimeout(() => preview().catch(() => {}), 250);
  });

  // --- Forms: sent and shown in place; what cannot be undone is asked about in a dialog ---

  async function question(form) {
    const address = new URL(form.action);
    address.search = new URLSearchParams(new FormData(form));
    const answer = await page(address);
    if (!answer) return;
    const fresh = new DOMParser().parseFromString(answer.html, "text/html").getElementById("confirm");
    if (!fresh) return void show(answer.html);
    ask.replaceChildren(document.importNode(fresh, true));
    ask.showModal();
    const first = ask.querySelector("textarea") || ask.querySelector("[data-close]");
    first.focus();
  }

  async function send(form) {
    if ("sending" in form.dataset) return;
    form.dataset.sending = "";
    try {
      const answer = await page(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (ask.open) ask.close();
      if (answer) show(answer.html);
    } catch {
      announcer.textContent = "The server cannot be reached; nothing was changed.";
      connection("lost", "Reconnecting");
    }
    delete form.dataset.sending;
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("[action='/logout']") || form.matches("[data-live-form]")) return;
    if (form.querySelector("[data-ask]")) {
      event.preventDefault();
      question(form).catch(() => form.submit());
    } else if (form.method === "post") {
      event.preventDefault();
      send(form);
    }
  });
  document.addEventListener("click", (event) => {
    const close = event.target.closest("dialog [data-close]");
    if (!close) return;
    event.preventDefault();
    close.closest("dialog").close();
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-live-form]");
    if (form && event.target.matches("select")) form.requestSubmit();
  });

  prepare();
  setInterval(tick, 1000);
  follow();
})();
