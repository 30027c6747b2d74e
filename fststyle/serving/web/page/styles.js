/** The wall of styles: one choice of many, each a thumbnail of the photo there is, or of the style's own preview. */

import { isAbort } from "/page/messages.js";
import { Mix } from "/page/mix.js";
import { titleOf } from "/page/titles.js";

const THUMBNAIL = 320; // pixels, the longer side
const MOST_URGENT = 0;
const CAN_WAIT = 2;

const strength = document.getElementById("strength");
const blend = document.getElementById("blend");

export class Styles {
  #works = new Map();
  #painting = new AbortController();
  #painter;
  #newest = null; // what of a mix that changes is to be painted next
  #following = false;
  #element = document.getElementById("styles");

  /** `chosen()` is called whenever another one is chosen, `mixed()` when the chosen one's mix is changed. */
  constructor(list, painter, chosen, mixed) {
    this.#painter = painter;
    for (const style of list) {
      this.#works.set(style.name, newWork(style, style.styles.length ? new Mix(style, mixed) : null));
    }
    this.#element.style.setProperty("--count", list.length);
    this.#element.replaceChildren(...[...this.#works.values()].map((work) => work.label));
    this.#element.addEventListener("change", () => {
      this.#reveal();
      chosen();
    });
  }

  /** The chosen style, as the server describes it; of a palette, the mix as if it were one. */
  get chosen() {
    return this.#chosenWork.style;
  }

  /** What the server is asked for, for the chosen style at its full size. */
  get asked() {
    return this.#chosenWork.asked;
  }

  get #chosenWork() {
    return this.#all.find((work) => work.input.checked);
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
    Mix.show(this.#chosenWork.mix);
    const { offsetLeft, offsetWidth } = this.#chosenWork.label;
    this.#element.scrollTo({ left: offsetLeft - (this.#element.clientWidth - offsetWidth) / 2 });
  }

  /** The server's previews, until there is a photo. */
  async showPreviews(server) {
    const { signal } = this.#painting;
    await Promise.allSettled(
      this.#all.map(async (work) => {
        const preview = await server.picture(work.preview);
        if (!signal.aborted) work.show(preview);
      }),
    );
    for (const { mix } of this.#all) await mix?.showPreviews(server);
  }

  /**
   * The photo in every style, the chosen one first; `manner` has keepColor and where, `arrived(look)` is called for each.
   * Those that fail say so.
   */
  async paint(photo, manner, arrived) {
    this.#painting.abort();
    this.#painting = new AbortController();
    const { width, height } = photo.scaled(THUMBNAIL);
    for (const work of this.#all) work.wait(width / height);
    const wanted = { photo, manner, arrived, signal: this.#painting.signal };
    await Promise.all(this.#all.map((work) => this.#paintOne(work, wanted)));
  }

  /** The photo in the chosen mix while a hand moves sliders: one at a time, and only the newest is ever asked for. */
  async follow(photo, manner, arrived) {
    this.#newest = { photo, manner, arrived, signal: this.#painting.signal };
    if (this.#following) return;
    this.#following = true;
    while (this.#newest) {
      const wanted = this.#newest;
      this.#newest = null;
      await this.#paintOne(this.#chosenWork, wanted);
    }
    this.#following = false;
  }

  async #paintOne(work, { photo, manner, arrived, signal }) {
    const look = { ...work.asked, ...manner, size: THUMBNAIL };
    try {
      const rank = work.input.checked ? MOST_URGENT : CAN_WAIT;
      const { blob } = await this.#painter.paint(photo, look, { signal, rank });
      if (signal.aborted) return;
      work.show(blob, "photo");
      if (work === this.#chosenWork) arrived(look);
    } catch (error) {
      if (!isAbort(error) && !signal.aborted) work.fail();
    }
  }

  /** A first impression of the photo in a look: its thumbnail, or null where there is none yet. */
  async impression(photo, { size, ...look }) {
    const small = { ...look, size: THUMBNAIL };
    if (!this.#painter.has(photo, small)) return null;
    return (await this.#painter.paint(photo, small)).blob;
  }
}

function newWork(style, mix) {
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
    mix,
    preview: style.preview,
    get style() {
      return mix?.style ?? style;
    },
    /** Strength only where it is the network that gives the photo its part; else the page blends the two itself. */
    get asked() {
      const inside = mix && blend.value === "network";
      const manner = inside ? { blend: "network", strength: strength.value / 100 } : { blend: "pixels", strength: 1 };
      return { style: this.style.name, ...manner };
    },
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
