// Gaussians of a moment, projected, with the numbers of `audioplane.splat`: a blur of 0.3 pixel^2, alpha held below 0.999
// and cut at 1/255, front to back in one order by depth for the whole picture.

const BLUR = 0.3, LEAST_ALPHA = 1 / 255, MOST_ALPHA = 0.999, NEAR = 0.01, MARGIN = 0.3;
const SH0 = 0.28209479177387814;
const DARK = 1 / 512; // light below which a pixel is closed: half a step of eight bits
const CHOSEN = [1, 0.55, 0], TINT = 0.75; // colour of selected Gaussians, and how much of it
const INSTANCE = 12; // numbers a Gaussian: u v, radii, conic and opacity, colour, one spare

/** The cloud of a moment: canonical rows, what moved, and what drawing needs of each Gaussian. */
class Cloud {
  constructor(facts, parts) {
    const { count, numbers } = facts;
    Object.assign(this, { facts, parts, count, numbers, moving: facts.moving });
    this.base = stepped(parts.rows, parts.low, parts.high, 65535);
    this.rows = this.base.slice();
    this.dynamism = Float32Array.from(parts.still_dynamism.data);
    this.moved = Float32Array.from(parts.still_moved.data);
    this.sigma = new Float32Array(6 * count);
    this.opacity = new Float32Array(count);
    this.hidden = new Uint8Array(count); // by filters, 1: not drawn
    for (let n = 0; n < count; n++) this.refresh(n);
  }

  /** G' = G + d Delta G of the moving ones; `result` of `Field.all`, or null for the canonical cloud. */
  move(result) {
    const { numbers, parts, rows, base } = this, scales = parts.scales.data;
    for (let n = 0; n < this.moving; n++) {
      const at = n * numbers, d = result ? result.dynamism[n] : 0;
      for (let p = 0; p < numbers; p++)
        rows[at + p] = base[at + p] + (result ? d * result.offsets[at + p] * scales[p] : 0);
      this.dynamism[n] = result ? d : parts.still_dynamism.data[n];
      this.moved[n] = 1e3 * Math.hypot(rows[at] - base[at], rows[at + 1] - base[at + 1], rows[at + 2] - base[at + 2]);
      this.refresh(n);
    }
  }

  /** Sigma = R S S^T R^T (its upper triangle) and the opacity of Gaussian n. */
  refresh(n) {
    const r = this.rows, at = n * this.numbers, s = this.sigma;
    let w = r[at + 3], x = r[at + 4], y = r[at + 5], z = r[at + 6];
    const norm = 1 / Math.hypot(w, x, y, z);
    w *= norm, x *= norm, y *= norm, z *= norm;
    const [a, b, c] = [Math.exp(r[at + 7]), Math.exp(r[at + 8]), Math.exp(r[at + 9])];
    const m = [
      a * (1 - 2 * (y * y + z * z)), b * 2 * (x * y - w * z), c * 2 * (x * z + w * y),
      a * 2 * (x * y + w * z), b * (1 - 2 * (x * x + z * z)), c * 2 * (y * z - w * x),
      a * 2 * (x * z - w * y), b * 2 * (y * z + w * x), c * (1 - 2 * (x * x + y * y)),
    ];
    let k = 6 * n;
    for (let i = 0; i < 3; i++)
      for (let j = i; j < 3; j++, k++)
        s[k] = m[3 * i] * m[3 * j] + m[3 * i + 1] * m[3 * j + 1] + m[3 * i + 2] * m[3 * j + 2];
    this.opacity[n] = 1 / (1 + Math.exp(-r[at + 10]));
  }

  /** Mean standard deviation of Gaussian n, millimetres. */
  size(n) {
    const r = this.rows, at = n * this.numbers + 7;
    return 1e3 * Math.exp((r[at] + r[at + 1] + r[at + 2]) / 3);
  }

  /** RGB of Gaussian n seen from `eye` (head coordinates), into `out`; see `Gaussians.colors`. */
  color(n, eye, out) {
    const r = this.rows, at = n * this.numbers, first = at + 11, bands = (this.numbers - 11) / 3;
    for (let c = 0; c < 3; c++) out[c] = SH0 * r[first + c] + 0.5;
    if (bands > 1) {
      const dx = r[at] - eye[0], dy = r[at + 1] - eye[1], dz = r[at + 2] - eye[2];
      const weights = harmonics(dx, dy, dz, 1 / Math.hypot(dx, dy, dz));
      for (let k = 1; k < bands; k++) for (let c = 0; c < 3; c++) out[c] += weights[k] * r[first + 3 * k + c];
    }
    for (let c = 0; c < 3; c++) out[c] = Math.max(0, out[c]);
  }
}

