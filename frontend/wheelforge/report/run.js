// How it was run, what it was built with, and the row of builds that decided how long it took.

function listPairs(pairs) {
  const shown = pairs.filter(([, value]) => value);
  return make("dl", { className: "facts" },
    ...shown.flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]));
}

function quote(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

// The command that builds just this one, where the whole was run.
function spellCommand(build) {
  const { options = [], cwd = "" } = facts.run;
  const python = facts.run.python?.length ? ["-p", build.python] : [];
  const parts = ["python", "-m", "wheelforge", build.source, ...options, ...python].map(quote).join(" ");
  return cwd ? `cd ${quote(cwd)} && ${parts}` : parts;
}

function showCommand(build) {
  const button = make("button", { type: "button", className: "copy" }, "Copy the command that builds just this one");
  button.onclick = async () => {
    await navigator.clipboard.writeText(spellCommand(build));
    button.textContent = "Copied";
  };
  return make("p", { className: "command" }, make("code", {}, spellCommand(build)), button);
}

function showRun() {
  const run = facts.run || {};
  if (!run.argv) return;
  const { ci } = run;
  const job = ci && /^https?:/.test(ci.url) ? make("a", { href: ci.url }, ci.url) : ci?.url;
  find("run").hidden = false;
  find("run").append(listPairs([
    ["command", make("code", {}, ["python -m wheelforge", ...run.argv.map(quote)].join(" "))],
    ["directory", run.cwd], ["jobs", `${run.jobs} on ${run.cores} cores`], ["Python", run.python.join(", ")],
    ["platform", `${run.platform} (${run.machine})`], ["host", run.host], ["index", run.index.join(", ")],
    ["cache", run.cache_dir], ["CI job", job], ["commit", ci?.commit],
  ]));
}

function showDifference(name, { id, label, python, detail }) {
  const build = name === "gone" ? null : builds.find((each) => each.id === id);
  const title = build ? make("button", { type: "button", className: "plain", onclick: () => reveal(build) }, label) : label;
  return make("li", {}, title, make("span", { className: "quiet" }, ` ${python}${detail && `: ${detail}`}`));
}

function showComparison() {
  if (!facts.comparison) return;
  const kinds = Object.entries(facts.headings).filter(([name]) => facts.comparison[name].length);
  find("comparison").hidden = false;
  find("differences").append(...kinds.map(([name, heading]) => showPart(`${heading[0].toUpperCase()}${heading.slice(1)}`,
    make("ul", {}, ...facts.comparison[name].map((each) => showDifference(name, each))))));
  if (!kinds.length) find("differences").append("No difference.");
}

function countBy(lists) {
  const counts = new Map();
  for (const name of lists.flat()) if (name) counts.set(name, (counts.get(name) || 0) + 1);
  return [...counts].sort(([one, first], [other, second]) => second - first || (one < other ? -1 : 1));
}

function showCounts(title, counts) {
  const items = counts.map(([name, count]) => make("li", {},
    make("button", { type: "button", className: "plain", onclick: () => search(name) }, name),
    make("span", { className: "quiet" }, ` ${count.toLocaleString()}`)));
  return items.length ? showPart(title, make("ul", {}, ...items)) : null;
}

function showGroups() {
  const lists = [
    showCounts("Backends", countBy(builds.map((build) => [build.backendName]))),
    showCounts("Wheel tags", countBy(builds.map((build) => build.tags))),
  ].filter(Boolean);
  find("groups").hidden = !lists.length;
  find("group-lists").append(...lists);
}

// What a build waited for before it began, and the build that made it wait.
function findBefore(build) {
  const needed = builds.filter((other) => build.needs?.includes(other.id) && other.end);
  if (needed.length) return [needed.reduce((one, other) => (one.end > other.end ? one : other)), "needs it"];
  const holder = findHolder(build);
  if (holder) return [holder, "waited for its directory"];
  const ended = begun.filter((other) => other.end <= build.start + 0.05 && build.start - other.end < 1 && other !== build);
  const before = ended.sort((one, other) => other.end - one.end)[0];
  return before ? [before, "waited for a slot"] : null;
}

function showCritical() {
  if (begun.length < 2) return;
  const path = [[begun.reduce((one, other) => (one.end > other.end ? one : other)), ""]];
  for (let before = findBefore(path[0][0]); before && path.length < 50; before = findBefore(before[0])) path.unshift(before);
  if (path.length < 2) return;
  const parts = path.map(([build], number) => [
    number ? ` → ${path[number - 1][1] === "waited for a slot" ? "" : `(${path[number - 1][1]}) `}` : "",
    make("button", { type: "button", className: "plain", onclick: () => reveal(build) }, build.label),
    ` ${spellSeconds(build.seconds)}`,
  ]);
  find("critical").hidden = false;
  find("critical").replaceChildren(make("b", {}, "Critical path: "), ...parts.flat());
}

const REASONS = {
  slot: "a free slot", memory: "free memory", dependency: "a build that it needs", token: "a free core", directory: "its directory",
};

function spellWaits(build) {
  const shown = Object.entries(build.waits || {}).filter(([, seconds]) => seconds >= 0.05);
  return shown.map(([reason, seconds]) => `${spellSeconds(seconds)} for ${REASONS[reason] || reason}`).join(", ");
}

const ATTEMPTS = { unforked: "again, not forked", era: "again, as of then" };

function listAttempts(build) {
  if ((build.attempts || []).length < 2) return null;
  const spent = (attempt) => attempt.phases.reduce((sum, phase) => sum + phase.seconds, 0);
  const longest = Math.max(...build.attempts.map(spent));
  const items = build.attempts.map((attempt) => {
    const seconds = spent(attempt);
    const phases = attempt.phases.map((phase) => ({ ...phase, sort: sortOf(phase.name) }));
    const strip = paintStrip({ phases, seconds });
    strip.style.width = spellShare(seconds, longest).replace(/[ <]/g, "");
    const title = attempt.era ? `with what there was on ${attempt.era.slice(0, 10)}` : ATTEMPTS[attempt.reason] || "first";
    return make("li", {}, `${title} · ${spellSeconds(seconds)}`, strip,
      attempt.error ? make("p", { className: "quiet" }, `${attempt.error.code}: `, ...markUp(attempt.error.summary)) : null);
  });
  return showPart("Attempts", make("ul", { className: "attempts" }, ...items));
}
