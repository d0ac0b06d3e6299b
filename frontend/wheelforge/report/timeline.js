// The timeline: one lane for each build at a time, drawn anew when it is zoomed.

const AXIS = 22;
const SHORTEST = 0.6;
const timeline = { zoom: 1, lanes: [], groups: new Map(), current: null, pinned: false };

function shape(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function fillLanes() {
  const ends = [];
  for (const build of [...begun].sort((one, other) => one.start - other.start || one.number - other.number)) {
    let lane = ends.findIndex((end) => end <= build.start + 1e-6);
    if (lane < 0) lane = ends.length;
    ends[lane] = build.end;
    (timeline.lanes[lane] = timeline.lanes[lane] || []).push(build);
    build.lane = lane;
  }
}

// Who had the turn that this build waited for: of the same source, and done when the wait was over.
function findHolder(build) {
  const wait = build.phases.find((phase) => phase.sort === "wait" && phase.seconds > 0.05);
  if (!wait) return null;
  const end = wait.start + wait.seconds;
  const before = begun.filter((other) => other !== build && other.source === build.source
    && other.end > wait.start && other.end < end + 0.5);
  return before.sort((one, other) => other.end - one.end)[0] || null;
}

function outline(left, right, top, height) {
  return `M${left.toFixed(1)} ${top}H${right.toFixed(1)}V${top + height}H${left.toFixed(1)}Z`;
}

// One path for all phases of a sort: a shape for each would be ten thousand of them.
function drawPhases(build, scale, box, paths) {
  let edge = scale(build.start);
  const paint = (sort, left, right) => {
    if (right - left >= SHORTEST) paths[sort] += outline(left, right, box.top, box.height);
  };
  for (const phase of build.phases) {
    const [left, right] = [Math.max(edge, scale(phase.start)), scale(phase.start + phase.seconds)];
    if (right - left < SHORTEST) continue;
    paint("other", edge, left);
    paint(phase.sort, left, right - (right - left > 3 ? 1 : 0));
    edge = right;
  }
  paint("other", edge, Math.max(scale(build.end), edge === scale(build.start) ? edge + 1 : 0));
}

function drawBar(build, scale, top, lane, paths) {
  const [left, right] = [scale(build.start), scale(build.end)];
  const [width, isWide, isBad] = [Math.max(2, right - left), lane > 20, build.error !== null];
  const bar = shape("g", {
    class: `bar ${build.outcome}`, id: `bar-${build.number}`, role: "option", "data-number": build.number,
    "aria-label": `${build.label} ${spellPython(build)}: ${build.outcome}, ${spellSeconds(build.seconds)}`,
  });
  const box = isWide ? { top: top + 17, height: lane - 21 } : { top: top + 3, height: lane - 7 };
  drawPhases(build, scale, box, paths);
  if (isBad) bar.append(shape("rect", { class: "under", x: left, y: box.top + box.height + 0.5, width, height: 2 }));
  if (isWide && width > 44) {
    const room = Math.floor((width - (isBad ? 18 : 8)) / 6.3);
    const text = build.label.length > room ? `${build.label.slice(0, Math.max(1, room - 1))}…` : build.label;
    bar.append(shape("text", { x: left + (isBad ? 14 : 2), y: top + 13 }, text));
  }
  if (isBad && isWide && width > 10) {
    const sign = build.outcome === "cancelled" ? ["stop", "h6v6h-6Z"] : ["cross", "l6 6m0 -6l-6 6"];
    bar.append(shape("path", { class: sign[0], d: `M${left + 3} ${top + 6}${sign[1]}` }));
  }
  bar.append(shape("rect", { class: "hit", x: left - 1, y: top + 0.5, width: width + 1, height: lane - 1, rx: 3 }));
  timeline.groups.set(build.number, bar);
  return bar;
}

function drawAxis(svg, scale, width, height) {
  const wanted = (wall || 1) / Math.max(2, width / 110);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const nice = [1, 2, 5, 10].map((factor) => factor * power);
  const round = [60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400];
  const step = (wanted > 10 ? [15, 30, ...round] : nice).find((size) => size >= wanted) || 28800;
  for (let tick = 0; tick <= wall * 1.0001; tick += step) {
    const x = Math.round(scale(origin + tick)) + 0.5;
    svg.append(shape("line", { x1: x, x2: x, y1: AXIS - 4, y2: height }));
    const anchor = x > width - 40 ? "end" : tick ? "middle" : "start";
    const text = step < 1 ? `${Number(tick.toPrecision(3))} s` : tick < 60 && step < 60 ? `${tick} s` : spellSeconds(tick);
    svg.append(shape("text", { class: "tick", x, y: 12, "text-anchor": anchor }, tick ? text : "0"));
  }
}

function draw() {
  find("timeline").hidden = !begun.length;
  if (!begun.length) return;
  const scroll = find("scroll");
  const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / (scroll.scrollWidth || 1);
  const width = Math.max(280, scroll.clientWidth - 14) * timeline.zoom;
  const usual = (begun.reduce((sum, build) => sum + build.seconds, 0) / begun.length / (wall || 1)) * width;
  const lane = usual < 30 || timeline.lanes.length > 40 ? 16 : 34;
  const height = AXIS + timeline.lanes.length * (lane + 4);
  const scale = (moment) => ((moment - origin) / (wall || 1)) * (width - 2) + 1;
  const svg = shape("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, role: "listbox", tabindex: 0,
    "aria-label": "Builds in the order of time", "aria-orientation": "horizontal",
  });
  const hatch = shape("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    shape("rect", { class: "phase-wait", width: 2, height: 5 }));
  hatch.firstChild.style.fill = "var(--phase-wait)";
  hatch.firstChild.style.stroke = "none";
  svg.append(shape("defs", {}, hatch));
  timeline.groups.clear();
  timeline.lanes.forEach((_, number) => svg.append(shape("rect", {
    class: "lane", x: 0, y: AXIS + number * (lane + 4), width, height: lane, rx: 4,
  })));
  drawAxis(svg, scale, width, height);
  const paths = Object.fromEntries(PHASES.map((sort) => [sort, ""]));
  const bars = begun.map((build) => drawBar(build, scale, AXIS + build.lane * (lane + 4), lane, paths));
  svg.append(...PHASES.map((sort) => shape("path", { class: `phase-${sort}`, d: paths[sort] })), ...bars);
  Object.assign(timeline, { svg, scale, lane });
  scroll.replaceChildren(svg);
  scroll.scrollLeft = middle * scroll.scrollWidth - scroll.clientWidth / 2;
  dimBars();
}

function dimBars() {
  for (const [number, bar] of timeline.groups) bar.classList.toggle("dim", builds[number].isOut === true);
}

function linkTo(holder, build) {
  const center = (lane) => AXIS + lane * (timeline.lane + 4) + timeline.lane / 2;
  const wait = build.phases.find((phase) => phase.sort === "wait");
  const [x, y] = [timeline.scale(wait.start + wait.seconds), center(build.lane)];
  const start = `M${timeline.scale(holder.end)} ${center(holder.lane)}`;
  timeline.svg.append(shape("path", { class: "link", d: `${start}L${x} ${y}` }));
}

function forget() {
  timeline.svg?.querySelector(".link")?.remove();
  timeline.groups.get(timeline.current)?.classList.remove("current");
  timeline.svg?.removeAttribute("aria-activedescendant");
  timeline.current = null;
  timeline.pinned = false;
  find("tip").hidden = true;
}

function fillTip(build, holder) {
  const where = [spellPython(build), spellSeconds(build.seconds)].filter(Boolean).join(" · ");
  const parts = [
    make("strong", {}, build.label),
    make("p", {}, make("span", { className: `verdict ${build.outcome}` }, spellOutcome(build.outcome)), ` · ${where}`),
    build.error ? make("p", { className: "mono" }, build.error.code) : null,
    listSteps(build),
    holder ? make("p", { className: "quiet" }, `waited for ${holder.label} ${spellPython(holder)}`) : null,
    make("button", { type: "button", onclick: () => reveal(build) }, "Show below"),
  ];
  find("tip").replaceChildren(...parts.filter((part) => part !== null));
}

function point(build, { pinned }) {
  forget();
  const bar = timeline.groups.get(build.number);
  const holder = findHolder(build);
  timeline.current = build.number;
  timeline.pinned = pinned;
  bar.classList.add("current");
  timeline.svg.setAttribute("aria-activedescendant", bar.id);
  if (holder) linkTo(holder, build);
  const tip = find("tip");
  fillTip(build, holder);
  tip.classList.toggle("pinned", pinned);
  tip.querySelector("button").hidden = !pinned;
  tip.hidden = false;
  placeTip(tip, bar.querySelector(".hit").getBoundingClientRect());
}

function placeTip(tip, box) {
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  const view = find("scroll").getBoundingClientRect();
  const middle = Math.max(view.left, Math.min(view.right, (Math.max(box.left, view.left) + Math.min(box.right, view.right)) / 2));
  const below = box.bottom + 8 + height < document.documentElement.clientHeight;
  tip.style.left = `${Math.max(8, Math.min(document.documentElement.clientWidth - width - 8, middle - width / 2))}px`;
  tip.style.top = `${below ? box.bottom + 8 : Math.max(8, box.top - height - 8)}px`;
}

function step(key) {
  const current = builds[timeline.current] || null;
  if (!current) return timeline.lanes[0][0];
  const lane = timeline.lanes[current.lane];
  const place = lane.indexOf(current);
  if (key === "ArrowLeft") return lane[place - 1] || current;
  if (key === "ArrowRight") return lane[place + 1] || current;
  if (key === "Home") return lane[0];
  if (key === "End") return lane[lane.length - 1];
  const next = timeline.lanes[current.lane + (key === "ArrowDown" ? 1 : -1)] || lane;
  const distance = (build) => Math.abs(build.start + build.end - current.start - current.end);
  return next === lane ? current : next.reduce((best, build) => (distance(build) < distance(best) ? build : best));
}

function hearKey(event) {
  if (event.key === "Escape") return forget();
  if (event.key === "Enter" && timeline.current !== null) return reveal(builds[timeline.current]);
  if (!/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) return undefined;
  event.preventDefault();
  const build = step(event.key);
  const box = timeline.groups.get(build.number).querySelector(".hit").getBoundingClientRect();
  const view = find("scroll").getBoundingClientRect();
  if (box.left < view.left || box.right > view.right) find("scroll").scrollLeft += box.left - view.left - view.width / 3;
  return point(build, { pinned: false });
}

function barAt(event) {
  const bar = event.target.closest?.(".bar");
  return bar ? builds[Number(bar.dataset.number)] : null;
}

function zoom(factor) {
  forget();
  timeline.zoom = factor === 0 ? 1 : Math.max(1, Math.min(64, timeline.zoom * factor));
  draw();
}

function listenToTimeline() {
  const scroll = find("scroll");
  scroll.addEventListener("pointerover", (event) => {
    const build = barAt(event);
    if (build && event.pointerType === "mouse" && !timeline.pinned) point(build, { pinned: false });
  });
  scroll.addEventListener("pointerleave", () => timeline.pinned || forget());
  scroll.addEventListener("scroll", () => timeline.pinned && forget(), { passive: true });
  scroll.addEventListener("click", (event) => {
    const build = barAt(event);
    if (build) point(build, { pinned: true });
  });
  scroll.addEventListener("keydown", hearKey);
  document.addEventListener("pointerdown", (event) => {
    if (timeline.pinned && !event.target.closest?.(".bar, #tip")) forget();
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && forget());
  find("zoom-in").onclick = () => zoom(2);
  find("zoom-out").onclick = () => zoom(0.5);
  find("zoom-fit").onclick = () => zoom(0);
  let width = scroll.clientWidth;
  new ResizeObserver(() => {
    if (scroll.clientWidth === width) return;
    width = scroll.clientWidth;
    forget();
    draw();
  }).observe(scroll);
}
