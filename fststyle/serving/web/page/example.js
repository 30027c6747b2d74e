/** A landscape that the page draws itself, the same every time, for those who have no photo at hand. */

import { newCanvas } from "/page/photo.js";

const [WIDTH, HEIGHT] = [1200, 800];
const HORIZON = 470;

/** Numbers from 0 to 1, always the same ones. */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function drawExample() {
  const canvas = newCanvas(WIDTH, HEIGHT);
  const context = canvas.getContext("2d");
  const random = numbers(7);
  drawSky(context, random);
  drawHills(context, random);
  drawLake(context, random);
  drawBoat(context, 760, 590);
  drawShore(context, random);
  return canvas;
}

function vertical(context, top, bottom, colours) {
  const gradient = context.createLinearGradient(0, top, 0, bottom);
  colours.forEach((colour, index) => gradient.addColorStop(index / (colours.length - 1), colour));
  return gradient;
}

function drawSky(context, random) {
  context.fillStyle = vertical(context, 0, HORIZON, ["#2f4f86", "#7f93bd", "#e7b48f", "#f8d79a"]);
  context.fillRect(0, 0, WIDTH, HORIZON);
  const glow = context.createRadialGradient(820, 350, 10, 820, 350, 300);
  glow.addColorStop(0, "rgba(255, 246, 214, 1)");
  glow.addColorStop(0.12, "rgba(255, 236, 180, 0.9)");
  glow.addColorStop(1, "rgba(255, 220, 160, 0)");
  context.fillStyle = glow;
  context.fillRect(0, 0, WIDTH, HORIZON);
  for (let bank = 0; bank < 13; bank += 1) drawCloud(context, random, random() * WIDTH, 50 + random() * 250);
}

function drawCloud(context, random, x, y) {
  for (let puff = 0; puff < 24; puff += 1) {
    const [across, size] = [(random() - 0.5) * 250, 10 + random() * 26];
    context.fillStyle = `rgba(255, ${225 + random() * 25}, ${205 + random() * 40}, ${0.06 + random() * 0.12})`;
    context.beginPath();
    context.ellipse(x + across, y + (random() - 0.5) * 24, size * 2, size * 0.7, 0, 0, 2 * Math.PI);
    context.fill();
  }
}

function ridge(context, random, base, height, colours, roughness) {
  const [first, second, third] = [random() * 6, random() * 6, random() * 6];
  context.beginPath();
  context.moveTo(0, HORIZON + 2);
  for (let x = 0; x <= WIDTH; x += 4) {
    const wave = Math.sin(x / 190 + first) + 0.5 * Math.sin(x / 83 + second) + 0.25 * Math.sin(x / 31 + third);
    context.lineTo(x, base - height * (0.5 + wave / 3.5) - random() * roughness);
  }
  context.lineTo(WIDTH, HORIZON + 2);
  context.fillStyle = vertical(context, base - height, HORIZON, colours);
  context.fill();
}

function drawHills(context, random) {
  ridge(context, random, 430, 190, ["#7d83a8", "#b9a3a6"], 4);
  ridge(context, random, 455, 120, ["#55648a", "#8f7f8e"], 4);
  ridge(context, random, 470, 70, ["#33493f", "#5c6a48"], 9);
}

function drawLake(context, random) {
  context.fillStyle = vertical(context, HORIZON, HEIGHT, ["#e9bd92", "#8b90ad", "#36517d", "#223a5e"]);
  context.fillRect(0, HORIZON, WIDTH, HEIGHT - HORIZON);
  for (let ripple = 0; ripple < 900; ripple += 1) {
    const depth = random() ** 1.5;
    const [y, length] = [HORIZON + 4 + depth * (HEIGHT - HORIZON), (6 + random() * 40) * (0.3 + depth)];
    const nearSun = random() < 0.4;
    const x = nearSun ? 820 + (random() - 0.5) * (70 + depth * 260) : random() * WIDTH;
    const water = random() < 0.5 ? "rgba(20, 40, 80, 0.22)" : "rgba(220, 215, 225, 0.22)";
    context.fillStyle = nearSun ? "rgba(255, 228, 170, 0.55)" : water;
    context.fillRect(x - length / 2, y, length, 1 + depth * 4);
  }
}

function drawBoat(context, x, y) {
  const polygon = (colour, ...points) => {
    context.fillStyle = colour;
    context.beginPath();
    for (const [across, up] of points) context.lineTo(x + across, y + up);
    context.fill();
  };
  polygon("rgba(30, 32, 50, 0.45)", [-62, 4], [66, 4], [30, 70], [-20, 70]);
  polygon("#f5ead6", [2, -150], [2, -16], [72, -20]);
  polygon("#c9573c", [-4, -135], [-4, -16], [-52, -18]);
  polygon("#4a2c20", [-70, -12], [80, -12], [54, 12], [-46, 12]);
}

function drawShore(context, random) {
  context.fillStyle = vertical(context, 640, HEIGHT, ["#4d5a30", "#252f1d"]);
  context.beginPath();
  context.moveTo(0, 640);
  context.bezierCurveTo(180, 650, 300, 740, 520, HEIGHT);
  context.lineTo(0, HEIGHT);
  context.fill();
  const trees = [[40, 660, 1.25], [128, 668, 0.95], [214, 690, 0.7]];
  for (const [x, y, size] of trees) drawTree(context, random, x, y, size);
  for (let blade = 0; blade < 420; blade += 1) {
    const x = random() * 500;
    const y = Math.max(650 + (x / 500) ** 2 * 150, 650) + random() * 140;
    context.strokeStyle = ["#7c8a3f", "#a39a4a", "#3d4c26", "#c98d4f"][Math.floor(random() * 4)];
    context.lineWidth = 1 + random() * 2;
    context.beginPath();
    context.moveTo(x, y);
    context.quadraticCurveTo(x + 2, y - 14, x + (random() - 0.3) * 18, y - 16 - random() * 22);
    context.stroke();
  }
}

/** A cypress: a flame of many strokes. */
function drawTree(context, random, x, y, size) {
  context.fillStyle = "#2a2016";
  context.fillRect(x - 6 * size, y - 40 * size, 12 * size, 60 * size);
  for (let leaf = 0; leaf < 700; leaf += 1) {
    const up = random();
    const [width, lean] = [Math.sin(Math.PI * Math.min(1, up * 0.85 + 0.15)) ** 0.8 * 52 * size, random() - 0.5];
    context.fillStyle = ["#1f3322", "#2c452a", "#3f5a2f", "#58703a", "#8a8644"][Math.floor(random() ** 1.6 * 5)];
    context.beginPath();
    context.ellipse(x + lean * width, y - 30 * size - up * 400 * size, 4 * size, 15 * size, lean * 0.8, 0, 2 * Math.PI);
    context.fill();
  }
}
