// A part of the page's one script (see network.js); page.js reads `model`.

// Prepare what was drawn or chosen as predict/picture.py does, where comments give the reasons.

const sinc = (x) => x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
const lanczos = { support: 3, weigh: (x) => Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0 };
const bicubic = { support: 2, weigh(x) {
  const a = Math.abs(x);
  return a < 1 ? (1.5 * a - 2.5) * a * a + 1 : a < 2 ? ((2.5 - 0.5 * a) * a - 4) * a + 2 : 0;
} };

const clip = (value, most = 1) => Math.min(Math.max(value, 0), most);

// Resample the middle axis of values, an array of before by from by behind, to another length, as
// Pillow does: when it shrinks, the filter covers all that becomes one pixel.
function resample(values, before, from, behind, to, filter, round) {
  const result = new Float32Array(before * to * behind);
  const scale = from / to, stretch = Math.max(scale, 1), reach = filter.support * stretch;
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale, first = Math.max(0, Math.floor(centre - reach + 0.5));
    const length = Math.min(from, Math.floor(centre + reach + 0.5)) - first;
    const weights = Array.from({ length }, (_, j) =>
      filter.weigh((first + j - centre + 0.5) / stretch));
    const sum = weights.reduce((total, weight) => total + weight);
    for (let b = 0; b < before; b++) for (let k = 0; k < behind; k++) {
      let total = 0;
      for (let j = 0; j < length; j++)
        total += weights[j] / sum * values[(b * from + first + j) * behind + k];
      result[(b * to + i) * behind + k] = round(total);
    }
  }
  return result;
}

const same = (value) => value;
function resize(values, height, width, channels, rows, columns, filter, round = same) {
  const across = resample(values, height, width, channels, columns, filter, round);
  return resample(across, 1, height, columns * channels, rows, filter, round);
}

// Return the image of a drawing, a Float32Array of height by width in [0, 1]; null if it is blank.
function prepare(grey, height, width) {
  const [rows, columns] = model.shape, edge = [];
  for (let x = 0; x < width; x++) edge.push(grey[x], grey[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) edge.push(grey[y * width], grey[(y + 1) * width - 1]);
  edge.sort((a, b) => a - b);
  const paper = (edge[height + width - 1] + edge[height + width]) / 2;
  const darkest = Math.min(...grey), lightest = Math.max(...grey);
  if (lightest - darkest < 0.1) return null;
  const tip = 2 * paper > darkest + lightest ? darkest : lightest;
  const ink = grey.map((value) => clip(((value - paper) / (tip - paper) - 0.3) / 0.4));

  let top = height, bottom = 0, left = width, right = 0;
  ink.forEach((value, i) => {
    if (value <= 0.65) return;
    const y = Math.floor(i / width), x = i % width;
    top = Math.min(top, y); bottom = Math.max(bottom, y + 1);
    left = Math.min(left, x); right = Math.max(right, x + 1);
  });
  const tall = bottom - top, wide = right - left;
  const crop = Float32Array.from({ length: tall * wide }, (_, i) =>
    ink[(top + Math.floor(i / wide)) * width + left + i % wide]);

  const scale = Math.min(20 / 28 * rows / tall, 20 / 28 * columns / wide);
  const [h, w] = [tall, wide].map((side) => Math.max(1, Math.floor(side * scale + 0.5)));
  const small = resize(crop, tall, wide, 1, h, w, lanczos).map((value) => clip(value));
  const offset = (place, length, side) => {
    let sum = 0, moment = 0;
    small.forEach((value, i) => { sum += value; moment += value * place(i); });
    return Math.min(Math.max(Math.ceil(side / 2 - moment / sum - 0.501), 0), side - length);
  };
  const y = offset((i) => Math.floor(i / w), h, rows), x = offset((i) => i % w, w, columns);
  const image = new Float32Array(rows * columns), strongest = Math.max(...small);
  small.forEach((value, i) => {
    image[(y + Math.floor(i / w)) * columns + x + i % w] = value / strongest;
  });
  return image;
}

// Return the image of a picture, whose height by width pixels are RGBA and opaque.
function fit(rgba, height, width) {
  const [rows, columns, channels] = model.shape, round = (value) => Math.round(clip(value, 255));
  const values = channels === 3 ? rgba.filter((_, i) => i % 4 < 3)
    : Float32Array.from({ length: height * width }, (_, i) =>  // grey as Pillow's
      (rgba[4 * i] * 19595 + rgba[4 * i + 1] * 38470 + rgba[4 * i + 2] * 7471 + 32768) >> 16);
  return resize(values, height, width, channels, rows, columns, bicubic, round)
    .map((value) => value / 255);
}
