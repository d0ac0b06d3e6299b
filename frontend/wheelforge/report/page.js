"use strict";
// What was built is a stranger's: text goes into the page as text, never as markup.

const facts = JSON.parse(document.getElementById("facts").textContent);
const PHASES = ["wait", "fetch", "unpack", "isolate", "ask", "sdist", "wheel", "check", "deliver", "other"];
const words = facts.words || {};
const OUTCOMES = ["built", "reused", "resumed", "fetched", "failed", "cancelled", "not-started"];
const VERDICTS = { resumed: "kept", "not-started": "not started" };
const spellOutcome = (outcome) => VERDICTS[outcome] || outcome;
const FIRST = ["failed", "cancelled"];

function find(id) {
  return document.getElementById(id);
}

function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function sortOf(phase) {
  const name = phase.replace(/^build /, "");
  if (name === "editable") return "wheel";
  return name === "metadata" || !PHASES.includes(name) ? "other" : name;
}

function spellSort(sort) {
  return words[sort] || words[`build ${sort}`] || "everything else";
}

// What stands in backticks in messages is code.
function markUp(text) {
  return text.split("`").map((part, number) => (number % 2 ? make("code", {}, part) : part));
}

function link(path, text = path) {
  const address = facts.links?.[path];
  return address ? make("a", { href: address }, text) : text;
}

