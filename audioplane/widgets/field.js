// The folded decoder in the browser: what `inference/folding.py` computes, from what `widgets/bake.py` sends.
//
//   f = S * gain, extra          S once a head, a byte a feature between two values; gain and extra
//                                from the frame's vector v, see `Wiring`
//   h = relu(W1 [f, extra] + b1) units of the offsets' network, then of the weight's
//   offset = W3 relu(W2 h1 + b2) + b3,   d = sigmoid(w4 h2 + b4)
//
// `plain` is the slow twin in JavaScript; `fast` does the same in fragment shaders, one texel for four numbers; `dense.js`
// in WebAssembly.

const ROW = 256; // Gaussians in a row of a texture

class Field {
  /** facts, parts: of the head. gl: WebGL2 with EXT_color_buffer_float, or null for the plain twin alone. */
  constructor(facts, parts, gl) {
    Object.assign(this, { facts, parts, gl });
    this.count = facts.moving;
    this.outputs = facts.numbers;
    if (!this.count) return;
    const [units, width] = parts.first.shape;
    this.width = width;
    this.units = units;
    const unit = (value) => ({ data: new Float32Array(width).fill(value) });
    this.features = stepped(parts.static, unit(0), unit(1), 255);
    this.hidden = parts.second.shape[1];
    const room = gl && !isSoftware(gl) ? gl.getParameter(gl.MAX_FRAGMENT_UNIFORM_VECTORS) - 8 : 0;
    this.isFast = room > 0 && Math.max(width, this.hidden) <= room && this.prepare();
  }

  /** The frame's factor of each feature. */
  gain(vector) {
    const { gain_index } = this.parts, { power } = this.facts;
    if (!gain_index) return new Float32Array(this.width).fill(1);
    return Float32Array.from(gain_index.data, (at) => vector[at] ** power);
  }

  /** W1 and b1 with the frame in them, for features from 0 to 1; see `DeformationMLP.fold`. */
  fold(vector) {
    const { first, first_bias, first_extra, extra_index, static_low, static_high } = this.parts, { width } = this;
    const weight = new Float32Array(first.data.length), bias = Float32Array.from(first_bias.data);
    const gain = this.gain(vector), low = static_low.data, high = static_high.data;
    for (let i = 0, u = 0; u < bias.length; u++)
      for (let c = 0; c < width; c++, i++) {
        weight[i] = first.data[i] * gain[c] * (high[c] - low[c]);
        bias[u] += first.data[i] * gain[c] * low[c];
      }
    if (first_extra) {
      const size = first_extra.shape[1];
      for (let u = 0; u < bias.length; u++)
        for (let c = 0; c < size; c++) bias[u] += first_extra.data[u * size + c] * vector[extra_index.data[c]];
    }
    return { weight, bias };
  }

  /** Root mean square of each of `groups` equal groups of the static features of Gaussian n. */
  strengths(n, groups) {
    const { features, width, facts } = this, { static_low, static_high } = this.parts, size = facts.features / groups;
    return Array.from({ length: groups }, (_, group) => {
      let sum = 0;
      for (let c = group * size; c < (group + 1) * size; c++)
        sum += (static_low.data[c] + features[n * width + c] * (static_high.data[c] - static_low.data[c])) ** 2;
      return Math.sqrt(sum / size);
    });
  }

  /** Offsets (n x outputs) and d (n) of Gaussians [from, to). */
  plain(code, from = 0, to = this.count) {
    const { second, second_bias, offset, offset_bias, dynamism, dynamism_bias } = this.parts;
    const { weight, bias } = this.fold(code), { width, hidden, outputs } = this;
    const offsets = new Float32Array((to - from) * outputs), d = new Float32Array(to - from);
    const h = new Float32Array(this.units), inner = new Float32Array(hidden);
    const product = (table, row, size, vector, start) => {
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0; // sizes are multiples of four
      for (let at = row * size, end = at + size, v = start; at < end; at += 4, v += 4) {
        s0 += table[at] * vector[v];
        s1 += table[at + 1] * vector[v + 1];
        s2 += table[at + 2] * vector[v + 2];
        s3 += table[at + 3] * vector[v + 3];
      }
      return s0 + s1 + s2 + s3;
    };
    for (let n = from; n < to; n++) {
      for (let u = 0; u < h.length; u++) h[u] = Math.max(0, product(weight, u, width, this.features, n * width) + bias[u]);
      for (let u = 0; u < hidden; u++)
        inner[u] = Math.max(0, product(second.data, u, hidden, h, 0) + second_bias.data[u]);
      for (let p = 0; p < outputs; p++)
        offsets[(n - from) * outputs + p] = product(offset.data, p, hidden, inner, 0) + offset_bias.data[p];
      const logit = product(dynamism.data, 0, dynamism.shape[1], h, hidden) + dynamism_bias.data[0];
      d[n - from] = this.facts.weighted ? 1 / (1 + Math.exp(-logit)) : 1;
    }
    return { offsets, dynamism: d };
  }

