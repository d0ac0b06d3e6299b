"use strict";
// Without this script the pages are whole; with it they are live, and may be told to do something.

const format = (seconds) =>
  seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;

function tick() {
  for (const each of document.querySelectorAll("[data-since]")) {
    each.textContent = format(Math.max(0, Date.now() / 1000 - Number(each.dataset.since)));
  }
}

function prepare() {
  for (const button of document.querySelectorAll("button[data-url]")) {
    button.hidden = false;
    button.onclick = async () => {
      button.disabled = true;
      const { method, url } = button.dataset;
      const answer = await fetch(url, { method, headers: { "Content-Type": "application/json" }, body: "{}" });
      const facts = await answer.json();
      if (answer.ok && facts.page) location.assign(facts.page);
      else if (answer.ok) await refresh();
      else button.textContent = facts.detail;
    };
  }
  tick();
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = [...document.querySelectorAll("details")].map((each) => each.open);
  for (const name of ["header", "main"]) {
    document.querySelector(name).replaceWith(document.adoptNode(page.querySelector(name)));
  }
  document.querySelectorAll("details").forEach((each, place) => { each.open = open[place] ?? each.open; });
  document.title = page.title;
  prepare();
}

prepare();
setInterval(tick, 1000);
if (document.body.dataset.live) {
  new EventSource("/api/v1/changes").addEventListener("change", () => void refresh());
}
