// Pictures with a region: inside of it as they are, outside dimmed, with a line around it.

const DIMMED = "rgb(0 0 0 / 60%)";
const OUTLINE_OF_UNIT = "#ffd200";
const OUTLINE_OF_ANNOTATION = "rgb(255 255 255 / 70%)";
const LARGEST_SCALE = 8;

// A picture of IMAGE; MASK is a mask, a promise of one, or null for none.
function pictureOf(image, alt, mask, outline = OUTLINE_OF_UNIT) {
  const box = element("span", { class: "picture" });
  box.style.aspectRatio = `${image.width} / ${image.height}`;
  box.style.flex = `${image.width / image.height} 1 0`;
  const photo = element("img", { alt, loading: "lazy", decoding: "async", width: image.width, height: image.height });
  box.append(photo);
  whenNear(box, async () => {
    photo.src = pictureSource(image.file);
    const region = await mask;
    if (!region) return;
    const canvas = element("canvas", { "aria-hidden": "true" });
    drawRegion(canvas, region, box.clientWidth * window.devicePixelRatio, outline);
    box.append(canvas);
  });
  return box;
}

// Every pixel of the mask is a square of the canvas: clear where it is lit, dimmed where not. The
// line lies outside of the lit pixels.
function drawRegion(canvas, mask, width, outline) {
  const { rows, columns, pixels } = mask;
  const scale = Math.min(LARGEST_SCALE, Math.max(1, Math.ceil(width / columns)));
  const lineWidth = (outline === OUTLINE_OF_UNIT ? 2 : 1) * window.devicePixelRatio;
  const line = Math.min(scale, Math.max(1, Math.round(lineWidth)));
  canvas.width = columns * scale;
  canvas.height = rows * scale;
  const context = canvas.getContext("2d");
  context.fillStyle = DIMMED;
  context.fillRect(0, 0, canvas.width, canvas.height);
  const isLit = (row, column) => pixels[row * columns + column] === 1;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (isLit(row, column)) context.clearRect(column * scale, row * scale, scale, scale);
    }
  }
  context.fillStyle = outline;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (isLit(row, column)) continue;
      const left = column * scale;
      const top = row * scale;
      const far = scale - line;
      if (row > 0 && isLit(row - 1, column)) context.fillRect(left, top, scale, line);
      if (row + 1 < rows && isLit(row + 1, column)) context.fillRect(left, top + far, scale, line);
      if (column > 0 && isLit(row, column - 1)) context.fillRect(left, top, line, scale);
      if (column + 1 < columns && isLit(row, column + 1)) context.fillRect(left + far, top, line, scale);
    }
  }
}

// Pixels of two masks of one size: of both, of either.
function overlap(mask, annotation) {
  let both = 0;
  let either = 0;
  for (let pixel = 0; pixel < mask.pixels.length; pixel++) {
    both += mask.pixels[pixel] & annotation.pixels[pixel];
    either += mask.pixels[pixel] | annotation.pixels[pixel];
  }
  return { both, either };
}

function share(mask) {
  let lit = 0;
  for (const pixel of mask.pixels) lit += pixel;
  return lit / mask.pixels.length;
}
