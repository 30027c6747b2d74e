/** The browser's cameras. */

import { cameraProblem, noCameraHere } from "/page/messages.js";

export class Camera {
  #video;
  #devices = [];

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
    const video = { ...which, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
      stream.getVideoTracks()[0].addEventListener("ended", ended, { once: true });
      this.#video.srcObject = stream;
      await this.#video.play();
    } catch (error) {
      this.stop();
      throw cameraProblem(error);
    }
    const devices = await navigator.mediaDevices.enumerateDevices();
    this.#devices = devices.filter(({ kind }) => kind === "videoinput");
  }

  stop() {
    for (const track of this.#video.srcObject?.getTracks() ?? []) track.stop();
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
