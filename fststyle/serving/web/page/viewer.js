/** The framed picture: the original below, the painted one above it, and a slider between the two. */

import { newCanvas } from "/page/photo.js";

export class Viewer {
  #stack = document.getElementById("stack");
  #before = document.getElementById("before");
  #after = document.getElementById("after");
  #compare = document.getElementById("compare");
  #original = null;
  #painted = null;
  #transparent = false;
  #strength = 1;

  constructor() {
    this.#compare.addEventListener("input", () => this.#split());
    this.#split();
  }

  /** Width and height of what hangs in the frame, in any unit. */
  shape(width, height) {
    this.#stack.style.setProperty("--ratio", width / height);
  }

  /** A new original, a canvas; what was painted from the one before no longer shows. */
  hang(original, label, { transparent = false } = {}) {
    [this.#original, this.#painted, this.#transparent] = [original, null, transparent];
    this.shape(original.width, original.height);
    copyTo(this.#before, original);
    copyTo(this.#after, original);
    this.#before.setAttribute("aria-label", `Original: ${label}`);
  }

  /** The original at another size: the shape is the same, and what shows stays until there is something new. */
  resize(original) {
    this.#original = original;
    copyTo(this.#before, original);
    this.#blend();
  }

  /** What was painted from the original, at any size of the same shape. */
  show(painted, label) {
    this.#painted = painted;
    this.#after.setAttribute("aria-label", label);
    this.#blend();
  }

  set strength(strength) {
    this.#strength = strength;
    this.#blend();
  }

  /** What is above, as a canvas of its own: the whole picture, wherever the slider stands. */
  picture() {
    const canvas = newCanvas(this.#after.width, this.#after.height);
    canvas.getContext("2d").drawImage(this.#after, 0, 0);
    return canvas;
  }

  /** The server's own blend, linear in pixel values, so that the strength follows the hand and asks no one. */
  #blend() {
    if (!this.#original) return;
    const [after, strength] = [this.#after, this.#painted ? this.#strength : 0];
    [after.width, after.height] = [this.#original.width, this.#original.height]; // clears it too
    const context = after.getContext("2d");
    context.imageSmoothingQuality = "high";
    if (this.#transparent) {
      // Sums of premultiplied values, so that transparency stays what it is.
      context.globalCompositeOperation = "lighter";
      context.globalAlpha = 1 - strength;
    }
    if (strength < 1) context.drawImage(this.#original, 0, 0);
    context.globalAlpha = strength;
    if (strength > 0) context.drawImage(this.#painted, 0, 0, after.width, after.height);
  }

  #split() {
    const share = Number(this.#compare.value);
    this.#stack.style.setProperty("--split", `${share}%`);
    this.#compare.setAttribute("aria-valuetext", `${share}% original`);
    this.#stack.classList.toggle("all-painted", share < 12);
    this.#stack.classList.toggle("all-original", share > 88);
  }
}

function copyTo(canvas, source) {
  [canvas.width, canvas.height] = [source.width, source.height];
  canvas.getContext("2d").drawImage(source, 0, 0);
}
