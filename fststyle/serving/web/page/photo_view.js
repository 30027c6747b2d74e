/** Photo mode: a photo on the wall, painted in the chosen style, to compare and to take along. */

import { readMask } from "/page/mask.js";
import { Problem, isAbort } from "/page/messages.js";
import { clearProblem, say, tell } from "/page/notices.js";
import { encode, fit, readPhoto } from "/page/photo.js";
import { pause } from "/page/server.js";
import { fileNameOf, titleOf } from "/page/titles.js";

const SETTLE = 180; // milliseconds: someone who walks along the styles with the arrow keys asks for none on the way
const SIZES = [512, 768, 1024, 1536, 2048, 3072];
const FIRST_SIZE = { processor: 1024, graphics: 2048 };

const byId = (id) => document.getElementById(id);
const [size, strength, keepColor, download] = ["size", "strength", "keep-color", "download"].map(byId);

export class PhotoView {
  photo = null;
  #site;
  #viewer;
  #painting = new AbortController();
  #painted = null;
  #failed = false;
  #link = 0;
  #wantedSize;

  /** `site` holds what the server has, and what is chosen of it: server, painter, styles, where, limits, provider. */
  constructor(site, viewer) {
    this.#site = site;
    this.#viewer = viewer;
    this.#wantedSize = FIRST_SIZE[/cpu/i.test(site.provider) ? "processor" : "graphics"];
    size.addEventListener("change", () => {
      this.#wantedSize = Number(size.value);
      this.paint();
    });
    strength.addEventListener("input", () => (this.#blendsItself ? this.#offer(SETTLE) : this.follow()));
    strength.addEventListener("change", () => this.#blendsItself && this.#offer(0));
  }

  /** Opens a file; whatever hung before stays if it cannot be read. */
  async open(file) {
    const { server, limits, styles } = this.#site;
    say(`Opening ${file.name || "the picture"}…`, { busy: true });
    try {
      // A format that the browser does not know may still be one that the server knows.
      const rescue = async (unknown) =>
        (await server.stylize(unknown, { style: styles.chosen.name, strength: 0 })).blob;
      const photo = await readPhoto(file, limits, rescue);
      clearProblem();
      await this.hang(photo);
    } catch (error) {
      say(this.#painted?.summary ?? "");
      tell(error, () => this.open(file));
    }
  }

  async hang(photo) {
    if (photo !== this.photo) this.#site.where.forget();
    this.photo = photo;
    this.#offerSizes();
    this.#viewer.hang(photo.scaled(Number(size.value)), photo.name, photo);
    await this.show();
  }

  /** Shows the photo there is, and paints what is missing. */
  async show() {
    document.body.dataset.stage = this.photo ? "photo" : "empty";
    if (!this.photo) return say("");
    this.#paintThumbnails();
    return this.paint();
  }

  /** Stops what is under way. */
  leave() {
    this.#painting.abort();
  }

  /** Takes a file as the mask of the photo; what there was before stays if it cannot be one. */
  async mask(file) {
    const { photo } = this;
    if (!photo) return;
    try {
      const mask = await readMask(file, photo);
      if (photo !== this.photo) return;
      clearProblem();
      this.#site.where.mask = mask;
      this.recolour();
    } catch (error) {
      tell(error);
    }
  }

  /** Other colours, or another place for the paint. */
  recolour() {
    if (!this.photo) return;
    this.#paintThumbnails();
    this.paint();
  }

  /** A mix, or a strength in the network, that a hand changes: the thumbnail goes along, the picture comes after. */
  follow() {
    if (!this.photo || document.body.dataset.mode !== "photo") return;
    const photo = this.photo;
    this.paint();
    this.#site.styles.follow(photo, this.#manner, (look) => this.#glimpse(photo, look));
  }

  async paint() {
    this.#painting.abort();
    if (!this.photo) return;
    this.#painting = new AbortController();
    const { signal } = this.#painting;
    this.#painted = null;
    download.hidden = true;
    try {
      await this.#paintFully(signal);
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      say("");
      this.#failed = true;
      tell(error, () => this.recolour());
    }
  }

  async #paintFully(signal) {
    const { painter, styles } = this.#site;
    const [photo, style] = [this.photo, styles.chosen];
    const look = { ...styles.asked, ...this.#manner, size: Number(size.value) };
    this.#viewer.resize(photo.scaled(look.size));
    if (!painter.has(photo, look)) {
      say(`Painting after ${titleOf(style)}…`, { busy: true });
      await this.#impress(photo, look, signal);
      await pause(SETTLE, signal);
    }
    const busy = (wait) => say(`The server is busy; asking again in ${Math.ceil(wait)} s.`, { busy: true });
    const painted = await painter.paint(photo, look, { signal, busy });
    const bitmap = await createImageBitmap(painted.blob);
    signal.throwIfAborted();
    this.#viewer.show(bitmap, `${photo.name}, after ${titleOf(style)}`);
    const said = summary(style, bitmap, painted.inference);
    this.#painted = { ...painted, name: `${photo.name}_${fileNameOf(style)}`, type: photo.type, summary: said };
    say(said);
    if (this.#failed) clearProblem();
    this.#failed = false;
    await this.#offer(0);
  }

  /** The thumbnail, if it is there, until the full picture is. */
  async #impress(photo, look, signal) {
    const blob = await this.#site.styles.impression(photo, look);
    if (!blob) return;
    const bitmap = await createImageBitmap(blob);
    signal.throwIfAborted();
    if (!this.#painted) this.#viewer.show(bitmap, `${photo.name}, a first impression`);
  }

  #paintThumbnails() {
    const photo = this.photo;
    return this.#site.styles.paint(photo, this.#manner, (look) => this.#glimpse(photo, look));
  }

  /** Whoever waits for the picture can have its thumbnail meanwhile. */
  #glimpse(photo, look) {
    if (!this.#painted) this.#impress(photo, look, this.#painting.signal).catch(() => {});
  }

  get #manner() {
    return { keepColor: keepColor.checked, where: this.#site.where.asked };
  }

  /** Whether strength is a blend with the photo on this page, or a part of what the server paints. */
  get #blendsItself() {
    return this.#site.styles.asked.blend === "pixels";
  }

  #offerSizes() {
    const longest = this.photo.longerSide;
    const offered = [...SIZES.filter((pixels) => pixels < longest), longest];
    size.replaceChildren(
      ...offered.map((pixels) => {
        const [width, height] = fit(this.photo.canvas.width, this.photo.canvas.height, { maxSize: pixels });
        const note = this.photo.whole ? " (full)" : " (largest)";
        return new Option(`${width} × ${height}${pixels === longest ? note : ""}`, pixels);
      }),
    );
    size.value = offered.findLast((pixels) => pixels <= this.#wantedSize) ?? offered[0];
  }

  /** The link for the picture at the strength that is set; without a link while that changes. */
  async #offer(wait) {
    const [painted, link] = [this.#painted, (this.#link += 1)];
    if (!painted) return;
    download.removeAttribute("href");
    if (wait) await pause(wait);
    if (link !== this.#link) return;
    const full = strength.value === strength.max || !this.#blendsItself;
    const blob = full ? painted.blob : await encode(this.#viewer.picture(), painted.type, 0.92);
    if (link !== this.#link || painted !== this.#painted) return;
    URL.revokeObjectURL(download.dataset.address);
    download.href = download.dataset.address = URL.createObjectURL(blob);
    download.download = `${painted.name}.${painted.type === "image/png" ? "png" : "jpg"}`;
    download.hidden = false;
  }
}

function summary(style, { width, height }, inference) {
  const time = inference === null ? "" : `, painted in ${(inference / 1000).toFixed(inference < 9950 ? 1 : 0)} s`;
  return `${titleOf(style)}, ${width} × ${height}${time}`;
}

/** What a drop or a paste brought: its first picture. A Problem when there is none. */
export function pictureIn(transfer) {
  const files = [...(transfer?.files ?? [])];
  const file = files.find(({ type }) => type.startsWith("image/")) ?? files[0];
  if (file) return file;
  throw new Problem("That was a link or a text, not a picture. Save the picture first, then choose or drop the file.");
}
