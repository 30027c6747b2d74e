/** Painted pictures, each asked for once: going back to a style shows it at once. */

const KEPT_BYTES = 96 * 1024 * 1024;

export class Painter {
  #server;
  #kept = new Map();
  #bytes = 0;
  #photo = null;

  constructor(server) {
    this.#server = server;
  }

  has(photo, look) {
    return photo === this.#photo && this.#kept.has(nameOf(look));
  }

  /**
   * `look` has style, blend, strength, keepColor, size and where, which is null for everywhere; the answer a Blob and what
   * {@link Server.stylize} says besides.
   */
  async paint(photo, look, options) {
    if (photo !== this.#photo) this.#forget(photo);
    const name = nameOf(look);
    const kept = this.#kept.get(name);
    if (kept) return kept;
    const { size, where } = look;
    const place = where && { part: where.part, feather: where.feather * Math.min(size, photo.longerSide) };
    const wanted = { ...look, ...place, maxSize: size, accept: photo.type };
    const mask = await where?.mask?.body(size);
    const painted = await this.#server.stylize(await photo.body(size), wanted, { ...options, mask });
    if (photo === this.#photo) this.#keep(name, painted);
    return painted;
  }

  #forget(photo) {
    [this.#photo, this.#bytes] = [photo, 0];
    this.#kept.clear();
  }

  /** Lets the oldest go when there are too many. */
  #keep(name, painted) {
    this.#kept.set(name, painted);
    this.#bytes += painted.blob.size;
    for (const [oldest, { blob }] of this.#kept) {
      if (this.#bytes <= KEPT_BYTES || oldest === name) break;
      this.#kept.delete(oldest);
      this.#bytes -= blob.size;
    }
  }
}

const nameOf = ({ size, keepColor, blend, strength, style, where }) =>
  [size, keepColor, blend, strength, style, where?.name].join(" ");
