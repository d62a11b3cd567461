"use strict";
// Search and filter for the connections, and the opening of link targets. The page is complete without this script.
(() => {
  const form = document.getElementById("filter");
  const connections = [...document.querySelectorAll("details.connection")];

  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (!target) return;
    for (let at = target; at; at = at.parentElement) {
      if (at instanceof HTMLDetailsElement) at.open = true;
    }
    if (target.hidden && form) {
      form.reset();
      apply();
    }
    target.scrollIntoView();
  };

  const closedForPrint = [];
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open])")) {
      one.open = true;
      closedForPrint.push(one);
    }
  });
  addEventListener("afterprint", () => {
    for (const one of closedForPrint.splice(0)) one.open = false;
  });

  // Lower-cased text of each connection, read at its first search.
  const texts = new Map();
  const textOf = (one) => {
    if (!texts.has(one)) texts.set(one, one.textContent.toLowerCase());
    return texts.get(one);
  };

  function apply() {
    const words = document.getElementById("filter-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const severity = document.getElementById("filter-severity").value;
    const rule = document.getElementById("filter-rule").value;
    let shown = 0;
    for (const one of connections) {
      const severities = one.dataset.severities.split(" ");
      const fits =
        (!severity || (severity === "none" ? !one.dataset.rules : severities.includes(severity))) &&
        (!rule || one.dataset.rules.split(" ").includes(rule)) &&
        words.every((word) => textOf(one).includes(word));
      one.hidden = !fits;
      shown += fits;
    }
    const filtered = words.length || severity || rule;
    document.getElementById("filter-count").textContent = filtered
      ? `${shown} of ${connections.length} connections shown here match`
      : "";
  }

  const openAll = (open) => {
    for (const one of connections) {
      if (!one.hidden) one.open = open;
    }
  };

  if (form && connections.length > 1) {
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("open-all").addEventListener("click", () => openAll(true));
    document.getElementById("close-all").addEventListener("click", () => openAll(false));
    apply();
  }
  addEventListener("hashchange", reveal);
  reveal();
})();