/** Real spherical harmonics to degree 3 in 3DGS's order and signs. */
function harmonics(dx, dy, dz, norm) {
  const x = dx * norm, y = dy * norm, z = dz * norm, xx = x * x, yy = y * y, zz = z * z;
  return [
    SH0, -0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x,
    1.0925484305920792 * x * y, -1.0925484305920792 * y * z, 0.31539156525252005 * (2 * zz - xx - yy),
    -1.0925484305920792 * x * z, 0.5462742152960396 * (xx - yy),
    -0.5900435899266435 * y * (3 * xx - yy), 2.890611442640554 * x * y * z,
    -0.4570457994644658 * y * (4 * zz - xx - yy), 0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
    -0.4570457994644658 * x * (4 * zz - xx - yy), 1.445305721320277 * z * (xx - yy),
    -0.5900435899266435 * x * (xx - 3 * yy),
  ];
}

/** Marks in the cloud what is not drawn, by limits and by hand; how many are left. layers: of each, its layer. */
function hide(cloud, layers, { limits, removed }) {
  const { opacity, dynamism, size, layer } = limits;
  let shown = 0;
  for (let n = 0; n < cloud.count; n++) {
    const isHidden = removed[n] || cloud.opacity[n] < opacity || cloud.dynamism[n] < dynamism ||
      (size < Infinity && cloud.size(n) > size) || (layer >= 0 && layers[n] !== layer);
    cloud.hidden[n] = isHidden ? 1 : 0;
    shown += !isHidden;
  }
  return shown;
}

/** paint(n, out) for `Projection.run`. look: {color, low, high, isLog, values, palette, chosen}: a colour scale from low to
 * high for `values`, or for those of the cloud where these are null; no scale for "appearance". chosen: null for none. */
function painted(cloud, { color, low, high, isLog, values, palette, chosen }, { view: V }) {
  const own = { dynamism: cloud.dynamism, displacement: cloud.moved, opacity: cloud.opacity }[color] ?? values;
  const warp = isLog ? (value) => Math.log(Math.max(value, 1e-9)) : (value) => value;
  const bottom = warp(low), slope = 255 / Math.max(warp(high) - bottom, 1e-9);
  const eye = [0, 1, 2].map((c) => -(V[c] * V[3] + V[4 + c] * V[7] + V[8 + c] * V[11]));
  const paint = color === "appearance" ? (n, out) => cloud.color(n, eye, out) : (n, out) => {
    const value = own ? own[n] : cloud.size(n);
    const at = 3 * Math.max(0, Math.min(255, Math.round((warp(value) - bottom) * slope)));
    for (let c = 0; c < 3; c++) out[c] = palette[at + c] / 255;
  };
  if (!chosen) return paint;
  return (n, out) => {
    paint(n, out);
    if (chosen[n]) for (let c = 0; c < 3; c++) out[c] += TINT * (CHOSEN[c] - out[c]);
  };
}

/** Gaussians in sight, front layers first and near ones first in each, as instances; a counting sort on 16 bits of
 * depth. Drawn in this order, layers lie on each other as in `gaussians.layered`. */
class Projection {
  constructor(count) {
    this.instances = new Float32Array(INSTANCE * ROW * Math.ceil(count / ROW));
    this.order = new Int32Array(count);
    this.depths = new Float32Array(count);
    this.drawn = 0;
  }

