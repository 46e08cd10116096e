// Page of a concept: the units that detect it, and the images that carry it.

async function conceptPage(layer, concept) {
  const { detectors, others } = layer.unitsOf(concept);
  const images = await layer.images();
  const carriers = [...images.values()].filter((image) => image.areas?.has(concept));
  carriers.sort((image, next) => extentOf(next, concept) - extentOf(image, concept));
  const page = element("article", {});
  page.append(
    element("nav", { class: "page-links", "aria-label": "Layer" }, element("a", { href: layer.hash, rel: "up" }, "← all units of ", element("bdi", {}, layer.name))),
    element("h1", { tabindex: "-1" }, swatch(layer.category(concept)), element("bdi", {}, layer.conceptName(concept))),
    element("p", {}, conceptSentence(layer, concept, detectors)),
  );
  section(page, detectors.length, `Units that detect it`, (parent) => {
    new GrowingList(parent, "cards", "unit", (unit) => unitCardOfConcept(layer, unit, concept, layer.units.iou[unit])).show(detectors);
  });
  section(page, others.length, `Units that match it, with a better concept`, (parent) => {
    parent.append(element("p", { class: "faint" }, `IoU above ${layer.minIou} with this concept; their label is another one.`));
    new GrowingList(parent, "cards", "unit", ([unit, , iou]) => unitCardOfConcept(layer, unit, concept, iou)).show(others);
  });
  section(page, layer.hasPictures, "Images that carry it", (parent) => {
    const total = [...images.values()].filter((image) => image.hasPicture).length;
    parent.append(element("p", { class: "faint" }, `${count(carriers.length)} of the ${plural(total, "image")} that this page has pictures of, those with the largest area first.`));
    new GrowingList(parent, "gallery", "image", (image) => carrierFigure(layer, image, concept)).show(carriers);
  });
  return page;
}

function section(page, isShown, title, build) {
  if (!isShown) return;
  const parent = element("section", {}, element("h2", {}, title));
  page.append(parent);
  build(parent);
}

function conceptSentence(layer, concept, detectors) {
  const category = layer.categoryName(concept);
  const kind = category ? `A concept of the category ${category}. ` : "";
  if (detectors.length === 0) return `${kind}No unit detects it.`;
  const best = Math.max(...detectors.map((unit) => layer.units.iou[unit]));
  return `${kind}${plural(detectors.length, "unit")} ${detectors.length === 1 ? "detects" : "detect"} it; the highest IoU is ${best.toFixed(4)}.`;
}

function extentOf(image, concept) {
  return image.areas.get(concept) / (image.rows * image.columns);
}

function carrierFigure(layer, image, concept) {
  const name = layer.conceptName(concept);
  const extent = percent(extentOf(image, concept));
  return element(
    "figure",
    {},
    element("div", { class: "row" }, pictureOf(image, `${image.name}: ${name} in ${extent} of it`, layer.conceptMask(image, concept), OUTLINE_OF_ANNOTATION)),
    element("figcaption", {}, element("bdi", {}, image.name), ` · ${extent}`),
  );
}
