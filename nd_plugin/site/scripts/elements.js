// Elements, numbers and texts. Foreign text only ever becomes a text node or an attribute's value.

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function drawing(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG_NAMESPACE, name), attributes, children);
}

function count(number) {
  return number.toLocaleString("en");
}

function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

function percent(share) {
  const value = 100 * share;
  return `${value !== 0 && value < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
}

function significant(value) {
  return typeof value === "number" ? String(value) : value;
}

function sub(text) {
  return element("sub", {}, text);
}

function swatch(category) {
  return element("span", { class: `swatch category-${category}`, "aria-hidden": "true" });
}

// Calls ACTION once, when NODE comes near the visible part of the page.
const nearActions = new WeakMap();
const nearObserver = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    nearObserver.unobserve(entry.target);
    nearActions.get(entry.target)();
  }
}, { rootMargin: "400px" });

function whenNear(node, action) {
  nearActions.set(node, action);
  nearObserver.observe(node);
}
