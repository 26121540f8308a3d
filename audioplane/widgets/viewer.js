// The viewer of a trained head: `render({ model, el })` as anywidget calls it, and as a saved page does.

const COLORS = {
  appearance: { label: "appearance", unit: "" },
  dynamism: { label: "dynamism d", unit: "", range: [0, 1] },
  displacement: { label: "displacement |Δμ|", unit: "mm" },
  opacity: { label: "opacity", unit: "", range: [0, 1] },
  scale: { label: "scale", unit: "mm", log: true },
  density: { label: "density", unit: "per cm³", log: true },
  reach: { label: "reach of the prototype", unit: "mm" },
};
const TURN = 0.01, STEP = 0.08; // radians a pixel of dragging, and a press of an arrow key
const FRONT = { yaw: 0, pitch: 0, zoom: 1, panX: 0, panY: 0 };
const VIEWS = { front: 0, "three-quarter": 0.6, profile: 1.3 }; // radians to the side
const PAPER = [0.953, 0.945, 0.925];
const FADING = 25, FAINTEST = 0.2; // degrees over which a head fades that is turned too far, and how faint it becomes
const SLOW = 70; // milliseconds between two pictures beyond which a moving one is drawn at half the size

function share(values, part) {
  const sorted = Float32Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}

class Viewer {
  constructor(model, el) {
    this.model = model;
    this.facts = model.get("head_facts");
    this.parts = unpack(this.facts, model.get("head_data"));
    this.state = { frame: 0, ...FRONT, level: 0, row: 0, amount: 0, picked: -1,
      controls: (this.facts.controls ?? []).map(() => 0) };
    this.voices = 0; // how many it was given, so that a path knows its own
    this.style = model.get("shape");
    this.color = model.get("color");
    this.torso = true;
    this.stamps = [];
    this.cloud = new Cloud(this.facts, this.parts);
    this.timeline = new Timeline((frame) => this.seek(frame), (loop) => this.tell("loop", loop));
    this.truth = new Truth(() => this.draw());
    const names = this.facts.branches.map((branch) => branch.name);
    this.selection = new Selection(this.cloud, this.parts, names, { changed: () => this.draw(),
      told: (found) => this.tell("selected", found), picked: () => this.state.picked });
    this.build(el);
    const options = { antialias: false, alpha: false, depth: false, powerPreference: "high-performance" };
    const gl = this.canvas.getContext("webgl2", options);
    if (!gl) return this.giveUp("This browser has no WebGL2");
    this.gl = gl;
    this.projection = new Projection(this.facts.count);
    this.raster = new Raster();
    this.canvas.viewer = this; // for scripts and tests
    this.ready = this.prepare();
    this.listen();
    this.takeTalk();
    this.takeView();
    this.takeSteering();
    this.takeLoop();
    this.takeSelected();
    if (model.get("picked") >= 0) this.takePicked();
  }

  /** Everything that lives on the GPU; again when a lost one is back. */
  async prepare() {
    this.isLost = false;
    this.painter = new Painter(this.gl, this.facts.count);
    this.field = new Fields(this.facts, this.parts, this.painter.isDeep ? this.gl : null);
    const image = new Blob([this.parts.behind.data], { type: "image/jpeg" });
    const bitmap = await createImageBitmap(image, { colorSpaceConversion: "none" });
    if (this.gl.isContextLost()) return;
    this.painter.setBehind(bitmap);
    this.move();
  }

  giveUp(reason) {
    const words = `${reason}: here is a still picture instead.`;
    this.stage.replaceChildren(make("img", { src: urlOf(this.model.get("still"), "image/jpeg"), alt: this.canvas.ariaLabel }));
    this.panel.hidden = this.player.hidden = true;
    this.status.textContent = words;
  }

  // Page

