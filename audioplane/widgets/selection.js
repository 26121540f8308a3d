// Which Gaussians are drawn: by opacity, dynamism, size and layer, and by hand with a brush. Those that are left can be
// saved for other viewers.

const IN_SIGHT = 0.05; // light that must still reach a Gaussian for the brush to find it
const HALF_TURN = [1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1]; // of harmonics, as in splat/ply.py

class Selection {
  /** names: of the layers. changed: called when another picture is due. told: gets the numbers of the chosen ones.
   * picked: gives the picked one. */
  constructor(cloud, parts, names, { changed, told, picked }) {
    Object.assign(this, { cloud, parts, changed, told, picked });
    this.chosen = new Uint8Array(cloud.count);
    this.removed = new Uint8Array(cloud.count); // by hand
    this.limits = { opacity: 0, dynamism: 0, size: Infinity, layer: -1 };
    this.radius = 14;
    this.element = this.build(names);
    this.apply();
  }

  get isBrushing() {
    return this.brush.checked;
  }

  build(names) {
    const sizes = Float32Array.from({ length: this.cloud.count }, (_, n) => this.cloud.size(n)).sort();
    const [least, most] = [sizes[0], sizes[sizes.length - 1]], sizeAt = (share) => least * (most / least) ** share;
    this.inputs = {
      opacity: this.slider("opacity from", 0, (v) => [v, v.toFixed(2)]),
      dynamism: this.slider("dynamism from", 0, (v) => [v, v.toFixed(2)]),
      size: this.slider("size up to", 1, (v) => [v === 1 ? Infinity : sizeAt(v), `${sizeAt(v).toPrecision(2)} mm`]),
    };
    const layer = names.length < 2 ? [] : [labelled("layer", choice(["-1", ...names.keys()].map(String), "-1",
      (k) => (k === "-1" ? "all" : names[k]), (k) => this.limit("layer", Number(k))))];
    this.brush = make("input", { type: "checkbox", onchange: () => this.changed() });
    const radius = make("input", { type: "range", min: 3, max: 60, step: 1, value: this.radius,
      oninput: () => { this.radius = Number(radius.value); } });
    const button = (words, hint, onclick) => make("button", { type: "button", title: hint, onclick }, words);
    this.words = make("output", {});
    this.saveButton = button("save .ply", "the shown ones, as they stand now, for other viewers", () => this.save());
    const rows = Object.values(this.inputs).map(({ title, input, words }) =>
      labelled(title, make("span", { class: "ap-slider" }, input, words)));
    return make("details", { class: "ap-selection" }, make("summary", {}, "filter and select Gaussians"),
      make("div", { class: "ap-choices" }, ...rows, ...layer,
        labelled("brush: drag selects, with Alt lets go", this.brush), labelled("brush radius, pixels", radius),
        make("div", { class: "ap-row ap-views" },
          button("add the picked", "selects the Gaussian that was picked", () => this.add(this.picked())),
          button("only these", "hides all that are not selected", () => this.remove((n) => !this.chosen[n])),
          button("hide these", "hides the selected ones", () => this.remove((n) => this.chosen[n])),
          button("let go", "selects none", () => this.choose([])),
          button("show all", "no filter, nothing hidden", () => this.reset()), this.saveButton),
        this.words));
  }

  /** A slider from 0 to 1; toLimit(value) gives the limit and its words. */
  slider(title, value, toLimit) {
    const words = make("output", { class: "ap-value" }, toLimit(value)[1]), name = title.split(" ")[0];
    const input = make("input", { type: "range", min: 0, max: 1, step: 0.01, value, "aria-label": title, oninput: () => {
      const [limit, text] = toLimit(Number(input.value));
      words.textContent = text;
      input.setAttribute("aria-valuetext", text);
      this.limit(name, limit);
    } });
    return { title, input, words, value };
  }

  limit(name, value) {
    this.limits[name] = value;
    this.changed();
  }

  reset() {
    this.removed.fill(0);
    for (const { input, value } of Object.values(this.inputs)) {
      input.value = value;
      input.dispatchEvent(new Event("input"));
    }
    const layer = this.element.querySelector("select");
    if (layer) layer.value = "-1";
    this.limits.layer = -1;
    this.changed();
  }

  /** Marks in the cloud what is not drawn; for each picture anew, since opacity and dynamism move. */
  apply() {
    const { cloud, chosen } = this;
    this.shown = hide(cloud, this.parts.layer.data, this);
    const count = chosen.reduce((sum, one) => sum + one, 0);
    this.saveButton.disabled = !this.shown;
    const text = `${this.shown} of ${cloud.count} shown, ${count} selected`;
    if (this.words.textContent !== text) this.words.textContent = text;
  }

