/** The mix of a palette's styles: a slider for each, and what the mix is called. */

import { titleOf, titleOfMix } from "/page/titles.js";

const FULL = 100;
const MOST_IN_FILE_NAME = 3;

const panel = document.getElementById("mix");
const list = document.getElementById("mix-styles");
const blend = document.getElementById("blend-control");

export class Mix {
  #palette;
  #shares;
  #changed;

  /** `changed()` is called whenever a slider is moved. */
  constructor(palette, changed) {
    [this.#palette, this.#changed] = [palette, changed];
    this.#shares = palette.styles.map((style, index) => newShare(style, `share-${palette.name}-${index}`));
    for (const share of this.#shares) {
      share.slider.addEventListener("input", () => this.#move(share));
      share.alone.addEventListener("click", () => this.#leave(share));
    }
    this.#reflect();
  }

  /** The mix as if it were a style of its own. */
  get style() {
    const mixed = this.#shares.filter(({ value }) => value > 0);
    const { name, licence } = this.#palette;
    if (mixed.length === 1) {
      const [{ style }] = mixed;
      return { ...style, name: `${style.name}@${name}`, file: style.name, licence };
    }
    const amounts = mixed.map(({ style, value }) => [style.name, value]);
    const greatestFirst = [...mixed].sort((one, other) => other.value - one.value).map(({ style }) => style);
    return {
      name: `${amounts.map((amount) => amount.join(":")).join(",")}@${name}`,
      title: titleOfMix(greatestFirst),
      file:
        mixed.length > MOST_IN_FILE_NAME ? `${name}_mix` : amounts.map((amount) => amount.join("-")).join("+"),
      licence,
    };
  }

  async showPreviews(server) {
    await Promise.allSettled(
      this.#shares.map(async ({ image, style }) => {
        image.src = URL.createObjectURL(await server.picture(style.preview));
      }),
    );
  }

  /** Puts the sliders on the page; without a mix, takes away those that are there. */
  static show(mix) {
    panel.hidden = blend.hidden = !mix;
    document.body.classList.toggle("mixing", Boolean(mix));
    list.replaceChildren(...(mix ? mix.#shares.map(({ row }) => row) : []));
  }

  /** Nothing of any style would be no mix, so that the last one that is left stays. */
  #move(share) {
    if (!this.#total) share.slider.value = 1;
    this.#reflect();
    this.#changed();
  }

  #leave(share) {
    for (const other of this.#shares) other.slider.value = other === share ? FULL : 0;
    this.#reflect();
    this.#changed();
  }

  get #total() {
    return this.#shares.reduce((sum, { value }) => sum + value, 0);
  }

  #reflect() {
    const total = this.#total;
    for (const { slider, output, value, row } of this.#shares) {
      output.textContent = `${Math.round((100 * value) / total)}%`;
      slider.setAttribute("aria-valuetext", `${output.textContent} of the mix`);
      row.classList.toggle("absent", value === 0);
    }
  }
}

function newShare(style, id) {
  const create = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const title = titleOf(style);
  const image = create("img", { alt: "", draggable: false });
  const alone = create("button", { type: "button", className: "alone", title: `Only ${title}` }, image);
  alone.setAttribute("aria-label", `Only ${title}`);
  const label = create("label", { htmlFor: id, textContent: title, title });
  const output = create("output", {});
  output.htmlFor = id;
  const range = { type: "range", id, min: 0, max: FULL, step: 1, value: Math.round(FULL * style.weight) };
  const slider = create("input", range);
  const row = create("div", { className: "share" }, alone, label, output, slider);
  return {
    style,
    row,
    alone,
    image,
    output,
    slider,
    get value() {
      return Number(slider.value);
    },
  };
}
