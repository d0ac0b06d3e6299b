// The failures, and the table of all builds, which can be filtered and sorted.

const COLUMNS = [
  { key: "label", title: "Source", read: (build) => build.label.toLowerCase(), name: "label" },
  { key: "outcome", title: "Outcome", read: (build) => OUTCOMES.indexOf(build.outcome) * -1, name: "outcome" },
  { key: "seconds", title: "Time", read: (build) => build.seconds ?? -1, name: "number seconds", falls: true },
  { key: "cpu", title: "Processor", read: (build) => build.cpu_seconds, name: "number cpu", falls: true },
  { key: "peak", title: "Memory", read: (build) => build.peak_memory || 0, name: "number peak", falls: true },
  { key: "start", title: "Start", read: (build) => build.start ?? Infinity, name: "number start" },
  { key: "phases", title: "Phases", read: (build) => build.phases.length, name: "phases", fixed: true },
];
const GROUP_SIZE = 20;
const table = { rows: [], details: new Map(), column: null, falls: false, outcome: "", isReady: false };

function showLog(build, isOpen) {
  const lines = build.tail ? build.tail.split("\n").length : 0;
  if (lines <= SHOWN_LINES) return null;
  const log = make("details", { className: "log", open: isOpen },
    make("summary", {}, lines === 1 ? "The last line of its log" : `The last ${lines} lines of its log`));
  // A thousand logs are drawn only where somebody looks.
  const fill = () => {
    if (!log.open || log.querySelector("pre")) return;
    const text = make("pre", { tabIndex: 0 }, build.tail);
    log.append(text);
    text.scrollTop = text.scrollHeight;
  };
  log.addEventListener("toggle", fill);
  fill();
  return log;
}

const SHOWN_LINES = 10;

function showError({ error, tail }) {
  const lines = (tail || error.log_tail || "").split("\n").slice(-SHOWN_LINES).join("\n");
  return [
    make("p", { className: "message" }, ...markUp(error.summary ?? error.message.split("\n")[0])),
    error.detail ? make("pre", { className: "detail" }, ...markUp(error.detail)) : null,
    lines && !error.summary?.endsWith(lines) ? make("pre", { className: "last", tabIndex: 0 }, lines) : null,
    error.hint ? make("p", { className: "remedy" }, make("b", {}, "hint: "), ...markUp(error.hint)) : null,
  ];
}

function showFailure(build) {
  const title = make("h3", {}, `${build.label} `, make("span", { className: "quiet" }, spellPython(build)));
  return make("article", { className: "failure" }, title, ...showError(build), showLog(build, false), showCommand(build));
}

// The cause is mostly in the last lines, and on a phone ten of them are higher than their box.
function scrollToEnds(part) {
  for (const text of part.querySelectorAll("pre")) text.scrollTop = text.scrollHeight;
}

function showGroup([code, failed], isOpen) {
  const title = failed.length === 1 ? failed[0].label : `${failed.length.toLocaleString()} builds`;
  const group = make("details", { className: "group", open: isOpen },
    make("summary", {}, make("b", {}, code), make("span", { className: "quiet" }, ` · ${title}`)));
  let shown = 0;
  const more = make("button", { type: "button", className: "more" });
  const show = () => {
    more.before(...failed.slice(shown, shown + GROUP_SIZE).map(showFailure));
    scrollToEnds(group);
    shown = Math.min(failed.length, shown + GROUP_SIZE);
    more.hidden = shown === failed.length;
    more.textContent = `Show more (${(failed.length - shown).toLocaleString()})`;
  };
  more.onclick = show;
  group.append(more);
  const open = () => group.open && !shown && show();
  group.addEventListener("toggle", open);
  open();
  return group;
}

function showFailures() {
  const groups = new Map();
  for (const build of builds) {
    if (build.outcome === "failed") groups.set(build.error.code, [...(groups.get(build.error.code) || []), build]);
  }
  const largest = [...groups].sort((one, other) => other[1].length - one[1].length);
  const count = largest.reduce((sum, [, failed]) => sum + failed.length, 0);
  find("failures").hidden = !count;
  find("failure-groups").append(...largest.map((group) => showGroup(group, count <= 12)));
  scrollToEnds(find("failure-groups"));
}

