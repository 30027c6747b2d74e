/** The browser's cameras. */

import { cameraProblem, noCameraHere } from "/page/messages.js";

export class Camera {
  #video;
  #devices = [];
  #starts = 0;

  constructor(video) {
    this.#video = video;
  }

  get several() {
    return this.#devices.length > 1;
  }

  /** Starts the camera that is asked for, or the one that faces the person; `ended` is called when it goes away. */
  async start(ended, deviceId = null) {
    if (!navigator.mediaDevices?.getUserMedia) throw noCameraHere();
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
    const start = (this.#starts += 1);
    const video = { ...which, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
      if (start !== this.#starts) return release(stream); // it took so long that it is no longer wanted
      stream.getVideoTracks()[0].addEventListener("ended", ended, { once: true });
      this.#video.srcObject = stream;
      await this.#video.play();
    } catch (error) {
      if (start !== this.#starts) return;
      this.stop();
      throw cameraProblem(error);
    }
    const devices = await navigator.mediaDevices.enumerateDevices();
    this.#devices = devices.filter(({ kind }) => kind === "videoinput");
  }

  stop() {
    this.#starts += 1;
    release(this.#video.srcObject);
    this.#video.srcObject = null;
  }

  /** The one after the one that runs. */
  async startNext(ended) {
    const running = this.#video.srcObject?.getVideoTracks()[0]?.getSettings().deviceId;
    const index = this.#devices.findIndex(({ deviceId }) => deviceId === running);
    this.stop();
    await this.start(ended, this.#devices[(index + 1) % this.#devices.length].deviceId);
  }
}

function release(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
