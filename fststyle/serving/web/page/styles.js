/** The wall of styles: one choice of many, each a thumbnail of the photo there is, or of the style's own preview. */

import { isAbort } from "/page/messages.js";

const THUMBNAIL = 320; // pixels, the longer side
const MOST_URGENT = 0;
const CAN_WAIT = 2;

/** The title, or what can be made of the name. */
export const titleOf = (style) => style.title || style.name.replaceAll("_", " ").replace(/^./, (c) => c.toUpperCase());

export class Styles {
  #works = new Map();
  #painting = new AbortController();
  #painter;
  #element = document.getElementById("styles");

  /** `choose(style)` is called whenever another one is chosen. */
  constructor(list, painter, choose) {
    this.#painter = painter;
    for (const style of list) this.#works.set(style.name, newWork(style));
    this.#element.style.setProperty("--count", list.length);
    this.#element.replaceChildren(...[...this.#works.values()].map((work) => work.label));
    this.#element.addEventListener("change", () => {
      this.#reveal();
      choose(this.chosen);
    });
  }

  /** The chosen style, as the server describes it. */
  get chosen() {
    return this.#all.find((work) => work.input.checked)?.style;
  }

  set chosen(name) {
    (this.#works.get(name) ?? this.#all[0]).input.checked = true;
    this.#reveal();
  }

  get #all() {
    return [...this.#works.values()];
  }

  /** Brings the chosen one into sight where the styles are a row to push along; the page itself stays where it is. */
  #reveal() {
    const { offsetLeft, offsetWidth } = this.#works.get(this.chosen.name).label;
    this.#element.scrollTo({ left: offsetLeft - (this.#element.clientWidth - offsetWidth) / 2 });
  }

  /** The server's previews, until there is a photo. */
  async showPreviews(server) {
    const { signal } = this.#painting;
    await Promise.allSettled(
      this.#all.map(async (work) => {
        const preview = await server.picture(work.style.preview);
        if (!signal.aborted) work.show(preview);
      }),
    );
  }

  /** The photo in every style, the chosen one first; `arrived(style)` is called for each. Those that fail say so. */
  async paint(photo, keepColor, arrived) {
    this.#painting.abort();
    this.#painting = new AbortController();
    const { signal } = this.#painting;
    const { width, height } = photo.scaled(THUMBNAIL);
    const wanted = { ratio: width / height, keepColor, signal, arrived };
    await Promise.all(this.#all.map((work) => this.#paintOne(work, photo, wanted)));
  }

  async #paintOne(work, photo, { ratio, keepColor, signal, arrived }) {
    const look = { style: work.style.name, keepColor, size: THUMBNAIL };
    work.wait(ratio);
    try {
      const rank = work.input.checked ? MOST_URGENT : CAN_WAIT;
      const { blob } = await this.#painter.paint(photo, look, { signal, rank });
      if (signal.aborted) return;
      work.show(blob, "photo");
      arrived(work.style);
    } catch (error) {
      if (!isAbort(error) && !signal.aborted) work.fail();
    }
  }

  /** A first impression of the photo in a style: its thumbnail, or null where there is none yet. */
  async impression(photo, style, keepColor) {
    const look = { style, keepColor, size: THUMBNAIL };
    if (!this.#painter.has(photo, look)) return null;
    return (await this.#painter.paint(photo, look)).blob;
  }
}

function newWork(style) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "style", value: style.name });
  const frame = Object.assign(document.createElement("span"), { className: "work-frame" });
  const image = Object.assign(document.createElement("img"), { alt: "", draggable: false });
  const title = Object.assign(document.createElement("span"), { className: "work-title", textContent: titleOf(style) });
  const note = Object.assign(document.createElement("span"), { className: "work-note" });
  label.className = "work waiting";
  frame.append(image);
  label.append(input, frame, title, note);
  return {
    style,
    label,
    input,
    wait(ratio) {
      label.classList.add("waiting");
      note.textContent = "";
      label.style.setProperty("--ratio", ratio);
    },
    show(blob, source = "preview") {
      URL.revokeObjectURL(image.src);
      image.src = URL.createObjectURL(blob);
      image.dataset.source = source;
      label.classList.remove("waiting");
    },
    fail() {
      note.textContent = "could not be painted";
      label.classList.remove("waiting");
    },
  };
}
