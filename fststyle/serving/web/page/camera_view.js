/** Camera mode: what the camera sees, painted while it happens. */

import { Camera } from "/page/camera.js";
import { Live } from "/page/live.js";
import { Problem } from "/page/messages.js";
import { clearProblem, say, tell } from "/page/notices.js";
import { Photo, encode, newCanvas } from "/page/photo.js";
import { pause } from "/page/server.js";
import { fileNameOf, titleOf } from "/page/titles.js";

const RECONNECTS = [500, 1000, 2000, 4000]; // milliseconds before each
const NOT_ALLOWED = 1008; // the code of a socket that the server will not have again
const METERS_EVERY = 400; // milliseconds

const byId = (id) => document.getElementById(id);
const [video, after, compare, meters] = ["camera", "after", "compare", "meters"].map(byId);
const [strength, keepColor, mirror] = ["strength", "keep-color", "mirror"].map(byId);

export class CameraView {
  #site;
  #viewer;
  #giveUp;
  #camera = new Camera(video);
  #live;
  #running = new AbortController();
  #failures = 0;
  #metersShown = 0;
  #refusal = "";

  /** `giveUp(error)` is called when there is no camera, or no server, to go on with. */
  constructor(site, viewer, giveUp) {
    [this.#site, this.#viewer, this.#giveUp] = [site, viewer, giveUp];
    this.#live = new Live(video, after, {
      closed: (event) => this.#reconnect(event),
      refused: (message) => this.#refused(message),
      painted: (measured) => this.#painted(measured),
    });
    video.addEventListener("resize", () => video.videoWidth && viewer.shape(video.videoWidth, video.videoHeight));
    strength.addEventListener("input", () => this.update());
    mirror.addEventListener("change", () => this.#reflect());
    byId("live-size").addEventListener("change", ({ target }) => {
      this.#live.pace.fixed = target.value === "auto" ? null : Number(target.value);
    });
    byId("other-camera").addEventListener("click", () => this.#run((ended) => this.#camera.startNext(ended)));
    byId("snapshot").addEventListener("click", () => this.#takeSnapshot());
  }

  get #look() {
    return {
      ...this.#site.styles.asked,
      strength: strength.value / 100,
      keepColor: keepColor.checked,
      maxSize: Math.min(1024, this.#site.limits.max_size),
      part: this.#site.where.part,
    };
  }

  enter() {
    compare.value = 0;
    compare.dispatchEvent(new Event("input"));
    this.#reflect();
    return this.#run((ended) => this.#camera.start(ended));
  }

  leave() {
    this.#running.abort();
    this.#live.close();
    this.#camera.stop();
    meters.hidden = true;
  }

  /** Another style, mix, strength, colouring or place from the next frame on. */
  update() {
    const { style, strength: share, blend, keepColor: keep, part } = this.#look;
    this.#live.set({ style, strength: share, blend, keep_color: keep, mask_part: part });
    if (!meters.hidden) say(`Live, after ${titleOf(this.#site.styles.chosen)}`);
  }

  /** What the camera sees now, as a photo. */
  moment() {
    const canvas = newCanvas(video.videoWidth, video.videoHeight);
    const context = canvas.getContext("2d");
    if (mirror.checked) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
    context.drawImage(video, 0, 0);
    return new Photo("camera", canvas, this.#site.limits);
  }

  async #run(start) {
    this.#running.abort();
    this.#live.close();
    const { signal } = (this.#running = new AbortController());
    say("Starting the camera…", { busy: true });
    try {
      await start(() => !signal.aborted && this.#lost());
      if (signal.aborted) return;
      clearProblem();
      document.body.dataset.stage = "camera";
      this.#viewer.shape(video.videoWidth, video.videoHeight);
      after.width = video.videoWidth; // clears it: the camera shows through until the first frame comes back
      byId("other-camera").hidden = !this.#camera.several;
      this.#failures = 0;
      this.#connect();
    } catch (error) {
      if (!signal.aborted) this.#stopWith(error);
    }
  }

  #connect() {
    say("Connecting to the server…", { busy: true });
    this.#live.open(this.#site.server.liveAddress(this.#look));
  }

  #refused(message) {
    this.#refusal = message;
    if (!meters.hidden) tell(new Problem(`The server could not paint this. It said: ${message}.`));
  }

  async #reconnect({ code }) {
    const { signal } = this.#running;
    meters.hidden = true;
    if (this.#failures === RECONNECTS.length || code === NOT_ALLOWED) {
      const said = this.#refusal && ` It said: ${this.#refusal}.`;
      return this.#stopWith(new Problem(`The live connection to the server broke off.${said}`, { again: true }));
    }
    say("The connection broke off; connecting again…", { busy: true });
    await this.#looked(signal);
    await pause(RECONNECTS[this.#failures], signal).catch(() => {});
    this.#failures += 1;
    if (!signal.aborted) this.#connect();
  }

  /** Nobody sees a page in the background, and no frame is taken there. */
  #looked(signal) {
    if (!document.hidden) return null;
    return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true, signal }));
  }

  #lost() {
    this.#stopWith(new Problem("The camera went away. Connect it and try again.", { again: true }));
  }

  #stopWith(error) {
    this.leave();
    this.#giveUp(error);
  }

  #painted({ fps, latency, width, height }) {
    if (meters.hidden) {
      [this.#failures, this.#refusal, meters.hidden] = [0, "", false];
      say(`Live, after ${titleOf(this.#site.styles.chosen)}`);
    }
    const now = performance.now();
    if (now - this.#metersShown < METERS_EVERY) return;
    this.#metersShown = now;
    byId("meter-fps").textContent = fps.toFixed(fps < 10 ? 1 : 0);
    byId("meter-latency").textContent = `${Math.round(latency)} ms`;
    byId("meter-size").textContent = `${width} × ${height}`;
  }

  #reflect() {
    this.#live.mirror = mirror.checked;
    video.classList.toggle("mirrored", mirror.checked);
  }

  async #takeSnapshot() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await encode(this.#viewer.picture(), "image/jpeg", 0.92));
    link.download = `camera_${fileNameOf(this.#site.styles.chosen)}.jpg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the download has begun by then
    say(`Saved ${link.download}`);
  }
}
