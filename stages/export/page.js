// The last part of the page's one script (see network.js); the others use its `model`.

// The page: draw or choose a picture, and see what the network makes of it.
const $ = (id) => document.getElementById(id);
const model = JSON.parse($("model").textContent), [rows, columns, channels] = model.shape;
const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const weights = new Float32Array(decode(model.weights).buffer);
for (const layer of model.layers) for (const name of ["kernel", "bias"])
  if (layer[name]) layer[name] = weights.subarray(...layer[name]);

const canvas = $("canvas"), screen = canvas.getContext("2d");
const sheet = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const strokes = [], pen = [0.5, 0.5];  // points are fractions of the canvas's width and height
let backdrop = null, lifted = true, waiting = 0;

// Show pixels in [0, 1], or black, on a canvas of their size.
function picture(canvas, pixels = new Float32Array(rows * columns * channels)) {
  const image = new ImageData(columns, rows);
  for (let i = 0; i < image.data.length; i++)
    image.data[i] = i % 4 < 3 ? 255 * pixels[channels * (i >> 2) + i % 4 % channels] : 255;
  Object.assign(canvas, { width: columns, height: rows });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// Show what the network sees and answers, if there is something to see.
function show(pixels, note = "") {
  picture($("seen"), pixels ?? undefined);
  const shares = pixels ? classify(pixels) : [];
  const ranked = [...shares.keys()].sort((a, b) => shares[b] - shares[a]);
  [...$("answers").children].forEach(({ children: [name, bar, percentage] }, i) => {
    name.textContent = model.classes[ranked[i]] ?? "";
    bar.firstChild.style.width = `${100 * (shares[ranked[i]] ?? 0)}%`;
    percentage.textContent = pixels ? `${(100 * shares[ranked[i]]).toFixed(1)}%` : "";
  });
  $("best").textContent = model.classes[ranked[0]] ?? "?";
  $("note").textContent = note;
}

function paint(context, colour) {
  const { width, height } = context.canvas;
  Object.assign(context, { strokeStyle: colour, lineCap: "round", lineJoin: "round" });
  context.lineWidth = 0.08 * Math.min(width, height);
  for (const stroke of strokes) {
    context.beginPath();
    stroke.forEach(([x, y], i) => {
      const [right, down] = stroke[i + 1] ?? [x, y + 1e-4];  // a point alone would not be drawn
      const middle = [(x + right) / 2 * width, (y + down) / 2 * height];
      context.quadraticCurveTo(x * width, y * height, ...middle);
    });
    context.stroke();
  }
}

function draw() {
  waiting = 0;
  canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
  canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
  $("hint").hidden = backdrop || strokes.length;
  if (backdrop) {
    const scale = Math.min(canvas.width / backdrop.width, canvas.height / backdrop.height);
    const width = backdrop.width * scale, height = backdrop.height * scale;
    screen.imageSmoothingEnabled = backdrop.width > columns;
    screen.drawImage(backdrop, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
    return;
  }
  const style = getComputedStyle(canvas);
  paint(screen, style.color);
  if (canvas.matches(":focus-visible")) {  // a ring shows where the arrow keys will draw
    Object.assign(screen, { strokeStyle: style.getPropertyValue("--blue"), lineWidth: 3 });
    screen.beginPath();
    screen.arc(pen[0] * canvas.width, pen[1] * canvas.height, 0.05 * canvas.width, 0, 7);
    screen.stroke();
  }
  const scale = 200 / Math.max(rows, columns);  // to which predict reduces a picture
  const width = Math.round(columns * scale), height = Math.round(rows * scale);
  blank(width, height, "black");
  paint(sheet, "white");
  const { data } = sheet.getImageData(0, 0, width, height);
  const grey = Float32Array.from({ length: width * height }, (_, i) => data[4 * i] / 255);
  show(prepare(grey, height, width));
}

function blank(width, height, colour) {
  Object.assign(sheet.canvas, { width, height });
  Object.assign(sheet, { fillStyle: colour, imageSmoothingQuality: "high" });
  sheet.fillRect(0, 0, width, height);
}

const redraw = () => waiting ||= requestAnimationFrame(draw);

function change(edit) {
  backdrop = null;
  lifted = true;
  edit();
  redraw();
}

function choose(shown, pixels, note) {
  strokes.length = 0;
  lifted = true;
  backdrop = shown;
  draw();
  show(pixels, note);
}

async function look(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return choose(null, null, `${file.name} can't be read; expected a picture`);
  const scale = Math.min(1, 2000 / Math.max(bitmap.width, bitmap.height));
  const width = Math.ceil(bitmap.width * scale), height = Math.ceil(bitmap.height * scale);
  blank(width, height, "white");
  sheet.drawImage(bitmap, 0, 0, width, height);
  choose(bitmap, fit(sheet.getImageData(0, 0, width, height).data, height, width), file.name);
}

function at(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

if (model.drawn) {
  canvas.onpointerdown = (event) => {
    if (event.button || !event.isPrimary) return;
    canvas.setPointerCapture(event.pointerId);
    change(() => strokes.push([at(event)]));
  };
  canvas.onpointermove = (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const parts = event.getCoalescedEvents?.() ?? [];  // what happened since the last frame
    change(() => strokes.at(-1)?.push(...(parts.length ? parts : [event]).map(at)));
  };
  canvas.onkeydown = (event) => {
    const axis = { ArrowLeft: 0, ArrowRight: 0, ArrowUp: 1, ArrowDown: 1 }[event.key];
    if (axis === undefined) return;
    event.preventDefault();
    const begins = lifted;
    change(() => {
      if (event.shiftKey && begins) strokes.push([[...pen]]);
      pen[axis] = clip(pen[axis] + (/Left|Up/.test(event.key) ? -0.04 : 0.04));
      if (event.shiftKey) strokes.at(-1).push([...pen]);
      lifted = !event.shiftKey;
    });
  };
}
for (const { image, label } of model.samples) {
  const button = document.createElement("button"), shown = document.createElement("canvas");
  const pixels = Float32Array.from(decode(image), (value) => value / 255);
  button.append(picture(shown, pixels));
  button.ariaLabel = button.title = `A test image of the class ${model.classes[label]}`;
  button.onclick = () => choose(shown, pixels, button.title);
  $("samples").append(button);
}
const actions = { undo: () => strokes.pop(), clear: () => strokes.length = 0 };
for (const name in actions) if ($(name)) $(name).onclick = () => change(actions[name]);
for (const input of document.querySelectorAll("input")) input.onchange = () => {
  look(input.files[0]);
  input.value = "";  // the same file can be chosen again
};
ondragover = (event) => event.preventDefault();
ondrop = (event) => {
  event.preventDefault();
  if (!model.drawn && event.dataTransfer.files.length) look(event.dataTransfer.files[0]);
};
onkeydown = (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z") change(actions.undo);
  if (event.key === "Escape") change(actions.clear);
};
onresize = canvas.onfocus = canvas.onblur = redraw;
matchMedia("(prefers-color-scheme: dark)").onchange = redraw;
redraw();
