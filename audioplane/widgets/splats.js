// Gaussian splatting in WebGL2, with the numbers of `audioplane.splat`: a blur of 0.3 pixel^2, alpha held below 0.999
// and cut at 1/255, front to back in one order by depth for the whole picture. The alpha channel of the sheet is the
// light that still comes through; after each batch, pixels that are as good as opaque are closed for the rest.

const BLUR = 0.3, LEAST_ALPHA = 1 / 255, MOST_ALPHA = 0.999, NEAR = 0.01, MARGIN = 0.3;
const SH0 = 0.28209479177387814;
const STYLES = ["splats", "ellipsoids", "points"];
const REACH = 1.5; // standard deviations at the edge of an ellipsoid
const BATCHES = 8, DARK = 1 / 512; // light below which a pixel is closed: half a step of eight bits
const INSTANCE = 12; // numbers a Gaussian: u v, radii, conic and opacity, colour, one spare

/** The cloud of a moment: canonical rows, what moved, and what drawing needs of each Gaussian. */
class Cloud {
  constructor(facts, parts) {
    const { count, numbers } = facts;
    Object.assign(this, { facts, parts, count, numbers, moving: facts.moving });
    this.base = new Float32Array(count * numbers);
    for (let i = 0; i < this.base.length; i++) {
      const c = i % numbers, low = parts.low.data[c];
      this.base[i] = low + (parts.rows.data[i] / 65535) * (parts.high.data[c] - low);
    }
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

/** Draws projections into a canvas. */
class Painter {
  constructor(gl, count) {
    this.gl = gl;
    // Sums of hundreds of faint Gaussians want more than eight bits.
    this.isDeep = Boolean(gl.getExtension("EXT_color_buffer_float"));
    this.splats = makeProgram(gl, SPLAT_VERTEX, SPLAT_FRAGMENT);
    this.finish = makeProgram(gl, FINISH_VERTEX, FINISH_FRAGMENT);
    // Four corners a Gaussian that read its numbers from a texture: programs that stand in for a GPU take
    // milliseconds for a thousand instances.
    this.rows = Math.ceil(count / ROW);
    this.table = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.table);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32F, 3 * ROW, this.rows);
    this.smooth(gl.NEAREST);
    const corners = new Uint32Array(6 * count);
    for (let n = 0; n < count; n++) corners.set([0, 1, 2, 2, 1, 3].map((corner) => 4 * n + corner), 6 * n);
    this.array = gl.createVertexArray();
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, corners, gl.STATIC_DRAW);
    gl.bindVertexArray(null);
    this.target = gl.createFramebuffer();
    this.closing = gl.createFramebuffer(); // the same depth without the sheet, so that the sheet can be read
    this.close = makeProgram(gl, FINISH_VERTEX, CLOSE_FRAGMENT);
    this.behind = null;
  }

  /** image: what lies behind the head, an ImageBitmap. */
  setBehind(image) {
    const { gl } = this;
    this.behind = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.behind);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
    this.smooth(gl.LINEAR);
  }

  smooth(filter) {
    const { gl } = this;
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, filter);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  }

  resize(width, height) {
    if (this.width === width && this.height === height) return;
    const { gl } = this;
    Object.assign(this, { width, height });
    gl.deleteTexture(this.sheet);
    this.sheet = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.sheet);
    gl.texStorage2D(gl.TEXTURE_2D, 1, this.isDeep ? gl.RGBA16F : gl.RGBA8, width, height);
    this.smooth(gl.NEAREST);
    gl.deleteRenderbuffer(this.depth);
    this.depth = gl.createRenderbuffer();
    gl.bindRenderbuffer(gl.RENDERBUFFER, this.depth);
    gl.renderbufferStorage(gl.RENDERBUFFER, gl.DEPTH_COMPONENT16, width, height);
    for (const target of [this.target, this.closing]) {
      gl.bindFramebuffer(gl.FRAMEBUFFER, target);
      gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.RENDERBUFFER, this.depth);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.sheet, 0);
  }

  /** style: of STYLES. paper: RGB behind the head where `torso` is false or not there. */
  draw(projection, width, height, style, paper, torso) {
    const { gl } = this;
    this.resize(width, height);
    gl.viewport(0, 0, width, height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.depthMask(true);
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.bindTexture(gl.TEXTURE_2D, this.table);
    const used = Math.ceil(projection.drawn / ROW);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 3 * ROW, used, gl.RGBA, gl.FLOAT, projection.instances);
    gl.enable(gl.DEPTH_TEST);
    const batch = Math.max(256, Math.ceil(projection.drawn / BATCHES));
    for (let first = 0; first < projection.drawn; first += batch) {
      if (first) this.closeDark();
      this.drawBatch(first, Math.min(batch, projection.drawn - first), style);
    }
    gl.disable(gl.DEPTH_TEST);

    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.disable(gl.BLEND);
    gl.useProgram(this.finish);
    gl.uniform3fv(gl.getUniformLocation(this.finish, "paper"), paper);
    gl.uniform1f(gl.getUniformLocation(this.finish, "torso"), torso && this.behind ? 1 : 0);
    gl.uniform1i(gl.getUniformLocation(this.finish, "behind"), 1);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.behind ?? this.sheet);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.sheet);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  drawBatch(first, count, style) {
    const { gl, splats } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.depthMask(false);
    gl.depthFunc(gl.LESS);
    gl.enable(gl.BLEND);
    gl.blendFuncSeparate(gl.DST_ALPHA, gl.ONE, gl.ZERO, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(splats);
    gl.uniform2f(gl.getUniformLocation(splats, "size"), this.width, this.height);
    gl.uniform1i(gl.getUniformLocation(splats, "style"), STYLES.indexOf(style));
    gl.uniform1i(gl.getUniformLocation(splats, "table"), 0);
    gl.bindTexture(gl.TEXTURE_2D, this.table);
    gl.bindVertexArray(this.array);
    gl.drawElements(gl.TRIANGLES, 6 * count, gl.UNSIGNED_INT, 24 * first);
    gl.bindVertexArray(null);
  }

  closeDark() {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.closing);
    gl.disable(gl.BLEND);
    gl.depthMask(true);
    gl.depthFunc(gl.ALWAYS);
    gl.useProgram(this.close);
    gl.bindTexture(gl.TEXTURE_2D, this.sheet);
    gl.uniform1i(gl.getUniformLocation(this.close, "sheet"), 0);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** RGBA bytes of what was just drawn, top row first. */
  pixels() {
    const { gl, width, height } = this, bytes = new Uint8Array(4 * width * height), rows = [];
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
    for (let y = height - 1; y >= 0; y--) rows.push(...bytes.subarray(4 * width * y, 4 * width * (y + 1)));
    return rows;
  }
}

