/** A camera's newest frames to the server and the painted ones back, at most two on the way, none ever queued. */

import { encode, fit, newCanvas } from "/page/photo.js";

const IN_FLIGHT = 2;
const LOST = 10_000; // milliseconds without an answer after which what is on the way counts as lost
const WINDOW = 2_000; // milliseconds over which frames per second are counted
// Automatic size: what the network should take for a frame, and the longer sides to choose from.
const WANTED = 80; // milliseconds
const SIZES = [256, 320, 384, 448, 512, 640, 768];
const PATIENCE = { smaller: 2, larger: 8 }; // frames before a change of size
const REFUSALS = 10; // frames refused one after the other before that is worth a word

/** How large a frame may be so that the network keeps up. */
export class Pace {
  #index = 1;
  #average = null;
  #frames = 0;
  fixed = null;

  get size() {
    return this.fixed ?? SIZES[this.#index];
  }

  /** Takes how long the network worked on a frame of the size in force. */
  heed(inference) {
    this.#average = this.#average === null ? inference : 0.75 * this.#average + 0.25 * inference;
    this.#frames += 1;
    if (this.fixed || this.#frames < PATIENCE.smaller) return;
    const growth = (SIZES[this.#index + 1] / SIZES[this.#index]) ** 2;
    if (this.#average > 1.3 * WANTED && this.#index > 0) this.#step(-1);
    else if (this.#frames >= PATIENCE.larger && this.#average * growth < 0.9 * WANTED) this.#step(1);
  }

  #step(by) {
    this.#index += by;
    [this.#average, this.#frames] = [null, 0];
  }
}

export class Live {
  mirror = true;
  pace = new Pace();
  #video;
  #canvas;
  #events;
  #socket = null;
  #frame = newCanvas(1, 1);
  #sent = 0;
  #answered = 0;
  #drawn = 0;
  #captured = new Map();
  #answer = null;
  #interval = 0;
  #lastSent = 0;
  #lastAnswer = 0;
  #encoding = false;
  #shown = [];
  #latency = 0;
  #refused = 0;

  /** `events`: closed(event), refused(message), painted({ fps, latency, width, height }). */
  constructor(video, canvas, events) {
    [this.#video, this.#canvas, this.#events] = [video, canvas, events];
    this.#onFrame(() => this.#tick());
  }

  open(address) {
    this.close();
    const socket = new WebSocket(address);
    socket.binaryType = "blob";
    socket.addEventListener("message", ({ data }) => socket === this.#socket && this.#receive(data));
    socket.addEventListener("close", (event) => socket === this.#socket && this.#closed(event));
    this.#socket = socket;
    [this.#sent, this.#answered, this.#drawn, this.#interval] = [0, 0, 0, 0];
    [this.#shown, this.#latency] = [[], 0];
    this.#captured.clear();
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** Tells the server what to do from now on: style, strength, blend, keep_color, max_size, mask_part. */
  set(look) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(look));
  }

  #closed(event) {
    this.#socket = null;
    this.#events.closed(event);
  }

  #onFrame(callback) {
    if (this.#video.requestVideoFrameCallback) this.#video.requestVideoFrameCallback(callback);
    else requestAnimationFrame(callback);
  }

  #tick() {
    this.#onFrame(() => this.#tick());
    const now = performance.now();
    if (this.#sent > this.#answered && now - this.#lastAnswer > LOST && now - this.#lastSent > LOST) {
      this.#answered = this.#sent;
    }
    if (this.#maySend(now)) this.#send(now);
  }

  #maySend(now) {
    const inFlight = this.#sent - this.#answered;
    if (this.#encoding || this.#socket?.readyState !== WebSocket.OPEN || !this.#video.videoWidth) return false;
    // The second one leaves so late that it hardly waits, and the server still never does.
    const soon = this.#interval > 0 && now - this.#lastSent > 0.85 * this.#interval;
    return inFlight === 0 || (inFlight < IN_FLIGHT && soon);
  }

  async #send(now) {
    const socket = this.#socket;
    const { videoWidth, videoHeight } = this.#video;
    const [width, height] = fit(videoWidth, videoHeight, { maxSize: this.pace.size });
    if (this.#frame.width !== width || this.#frame.height !== height) this.#frame = newCanvas(width, height);
    this.#frame.getContext("2d").drawImage(this.#video, 0, 0, width, height);
    [this.#encoding, this.#lastSent] = [true, now];
    try {
      const blob = await encode(this.#frame, "image/jpeg", 0.85);
      if (socket !== this.#socket || socket.readyState !== WebSocket.OPEN) return;
      socket.send(blob);
      this.#sent += 1;
      this.#captured.set(this.#sent, now);
    } finally {
      this.#encoding = false;
    }
  }

  #receive(data) {
    if (typeof data !== "string") return this.#draw(data, this.#answer);
    const answer = JSON.parse(data);
    if (answer.frame) this.#heed(answer);
    if (answer.error) this.#refuse(answer);
  }

  #refuse({ frame, error }) {
    this.#refused = frame ? this.#refused + 1 : REFUSALS; // a frame or two may be refused while others are busy
    if (this.#refused === REFUSALS) this.#events.refused(error.message);
  }

  #heed(answer) {
    const now = performance.now();
    const interval = now - this.#lastAnswer;
    if (this.#answered) this.#interval = this.#interval ? 0.7 * this.#interval + 0.3 * interval : interval;
    [this.#answered, this.#lastAnswer, this.#answer] = [Math.max(this.#answered, answer.frame), now, answer];
    if (answer.inference_ms) this.pace.heed(answer.inference_ms);
  }

  async #draw(blob, answer) {
    const bitmap = await createImageBitmap(blob);
    if (!this.#socket || answer.frame < this.#drawn) return;
    this.#drawn = answer.frame;
    const { width, height } = bitmap;
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    const context = this.#canvas.getContext("2d");
    context.setTransform(this.mirror ? -1 : 1, 0, 0, 1, this.mirror ? width : 0, 0);
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.#refused = 0;
    this.#count(answer.frame, width, height);
  }

  #count(frame, width, height) {
    const now = performance.now();
    const delay = now - (this.#captured.get(frame) ?? now);
    for (const number of this.#captured.keys()) if (number <= frame) this.#captured.delete(number);
    this.#latency = this.#latency ? 0.8 * this.#latency + 0.2 * delay : delay;
    this.#shown = [...this.#shown.filter((time) => now - time < WINDOW), now];
    const seconds = (now - this.#shown[0]) / 1000;
    const fps = seconds > 0 ? (this.#shown.length - 1) / seconds : 0;
    this.#events.painted({ fps, latency: this.#latency, width, height });
  }
}