  /** As `plain`, for all: in shaders where there is a GPU, else in WebAssembly where there is that. */
  all(code) {
    if (this.isFast) return this.fast(code);
    this.dense ??= new Dense(this);
    return this.dense.run ? this.dense.all(code) : this.plain(code);
  }

  // Shaders

  prepare() {
    const { gl, parts, count } = this;
    this.height = Math.ceil(count / ROW);
    const layers = this.width / 4, bytes = parts.static.data, table = new Uint8Array(ROW * this.height * this.width);
    for (let n = 0; n < count; n++)
      for (let layer = 0; layer < layers; layer++)
        for (let c = 0; c < 4; c++)
          table[(layer * this.height * ROW + n) * 4 + c] = bytes[(4 * layer + c) * count + n];
    if (layers > gl.getParameter(gl.MAX_ARRAY_TEXTURE_LAYERS)) return false;
    this.input = this.texture(gl.RGBA8, layers, gl.UNSIGNED_BYTE, table);
    this.first = this.texture(gl.RGBA32F, this.units / 4);
    this.second = this.texture(gl.RGBA32F, this.hidden / 4);
    this.last = this.texture(gl.RGBA32F, parts.offset.shape[0] / 4 + 1);
    this.target = gl.createFramebuffer();
    this.programs = new Map();
    return this.attach(this.last, 0);
  }

  texture(format, layers, type, data) {
    const { gl } = this, texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, texture);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, format, ROW, this.height, layers);
    if (data) gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, 0, ROW, this.height, layers, gl.RGBA, type, data);
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    return texture;
  }

  attach(texture, layer) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.framebufferTextureLayer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, texture, 0, layer);
    return gl.checkFramebufferStatus(gl.FRAMEBUFFER) === gl.FRAMEBUFFER_COMPLETE;
  }

  /** One linear layer: `inputs` numbers from layer `begin` of `source` on, to four outputs a pass of `target`. */
  layer(source, begin, inputs, weight, bias, target, into, relu) {
    const { gl } = this, blocks = inputs / 4, program = this.program(blocks), matrices = new Float32Array(16 * blocks);
    gl.useProgram(program);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, source);
    gl.uniform1i(gl.getUniformLocation(program, "begin"), begin);
    gl.uniform1f(gl.getUniformLocation(program, "floor_at"), relu ? 0 : -3e38);
    const place = gl.getUniformLocation(program, "weights"), added = gl.getUniformLocation(program, "bias");
    for (let group = 0; group < bias.length / 4; group++) {
      for (let unit = 0; unit < 4; unit++)
        for (let i = 0; i < inputs; i++)
          matrices[(i >> 2) * 16 + (i & 3) * 4 + unit] = weight[(4 * group + unit) * inputs + i];
      gl.uniformMatrix4fv(place, false, matrices);
      gl.uniform4fv(added, bias.subarray(4 * group, 4 * group + 4));
      this.attach(target, into + group);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    }
  }

  program(blocks) {
    if (!this.programs.has(blocks))
      this.programs.set(blocks, makeProgram(this.gl, `#version 300 es
        void main() { gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0); }`,
        `#version 300 es
        precision highp float;
        precision highp sampler2DArray;
        uniform sampler2DArray source;
        uniform int begin;
        uniform float floor_at;
        uniform mat4 weights[${blocks}];
        uniform vec4 bias;
        out vec4 units;
        void main() {
          ivec2 at = ivec2(gl_FragCoord.xy);
          vec4 sum = bias;
          for (int i = 0; i < ${blocks}; i++) sum += weights[i] * texelFetch(source, ivec3(at, begin + i), 0);
          units = max(sum, floor_at);
        }`));
    return this.programs.get(blocks);
  }

  fast(code) {
    const { gl, parts, count, outputs, hidden } = this, { weight, bias } = this.fold(code);
    gl.disable(gl.BLEND);
    gl.viewport(0, 0, ROW, this.height);
    this.layer(this.input, 0, this.width, weight, bias, this.first, 0, true);
    this.layer(this.first, 0, hidden, parts.second.data, parts.second_bias.data, this.second, 0, true);
    this.layer(this.second, 0, hidden, parts.offset.data, parts.offset_bias.data, this.last, 0, false);
    const groups = parts.offset.shape[0] / 4, size = parts.dynamism.shape[1];
    this.layer(this.first, hidden / 4, size, parts.dynamism.data, parts.dynamism_bias.data, this.last, groups, false);
    const offsets = new Float32Array(count * outputs), d = new Float32Array(count).fill(1);
    const texels = new Float32Array(4 * ROW * this.height);
    for (let group = 0; group <= groups; group++) {
      this.attach(this.last, group);
      gl.readPixels(0, 0, ROW, this.height, gl.RGBA, gl.FLOAT, texels);
      if (group < groups)
        for (let n = 0; n < count; n++)
          for (let c = 0; c < 4 && 4 * group + c < outputs; c++) offsets[n * outputs + 4 * group + c] = texels[4 * n + c];
      else if (this.facts.weighted) for (let n = 0; n < count; n++) d[n] = 1 / (1 + Math.exp(-texels[4 * n]));
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    return { offsets, dynamism: d };
  }
}

