/** Talking to the server: few requests at a time, patience when it is busy, and a Problem for every failure. */

import { Problem, problemOf, unreachable } from "/page/messages.js";

const AT_A_TIME = 2;
const ATTEMPTS = 8;
const LONGEST_WAIT = 15; // seconds
const KEY = "fststyle-key";

/** Resolves after that many milliseconds; rejects with an AbortError when the signal comes first. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

export class Server {
  #key = sessionStorage.getItem(KEY) ?? "";
  #asking = null;
  #askForKey;
  #waiting = [];
  #running = 0;

  /** `askForKey(wrong)` resolves to what the person typed, or null. */
  constructor(askForKey) {
    this.#askForKey = askForKey;
  }

  async styles() {
    return (await this.#request("/v1/styles", {})).json();
  }

  async picture(address) {
    return (await this.#request(address, {})).blob();
  }

  /**
   * The picture in `body` (a Blob) in a style, with how long the network took in milliseconds (null if untold); where
   * there is a `mask`, another Blob, only where that is white. Those with the lower `rank` go first; `busy(seconds)` is
   * told when the server asks to wait.
   */
  async stylize(body, look, { signal, rank = 1, busy, mask } = {}) {
    const headers = { Accept: look.accept ?? "image/jpeg", ...(!mask && { "Content-Type": body.type }) };
    const options = { method: "POST", body: mask ? form(body, mask) : body, signal, headers };
    await this.#turn(rank, signal);
    try {
      const response = await this.#request(`/v1/stylize?${query(look)}`, options, busy);
      return { blob: await readBlob(response), inference: inferenceTime(response) };
    } finally {
      this.#running -= 1;
      this.#admit();
    }
  }

  /** The socket's address; a browser can send no headers with it, so the key goes along in the query. */
  liveAddress(look) {
    const address = new URL("/v1/live", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.search = query(look);
    if (this.#key) address.searchParams.set("key", this.#key);
    return address.href;
  }

  #turn(rank, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const entry = { rank, start: resolve };
      this.#waiting.push(entry);
      this.#waiting.sort((one, other) => one.rank - other.rank);
      signal?.addEventListener("abort", () => {
        this.#waiting = this.#waiting.filter((other) => other !== entry);
        reject(signal.reason); // does nothing once it has started
      });
      this.#admit();
    });
  }

  #admit() {
    while (this.#running < AT_A_TIME && this.#waiting.length) {
      this.#running += 1;
      this.#waiting.shift().start();
    }
  }

  async #request(address, options, busy) {
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.#fetch(address, options);
      if (response.ok) return response;
      if (response.status === 401 && (await this.#newKey())) continue;
      const wait = waitOf(response);
      if (wait === null || attempt === ATTEMPTS) throw problemOf(response.status, await saidBy(response));
      busy?.(wait);
      // Not all at the same moment again.
      await pause(wait * 1000 * (1 + Math.random() / 4), options.signal);
    }
  }

  async #fetch(address, options) {
    const headers = { ...options.headers, ...(this.#key && { "X-API-Key": this.#key }) };
    try {
      return await fetch(address, { ...options, headers });
    } catch (error) {
      throw options.signal?.aborted ? error : unreachable();
    }
  }

  /** Asks once, however many requests are waiting for it; false when the person would rather not. */
  async #newKey() {
    this.#asking ??= this.#askForKey(this.#key !== "").finally(() => (this.#asking = null));
    const typed = await this.#asking;
    if (!typed) return false;
    this.#key = typed;
    sessionStorage.setItem(KEY, typed);
    return true;
  }
}

function query(look) {
  const query = new URLSearchParams({
    style: look.style,
    strength: look.strength ?? 1,
    blend: look.blend ?? "pixels",
    keep_color: look.keepColor ?? false,
  });
  if (look.maxSize) query.set("max_size", look.maxSize);
  if (look.part) query.set("mask_part", look.part);
  if (look.feather) query.set("feather", look.feather);
  return query;
}

function form(image, mask) {
  const form = new FormData();
  form.set("image", image);
  form.set("mask", mask);
  return form;
}

/** Seconds after which to try again, or null where waiting would not help. */
function waitOf(response) {
  const asked = Number(response.headers.get("Retry-After"));
  if (response.status !== 429 && !(response.status === 503 && asked > 0)) return null;
  return Math.min(LONGEST_WAIT, asked > 0 ? asked : 1);
}

async function saidBy(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return ""; // something between here and the server answered, in words of its own
  }
}

async function readBlob(response) {
  try {
    return await response.blob();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem("The answer broke off half-way.", { again: true });
  }
}

function inferenceTime(response) {
  const entry = /(?:^|,)\s*inference[^,]*?dur=([\d.]+)/.exec(response.headers.get("Server-Timing") ?? "");
  return entry && Number(entry[1]);
}