  build(el) {
    const { facts } = this, name = facts.name;
    const label = `Trained head ${name}, ${facts.count} Gaussians. Arrow keys turn it, with shift they move it, plus ` +
      "and minus zoom, 0 resets, space plays, a click picks a Gaussian; after a click, or with Ctrl, the wheel zooms, and " +
      "Escape lets go.";
    const size = this.model.get("size"), height = Math.round((size * facts.height) / facts.width);
    this.canvas = make("canvas", { tabindex: 0, role: "img", "aria-label": label, class: "ap-canvas" });
    this.canvas.ariaLabel = label;
    this.overlay = make("svg", { class: "ap-overlay", viewBox: `0 0 ${size} ${height}`, "aria-hidden": "true" });
    this.stage = make("div", { class: "ap-stage", style: `width:${size}px;aspect-ratio:${size}/${height}` }, this.canvas,
      this.truth.canvas, this.overlay, make("span", { class: "ap-mark" }, "synthetic"));
    const colors = Object.keys(COLORS).filter((key) => key !== "reach" || facts.handles?.length);
    this.colorChoice = choice(colors, this.color, (key) => COLORS[key].label, (key) => this.setColor(key));
    this.styleChoice = choice(STYLES, this.style, (key) => key, (key) => this.setStyle(key));
    this.torsoChoice = make("input", { type: "checkbox", checked: true, onchange: (event) => {
      this.torso = event.target.checked;
      this.draw();
    } });
    this.legend = make("div", { class: "ap-legend" });
    this.details = new Picked(this, this.overlay);
    const button = (words, hint, onclick) => make("button", { type: "button", title: hint, onclick }, words);
    const views = Object.entries(VIEWS).map(([words, yaw]) =>
      button(words, `look from: ${words}`, () => this.look({ ...FRONT, yaw })));
    this.viewButtons = make("div", { class: "ap-row ap-views", role: "group", "aria-label": "view" }, ...views,
      button("full screen", "the head alone; Escape leaves", () => this.enlarge()),
      button("save picture", "as a PNG file", () => this.savePicture()));
    this.filmButton = button("save film", "plays the voice, or the repeated piece, and records it", () => this.saveFilm());
    this.panel = make("div", { class: "ap-panel" },
      labelled("colour", this.colorChoice), this.legend, labelled("drawn as", this.styleChoice),
      labelled("torso (front view)", this.torsoChoice), this.truth.element, ...this.steering(), ...this.faceControls(),
      this.selection.element, this.details.element);
    this.playButton = make("button", { type: "button", class: "ap-play", onclick: () => this.toggle() }, "Play");
    this.slider = make("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "time",
      oninput: (event) => this.seek(Number(event.target.value)),
    });
    this.clock = make("output", { class: "ap-clock" }, "0.00 s");
    this.sound = make("audio", { preload: "auto", onended: () => this.finish(), onpause: () => this.stopped() });
    this.recorder = new Recorder(this.sound);
    this.timeline.buttons.append(this.filmButton);
    this.player = make("div", {}, make("div", { class: "ap-player" }, this.playButton, this.slider, this.clock, this.sound),
      this.timeline.element);
    this.turnWords = make("p", { class: "ap-turn" });
    this.status = make("p", { class: "ap-status", role: "status" });
    this.left = make("div", { class: "ap-left", style: `width:${size}px` }, this.stage, this.turnWords, this.viewButtons, this.player);
    el.replaceChildren(root(`Gaussian viewer of ${name}`,
      make("div", { class: "ap-columns" }, this.left, this.panel), this.status));
  }

  steering() {
    const { handles } = this.facts, sizes = (handles ?? []).map((handle) => handle.rows);
    if (!sizes.length) return [];
    const level = choice(sizes.map((_, s) => String(s)), "0", (s) => `${handles[s].title} (${sizes[s]} rows)`, (s) => {
      this.setLevel(Number(s));
      this.steer(Math.min(this.state.row, sizes[s] - 1), this.state.amount);
    });
    const row = make("input", { type: "range", min: 0, max: sizes[0] - 1, step: 1, value: 0,
      oninput: () => this.steer(Number(row.value), this.state.amount) });
    const amount = make("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0,
      oninput: () => this.steer(this.state.row, Number(amount.value)) });
    this.steerers = { level, row, amount };
    this.steerWords = make("output", {}, "");
    return [make("fieldset", {}, make("legend", {}, "steer the audio prototypes"), labelled("level", level),
      labelled("prototype", row), labelled("attention to it", amount), this.steerWords)];
  }

  setLevel(level) {
    this.state.level = level;
    this.steerers.level.value = level;
    this.steerers.row.max = this.facts.handles[level].rows - 1;
  }

  /** Sliders of eyes and brows, which add to what the head does by itself. */
  faceControls() {
    const { controls = [] } = this.facts;
    if (!controls.length) return [];
    this.controlSliders = controls.map(({ title, least }, c) => make("input", { type: "range", min: least, max: 1,
      step: 0.01, value: 0, "aria-label": title, oninput: (event) => this.setControl(c, Number(event.target.value)) }));
    const rows = controls.map(({ title }, c) => labelled(title, this.controlSliders[c]));
    return [make("fieldset", {}, make("legend", {}, "eyes and brows"), ...rows)];
  }

  setControl(c, value) {
    this.state.controls[c] = value;
    this.controlSliders[c].value = value;
    this.tellLater("face", () => [...this.state.controls]);
    this.move();
  }

  listen() {
    const { canvas, state, model } = this;
    let start = null, travelled = 0;
    const brush = (event) => this.brushAt(event.offsetX, event.offsetY, event.altKey);
    let isBrushing = false;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.focus({ preventScroll: true });
      isBrushing = this.selection.isBrushing && !event.shiftKey && event.button === 0;
      if (isBrushing) brush(event);
      start = [event.clientX, event.clientY, event.shiftKey || event.button === 2];
      travelled = 0;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!start) return;
      if (isBrushing) return brush(event);
      const dx = event.clientX - start[0], dy = event.clientY - start[1];
      travelled += Math.abs(dx) + Math.abs(dy);
      [start[0], start[1]] = [event.clientX, event.clientY];
      if (travelled > 3) start[2] ? this.pan(dx, dy) : this.orbit(TURN * dx, TURN * dy);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (isBrushing) this.tell("selected", this.selection.numbers);
      else if (start && travelled <= 3) this.pickAt(event.offsetX, event.offsetY);
      [start, isBrushing] = [null, false];
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // so that it may come back
      this.isLost = true;
      this.status.textContent = "The GPU is lost for the moment; the picture comes back with it.";
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.ready = this.prepare();
    });
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.stage);
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey && canvas.getRootNode().activeElement !== canvas) return; // the page scrolls
      event.preventDefault();
      this.zoom(Math.exp(-0.0015 * event.deltaY));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (arrow) event.shiftKey ? this.pan(12 * arrow[0], 12 * arrow[1]) : this.orbit(STEP * arrow[0], STEP * arrow[1]);
      else if (event.key === "+" || event.key === "=") this.zoom(1.1);
      else if (event.key === "-") this.zoom(1 / 1.1);
      else if (event.key === "0") this.reset();
      else if (event.key === " ") this.toggle();
      else if (event.key === "Escape") state.picked >= 0 ? this.pick(-1) : canvas.blur();
      else return;
      event.preventDefault();
    });
    this.changes = {
      "change:talk_facts": () => this.takeTalk(),
      "change:color": () => this.setColor(model.get("color")),
      "change:shape": () => this.setStyle(model.get("shape")),
      "change:frame": () => model.get("frame") !== state.frame && this.seek(model.get("frame")),
      "change:picked": () => this.takePicked(),
      "change:camera": () => this.takeView(),
      "change:steering": () => this.takeSteering(),
      "change:face": () => this.takeSteering(),
      "change:size": () => this.takeSize(),
      "change:loop": () => this.takeLoop(),
      "change:selected": () => this.takeSelected(),
    };
    for (const [event, react] of Object.entries(this.changes)) model.on(event, react);
    this.follow = ({ detail }) => this.together(detail);
    document.addEventListener("audioplane-together", this.follow);
  }

  /** Tells the viewers of the same group on this page what has changed: {camera} or {frame}. */
  share(change) {
    const group = this.model.get("group");
    if (group && !this.isFollowing)
      document.dispatchEvent(new CustomEvent("audioplane-together", { detail: { group, from: this, ...change } }));
  }

  /** Does what another viewer of the group did. */
  together({ group, from, camera, frame }) {
    if (from === this || group !== this.model.get("group") || !this.canvas.isConnected) return;
    this.isFollowing = true;
    if (camera) this.look(camera);
    if (frame !== undefined) this.show(Math.min(frame, (this.talk?.facts.frames ?? 1) - 1));
    this.isFollowing = false;
  }

  tell(name, value) {
    if (JSON.stringify(this.model.get(name)) === JSON.stringify(value)) return;
    this.model.set(name, value);
    this.model.save_changes();
  }

  /** As `tell`, once things have come to rest. */
  tellLater(name, value) {
    this.untold ??= {};
    clearTimeout(this.untold[name]);
    this.untold[name] = setTimeout(() => this.tell(name, value()), 150);
  }

  // What Python sets

  takeSize() {
    const size = this.model.get("size");
    const height = Math.round((size * this.facts.height) / this.facts.width);
    this.left.style.width = `${size}px`;
    Object.assign(this.stage.style, { width: `${size}px`, aspectRatio: `${size}/${height}` });
    this.overlay.setAttribute("viewBox", `0 0 ${size} ${height}`);
    this.draw();
  }

  takeView() {
    const camera = this.model.get("camera") ?? {};
    if (Object.keys(FRONT).some((name) => (camera[name] ?? FRONT[name]) !== this.state[name])) {
      Object.assign(this.state, FRONT, camera);
      this.draw();
    }
  }

  takeSteering() {
    const { level, row, amount } = this.model.get("steering") ?? {}, face = this.model.get("face") ?? [], { state } = this;
    const isSteered = this.steerers && level !== undefined &&
      (level !== state.level || row !== state.row || amount !== state.amount);
    if (isSteered) {
      this.setLevel(level);
      this.steer(row, amount);
    }
    face.forEach((value, c) => {
      if (c < state.controls.length && value !== state.controls[c]) this.setControl(c, value);
    });
  }

  takeLoop() {
    const loop = this.model.get("loop") ?? [];
    if (JSON.stringify(loop) !== JSON.stringify(this.timeline.loop ?? [])) this.timeline.set(...loop);
  }

  takeSelected() {
    const selected = this.model.get("selected") ?? [];
    if (JSON.stringify(selected) !== JSON.stringify(this.selection.numbers)) this.selection.choose(selected);
  }

  takePicked() {
    const number = this.model.get("picked"), n = number < 0 ? -1 : this.parts.order.data.indexOf(number);
    if (n !== this.state.picked) this.pick(n);
  }

  // View

  orbit(yaw, pitch) {
    this.state.yaw += yaw;
    this.state.pitch = Math.max(-1.5, Math.min(1.5, this.state.pitch + pitch));
    this.viewed();
  }

  pan(dx, dy) {
    this.state.panX += dx / this.stage.clientWidth;
    this.state.panY += dy / this.stage.clientWidth;
    this.viewed();
  }

  zoom(factor) {
    this.state.zoom = Math.max(0.3, Math.min(20, this.state.zoom * factor));
    this.viewed();
  }

  reset() {
    this.look(FRONT);
  }

  /** To a view: of `FRONT` what changes. */
  look(view) {
    Object.assign(this.state, view);
    this.viewed();
  }

  viewed() {
    this.share({ camera: Object.fromEntries(Object.keys(FRONT).map((name) => [name, this.state[name]])) });
    this.tellLater("camera", () => Object.fromEntries(Object.keys(FRONT).map((name) => [name, this.state[name]])));
    this.draw();
  }

  enlarge() {
    if (document.fullscreenElement) return document.exitFullscreen();
    this.stage.requestFullscreen().then(() => this.canvas.focus(), (error) => {
      this.status.textContent = `The browser does not allow a full screen here: ${error.message}`;
    });
  }

  /** The picture as it stands, with its mark, as a PNG file. */
  savePicture() {
    this.drawNow();
    const { width, height } = this.canvas, pen = make("canvas", { width, height }).getContext("2d");
    compose(pen, this.layers);
    pen.canvas.toBlob((blob) => download(blob, "image/png", `${this.facts.name}-${this.state.frame}.png`));
  }

  /** What lies over each other in a picture. */
  get layers() {
    return [this.canvas, this.truth.canvas];
  }

  /** Plays from the beginning, or the repeated piece, and records it; a second press ends it. */
  async saveFilm() {
    if (this.recorder.isRecording) return this.sound.pause();
    if (!this.sound.paused) {
      const pause = new Promise((done) => this.sound.addEventListener("pause", done, { once: true }));
      this.sound.pause();
      await pause;
    }
    this.seek(this.timeline.loop?.[0] ?? 0);
    this.drawNow();
    try {
      this.recorder.start(this.canvas.width, this.canvas.height, this.talk.facts.fps, this.facts.name);
    } catch (error) {
      this.status.textContent = `This browser gives no film: ${error.message}`;
      return;
    }
    this.recorder.take(this.layers);
    this.filmButton.textContent = "end film";
    this.toggle();
  }

  get isFront() {
    const { yaw, pitch, zoom, panX, panY } = this.state;
    return yaw === 0 && pitch === 0 && zoom === 1 && panX === 0 && panY === 0;
  }

  /** The camera for a canvas `width` pixels wide: the trained one, turned about the head's middle. */
  camera(width, frame = this.state.frame) {
    const { facts, state } = this, scale = width / facts.width, height = Math.round(facts.height * scale);
    const views = this.talk?.parts.views.data, at = 16 * frame;
    const V = Array.from(views?.length ? views.subarray(at, at + 16) : facts.view);
    if (state.yaw || state.pitch) {
      const [x, y, z] = facts.center, middle = [0, 4, 8].map((r) => V[r] * x + V[r + 1] * y + V[r + 2] * z + V[r + 3]);
      const [cy, sy] = [Math.cos(state.yaw), Math.sin(-state.yaw)], [cp, sp] = [Math.cos(state.pitch), Math.sin(state.pitch)];
      const turn = [cy, 0, sy, sp * sy, cp, -sp * cy, -cp * sy, sp, cp * cy], old = V.slice();
      for (let r = 0; r < 3; r++) {
        for (let c = 0; c < 4; c++)
          V[4 * r + c] = turn[3 * r] * old[c] + turn[3 * r + 1] * old[4 + c] + turn[3 * r + 2] * old[8 + c];
        V[4 * r + 3] += middle[r] - (turn[3 * r] * middle[0] + turn[3 * r + 1] * middle[1] + turn[3 * r + 2] * middle[2]);
      }
    }
    const [fx, , cx, , fy, cy] = facts.K, { zoom, panX, panY } = state;
    return { view: V, fx: fx * scale * zoom, fy: fy * scale * zoom, width, height,
      cx: width / 2 + (cx * scale - width / 2) * zoom + panX * width,
      cy: height / 2 + (cy * scale - height / 2) * zoom + panY * width };
  }

  /** How a camera's head is turned from the typical pose, degrees to the picture's right and up. */
  turned({ view: V }) {
    const F = this.facts.view, R = (r, c) => [0, 1, 2].reduce((sum, k) => sum + V[4 * r + k] * F[4 * c + k], 0);
    const degrees = 180 / Math.PI;
    return [Math.atan2(-R(0, 2), R(2, 2)) * degrees, -Math.asin(Math.max(-1, Math.min(1, R(2, 1)))) * degrees];
  }

  /** Says how far the head is turned and how far it was filmed; beyond what holds together it fades. */
  showTurn(camera) {
    const { filmed, beyond } = this.facts, angles = this.turned(camera);
    const over = Math.max(0, ...angles.map((angle, k) => Math.max(filmed[k][0] - angle, angle - filmed[k][1]) - beyond));
    this.canvas.style.opacity = 1 - (1 - FAINTEST) * Math.min(1, over / FADING);
    const [[left, right], [down, up]] = filmed.map((ends) => ends.map((end) => Math.round(end) || 0));
    const [yaw, pitch] = angles.map((angle) => Math.round(angle) || 0);
    const text = `turned ${yaw}°, up ${pitch}° · filmed from ${left}° to ${right}°, up ${down}° to ${up}°` +
      (over ? " · beyond what it has learned" : "");
    if (this.turnWords.textContent !== text) this.turnWords.textContent = text;
  }

  // Colour

  setStyle(style) {
    this.style = this.styleChoice.value = style;
    if (this.model.get("shape") !== style) this.tell("shape", style);
    this.draw();
  }

  setColor(color) {
    this.color = this.colorChoice.value = color;
    if (this.model.get("color") !== color) this.tell("color", color);
    this.range = null;
    this.draw();
  }

  /** The number of each Gaussian that the chosen colour shows. */
  values() {
    const { cloud, parts, color } = this;
    if (color === "dynamism") return cloud.dynamism;
    if (color === "displacement") return cloud.moved;
    if (color === "opacity") return cloud.opacity;
    if (color === "density") return parts.density.data;
    if (color === "reach") return (this.reaches ??= this.reach(this.state.level, this.state.row));
    return Float32Array.from({ length: cloud.count }, (_, n) => cloud.size(n));
  }

  /** How far each Gaussian goes when all attention of a level moves from the mean to one prototype, mm. */
  reach(level, row) {
    const { cloud, field, parts } = this, out = new Float32Array(cloud.count), mean = parts.mean_vector.data;
    const [from, to] = [mean, this.steered(mean, level, row, 1)].map((code) => field.all(code));
    const scales = parts.scales.data, numbers = cloud.numbers;
    for (let n = 0; n < cloud.moving; n++)
      out[n] = 1e3 * Math.hypot(...[0, 1, 2].map((c) =>
        scales[c] * (to.dynamism[n] * to.offsets[n * numbers + c] - from.dynamism[n] * from.offsets[n * numbers + c])));
    return out;
  }

  /** The scale that Gaussians are coloured by, as `painted` takes it; the legend says so. */
  scale() {
    const { color, parts, selection } = this, { log, range } = COLORS[color];
    const chosen = selection.chosen.includes(1) ? selection.chosen : null;
    if (color === "appearance") {
      this.showLegend(null);
      return { color, low: 0, high: 1, isLog: false, values: null, palette: null, chosen };
    }
    const values = this.values();
    const [low, high] = (this.range ??= range ?? [log ? share(values, 0.02) : 0, Math.max(this.most(values), 1e-6)]);
    this.showLegend([low, high]);
    const isFixed = color === "density" || color === "reach"; // others move with the cloud
    return { color, low, high, isLog: Boolean(log), values: isFixed ? values : null, palette: parts.palette.data, chosen };
  }

  /** The upper end of a colour scale; for displacement, over some moments of the voice, so that it stays put. */
  most(values) {
    if (this.color !== "displacement" || !this.talk || !this.field.count) return share(values, 0.995);
    const frame = this.state.frame, found = [];
    for (let k = 0; k < 6; k++) {
      this.cloud.move(this.field.all(this.codeAt(Math.floor(((k + 0.5) / 6) * this.talk.facts.frames))));
      found.push(share(this.cloud.moved, 0.998));
    }
    this.cloud.move(this.field.all(this.codeAt(frame)));
    return Math.max(...found);
  }

  showLegend(range) {
    const words = range ? `${range[0].toPrecision(2)} to ${range[1].toPrecision(2)} ${COLORS[this.color].unit}` : "";
    if (this.legendWords === words) return;
    this.legendWords = words;
    if (!range) return this.legend.replaceChildren();
    const palette = this.parts.palette.data;
    const stops = Array.from({ length: 9 }, (_, k) => `rgb(${palette.slice(3 * ((k * 255) >> 3), 3 * ((k * 255) >> 3) + 3)})`);
    const ends = range.map((value) => `${Number(value.toPrecision(2))}`);
    this.legend.replaceChildren(make("span", {}, ends[0]),
      make("span", { class: "ap-bar", style: `background:linear-gradient(90deg,${stops})` }),
      make("span", {}, `${ends[1]} ${COLORS[this.color].unit}`));
  }

  // Time

  takeTalk() {
    const facts = this.model.get("talk_facts");
    this.talk = facts?.parts ? { facts, parts: unpack(facts, this.model.get("talk_data")) } : null;
    if (this.talk) {
      const { vectors, vector_low, vector_high } = this.talk.parts;
      vectors.data = stepped(vectors, vector_low, vector_high, 65535);
    }
    const can = this.talk && this.field.count;
    this.player.hidden = !can;
    if (this.talk) {
      this.slider.max = facts.frames - 1;
      URL.revokeObjectURL(this.sound.src);
      this.sound.src = URL.createObjectURL(new Blob([this.talk.parts.sound.data], { type: "audio/ogg" }));
    }
    this.timeline.take(can ? this.talk : null);
    this.truth.take(can ? this.talk : null);
    this.range = null;
    this.voices++;
    this.say();
    this.seek(can ? Math.min(this.model.get("frame"), facts.frames - 1) : 0);
  }

  toggle() {
    if (!this.talk) return;
    if (!this.sound.paused) return this.sound.pause();
    const first = this.timeline.after(this.state.frame);
    if (first !== this.state.frame) this.seek(first);
    this.playButton.textContent = "Pause";
    this.sound.play().then(() => this.run(), (error) => this.stopped(`The sound does not play: ${error.message}`));
  }

  stopped(reason) {
    this.playButton.textContent = "Play";
    this.isFilmed = this.recorder.isRecording;
    this.recorder.stop();
    this.filmButton.textContent = "save film";
    this.isRunning = false;
    if (typeof reason === "string") this.status.textContent = reason;
    this.tell("frame", this.state.frame);
    this.details.element.setAttribute("aria-live", "polite");
    this.move();
  }

  finish() {
    if (!this.hasPlayed) return; // now and then a browser says of a paused sound that it ended, when it is moved
    this.hasPlayed = false;
    if (this.timeline.loop && !this.isFilmed) {
      this.seek(this.timeline.loop[0]);
      return this.toggle();
    }
    this.show(this.talk.facts.frames - 1); // a slow machine may not have come that far
    this.stopped();
  }

  run() {
    this.isRunning = this.hasPlayed = true;
    this.details.element.setAttribute("aria-live", "off"); // numbers that change all the time are not to be read out
    const step = () => {
      if (!this.isRunning || !this.canvas.isConnected) return;
      const { frames, fps } = this.talk.facts, frame = Math.min(frames - 1, Math.floor(this.sound.currentTime * fps));
      const next = this.timeline.after(frame);
      if (next !== frame && this.recorder.isRecording) return this.sound.pause(); // a film holds the piece once
      if (next !== frame) this.seek(next);
      else if (this.workers) this.showMade();
      else if (frame !== this.state.frame) this.show(frame);
      requestAnimationFrame(step);
    };
    this.hire();
    requestAnimationFrame(step);
  }

  /** Workers for what is played; without them, as where a page forbids them, the page itself does their work. */
  hire() {
    if (this.workers || this.isAlone || !this.field?.count) return;
    const dismiss = () => {
      this.workers?.close();
      [this.workers, this.isAlone] = [null, true];
    };
    try {
      this.workers = new Workers(this.facts, this.parts, Workers.wanted(this.isDrawnHere), () => this.showMade(),
        dismiss);
    } catch {
      dismiss();
    }
  }

  /** Shows the latest made frame that is due. */
  showMade() {
    if (!this.isMadeAhead) return;
    const due = this.workers.due(Math.floor(this.sound.currentTime * this.talk.facts.fps));
    if (due >= 0) due > this.state.frame ? this.show(due) : this.workers.reuse(this.workers.take(due).sheet);
    this.orderMore();
  }

  /** Gives workers that have nothing to do the next frames. */
  orderMore() {
    const { workers, sound, talk } = this;
    while (this.isMadeAhead && workers.idle && this.pictureWidth) {
      const { frames, fps } = talk.facts, next = workers.next(sound.currentTime * fps, fps);
      if (next < 0 || next >= frames || this.timeline.after(next) !== next) return;
      workers.order(next, this.order(next));
    }
  }

  /** What a worker needs to make a frame. */
  order(frame) {
    const vector = this.codeAt(frame), { limits, removed } = this.selection, camera = this.camera(this.pictureWidth, frame);
    const moved = this.field.isFast ? this.field.all(vector) : null;
    return { vector, moved, camera, look: this.scale(), filter: { limits, removed }, isDrawn: this.isDrawnHere };
  }

  /** Takes over what a worker has made. */
  adopt(moment) {
    for (const name of ["rows", "dynamism", "moved", "sigma", "opacity"]) this.cloud[name].set(moment[name]);
    const { order, depths, instances, drawn } = moment;
    Object.assign(this.projection, { order, depths, instances, drawn });
    this.selection.apply();
    this.present(moment.camera, moment.sheet);
    this.workers.reuse(moment.sheet);
  }

  seek(frame) {
    this.workers?.clear();
    this.hasPlayed &&= this.isRunning;
    if (this.talk) this.sound.currentTime = (frame + 0.5) / this.talk.facts.fps;
    this.show(frame);
    if (this.model.get("frame") !== frame) this.tell("frame", frame);
  }

  show(frame) {
    const { fps = 25, frames = 1 } = this.talk?.facts ?? {};
    this.state.frame = frame;
    this.share({ frame });
    this.timeline.show(frame);
    this.slider.value = frame;
    this.clock.textContent = `${(frame / fps).toFixed(2)} s`;
    this.slider.setAttribute("aria-valuetext", `${(frame / fps).toFixed(2)} seconds, frame ${frame} of ${frames}`);
    const moment = this.isRunning && this.workers?.take(frame);
    if (moment) this.adopt(moment);
    else this.move();
  }

  /** The frame's vector, steered. */
  codeAt(frame) {
    const { level, row, amount } = this.state, mean = this.parts.mean_vector.data, size = mean.length;
    const own = this.talk ? this.talk.parts.vectors.data.subarray(frame * size, (frame + 1) * size) : mean;
    return this.expressed(amount ? this.steered(own, level, row, amount) : own);
  }

  /** A vector with the face's sliders added to its end, which is the expression, within what was seen. */
  expressed(vector) {
    const { controls: values } = this.state, { controls, bounds } = this.parts;
    if (!values.some((value) => value)) return vector;
    const size = bounds.shape[1], first = vector.length - size, out = Float32Array.from(vector);
    for (let e = 0; e < size; e++) {
      values.forEach((value, c) => {
        out[first + e] += Math.abs(value) * controls.data[(2 * c + (value < 0 ? 1 : 0)) * size + e];
      });
      out[first + e] = Math.max(bounds.data[e], Math.min(bounds.data[size + e], out[first + e]));
    }
    return out;
  }

  /** The part of a vector that a handle holds, moved towards one of its rows. */
  steered(vector, level, row, amount) {
    const { handles } = this.facts, out = Float32Array.from(vector), { first, size } = handles[level];
    const start = handles.slice(0, level).reduce((sum, handle) => sum + handle.rows * handle.size, 0);
    const table = this.parts.handles.data;
    for (let c = 0; c < size; c++) out[first + c] += amount * (table[start + row * size + c] - out[first + c]);
    return out;
  }

  steer(row, amount) {
    Object.assign(this.state, { row, amount });
    this.steerers.row.value = row;
    this.steerers.amount.value = amount;
    this.steerWords.textContent = `row ${row}, ${Math.round(100 * amount)} %`;
    this.tellLater("steering", () => ({ level: this.state.level, row: this.state.row, amount: this.state.amount }));
    if (this.reaches) [this.reaches, this.range] = [null, this.color === "reach" ? null : this.range];
    this.move();
  }

  /** Moves the Gaussians to the frame's code and draws. */
  move() {
    if (!this.field?.count) return this.draw();
    if (this.isMadeAhead) return;
    const isSteered = this.state.amount || this.state.controls.some((value) => value);
    this.cloud.move(this.talk || isSteered ? this.field.all(this.codeAt(this.state.frame)) : null);
    this.draw();
  }

  // Drawing

  /** Whether workers make what is shown next. */
  get isMadeAhead() {
    return Boolean(this.isRunning && this.workers);
  }

  draw() {
    if (this.isWaiting || !this.gl || this.isMadeAhead) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      if (this.canvas.isConnected) this.drawNow();
    });
  }

  /** The width of a picture, pixels; 0 in a hidden tab, or without a GPU. */
  get pictureWidth() {
    const density = Math.min(2, globalThis.devicePixelRatio || 1);
    return this.isLost ? 0 : Math.round(this.canvas.clientWidth * density * (this.isRunning && this.isSlow ? 0.5 : 1));
  }

  drawNow() {
    const width = this.pictureWidth;
    if (!width) return;
    const camera = this.camera(width);
    this.selection.apply();
    this.projection.run(this.cloud, camera, painted(this.cloud, this.scale(), camera));
    this.present(camera, this.isDrawnHere ? this.raster.draw(this.projection, width, camera.height) : null);
  }

  /** Whether the processor draws, rather than a program that stands in for a GPU. */
  get isDrawnHere() {
    return this.painter.isSoftware && this.style === "splats";
  }

  /** Shows the projected Gaussians. sheet: of `Raster`, or null. */
  present(camera, sheet) {
    const { width, height } = camera, torso = this.torso && this.isFront;
    if (this.canvas.width !== width || this.canvas.height !== height)
      [this.canvas.width, this.canvas.height] = [width, height];
    this.canvas.classList.toggle("ap-brushing", this.selection.isBrushing);
    if (sheet) this.painter.drawSheet(sheet, width, height, PAPER, torso);
    else this.painter.draw(this.projection, width, height, this.style, PAPER, torso);
    this.truth.draw(this.canvas, this.state.frame, this.isFront);
    this.recorder.take(this.layers);
    this.details.describe();
    this.details.mark(width);
    this.showTurn(camera);
    const now = performance.now();
    this.stamps = [...this.stamps.filter((stamp) => now - stamp < 1000), now];
    if (this.isRunning && this.stamps.length > 4)
      this.isSlow ||= (now - this.stamps[0]) / (this.stamps.length - 1) > SLOW;
    this.say();
  }

  /** The canvas as RGBA, top row first. */
  pixels() {
    this.drawNow();
    return { width: this.painter.width, height: this.painter.height, data: this.painter.pixels() };
  }

  say() {
    const { facts, talk } = this, size = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;
    const words = [`${facts.count.toLocaleString("en")} Gaussians, ${facts.moving.toLocaleString("en")} move with the voice`,
      `sent once: ${size(this.model.get("head_data").byteLength)}`];
    if (talk) words.push(`a frame: ${(talk.parts.vectors.bits.byteLength / talk.facts.frames).toFixed(0)} bytes`);
    else if (!facts.cannot.length) words.push("no voice: it is silent until speak() is called");
    if (talk && this.field && !this.field.count) words.push("none of its Gaussians moves, so there is nothing to play");
    if (this.isRunning) words.push(`${this.stamps.length} pictures a second`);
    if (this.field && this.field.count && !this.field.isFast) words.push("moved by the processor, for there is no GPU");
    words.push(...facts.cannot.map((what) => `This head cannot ${what}`));
    const text = words.join(" · ");
    if (this.isRunning ? performance.now() - (this.said ?? 0) > 1000 : this.status.textContent !== text)
      [this.status.textContent, this.said] = [text, performance.now()];
  }

  // One Gaussian

  pickAt(x, y) {
    const scale = this.canvas.width / this.canvas.clientWidth;
    this.pick(this.projection.pick(x * scale, y * scale));
  }

  brushAt(x, y, isAway) {
    const scale = this.canvas.width / this.canvas.clientWidth, { selection } = this;
    selection.stroke(this.projection, x * scale, y * scale, selection.radius * scale, isAway);
  }

  pick(n) {
    this.state.picked = n;
    this.tell("picked", n < 0 ? -1 : this.parts.order.data[n]);
    this.details.describe();
    this.draw();
  }

  close() {
    for (const [event, react] of Object.entries(this.changes ?? {})) this.model.off(event, react);
    document.removeEventListener("audioplane-together", this.follow);
    this.watcher?.disconnect();
    this.timeline.close();
    this.recorder.close();
    Object.values(this.untold ?? {}).forEach(clearTimeout);
    this.sound.pause();
    this.workers?.close();
    URL.revokeObjectURL(this.sound.src);
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function render({ model, el }) {
  keepHearing(model);
  const viewer = new Viewer(model, el);
  return () => viewer.close();
}