// One element for all phases: of a thousand rows, a dozen each would be felt.
function paintStrip(build) {
  const strip = make("span", { className: "strip", role: "img" });
  const sums = addUp([build]);
  const used = PHASES.filter((sort) => sums[sort] > 0);
  const whole = used.reduce((sum, sort) => sum + sums[sort], 0);
  let edge = 0;
  const stops = used.map((sort) => {
    const from = edge;
    edge += (100 * sums[sort]) / whole;
    const color = sort === "wait" ? "transparent" : `var(--phase-${sort})`;
    return `${color} ${from.toFixed(2)}% ${edge.toFixed(2)}%`;
  });
  const layers = stops.length ? [`linear-gradient(90deg, ${stops.join(", ")})`] : [];
  if (sums.wait) {
    const stripes = "repeating-linear-gradient(-45deg, var(--phase-wait) 0 2px, transparent 2px 4px)";
    layers.push(`${stripes} 0 0 / ${((100 * sums.wait) / whole).toFixed(2)}% 100% no-repeat`);
  }
  strip.style.background = layers.join(", ");
  strip.ariaLabel = used.map((sort) => `${spellSort(sort)} ${spellShare(sums[sort], whole)}`).join(", ");
  return strip;
}

function showRow(build) {
  const button = make("button", { type: "button", ariaExpanded: "false" },
    make("span", {}, `${build.label} `, make("span", { className: "quiet" }, build.python)));
  // The codes of builds that were cancelled or not started say no more than their outcome.
  const code = build.outcome === "failed" ? make("small", {}, ` ${build.error.code}`) : null;
  const cells = {
    label: button,
    outcome: make("span", {}, make("span", { className: `verdict ${build.outcome}` }, spellOutcome(build.outcome)), code),
    seconds: spellSeconds(build.seconds),
    cpu: build.cpu_seconds ? spellSeconds(build.cpu_seconds) : "–",
    peak: spellBytes(build.peak_memory),
    start: build.start === null ? "–" : build.start === origin ? "0" : `+${spellSeconds(build.start - origin)}`,
    phases: build.start === null ? "" : paintStrip(build),
  };
  const row = make("tr", { className: "build", id: `build-${build.number}` },
    ...COLUMNS.map((column) => make("td", { className: column.name }, cells[column.key])));
  row.dataset.number = build.number;
  return row;
}

function showPart(title, ...content) {
  return make("div", {}, make("h3", {}, title), ...content);
}

function showArtifact(artifact) {
  return make("li", {}, make("div", {}, link(artifact.path, artifact.name), ` · ${spellBytes(artifact.size)}`),
    make("div", { className: "mono quiet" }, `sha256 ${artifact.hashes.sha256}`));
}

function showDetails(build) {
  const { environments_found: found, environments_made: made, compiler_hits: hits, compiler_misses: misses } = build.cache;
  const parts = [
    showPart("Build", listPairs([
      ["id", make("a", { href: `#b=${encodeURIComponent(build.id)}`, title: "A link to this build" }, `#${build.id}`)],
      ["source", link(build.source)], ["sha256", build.sha256 ? make("span", { className: "mono" }, build.sha256) : ""],
      ["commit", build.commit ? make("span", { className: "mono" }, build.commit) : ""],
      ["Python", build.python], ["as of", build.era || ""], ["environments", `${found} found, ${made} made`],
      ["compilations", hits + misses ? `${hits} of ${hits + misses} from the compiler cache` : ""],
      ["backend", build.backendName], ["built because", build.cause?.sentence || ""], ["waited", spellWaits(build)], ["log", build.log ? link(build.log) : ""],
    ])),
    build.phases.length ? showPart("Phases", listSteps(build)) : null,
    listAttempts(build),
    build.artifacts.length ? showPart("Artifacts", make("ul", {}, ...build.artifacts.map(showArtifact))) : null,
    build.environment.length ? showPart("Environment", make("ul", {}, ...build.environment.map(
      (wheel) => make("li", { title: `${wheel.file} sha256 ${wheel.sha256}` }, `${wheel.name} ${wheel.version}`)))) : null,
    build.overrides.length ? showPart("Overrides", make("ul", {}, ...build.overrides.map((entry) => make("li", {},
      make("b", {}, `${entry.package}${entry.versions}`), `: ${entry.keys.join(", ")} (${entry.reason}) · `,
      link(entry.file), `, line ${entry.line}`)))) : null,
    build.notes.length ? showPart("Notes", make("ul", {}, ...build.notes.map((note) => make("li", {}, ...markUp(note))))) : null,
  ];
  const failure = build.error
    ? make("div", { className: "wide" }, ...showError(build), showLog(build, false), showCommand(build)) : null;
  const inside = make("div", { className: "parts" }, ...[failure, ...parts].filter((part) => part !== null));
  return make("tr", { className: "details" }, make("td", { colSpan: COLUMNS.length }, inside));
}

function toggle(build, isOpen) {
  const row = table.rows[build.number];
  let details = table.details.get(build.number);
  const opens = isOpen ?? !(details && !details.hidden);
  if (opens && !details) {
    details = showDetails(build);
    table.details.set(build.number, details);
    row.after(details);
  }
  if (details) {
    details.hidden = !opens;
    scrollToEnds(details);
  }
  row.querySelector("button").ariaExpanded = String(opens);
  remember();
}

