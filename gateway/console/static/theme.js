// Before anything is drawn: the theme this browser chose, if it chose one.
"use strict";
(() => {
  const chosen = localStorage.getItem("tollway-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
