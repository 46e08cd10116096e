// Data of layers: blocks in this page, or in files beside it, which are read when they are needed.

const blocks = new Map();
const receivers = new Map();

window.ndReceive = (name, content) => receivers.get(name)(content);

function block(name) {
  if (!blocks.has(name)) blocks.set(name, readBlock(name));
  return blocks.get(name);
}

function readBlock(name) {
  const inPage = document.getElementById(`data-${name}`);
  if (inPage) return Promise.resolve(JSON.parse(inPage.textContent));
  return new Promise((resolve, reject) => {
    receivers.set(name, resolve);
    const script = element("script", { src: `data/${name}.js` });
    script.addEventListener("error", () => reject(new Error(`data/${name}.js cannot be read`)));
    document.head.append(script);
  });
}

async function inflate(text) {
  const deflated = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function pictureSource(file) {
  const inPage = document.getElementById(`picture-${file}`);
  if (!inPage) return `images/${file}`;
  const type = file.endsWith(".png") ? "image/png" : "image/jpeg";
  return `data:${type};base64,${inPage.textContent}`;
}

function pairs(flat) {
  const list = [];
  for (let index = 0; index < flat.length; index += 2) list.push([flat[index], flat[index + 1]]);
  return list;
}

class Layer {
  constructor(content) {
    Object.assign(this, content);
    this.rankOf = new Map(this.order.map((unit, rank) => [unit, rank]));
    this.unitBlocks = new Map();
    this.labelBlocks = new Map();
  }

  get unitCount() {
    return this.units.label.length;
  }

  get hash() {
    return `#${this.id}`;
  }

  unitHash(unit) {
    return `#${this.id}/unit-${unit}`;
  }

  conceptHash(concept) {
    return `#${this.id}/concept-${concept}`;
  }

  conceptName(concept) {
    return this.concepts[concept][0].trim() || "no label";
  }

  category(concept) {
    return this.concepts[concept][1];
  }

  categoryName(concept) {
    return this.categories[this.category(concept)] ?? "";
  }

  // Units by concept: those that detect it, and those with a sufficient IoU whose label is another.
  unitsOf(concept) {
    const detectors = this.order.filter((unit) => this.units.label[unit] === concept && this.units.detector[unit]);
    const others = this.others.filter((match) => match[1] === concept);
    others.sort((match, next) => next[2] - match[2]);
    return { detectors, others };
  }

  images() {
    this.imagesPromise ??= block(`${this.id}-images`).then((content) => this.readImages(content));
    return this.imagesPromise;
  }

  readImages(content) {
    const images = new Map();
    for (const [image, name] of Object.entries(content.names ?? {})) {
      images.set(Number(image), { image: Number(image), name, hasPicture: false });
    }
    const columns = content.pictures;
    this.imagesInBlock = content.imagesInBlock;
    (columns?.image ?? []).forEach((image, position) => {
      Object.assign(images.get(image), {
        hasPicture: true,
        position,
        file: columns.file[position],
        width: columns.width[position],
        height: columns.height[position],
        rows: columns.rows[position],
        columns: columns.columns[position],
        areas: new Map(pairs(columns.areas[position])),
      });
    });
    return images;
  }

  // What is known of a unit beyond its label: concepts, histogram, top images with masks.
  async unit(unit) {
    const number = Math.floor(this.rankOf.get(unit) / this.unitsInBlock);
    if (!this.unitBlocks.has(number)) this.unitBlocks.set(number, this.readUnits(number));
    return (await this.unitBlocks.get(number)).get(unit);
  }

  async readUnits(number) {
    const [content, images] = await Promise.all([block(`${this.id}-units-${number}`), this.images()]);
    const bits = content.masks ? await inflate(content.masks) : null;
    const units = new Map();
    let start = 0;
    content.units.forEach((unit, index) => {
      const top = (content.images?.[index] ?? []).map((image, rank) => {
        const entry = { ...images.get(image), rank, peak: content.peaks[index][rank], mask: null };
        if ((content.lit?.[index][rank] ?? -1) >= 0) {
          const bytes = Math.ceil((entry.rows * entry.columns) / 8);
          entry.mask = unpackedMask(bits.subarray(start, start + bytes), entry.rows, entry.columns);
          entry.lit = content.lit[index][rank];
          start += bytes;
        }
        return entry;
      });
      units.set(unit, { top, concepts: pairs(content.concepts[index]), histogram: content.histograms?.[index] });
    });
    return units;
  }

  // Annotation mask of a concept in an image that has a picture; null where it could not be read.
  async conceptMask(image, concept) {
    const number = Math.floor(image.position / this.imagesInBlock);
    if (!this.labelBlocks.has(number)) this.labelBlocks.set(number, this.readLabels(number));
    const labels = (await this.labelBlocks.get(number)).get(image.image);
    if (!labels) return null;
    const carries = Uint8Array.from(labels.members, (members) => (members.includes(concept) ? 1 : 0));
    return { rows: image.rows, columns: image.columns, pixels: Uint8Array.from(labels.pixels, (combination) => carries[combination]) };
  }

  async readLabels(number) {
    const [content, images] = await Promise.all([block(`${this.id}-labels-${number}`), this.images()]);
    const bytes = await inflate(content.pixels);
    const labels = new Map();
    let start = 0;
    content.images.forEach((image, index) => {
      const size = content.bytes[index];
      if (size === 0) return;
      const length = images.get(image).rows * images.get(image).columns;
      labels.set(image, { members: content.members[index], pixels: numbers(bytes, start, length, size) });
      start += length * size;
    });
    return labels;
  }
}

function numbers(bytes, start, length, size) {
  if (size === 1) return bytes.subarray(start, start + length);
  return Uint16Array.from({ length }, (_, index) => bytes[start + 2 * index] + 256 * bytes[start + 2 * index + 1]);
}

function unpackedMask(bits, rows, columns) {
  const pixels = new Uint8Array(rows * columns);
  for (let pixel = 0; pixel < pixels.length; pixel++) pixels[pixel] = (bits[pixel >> 3] >> (7 - (pixel & 7))) & 1;
  return { rows, columns, pixels };
}
