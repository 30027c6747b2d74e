/** Where the paint goes: everywhere, on the part of a picture that the server finds, or where a mask is white. */

const byId = (id) => document.getElementById(id);
const [control, part, file, maskName] = ["where-control", "where", "mask-file", "mask-name"].map(byId);
const [choose, remove] = ["choose-mask", "remove-mask"].map(byId);
const [edges, feather, featherValue] = ["feather-control", "feather", "feather-value"].map(byId);

export class Where {
  #mask = null;
  #mode = "photo";
  #parts;

  /**
   * `parts` are those that the server finds. `events`: moved() when the place is another, softened() when its edges are,
   * chosen(file) when a file should become the mask.
   */
  constructor(parts, { moved, softened, chosen }) {
    this.#parts = parts;
    part.hidden = !parts.length;
    part.addEventListener("change", () => {
      this.show(this.#mode);
      moved();
    });
    choose.addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      const [picked] = file.files;
      if (picked) chosen(picked);
      file.value = ""; // so that the same one can be chosen again
    });
    remove.addEventListener("click", () => {
      this.forget();
      choose.focus();
      moved();
    });
    feather.addEventListener("input", () => this.#tellFeather());
    feather.addEventListener("change", softened);
    this.show("photo");
  }

  /** What a photo is to be painted with, `feather` a share of its longer side; null for everywhere. */
  get asked() {
    if (!this.#mask && !this.part) return null;
    const asked = this.#mask ? { mask: this.#mask } : { part: this.part };
    return { ...asked, feather: feather.value / 100, name: `${this.#mask?.id ?? this.part} ${feather.value}` };
  }

  /** The part that is chosen, or null. */
  get part() {
    return part.value || null;
  }

  set mask(mask) {
    this.#mask = mask;
    this.show(this.#mode);
    remove.focus();
  }

  /** A mask is of one photo only. */
  forget() {
    this.#mask = null;
    this.show(this.#mode);
  }

  show(mode) {
    this.#mode = mode;
    const [photo, masked] = [mode === "photo", mode === "photo" && Boolean(this.#mask)];
    control.hidden = !photo && !this.#parts.length;
    part.hidden = masked || !this.#parts.length;
    choose.hidden = !photo || masked;
    remove.hidden = maskName.hidden = !masked;
    maskName.textContent = masked ? `Where ${this.#mask.name} is white` : "";
    edges.hidden = !photo || !this.asked;
    this.#tellFeather();
  }

  #tellFeather() {
    const said = `${feather.value}%`;
    featherValue.textContent = said;
    feather.setAttribute("aria-valuetext", `${said} of the longer side`);
  }
}
