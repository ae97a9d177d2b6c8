// What pages do besides being read: the theme's switch, the state line, wide tables from the keyboard, and asking before
// what stops something.
"use strict";
(() => {
  const root = document.documentElement;

  const toggle = document.getElementById("theme");
  if (toggle) {
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      const dark = root.dataset.theme
        ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      localStorage.setItem("tollway-theme", root.dataset.theme);
    });
  }

  for (const form of document.querySelectorAll("form[data-ask]")) {
    form.addEventListener("submit", (event) => {
      if (!confirm(form.dataset.ask)) event.preventDefault();
    });
  }

  // What is wider than the screen can be scrolled from the keyboard, and is no stop of it otherwise.
  const reach = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const each of document.querySelectorAll(".scroll")) reach.observe(each);
  // On a phone the days that count are those at the end.
  for (const each of document.querySelectorAll("[data-latest]")) each.scrollLeft = each.scrollWidth;

  const state = document.getElementById("state");
  if (!state) return;
  const line = state.querySelector(".line");
  const numbers = state.querySelector(".numbers");
  const events = new EventSource("/console/live");
  events.addEventListener("state", (event) => {
    const pulse = JSON.parse(event.data);
    state.dataset.level = pulse.level;
    // Said aloud by screen readers when it changes, not every two seconds.
    if (line.textContent !== pulse.line) line.textContent = pulse.line;
    const parts = [`${pulse.in_flight} in flight`];
    if (pulse.requests !== null) parts.push(`${pulse.requests} requests/min`);
    if (pulse.failed !== null) parts.push(`${(pulse.failed * 100).toFixed(1)} % failed`);
    numbers.textContent = parts.join("  ·  ");
  });
  events.addEventListener("error", () => {
    state.dataset.level = "unknown";
    line.textContent = "Not connected: what this page shows may be old.";
    numbers.textContent = "";
  });
})();