/** The fields of all branches as one: its Gaussians are theirs, one branch behind the other. */
class Fields {
  constructor(facts, parts, gl) {
    this.each = facts.branches.map((own, k) => new Field({ ...facts, ...own }, Fields.partsOf(parts, k), gl));
    this.count = this.each.reduce((sum, field) => sum + field.count, 0);
    this.isFast = this.each.every((field) => field.isFast || !field.count);
  }

  /** The arrays of branch k under their plain names. */
  static partsOf(parts, k) {
    const end = `_${k}`, own = Object.keys(parts).filter((name) => k && name.endsWith(end));
    return k ? Object.fromEntries(own.map((name) => [name.slice(0, -end.length), parts[name]])) : parts;
  }

  all(vector) {
    return Fields.joined(this.each.filter((field) => field.count).map((field) => field.all(vector)));
  }

  /** Of Gaussians [from, to). */
  plain(vector, from = 0, to = this.count) {
    const found = [];
    let first = 0;
    for (const field of this.each) {
      const [low, high] = [Math.max(from - first, 0), Math.min(to - first, field.count)];
      if (low < high) found.push(field.plain(vector, low, high));
      first += field.count;
    }
    return Fields.joined(found);
  }

  static joined(results) {
    if (results.length === 1) return results[0];
    const join = (name) => {
      const out = new Float32Array(results.reduce((sum, result) => sum + result[name].length, 0));
      results.reduce((at, result) => (out.set(result[name], at), at + result[name].length), 0);
      return out;
    };
    return { offsets: join("offsets"), dynamism: join("dynamism") };
  }
}

/** What draws: the name of a GPU, or of a program that stands in for one. */
function rendererName(gl) {
  const details = gl?.getExtension("WEBGL_debug_renderer_info");
  return gl ? String(gl.getParameter(details ? details.UNMASKED_RENDERER_WEBGL : gl.RENDERER)) : "";
}

/** Whether a program stands in for a GPU: a processor does better without it. */
function isSoftware(gl) {
  return /swiftshader|llvmpipe|software/i.test(rendererName(gl));
}

/** A linked program; errors are thrown with the compiler's words. */
function makeProgram(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    const words = gl.getAttachedShaders(program).map((shader) => gl.getShaderInfoLog(shader)).join("\n");
    throw new Error(`a shader does not link: ${gl.getProgramInfoLog(program)} ${words}`);
  }
  return program;
}
