/** The page: what is on it, and who answers to what. */

import { CameraView } from "/page/camera_view.js";
import { drawExample } from "/page/example.js";
import { askForKey } from "/page/key_dialog.js";
import { Problem } from "/page/messages.js";
import { clearProblem, say, tell } from "/page/notices.js";
import { Painter } from "/page/painter.js";
import { Photo } from "/page/photo.js";
import { PhotoView, pictureIn } from "/page/photo_view.js";
import { Server } from "/page/server.js";
import { Styles } from "/page/styles.js";
import { titleOf, toldApart } from "/page/titles.js";
import { Viewer } from "/page/viewer.js";
import { Where } from "/page/where.js";

const byId = (id) => document.getElementById(id);
const on = (id, event, listener) => byId(id).addEventListener(event, listener);

async function start() {
  const server = new Server(askForKey);
  try {
    const listed = await server.styles();
    if (!listed.styles.length) throw new Problem("This server has no styles yet.", { again: true });
    build(server, listed);
  } catch (error) {
    tell(error, start);
  }
}

function build(server, { styles: list, default: first, mask_parts: parts, provider, limits }) {
  const painter = new Painter(server);
  const styles = new Styles(toldApart(list), painter, () => chosen(), () => mixed());
  styles.chosen = first;
  const where = new Where(parts, {
    moved: recolour,
    softened: () => views.photo.paint(),
    chosen: (file) => views.photo.mask(file),
  });
  const site = { server, painter, styles, where, limits, provider };
  const viewer = new Viewer();
  const views = { photo: new PhotoView(site, viewer), camera: new CameraView(site, viewer, withoutCamera) };
  let mode = "photo";

  function chosen() {
    label(styles.chosen);
    showStrength(viewer, mode, styles);
    if (mode === "photo") views.photo.paint();
    else views.camera.update();
  }

  function mixed() {
    label(styles.chosen);
    showStrength(viewer, mode, styles);
    if (mode === "photo") views.photo.follow();
    else views.camera.update();
  }

  function recolour() {
    if (mode === "photo") views.photo.recolour();
    else views.camera.update();
  }

  function switchTo(wanted) {
    views[mode].leave();
    mode = wanted;
    clearProblem();
    document.body.dataset.mode = mode;
    document.body.dataset.stage = "empty";
    showStrength(viewer, mode, styles);
    where.show(mode);
    for (const name of ["photo", "camera"]) byId(`mode-${name}`).setAttribute("aria-pressed", name === mode);
    for (const part of document.querySelectorAll("[data-only]")) part.hidden = part.dataset.only !== mode;
  }

  async function open(file) {
    if (mode !== "photo") switchTo("photo");
    await views.photo.open(file);
  }

  async function hang(photo) {
    if (mode !== "photo") switchTo("photo");
    clearProblem();
    await views.photo.hang(photo);
  }

  function goLive() {
    switchTo("camera");
    views.camera.enter();
  }

  function goBack() {
    switchTo("photo");
    say("");
    if (views.photo.photo) views.photo.hang(views.photo.photo);
  }

  function withoutCamera(error) {
    goBack();
    tell(error, goLive);
  }

  on("mode-photo", "click", goBack);
  for (const id of ["mode-camera", "use-camera"]) on(id, "click", goLive);
  on("example", "click", () => hang(new Photo("example", drawExample(), limits)));
  on("paint-frame", "click", () => hang(views.camera.moment()));
  on("keep-color", "change", recolour);
  on("strength", "input", () => showStrength(viewer, mode, styles));
  on("blend", "change", mixed);
  acceptFiles(open);
  showWhatThereIs();
  label(styles.chosen);
  showStrength(viewer, mode, styles);
  const device = /cpu/i.test(provider) ? "processor" : "graphics card";
  byId("provider").textContent = `Painted on the ${device} (${provider}).`;
  styles.showPreviews(server);
}

/** Files chosen, dropped anywhere, or pasted. */
function acceptFiles(open) {
  const file = byId("file");
  for (const id of ["choose", "choose-other"]) on(id, "click", () => file.click());
  file.addEventListener("change", () => {
    const [chosen] = file.files;
    if (chosen) open(chosen);
    file.value = ""; // so that the same one can be chosen again
  });
  const take = (event, transfer) => {
    try {
      event.preventDefault();
      open(pictureIn(transfer));
    } catch (error) {
      tell(error);
    }
  };
  document.addEventListener("paste", (event) => {
    if (!event.target.matches?.("input[type=password]")) take(event, event.clipboardData);
  });
  const curtain = byId("drop-here");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    curtain.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) curtain.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    curtain.hidden = true;
    take(event, event.dataTransfer);
  });
}

/** Which parts are there follows from the stage, body[data-stage]: empty, photo or camera. */
function showWhatThereIs() {
  const show = () => {
    const { stage, mode } = document.body.dataset;
    byId("invitation").hidden = stage !== "empty";
    byId("frame").hidden = byId("panel").hidden = stage === "empty";
    byId("before").hidden = mode === "camera";
    byId("camera").hidden = mode !== "camera";
  };
  new MutationObserver(show).observe(document.body, { attributeFilter: ["data-stage", "data-mode"] });
  show();
}

function label(style) {
  const years = (text) => (text ?? "").replace(/(\d)-(\d)/g, "$1\u2060–\u2060$2"); // one unbroken word
  byId("painting-title").textContent = titleOf(style);
  byId("painting-artist").textContent = years(style.artist);
  byId("painting-year").textContent = years(style.year);
  byId("painting-licence").textContent = style.licence ? `Licence of the painting: ${style.licence}` : "";
}

function showStrength(viewer, mode, styles) {
  const strength = byId("strength");
  byId("strength-value").textContent = `${strength.value}%`;
  strength.setAttribute("aria-valuetext", `${strength.value}%`);
  if (mode === "photo") viewer.strength = styles.asked.blend === "network" ? 1 : strength.value / 100;
}

start();
