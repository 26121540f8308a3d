// The picked Gaussian: a panel of what it is, its way over the voice, and both in the picture.

const NOTHING = "Click a Gaussian to see what it is.";

class Picked {
  /** viewer: whose `state.picked` it is. overlay: an SVG over the picture. */
  constructor(viewer, overlay) {
    Object.assign(this, { viewer, overlay });
    this.element = make("div", { class: "ap-details", role: "region", "aria-live": "polite", "aria-label": "picked Gaussian" },
      make("p", {}, NOTHING));
  }

  /** The panel of the picked Gaussian, whenever what it says has changed. */
  describe() {
    const { cloud, state, voices } = this.viewer, { level, row, amount, controls, picked: n } = state;
    const now = [n, ...cloud.rows.subarray(n * cloud.numbers, (n + 1) * cloud.numbers), cloud.moved[n]].join();
    const way = [n, voices, ...(amount ? [level, row, amount] : []), ...controls].join();
    if (n < 0 ? this.described === n : this.described === now && this.wayOf === way) return;
    this.described = n < 0 ? n : now;
    if (n < 0) {
      this.path = this.wayOf = null;
      return this.element.replaceChildren(make("p", {}, NOTHING));
    }
    if (this.wayOf !== way) [this.wayOf, this.wayParts] = [way, [...this.features(n), ...this.pathOf(n)]];
    this.element.replaceChildren(this.numbers(n), ...this.wayParts);
  }

  numbers(n) {
    const { cloud, parts } = this.viewer;
    const at = n * cloud.numbers, r = cloud.rows, fixed = (value, digits) => value.toFixed(digits);
    const millimetres = [0, 1, 2].map((c) => fixed(1e3 * r[at + c], 1)).join(", ");
    const sizes = [7, 8, 9].map((c) => fixed(1e3 * Math.exp(r[at + c]), 2)).join(" × ");
    const turn = [3, 4, 5, 6].map((c) => r[at + c]), norm = Math.hypot(...turn);
    const rgb = [0, 1, 2].map((c) => Math.round(255 * Math.max(0, Math.min(1, SH0 * r[at + 11 + c] + 0.5))));
    const rows = [
      ["place x, y, z", `${millimetres} mm`], ["scales", `${sizes} mm`],
      ["rotation w, x, y, z", turn.map((value) => fixed(value / norm, 2)).join(", ")],
      ["opacity", fixed(cloud.opacity[n], 3)], ["dynamism d", fixed(cloud.dynamism[n], 3)],
      ["moved now", `${fixed(cloud.moved[n], 2)} mm`], ["around it", `${fixed(parts.density.data[n], 1)} per cm³`],
    ];
    const swatch = make("span", { class: "ap-swatch", style: `background:rgb(${rgb})`, role: "img", "aria-label": `colour ${rgb}` });
    return make("table", {}, make("caption", {}, `Gaussian ${parts.order.data[n]} `, swatch),
      ...rows.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value))));
  }

  /** How strong each group of its static features is. */
  features(n) {
    const { parts, facts, field, cloud } = this.viewer, count = facts.groups?.length;
    if (!count || !field || field.each.length !== 1) return [];
    const rests = n - cloud.moving, still = parts.strength?.data ?? new Float32Array(count * (cloud.count - cloud.moving));
    const own = rests < 0 ? field.each[0].strengths(n, count) : still.subarray(rests * count, (rests + 1) * count);
    const cell = (value) => make("td", { style: `background:color-mix(in srgb, #2166ac ${Math.min(90, 40 * value)}%, transparent)` }, value.toFixed(2));
    const lines = facts.groups.map((name, group) =>
      make("tr", {}, make("th", { scope: "row" }, name), cell(own[group])));
    return [make("table", { class: "ap-features" }, make("caption", {}, "static features, root mean square"), ...lines)];
  }

  /** Its way over the voice, millimetres from where it rests: lines for x, y, z, and dots in the picture. */
  pathOf(n) {
    const { talk, field, cloud, parts } = this.viewer;
    this.path = null;
    if (!talk || !field.count) return [];
    if (n >= cloud.moving)
      return [make("p", {}, "It hardly moves: it keeps its mean offset, and its path is a point.")];
    const { frames, fps } = talk.facts, stride = Math.max(1, Math.ceil(frames / 240)), scales = parts.scales.data;
    this.path = [];
    for (let t = 0; t < frames; t += stride) {
      const { offsets, dynamism } = field.plain(this.viewer.codeAt(t), n, n + 1);
      this.path.push([0, 1, 2].map((c) => dynamism[0] * offsets[c] * scales[c]));
    }
    const [width, height] = [250, 84], most = Math.max(1e-5, ...this.path.flat().map(Math.abs));
    const svg = make("svg", { class: "ap-path", viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `its path: at most ${(1e3 * most).toFixed(1)} millimetres along an axis, over ${(frames / fps).toFixed(1)} seconds` });
    svg.append(make("line", { x1: 0, x2: width, y1: height / 2, y2: height / 2, class: "ap-zero" }));
    ["x", "y", "z"].forEach((name, c) => {
      const place = (p, k) => [(width * k) / Math.max(1, this.path.length - 1), height / 2 - (p[c] / most) * (height / 2 - 4)];
      const points = this.path.map((p, k) => place(p, k).map((v) => v.toFixed(1)).join(","));
      svg.append(make("polyline", { points: points.join(" "), class: `ap-axis ap-axis-${name}` }));
    });
    this.cursor = make("line", { y1: 0, y2: height, class: "ap-cursor" });
    svg.append(this.cursor);
    const key = ["x right", "y down", "z back"].map((word) => make("span", { class: `ap-key ap-axis-${word[0]}` }, word));
    return [make("p", { class: "ap-path-title" }, `path over the voice, ± ${(1e3 * most).toFixed(1)} mm  `, ...key), svg];
  }

  /** A ring around the picked Gaussian, and its path, over the canvas. */
  mark(width) {
    const { viewer, overlay } = this, { cloud, talk, state } = viewer, n = state.picked;
    if (n < 0) return overlay.childElementCount ? overlay.replaceChildren() : undefined;
    const { view: V, fx, fy, cx, cy } = viewer.camera(width), scale = viewer.model.get("size") / width;
    const place = (x, y, z) => {
      const depth = V[8] * x + V[9] * y + V[10] * z + V[11];
      return [fx * (V[0] * x + V[1] * y + V[2] * z + V[3]) / depth + cx, fy * (V[4] * x + V[5] * y + V[6] * z + V[7]) / depth + cy]
        .map((value) => (scale * value).toFixed(1));
    };
    const at = n * cloud.numbers, { rows, base } = cloud, [x, y] = place(rows[at], rows[at + 1], rows[at + 2]);
    const shapes = [make("circle", { cx: x, cy: y, r: 7, class: "ap-ring" })];
    if (this.path) {
      const points = this.path.map((p) => place(base[at] + p[0], base[at + 1] + p[1], base[at + 2] + p[2]).join(","));
      shapes.unshift(make("polyline", { points: points.join(" "), class: "ap-trace" }));
      const x = (250 * state.frame) / Math.max(1, talk.facts.frames - 1);
      for (const side of ["x1", "x2"]) this.cursor?.setAttribute(side, x);
    }
    overlay.replaceChildren(...shapes);
  }
}