// The filter, the order and the opened rows are in the URL, so that it leads back here.
function remember() {
  if (!table.isReady) return;
  const opened = builds.filter((build) => table.details.get(build.number)?.hidden === false);
  const state = {
    q: find("text").value, o: table.outcome, b: opened.map((build) => build.id).join(","),
    s: table.column ? `${table.column.key}.${table.falls ? "down" : "up"}` : "",
  };
  const shown = Object.entries(state).filter(([, value]) => value);
  history.replaceState(null, "", `#${new URLSearchParams(shown)}`);
}

function restore() {
  const state = new URLSearchParams(location.hash.slice(1));
  table.isReady = false;
  find("text").value = state.get("q") || "";
  choose(OUTCOMES.includes(state.get("o")) ? state.get("o") : "");
  const [key, direction] = (state.get("s") || "").split(".");
  const column = COLUMNS.find((each) => each.key === key && !each.fixed);
  if (column) order(column, direction === "down");
  const wanted = (state.get("b") || "").split(",");
  const opened = builds.filter((build) => wanted.includes(build.id));
  for (const build of opened) toggle(build, true);
  if (opened.length) table.rows[opened[0].number].scrollIntoView({ block: "center" });
  table.isReady = true;
}

function search(text) {
  find("text").value = text;
  choose("");
  find("builds").scrollIntoView();
}

function reveal(build) {
  forget();
  if (build.isOut) {
    find("text").value = "";
    choose("");
  }
  toggle(build, true);
  table.rows.forEach((row) => row.classList.remove("found"));
  const row = table.rows[build.number];
  row.classList.add("found");
  row.scrollIntoView({ block: "center" });
  row.querySelector("button").focus({ preventScroll: true });
}

function sift() {
  const words = find("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const build of builds) {
    build.isOut = (table.outcome !== "" && build.outcome !== table.outcome)
      || !words.every((word) => build.haystack.includes(word));
    table.rows[build.number].hidden = build.isOut;
    const details = table.details.get(build.number);
    if (details) details.hidden = build.isOut || table.rows[build.number].querySelector("button").ariaExpanded !== "true";
    count += build.isOut ? 0 : 1;
  }
  const all = builds.length.toLocaleString();
  find("count").textContent = count === builds.length ? all : `${count.toLocaleString()} of ${all}`;
  find("nothing").hidden = count > 0;
  dimBars();
  remember();
}

function choose(outcome) {
  table.outcome = outcome;
  for (const button of find("outcomes").children) button.ariaPressed = String(button.value === outcome);
  sift();
}

function order(column, falls = table.column === column ? !table.falls : column.falls === true) {
  table.falls = falls;
  table.column = column;
  const turn = table.falls ? -1 : 1;
  const compare = (one, other) => {
    const [left, right] = [column.read(one), column.read(other)];
    return left < right ? -turn : left > right ? turn : one.number - other.number;
  };
  const rows = [...builds].sort(compare).flatMap((build) => [table.rows[build.number], table.details.get(build.number)]);
  find("rows").replaceChildren(...rows.filter(Boolean));
  for (const header of find("head").children) {
    if (header.dataset.key === column.key) header.setAttribute("aria-sort", table.falls ? "descending" : "ascending");
    else header.removeAttribute("aria-sort");
  }
  remember();
}

function showTable() {
  find("head").append(...COLUMNS.map((column) => {
    const content = column.fixed ? make("button", { type: "button", disabled: true }, column.title)
      : make("button", { type: "button", onclick: () => order(column) }, column.title);
    const header = make("th", { scope: "col", className: column.name }, content);
    header.dataset.key = column.key;
    return header;
  }));
  table.rows = builds.map(showRow);
  find("rows").append(...table.rows);
  const kinds = OUTCOMES.filter((kind) => facts.totals[kind]);
  const choices = [["", `All ${builds.length.toLocaleString()}`], ...kinds.map((kind) => [kind, `${spellOutcome(kind)} ${facts.totals[kind].toLocaleString()}`])];
  find("outcomes").append(...choices.map(([value, text]) => make("button", { type: "button", value, onclick: () => choose(value) }, text)));
  find("filters").onsubmit = (event) => event.preventDefault();
  find("text").oninput = sift;
  find("rows").addEventListener("click", (event) => {
    const row = event.target.closest("tr.build");
    if (row && !String(window.getSelection())) toggle(builds[Number(row.dataset.number)]);
  });
  choose("");
}

function openForPrint() {
  find("run").open = true;
  for (const group of document.querySelectorAll("#failures details.group")) group.open = true;
}

showHead();
showTotals();
showShares();
fillLanes();
showTable();
showFailures();
draw();
showRun();
showGroups();
showComparison();
showCritical();
listenToTimeline();
restore();
window.addEventListener("hashchange", restore);
window.addEventListener("beforeprint", openForPrint);
