// Report of a run: which page is shown follows from the address behind "#".

const layers = JSON.parse(document.getElementById("data-layers").textContent).map((content) => new Layer(content));
const grids = new Map();
const sections = [...document.querySelectorAll("section[data-page]")];
const view = document.getElementById("view");
const heights = new Map();
let shownHash = null;
const TITLE = document.title;
const firstRoute = layers.length === 1 ? { layer: layers[0], kind: "layer" } : { layer: null, kind: "overview" };

// The page behind an address: of all layers, a layer, a unit or a concept; null for others.
function routeOf(hash) {
  if (hash === "" || hash === "#overview") return firstRoute;
  const match = hash.match(/^#(layer-\d+)(?:\/(?:(unit|concept)-(\d+)|units))?$/);
  const layer = match && layers.find((candidate) => candidate.id === match[1]);
  if (!layer) return null;
  if (match[2] === undefined) return { layer, kind: "layer" };
  const number = Number(match[3]);
  const limit = match[2] === "unit" ? layer.unitCount : layer.concepts.length;
  return number < limit ? { layer, kind: match[2], number } : null;
}

async function showPage() {
  const hash = location.hash;
  const isFirst = shownHash === null;
  const route = routeOf(hash) ?? (isFirst ? firstRoute : null);
  // the skip link's address is no page
  if (route === null) return;
  if (!isFirst) heights.set(shownHash, window.scrollY);
  shownHash = hash;
  if (route.kind === "layer") showSection(route.layer.id);
  else if (route.kind === "overview") showSection("overview");
  else await showView(route, hash);
  if (shownHash !== hash) return;
  mark(route.layer);
  const heading = document.querySelector("section[data-page]:not([hidden]) h1");
  document.title = `${heading.textContent.trim()} · ${TITLE}`;
  const units = hash.endsWith("/units") && document.getElementById(hash.slice(1));
  if (units) return units.scrollIntoView();
  if (isFirst) return;
  heading.focus({ preventScroll: true });
  window.scrollTo(0, heights.get(hash) ?? 0);
}

function showSection(name) {
  for (const node of sections) node.hidden = node.dataset.page !== name;
  const layer = layers.find((candidate) => candidate.id === name);
  if (layer && !grids.has(layer)) grids.set(layer, new UnitGrid(layer, sections.find((node) => node.dataset.page === name)));
}

async function showView(route, hash) {
  const { layer, kind, number } = route;
  const siblings = grids.get(layer)?.units.includes(number) ? grids.get(layer).units : layer.order;
  let page;
  try {
    page = kind === "unit" ? await unitPage(layer, number, siblings) : await conceptPage(layer, number);
  } catch (error) {
    page = element("article", {}, element("h1", { tabindex: "-1" }, "This page cannot be shown"), element("p", {}, `${error.message}; keep the report's folder together.`));
  }
  if (shownHash !== hash) return;
  view.replaceChildren(page);
  for (const node of sections) node.hidden = node !== view;
}

function mark(layer) {
  for (const link of document.querySelectorAll(".masthead nav a")) {
    if (layer && link.getAttribute("href") === layer.hash) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isField = event.target.matches("input, select, textarea");
  if (event.key === "/" && !isField) {
    const field = document.querySelector('section:not([hidden]) input[type="search"]');
    if (!field) return;
    event.preventDefault();
    field.focus();
  }
  const relation = { ArrowLeft: "prev", ArrowRight: "next", Escape: "up" }[event.key];
  if (relation && !isField && !view.hidden) view.querySelector(`a[rel="${relation}"]`)?.click();
}

history.scrollRestoration = "manual";
window.addEventListener("hashchange", showPage);
document.addEventListener("keydown", onKey);
showPage();