const SPLAT_VERTEX = `#version 300 es
  precision highp sampler2D;
  uniform sampler2D table;
  uniform vec2 size;
  uniform int style;
  out vec2 offset;
  flat out vec4 conic;
  flat out vec3 color;
  void main() {
    int n = gl_VertexID >> 2;
    ivec2 row = ivec2(3 * (n % ${ROW}), n / ${ROW});
    vec4 place = texelFetch(table, row, 0);  // u, v, radii, pixels
    vec4 shape = texelFetch(table, row + ivec2(1, 0), 0);  // conic, opacity
    vec4 paint = texelFetch(table, row + ivec2(2, 0), 0);
    vec2 corner = vec2(gl_VertexID & 1, (gl_VertexID >> 1) & 1) * 2.0 - 1.0;
    float det = shape.x * shape.z - shape.y * shape.y;
    vec2 deviation = sqrt(vec2(shape.z, shape.x) / det);
    vec2 radius = style == 0 ? place.zw : style == 1 ? ${REACH.toFixed(2)} * deviation : vec2(max(1.5, size.x / 260.0));
    offset = corner * (radius + 0.5);
    vec2 at = (place.xy + offset) / size;
    gl_Position = vec4(2.0 * at.x - 1.0, 1.0 - 2.0 * at.y, 0.0, 1.0);
    conic = shape;
    color = paint.rgb;
  }`;

const SPLAT_FRAGMENT = `#version 300 es
  precision highp float;
  precision highp int;
  uniform vec2 size;
  uniform int style;
  in vec2 offset;
  flat in vec4 conic;
  flat in vec3 color;
  out vec4 light;
  void main() {
    float q = conic.x * offset.x * offset.x + 2.0 * conic.y * offset.x * offset.y + conic.z * offset.y * offset.y;
    if (style == 0) {
      float alpha = min(${MOST_ALPHA}, conic.w * exp(-0.5 * q));
      light = alpha < 1.0 / 255.0 ? vec4(0.0) : vec4(color * alpha, alpha);  // a discard would void the early test
    } else {
      float edge = ${(REACH * REACH).toFixed(4)}, point = max(1.5, size.x / 260.0);
      float inside = style == 1 ? 1.0 - q / edge : 1.0 - dot(offset, offset) / (point * point);
      float shade = style == 1 ? 0.45 + 0.55 * sqrt(max(inside, 0.0)) : 1.0;
      light = inside < 0.0 || conic.w < 0.1 ? vec4(0.0) : vec4(color * shade, 1.0);
    }
  }`;

const FINISH_VERTEX = `#version 300 es
  out vec2 at;
  void main() {
    at = vec2(gl_VertexID == 1 ? 2.0 : 0.0, gl_VertexID == 2 ? 2.0 : 0.0);
    gl_Position = vec4(2.0 * at - 1.0, -1.0, 1.0);
  }`;

const CLOSE_FRAGMENT = `#version 300 es
  precision highp float;
  uniform sampler2D sheet;
  in vec2 at;
  out vec4 nothing;
  void main() {
    if (texture(sheet, at).a > ${DARK.toFixed(6)}) discard;
    nothing = vec4(0.0);
  }`;

const FINISH_FRAGMENT = `#version 300 es
  precision highp float;
  precision highp int;
  uniform sampler2D sheet, behind;
  uniform vec3 paper;
  uniform float torso;
  in vec2 at;
  out vec4 light;
  void main() {
    vec4 head = texture(sheet, at);
    vec3 back = torso > 0.5 ? texture(behind, vec2(at.x, 1.0 - at.y)).rgb : paper;
    light = vec4(head.rgb + head.a * back, 1.0);
  }`;
