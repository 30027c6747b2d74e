/** A mask: a picture of the photo's shape, white or opaque where the paint goes. */

import { Problem } from "/page/messages.js";
import { decoded, encode, scaled } from "/page/photo.js";

let masks = 0;

/** A file that a person chose, as a Mask of that photo. */
export async function readMask(file, photo) {
  let image;
  try {
    image = await decoded(file);
  } catch {
    throw new Problem(`“${file.name}” cannot be read as a picture. Masks are best saved as PNG.`);
  }
  const [one, other] = [[image.naturalWidth, image.naturalHeight], [photo.canvas.width, photo.canvas.height]];
  if (!fits(one, other) && !fits(other, one)) {
    throw new Problem(
      `The mask has ${one.join(" × ")} pixels and the photo ${other.join(" × ")}. A mask may have another size, but not ` +
        "another shape.",
    );
  }
  return new Mask(file.name, image, photo);
}

/** Whether the first is the second one scaled, but for a pixel on each side. */
function fits([width, height], [wholeWidth, wholeHeight]) {
  const scales = (by) => [(width + by) / wholeWidth, (height + by) / wholeHeight];
  return Math.max(...scales(-1)) <= Math.min(...scales(1));
}

class Mask {
  #photo;
  #image;
  #bodies = new Map();

  constructor(name, image, photo) {
    [this.name, this.#image, this.#photo] = [name, image, photo];
    this.id = masks += 1;
  }

  /** As large as the photo at that size, as PNG: what JPEG does to edges would show. */
  body(size) {
    if (!this.#bodies.has(size)) {
      const { width, height } = this.#photo.scaled(size);
      this.#bodies.set(size, encode(scaled(this.#image, width, height), "image/png"));
    }
    return this.#bodies.get(size);
  }
}
