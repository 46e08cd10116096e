// Grids of units that grow as they are scrolled or as their button is pressed.

const CARDS_AT_ONCE = 24;
const PICTURES_IN_CARD = 4;

class GrowingList {
  constructor(parent, className, noun, build) {
    this.list = element("div", { class: className });
    this.button = element("button", { type: "button", hidden: true });
    this.noun = noun;
    this.build = build;
    parent.append(this.list, this.button);
    this.button.addEventListener("click", () => this.grow(true));
  }

  show(items) {
    this.items = items;
    this.list.replaceChildren();
    this.grow(false);
  }

  grow(moveFocus) {
    const start = this.list.children.length;
    this.list.append(...this.items.slice(start, start + CARDS_AT_ONCE).map(this.build));
    const remaining = this.items.length - this.list.children.length;
    this.button.hidden = remaining === 0;
    this.button.textContent = `Show more (${plural(remaining, this.noun)} left)`;
    if (moveFocus) this.list.children[start]?.querySelector("a")?.focus();
    nearObserver.unobserve(this.button);
    if (remaining > 0) whenNear(this.button, () => this.grow(false));
  }
}

function unitText(layer, unit) {
  const inFile = layer.firstUnit ? ` (${unit + layer.firstUnit} in the file)` : "";
  return `unit ${unit}${inFile}`;
}

// Interval of the IoU with the label: 0.194–0.379.
function rangeText(layer, unit) {
  const { low, high } = layer.units.intervals;
  return `${low[unit].toFixed(3)}–${high[unit].toFixed(3)}`;
}

function iouText(layer, unit) {
  const range = layer.units.intervals ? ` (${rangeText(layer, unit)})` : "";
  return `IoU ${layer.units.iou[unit].toFixed(4)}${range}`;
}

function unitCard(layer, unit) {
  const concept = layer.units.label[unit];
  const title = [swatch(layer.category(concept)), element("bdi", {}, layer.conceptName(concept))];
  const details = [layer.categoryName(concept), iouText(layer, unit), unitText(layer, unit)];
  return card(layer, unit, title, details);
}

// Card on the page of a concept; its IoU is with that concept.
function unitCardOfConcept(layer, unit, concept, iou) {
  const details = [`IoU ${iou.toFixed(4)}`];
  const label = layer.units.label[unit];
  if (label !== concept) details.push(element("span", {}, "best with ", element("bdi", {}, layer.conceptName(label))));
  const text = unitText(layer, unit);
  return card(layer, unit, [text[0].toUpperCase() + text.slice(1)], details);
}

function card(layer, unit, title, details) {
  const row = element("div", { class: "row thumbnails" });
  const state = layer.units.state[unit];
  const parts = state === "live" ? details : [...details, state];
  const node = element(
    "article",
    { class: layer.units.detector[unit] ? "card" : "card weak" },
    element("h3", {}, element("a", { href: layer.unitHash(unit) }, ...title)),
    element("p", { class: "faint" }, ...parts.flatMap((part, index) => (index ? [" · ", part] : [part]))),
    layer.hasPictures ? row : null,
  );
  if (layer.hasPictures) whenNear(node, () => fillThumbnails(layer, unit, row));
  return node;
}

async function fillThumbnails(layer, unit, row) {
  const { top } = await layer.unit(unit);
  for (const image of top.filter((entry) => entry.hasPicture).slice(0, PICTURES_IN_CARD)) {
    row.append(pictureOf(image, topImageText(image, unit), image.mask));
  }
}

function topImageText(image, unit) {
  const region = image.mask ? `, M of unit ${unit} lit in ${percent(image.lit / image.mask.pixels.length)}` : "";
  return `${image.name}${region}`;
}

// Form of a layer: search, categories, IoU, order.
class UnitGrid {
  constructor(layer, section) {
    this.layer = layer;
    this.form = section.querySelector("form");
    this.status = section.querySelector(".status");
    this.related = section.querySelector(".related");
    this.list = new GrowingList(section.querySelector(".units"), "cards", "unit", (unit) => unitCard(layer, unit));
    this.names = layer.concepts.map(([name]) => name.toLocaleLowerCase());
    this.form.addEventListener("input", () => this.update());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("reset", () => setTimeout(() => this.update()));
    this.update();
  }

  update() {
    const filter = this.filter();
    this.units = this.sorted(filter.order, this.layer.order.filter((unit) => this.passes(unit, filter)));
    this.list.show(this.units);
    const total = plural(this.layer.unitCount, "unit");
    this.status.textContent = this.units.length === this.layer.unitCount ? `${total}` : `${count(this.units.length)} of ${total}`;
    this.showRelated(filter.text);
  }

  filter() {
    const fields = this.form.elements;
    const bound = (name, otherwise) => (fields[name].value === "" ? otherwise : Number(fields[name].value));
    const boxes = [...this.form.querySelectorAll('input[name="category"]:checked')];
    return {
      text: fields.search.value.trim().toLocaleLowerCase(),
      categories: new Set(boxes.map((box) => Number(box.value))),
      low: bound("low", 0),
      high: bound("high", 1),
      detectors: fields.detectors.checked,
      order: fields.order.value,
    };
  }

  passes(unit, filter) {
    const { label, iou, detector } = this.layer.units;
    if (filter.detectors && !detector[unit]) return false;
    if (iou[unit] < filter.low || iou[unit] > filter.high) return false;
    if (filter.categories.size && !filter.categories.has(this.layer.category(label[unit]))) return false;
    return this.matchesText(unit, filter.text);
  }

  matchesText(unit, text) {
    if (text === "") return true;
    const number = text.match(/^(?:unit\s*)?(\d+)$/);
    if (number) return Number(number[1]) === unit;
    return this.names[this.layer.units.label[unit]].includes(text);
  }

  // The units come in the order of the score that labels them, which the other orders keep among equals.
  sorted(order, units) {
    const { label } = this.layer.units;
    const byText = (text) => (unit, next) => text(unit).localeCompare(text(next), "en");
    if (order === "lowest") units.reverse();
    if (order === "number") units.sort((unit, next) => unit - next);
    if (order === "concept") units.sort(byText((unit) => this.layer.conceptName(label[unit])));
    if (order === "category") units.sort((unit, next) => this.layer.category(label[unit]) - this.layer.category(label[next]));
    return units;
  }

  // Pages of the concepts that the searched text names, those that no unit detects, too.
  showRelated(text) {
    const concepts = text === "" ? [] : [...this.names.keys()].filter((concept) => this.names[concept].includes(text));
    this.related.hidden = concepts.length === 0 || concepts.length > 12;
    const links = concepts.slice(0, 12).map((concept) => conceptLink(this.layer, concept));
    this.related.replaceChildren("Concepts: ", ...links.flatMap((link) => [link, " "]));
  }
}

function conceptLink(layer, concept) {
  return element("a", { class: "chip", href: layer.conceptHash(concept) }, swatch(layer.category(concept)), element("bdi", {}, layer.conceptName(concept)));
}

function conceptText(layer, concept) {
  return element("a", { class: "plain", href: layer.conceptHash(concept) }, swatch(layer.category(concept)), element("bdi", {}, layer.conceptName(concept)));
}
