// Page of a unit: its concepts, its activations, its top images beside their annotations.

async function unitPage(layer, unit, siblings) {
  const label = layer.units.label[unit];
  const content = await layer.unit(unit);
  const page = element("article", {});
  page.append(
    pageLinks(layer, unit, siblings),
    element("h1", { tabindex: "-1" }, `Unit ${unit}: `, element("bdi", {}, layer.conceptName(label))),
    verdict(layer, unit),
    element("div", { class: "columns" }, conceptTable(layer, unit, content), histogramFigure(layer, unit, content)),
  );
  page.append(await topImages(layer, unit, content));
  return page;
}

function pageLinks(layer, unit, siblings) {
  const position = siblings.indexOf(unit);
  const link = (neighbour, text, rel) => (neighbour === undefined ? null : element("a", { href: layer.unitHash(neighbour), rel }, text));
  return element(
    "nav",
    { class: "page-links", "aria-label": "Units" },
    element("a", { href: layer.hash, rel: "up" }, "← all units of ", element("bdi", {}, layer.name)),
    link(siblings[position - 1], "‹ previous unit", "prev"),
    link(siblings[position + 1], "next unit ›", "next"),
  );
}

function verdict(layer, unit) {
  const { label, iou, threshold, detector, state, intersection, unitArea, conceptArea } = layer.units;
  const concept = label[unit];
  const facts = [
    ["concept", [conceptText(layer, concept), ", ", element("span", { class: "faint" }, layer.categoryName(concept))]],
    ["IoU", [`${iou[unit].toFixed(4)}, ${detector[unit] ? "a detector" : "no detector"} (IoU > ${layer.minIou})`]],
    ["pixels", [
      ...["|M", sub("k"), " ∩ L", sub("c"), `| = ${count(intersection[unit])}, `],
      ...["|M", sub("k"), `| = ${count(unitArea[unit])}, |L`, sub("c"), `| = ${count(conceptArea[unit])}`],
    ]],
  ];
  facts.push(...errorBars(layer, unit));
  if (threshold[unit] !== null) facts.push([["threshold T", sub("k")], [significant(threshold[unit])]]);
  if (state[unit] !== "live") facts.push(["state", [STATES[state[unit]] ?? state[unit]]]);
  if (layer.firstUnit) facts.push(["in the file", [`unit ${unit + layer.firstUnit}`]]);
  return definitions(facts);
}

// What the run's folds of images and permuted annotations say of a unit, where it has any.
function errorBars(layer, unit) {
  const { intervals, chance } = layer.units;
  const facts = [];
  if (intervals) {
    const second = layer.conceptName(intervals.second[unit]);
    facts.push([`${percent(intervals.level)} interval`, [`IoU ${rangeText(layer, unit)}`]]);
    facts.push(["name kept", [
      `in ${percent(intervals.stability[unit])} of the resamples; IoU ${intervals.margin[unit].toFixed(4)} above the second, `,
      element("bdi", {}, second),
    ]]);
  }
  if (chance) facts.push(["p-value", [`${chance.p[unit]}, q-value ${chance.q[unit]} (${plural(chance.permutations, "permutation")})`]]);
  return facts;
}

const STATES = {
  dead: "dead: constant everywhere",
  sparse: "sparse: 0 almost everywhere, so that the threshold is 0",
};

function definitions(facts) {
  const terms = facts.flatMap(([term, content]) => [element("dt", {}, ...[term].flat()), element("dd", {}, ...content)]);
  return element("dl", { class: "facts" }, ...terms);
}

function conceptTable(layer, unit, content) {
  const best = Math.max(...content.concepts.map(([, iou]) => iou), layer.minIou);
  const rows = content.concepts.map(([concept, iou]) =>
    element(
      "tr",
      {},
      element("td", {}, conceptText(layer, concept)),
      element("td", { class: "faint" }, layer.categoryName(concept)),
      element("td", { class: "number" }, iou.toFixed(4)),
      element("td", { class: "bar-cell" }, bar(iou / best, layer.category(concept), layer.minIou / best)),
    ),
  );
  const header = ["concept", "category", "IoU", ""].map((text) => element("th", { scope: "col", class: text === "IoU" ? "number" : null }, text));
  const range = layer.isRun ? rangeOfConcepts(layer, content) : "The best concept of each category";
  return element(
    "section",
    {},
    element("h2", {}, "Concepts"),
    element("p", { class: "faint" }, `${range}; the dashed line is the limit of detectors, ${layer.minIou}.`),
    element("div", { class: "scroll" }, element("table", {}, element("thead", {}, element("tr", {}, ...header)), element("tbody", {}, ...rows))),
  );
}

// A unit's best concept is in its table even where its IoU is not above the level of the others.
function rangeOfConcepts(layer, content) {
  const isAbove = content.concepts.some(([, iou]) => iou > layer.level);
  return isAbove ? `All concepts with an IoU above ${layer.level}` : `The best concept; none has an IoU above ${layer.level}`;
}

function bar(share, category, limit) {
  return drawing(
    "svg",
    { width: "100%", height: "14", "aria-hidden": "true" },
    drawing("rect", { class: `bar category-${category}`, width: `${100 * share}%`, height: "14", rx: "2" }),
    drawing("line", { class: "mark", x1: `${100 * limit}%`, x2: `${100 * limit}%`, y1: "0", y2: "14" }),
  );
}

const HISTOGRAM = { width: 460, height: 190, left: 6, bottom: 34, top: 22 };