function spellSeconds(seconds) {
  if (seconds === null) return "–";
  if (seconds < 0.0995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const pad = (number) => String(number).padStart(2, "0");
  return hours ? `${hours} h ${pad(minutes)} min` : `${minutes} min ${pad(rest)} s`;
}

function spellBytes(bytes) {
  if (!bytes) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(4, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${power && amount < 100 ? amount.toFixed(1) : Math.round(amount)} ${units[power]}`;
}

function spellShare(part, whole) {
  const percent = whole ? (100 * part) / whole : 0;
  return percent && percent < 1 ? "<1 %" : `${Math.round(percent)} %`;
}

function spellPython(build) {
  return build.python ? `Python ${build.python}` : "";
}

function readBuild(build, number) {
  const start = build.started === null ? null : Date.parse(build.started) / 1000;
  const end = start === null ? null : start + build.seconds;
  const phases = build.phases
    .map((phase) => ({ ...phase, sort: sortOf(phase.name), start: Date.parse(phase.started) / 1000 }))
    .sort((one, other) => one.start - other.start);
  const words = [
    build.label, build.source, build.python, build.outcome, build.era || "",
    build.error ? `${build.error.code} ${build.error.message}` : "",
    findBackend(build), ...build.artifacts.map((artifact) => artifact.name),
  ];
  return { ...build, id: build.id || String(number), backendName: findBackend(build), tags: listTags(build), number, start, end, phases, haystack: words.join(" ").toLowerCase() };
}

// "setuptools.build_meta" is of setuptools, "flit_core.buildapi" of flit-core.
function findBackend(build) {
  const names = (build.backend || "").split(":")[0].split(".");
  const guesses = names.map((_, count) => names.slice(0, count + 1).join("-").replace(/_/g, "-")).reverse();
  const known = { mesonpy: "meson-python" };
  const found = guesses.map((name) => build.environment.find((wheel) => wheel.name === (known[name] || name))).find(Boolean);
  return found ? `${found.name} ${found.version}` : build.backend || "";
}

function listTags(build) {
  const wheels = build.artifacts.filter((artifact) => artifact.kind === "wheel");
  return wheels.map((artifact) => artifact.name.replace(/[.]whl$/, "").split("-").slice(-3).join("-"));
}

const isFirst = (build) => (FIRST.includes(build.outcome) ? 0 : 1);
const builds = [...facts.builds].sort((one, other) => isFirst(one) - isFirst(other)).map(readBuild);
const begun = builds.filter((build) => build.start !== null);
const origin = Math.min(...begun.map((build) => build.start));
const wall = begun.length ? Math.max(...begun.map((build) => build.end)) - origin : 0;

// How long all builds together, or one, were in each sort of phase; what is in none is "other".
function addUp(chosen) {
  const sums = Object.fromEntries(PHASES.map((sort) => [sort, 0]));
  for (const build of chosen) {
    let rest = build.seconds || 0;
    for (const phase of build.phases) {
      sums[phase.sort] += phase.seconds;
      rest -= phase.seconds;
    }
    sums.other += Math.max(0, rest);
  }
  return sums;
}

function swatch(sort) {
  return make("span", { className: `swatch phase-${sort}`, ariaHidden: "true" });
}

function showHead() {
  const { failed, cancelled, "not-started": left = 0 } = facts.totals;
  const plural = (count) => `${count.toLocaleString()} ${count === 1 ? "build" : "builds"}`;
  const bad = [[failed, "failed"], [cancelled, "cancelled"], [left, "not started"]].filter(([count]) => count);
  const said = bad.map(([count, word]) => `${count.toLocaleString()} ${word}`).join(", ");
  const verdict = bad.length ? `${said} of ${plural(builds.length)}` : builds.length ? `${plural(builds.length)}, all well` : "No builds";
  find("verdict").textContent = verdict;
  document.title = `${verdict} · wheelforge`;
  const moment = begun.length ? new Date(origin * 1000) : new Date(facts.written);
  find("when").textContent = moment.toLocaleString(undefined, { dateStyle: "long", timeStyle: "medium" });
  if (facts.error) {
    find("ending").hidden = false;
    find("ending").replaceChildren("Ended early: ", ...markUp(facts.error.message));
  }
  const { name, version } = facts.generator;
  find("footer").textContent = `${name} ${version} · report schema ${facts.schema}`;
}

function showTotals() {
  const busy = begun.reduce((sum, build) => sum + build.seconds, 0);
  const cpu = builds.reduce((sum, build) => sum + build.cpu_seconds, 0);
  const bytes = facts.artifacts.reduce((sum, artifact) => sum + artifact.size, 0);
  const totals = [
    [builds.length === 1 ? "build" : "builds", builds.length.toLocaleString()],
    ...OUTCOMES.filter((kind) => facts.totals[kind]).map((kind) => [spellOutcome(kind), facts.totals[kind].toLocaleString()]),
    ["wall time", spellSeconds(wall)],
    ["work", spellSeconds(busy)],
    ["at once, on average", wall ? (busy / wall).toFixed(1) : "–"],
    ["processor time", spellSeconds(cpu)],
    ["peak memory", spellBytes(builds.reduce((most, build) => Math.max(most, build.peak_memory || 0), 0))],
    [facts.artifacts.length === 1 ? "artifact" : "artifacts", facts.artifacts.length.toLocaleString()],
    ["size of artifacts", spellBytes(bytes)],
  ];
  const columns = totals.length > 7 ? Math.ceil(totals.length / 2) : totals.length;
  find("totals").style.setProperty("--columns", columns);
  find("totals").style.setProperty("--last", (totals.length - 1) % columns + 1);  // it fills its row
  find("totals").append(...totals.map(([term, value]) => make("div", {}, make("dt", {}, term), make("dd", {}, value))));
}

function showShares() {
  const sums = addUp(begun);
  const used = PHASES.filter((sort) => sums[sort] > 0);
  const whole = used.reduce((sum, sort) => sum + sums[sort], 0);
  find("phases").hidden = !used.length;
  for (const sort of used) {
    const share = make("span", { className: `phase-${sort}`, title: `${spellSort(sort)}: ${spellSeconds(sums[sort])}` });
    share.style.flex = `${sums[sort] / whole} 1 0`;
    find("share").append(share);
    find("legend").append(make("li", {}, swatch(sort), make("b", {}, spellSort(sort)),
      make("span", {}, spellSeconds(sums[sort])), make("span", { className: "quiet" }, spellShare(sums[sort], whole))));
  }
  find("share").ariaLabel = used.map((sort) => `${spellSort(sort)} ${spellShare(sums[sort], whole)}`).join(", ");
}

function listSteps(build) {
  const sums = addUp([build]);
  const steps = PHASES.filter((sort) => sums[sort] > 0.0005).map((sort) => make("li", {}, swatch(sort),
    make("span", {}, spellSort(sort)), make("span", { className: "amount" }, spellSeconds(sums[sort]))));
  return make("ul", { className: "steps" }, ...steps);
}
