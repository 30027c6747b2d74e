/** A photo: from a file to pixels, upright and within what browser and server hold, and on to a request's body. */

import { Problem } from "/page/messages.js";

// Phones refuse canvases above this.
const CANVAS_PIXELS = 16_777_216;

/** The largest size, in whole pixels, of the same shape within the limits. */
export function fit(width, height, { maxSize = Infinity, maxPixels = Infinity } = {}) {
  const scale = Math.min(1, maxSize / Math.max(width, height), Math.sqrt(maxPixels / (width * height)));
  return [Math.max(1, Math.floor(width * scale + 1e-6)), Math.max(1, Math.floor(height * scale + 1e-6))];
}

export function newCanvas(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return canvas;
}

const sizeOf = (source) => [source.naturalWidth ?? source.width, source.naturalHeight ?? source.height];

/** Halves as often as it can first: browsers look at few neighbours, and a big step would leave jagged edges. */
export function scaled(source, width, height) {
  let [from, fromWidth, fromHeight] = [source, ...sizeOf(source)];
  while (fromWidth >= 2 * width && fromHeight >= 2 * height && fromWidth > 2) {
    [fromWidth, fromHeight] = [Math.ceil(fromWidth / 2), Math.ceil(fromHeight / 2)];
    from = drawn(from, Math.max(fromWidth, width), Math.max(fromHeight, height));
  }
  return drawn(from, width, height);
}

function drawn(source, width, height) {
  const canvas = newCanvas(width, height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return canvas;
}

export function encode(canvas, type, quality) {
  return new Promise((resolve, reject) => {
    const full = () => reject(new Problem("The browser has not enough memory for this picture."));
    canvas.toBlob((blob) => (blob ? resolve(blob) : full()), type, quality);
  });
}

/** A file that a person chose, as a Photo. `rescue(file)` makes a Blob that browsers read from one that they do not. */
export async function readPhoto(file, limits, rescue) {
  if (file.size === 0) throw new Problem(`“${file.name}” is empty.`);
  let image;
  try {
    image = await decoded(file);
  } catch {
    image = await rescued(file, limits, rescue);
  }
  return new Photo(file.name, image, limits);
}

async function rescued(file, limits, rescue) {
  const unread = new Problem(
    `“${file.name || "This file"}” cannot be read as a picture. Photos saved as JPEG, PNG or WebP always work.`,
  );
  if (!file.type.startsWith("image/") || file.size > limits.max_body_bytes) throw unread;
  try {
    return await decoded(await rescue(file));
  } catch {
    throw unread;
  }
}

/** An image element applies the EXIF orientation, in every browser. */
export async function decoded(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
    if (!image.naturalWidth || !image.naturalHeight) throw new Problem("A picture without a size.");
    return image;
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

export class Photo {
  #limits;
  #scaled = new Map();
  #bodies = new Map();

  /** `source`, an image or a canvas, is scaled down to what the server takes and gives. */
  constructor(name, source, limits) {
    const [sourceWidth, sourceHeight] = sizeOf(source);
    const maxPixels = Math.min(limits.max_pixels, CANVAS_PIXELS);
    const [width, height] = fit(sourceWidth, sourceHeight, { maxSize: limits.max_size, maxPixels });
    this.name = (name ?? "").replace(/\.[^.]*$/, "").trim() || "photo";
    this.canvas = scaled(source, width, height);
    this.whole = width === sourceWidth;
    this.#limits = limits;
    this.transparent = hasTransparency(this.canvas);
  }

  get longerSide() {
    return Math.max(this.canvas.width, this.canvas.height);
  }

  /** The type that a painted picture comes back as. */
  get type() {
    return this.transparent ? "image/png" : "image/jpeg";
  }

  /** A canvas with the longer side at most `size`; shared, not to be drawn on. */
  scaled(size) {
    if (size >= this.longerSide) return this.canvas;
    if (!this.#scaled.has(size)) {
      this.#scaled.set(size, scaled(this.canvas, ...fit(this.canvas.width, this.canvas.height, { maxSize: size })));
    }
    return this.#scaled.get(size);
  }

  /** The same, encoded, within the bytes that the server takes. */
  body(size) {
    if (!this.#bodies.has(size)) {
      const made = this.#encoded(size);
      made.catch(() => this.#bodies.delete(size));
      this.#bodies.set(size, made);
    }
    return this.#bodies.get(size);
  }

  async #encoded(size) {
    const canvas = this.scaled(size);
    const ways = this.transparent
      ? [["image/png"], ["image/webp", 0.9], ["image/webp", 0.7]]
      : [["image/jpeg", 0.95], ["image/jpeg", 0.85], ["image/jpeg", 0.7]];
    for (const [type, quality] of ways) {
      const blob = await encode(canvas, type, quality);
      if (blob.size <= this.#limits.max_body_bytes) return blob;
    }
    const smaller = Math.floor(Math.max(canvas.width, canvas.height) * 0.7);
    if (smaller < 16) throw new Problem("The server takes so few bytes that no picture fits.");
    return this.#encoded(smaller);
  }
}

function hasTransparency(canvas) {
  const small = scaled(canvas, ...fit(canvas.width, canvas.height, { maxSize: 256 }));
  const { data } = small.getContext("2d").getImageData(0, 0, small.width, small.height);
  for (let index = 3; index < data.length; index += 4) if (data[index] < 250) return true;
  return false;
}