function histogramFigure(layer, unit, content) {
  const section = element("section", {}, element("h2", {}, "Activations"));
  if (!content.histogram) {
    section.append(element("p", { class: "faint" }, "The result has no histogram of activations."));
    return section;
  }
  const { counts, edges } = content.histogram;
  const total = counts.reduce((sum, number) => sum + number, 0);
  const text = `Histogram of ${count(total)} sampled activations between ${edges[0]} and ${edges.at(-1)}; the threshold is ${layer.units.threshold[unit]}`;
  section.append(
    histogramDrawing(layer, unit, content.histogram, text),
    element("p", { class: "faint" }, `A sample of ${count(total)} activations; heights are logarithmic. Right of the dashed line they exceed the threshold T`, sub("k"), "."),
  );
  return section;
}

function histogramDrawing(layer, unit, { counts, edges }, text) {
  const { width, height, left, bottom, top } = HISTOGRAM;
  const low = edges[0];
  const range = edges.at(-1) - low || 1;
  const x = (value) => left + ((value - low) / range) * (width - 2 * left);
  const highest = Math.log1p(Math.max(...counts));
  const threshold = layer.units.threshold[unit];
  const category = layer.category(layer.units.label[unit]);
  const bars = counts.map((number, index) => {
    const barHeight = highest ? (Math.log1p(number) / highest) * (height - bottom - top) : 0;
    const above = edges[index] >= threshold;
    return drawing("rect", {
      class: above ? `bar category-${category}` : "bar below",
      x: x(edges[index]),
      y: height - bottom - barHeight,
      width: Math.max(0.5, x(edges[index + 1]) - x(edges[index]) - 0.6),
      height: barHeight,
    });
  });
  const axis = height - bottom;
  return drawing(
    "svg",
    { class: "histogram", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text },
    ...bars,
    drawing("line", { class: "axis", x1: left, x2: width - left, y1: axis, y2: axis }),
    ...(typeof threshold === "number" ? thresholdMark(x(threshold), threshold, axis) : []),
    drawing("text", { class: "faint", x: left, y: axis + 18 }, String(edges[0])),
    drawing("text", { class: "faint", x: width - left, y: axis + 18, "text-anchor": "end" }, String(edges.at(-1))),
  );
}

function thresholdMark(x, threshold, axis) {
  const position = Math.min(Math.max(x, HISTOGRAM.left), HISTOGRAM.width - HISTOGRAM.left);
  const isAtEnd = position > HISTOGRAM.width - 90;
  const text = ["T", drawing("tspan", { class: "index", dy: 3 }, "k"), drawing("tspan", { dy: -3 }, ` = ${significant(threshold)}`)];
  return [
    drawing("line", { class: "mark", x1: position, x2: position, y1: 4, y2: axis }),
    drawing("text", { x: position + (isAtEnd ? -5 : 5), y: 14, "text-anchor": isAtEnd ? "end" : "start" }, ...text),
  ];
}

async function topImages(layer, unit, content) {
  const section = element("section", {}, element("h2", {}, "Top images"));
  if (content.top.length === 0) {
    section.append(element("p", { class: "faint" }, "The result names no images."));
    return section;
  }
  if (!layer.hasPictures) {
    const names = content.top.map((image) => element("li", {}, element("bdi", {}, image.name), element("span", { class: "faint" }, ` ${significant(image.peak)}`)));
    section.append(element("p", { class: "faint" }, "The result has no pictures; these images excite the unit most."), element("ol", {}, ...names));
    return section;
  }
  const chooser = await conceptChooser(layer, unit, content);
  const list = element("div", { class: "top-images" });
  const show = () => list.replaceChildren(...content.top.map((image) => topImage(layer, unit, image, Number(chooser.select.value))));
  chooser.select.addEventListener("input", show);
  show();
  section.append(chooser.label, list);
  return section;
}

// Concepts of the unit, and the others that its top images carry.
async function conceptChooser(layer, unit, content) {
  const concepts = new Set(content.concepts.map(([concept]) => concept));
  for (const image of content.top) for (const concept of image.areas?.keys() ?? []) concepts.add(concept);
  const options = [...concepts].map((concept) => element("option", { value: concept, dir: "auto" }, `${layer.conceptName(concept)} (${layer.categoryName(concept)})`));
  const select = element("select", { name: "annotation" }, ...options);
  select.value = String(layer.units.label[unit]);
  const label = element("label", { class: "chooser" }, "Left, M", sub("k"), ": where the unit exceeds its threshold. Right, L", sub("c"), ": the annotation of ", select);
  return { label, select };
}

function topImage(layer, unit, image, concept) {
  const name = layer.conceptName(concept);
  const caption = element("figcaption", {}, element("b", {}, `${image.rank + 1}. `), element("bdi", {}, image.name), ` · largest activation ${significant(image.peak)}`);
  if (!image.hasPicture) return element("figure", {}, caption, element("p", { class: "faint" }, "no picture of this image"));
  const annotation = layer.conceptMask(image, concept);
  const pair = element(
    "div",
    { class: "row pair" },
    pictureOf(image, topImageText(image, unit), image.mask),
    pictureOf(image, `${image.name}: annotation of ${name}`, annotation, OUTLINE_OF_ANNOTATION),
  );
  annotation.then((labels) => caption.append(...overlapText(image, labels, name)));
  return element("figure", {}, pair, caption);
}

function overlapText(image, labels, name) {
  if (!image.mask) return [" · activation map unknown"];
  if (!labels) return [" · annotation unreadable"];
  const { both, either } = overlap(image.mask, labels);
  const extent = share(labels);
  if (extent === 0) return [" · not annotated with ", element("bdi", {}, name)];
  return [` · IoU in this image ${either ? (both / either).toFixed(3) : "0"}`];
}