  /** Those whose middle is in sight and within the brush around (x, y), all in pixels of the drawn picture. */
  touched(projection, x, y, radius) {
    const { instances: data, order, drawn } = projection, near = [], found = [];
    for (let i = 0; i < drawn; i++) {
      const at = INSTANCE * i;
      if (Math.abs(x - data[at]) < data[at + 2] + radius && Math.abs(y - data[at + 1]) < data[at + 3] + radius) near.push(i);
    }
    near.forEach((i, k) => {
      const u = data[INSTANCE * i], v = data[INSTANCE * i + 1];
      if (Math.hypot(u - x, v - y) > radius) return;
      let light = 1;
      for (let j = 0; j < k && light > IN_SIGHT; j++) {
        const at = INSTANCE * near[j], dx = u - data[at], dy = v - data[at + 1];
        const q = data[at + 4] * dx * dx + 2 * data[at + 5] * dx * dy + data[at + 6] * dy * dy;
        light *= 1 - Math.min(MOST_ALPHA, data[at + 7] * Math.exp(-0.5 * q));
      }
      if (light > IN_SIGHT) found.push(order[i]);
    });
    return found;
  }

  /** Selects, or lets go, what the brush touches. */
  stroke(projection, x, y, radius, isAway) {
    for (const n of this.touched(projection, x, y, radius)) this.chosen[n] = isAway ? 0 : 1;
    this.changed();
  }

  /** The numbers of the chosen ones, as Python counts them. */
  get numbers() {
    const found = [];
    this.chosen.forEach((is, n) => is && found.push(this.parts.order.data[n]));
    return found.sort((a, b) => a - b);
  }

  choose(numbers) {
    const wanted = new Set(numbers), order = this.parts.order.data;
    for (let n = 0; n < order.length; n++) this.chosen[n] = wanted.has(order[n]) ? 1 : 0;
    this.told(this.numbers);
    this.changed();
  }

  add(n) {
    if (n < 0) return;
    this.chosen[n] = 1;
    this.told(this.numbers);
    this.changed();
  }

  remove(which) {
    for (let n = 0; n < this.removed.length; n++) if (which(n)) this.removed[n] = 1;
    this.changed();
  }

  save() {
    download(this.ply(), "application/octet-stream", `${this.cloud.facts.name}.ply`);
  }

  /** The shown ones as `TalkingHead.save_ply` writes them: upright where y points up. */
  ply() {
    const { rows, numbers, hidden, count } = this.cloud, rest = (numbers - 14) / 3;
    const names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2",
      ...Array.from({ length: 3 * rest }, (_, k) => `f_rest_${k}`), "opacity", "scale_0", "scale_1", "scale_2",
      "rot_0", "rot_1", "rot_2", "rot_3"];
    const shown = Array.from({ length: count }, (_, n) => n).filter((n) => !hidden[n]);
    const header = `ply\nformat binary_little_endian 1.0\nelement vertex ${shown.length}\n` +
      names.map((name) => `property float ${name}\n`).join("") + "end_header\n";
    const values = new DataView(new ArrayBuffer(4 * names.length * shown.length));
    let at = 0;
    for (const n of shown) {
      const r = rows.subarray(n * numbers, (n + 1) * numbers), [w, x, y, z] = r.subarray(3, 7);
      const place = [r[0], -r[1], -r[2]], turn = [-x, w, -z, y], harmonics = [];
      for (let c = 0; c < 3; c++) for (let k = 1; k <= rest; k++) harmonics.push(HALF_TURN[k] * r[11 + 3 * k + c]);
      const row = [...place, ...thinnest(turn, r.subarray(7, 10), place), ...r.subarray(11, 14), ...harmonics, r[10],
        ...r.subarray(7, 10), ...turn];
      for (const value of row) values.setFloat32(at, value, true), (at += 4);
    }
    const text = new TextEncoder().encode(header), out = new Uint8Array(text.length + at);
    out.set(text);
    out.set(new Uint8Array(values.buffer), text.length);
    return out;
  }
}

/** The axis along which a Gaussian is thinnest, away from the head's middle; see `Gaussians.normals`. */
function thinnest(turn, scales, place) {
  const norm = Math.hypot(...turn), [w, x, y, z] = turn.map((value) => value / norm);
  const axis = [
    [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
    [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
    [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
  ][scales.indexOf(Math.min(...scales))];
  const sign = axis[0] * place[0] + axis[1] * place[1] + axis[2] * place[2] < 0 ? -1 : 1;
  return axis.map((value) => sign * value);
}