  /** camera: {view (16, row by row), fx, fy, cx, cy, width, height}. paint(n, out): the colour of n. */
  run(cloud, camera, paint) {
    this.sort(cloud, camera.view);
    const { view: V, fx, fy, cx, cy, width, height } = camera, { rows, sigma, numbers } = cloud;
    const marginX = (MARGIN * 0.5 * width) / fx, marginY = (MARGIN * 0.5 * height) / fy;
    const leastX = -cx / fx - marginX, mostX = (width - cx) / fx + marginX;
    const leastY = -cy / fy - marginY, mostY = (height - cy) / fy + marginY;
    const rgb = [0, 0, 0], out = this.instances, order = this.order;
    let drawn = 0;
    for (let i = 0; i < this.drawn; i++) {
      const n = order[i], at = n * numbers, opacity = cloud.opacity[n];
      if (opacity < LEAST_ALPHA || cloud.hidden[n]) continue;
      const px = rows[at], py = rows[at + 1], pz = rows[at + 2], rz = 1 / this.depths[n];
      const x = (V[0] * px + V[1] * py + V[2] * pz + V[3]) * rz, y = (V[4] * px + V[5] * py + V[6] * pz + V[7]) * rz;
      const slopeX = Math.min(mostX, Math.max(leastX, x)), slopeY = Math.min(mostY, Math.max(leastY, y));
      // Two rows of J W, then Sigma' = J W Sigma W^T J^T.
      const p0 = fx * rz * (V[0] - slopeX * V[8]), p1 = fx * rz * (V[1] - slopeX * V[9]);
      const p2 = fx * rz * (V[2] - slopeX * V[10]);
      const q0 = fy * rz * (V[4] - slopeY * V[8]), q1 = fy * rz * (V[5] - slopeY * V[9]);
      const q2 = fy * rz * (V[6] - slopeY * V[10]);
      const s = 6 * n, s0 = sigma[s], s1 = sigma[s + 1], s2 = sigma[s + 2];
      const s3 = sigma[s + 3], s4 = sigma[s + 4], s5 = sigma[s + 5];
      const v0 = s0 * q0 + s1 * q1 + s2 * q2, v1 = s1 * q0 + s3 * q1 + s4 * q2, v2 = s2 * q0 + s4 * q1 + s5 * q2;
      const a = p0 * (s0 * p0 + 2 * (s1 * p1 + s2 * p2)) + p1 * (s3 * p1 + 2 * s4 * p2) + p2 * s5 * p2 + BLUR;
      const b = p0 * v0 + p1 * v1 + p2 * v2, c = q0 * v0 + q1 * v1 + q2 * v2 + BLUR, rest = 1 / (a * c - b * b);
      const reach = Math.sqrt(2 * Math.log(opacity / LEAST_ALPHA)), u = fx * x + cx, v = fy * y + cy;
      const rx = reach * Math.sqrt(a), ry = reach * Math.sqrt(c);
      if (!(rest > 0) || u + rx < 0 || u - rx > width || v + ry < 0 || v - ry > height) continue;
      paint(n, rgb);
      out.set([u, v, rx, ry, c * rest, -b * rest, a * rest, opacity, rgb[0], rgb[1], rgb[2], 0], INSTANCE * drawn);
      order[drawn++] = n;
    }
    this.drawn = drawn;
  }

  sort(cloud, V) {
    const { count, rows, numbers } = cloud, depths = this.depths;
    let low = Infinity, high = NEAR;
    for (let n = 0, at = 0; n < count; n++, at += numbers) {
      const z = V[8] * rows[at] + V[9] * rows[at + 1] + V[10] * rows[at + 2] + V[11];
      depths[n] = z;
      if (z >= NEAR) low = Math.min(low, z), high = Math.max(high, z);
    }
    const layer = cloud.parts.layer.data, layers = Math.max(1, cloud.facts.branches.length);
    const keys = (this.keys ??= new Uint32Array(count)), starts = new Int32Array(65536 * layers + 1);
    const slope = 65535 / Math.max(high - low, 1e-9);
    for (let n = 0; n < count; n++)
      if (depths[n] >= NEAR) starts[(keys[n] = 65536 * Math.min(layer[n], layers - 1) + Math.round((depths[n] - low) * slope)) + 1]++;
    for (let key = 0; key < starts.length - 1; key++) starts[key + 1] += starts[key];
    this.drawn = starts[starts.length - 1];
    for (let n = 0; n < count; n++) // of two at one depth the first is in front, as in the rasterizer
      if (depths[n] >= NEAR) this.order[starts[keys[n]]++] = n;
  }

  /** The Gaussian that makes up most of pixel (x, y), or -1. */
  pick(x, y) {
    const data = this.instances;
    let best = -1, most = 0.02, light = 1;
    for (let i = 0; i < this.drawn && light > 1e-3; i++) {
      const at = INSTANCE * i, dx = x - data[at], dy = y - data[at + 1];
      if (Math.abs(dx) > data[at + 2] || Math.abs(dy) > data[at + 3]) continue;
      const q = data[at + 4] * dx * dx + 2 * data[at + 5] * dx * dy + data[at + 6] * dy * dy;
      const alpha = Math.min(MOST_ALPHA, data[at + 7] * Math.exp(-0.5 * q));
      if (alpha < LEAST_ALPHA) continue;
      if (alpha * light > most) [best, most] = [this.order[i], alpha * light];
      light *= 1 - alpha;
    }
    return best;
  }
}
