// Draws projected Gaussians into a canvas by WebGL2. The alpha channel of the sheet is the light that still comes
// through; after each batch, pixels that are as good as opaque are closed for the rest.

const STYLES = ["splats", "ellipsoids", "points"];
const REACH = 1.5; // standard deviations at the edge of an ellipsoid
const BATCHES = 8;

/** Draws projections into a canvas. */
class Painter {
  constructor(gl, count) {
    this.gl = gl;
    // Sums of hundreds of faint Gaussians want more than eight bits.
    this.isDeep = Boolean(gl.getExtension("EXT_color_buffer_float"));
    this.isSoftware = isSoftware(gl);
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
    gl.deleteTexture(this.given ?? null);
    this.given = null;
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
    this.resize(width, height);
    this.gl.viewport(0, 0, width, height);
    this.drawHead(projection, style);
    this.drawAll(this.sheet, paper, torso);
  }

  /** As `draw`, with a head that `Raster` has drawn. */
  drawSheet(sheet, width, height, paper, torso) {
    const { gl } = this;
    this.resize(width, height);
    if (!this.given) {
      this.given = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, this.given);
      gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32F, width, height);
      this.smooth(gl.NEAREST);
    }
    gl.bindTexture(gl.TEXTURE_2D, this.given);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RGBA, gl.FLOAT, sheet);
    gl.viewport(0, 0, width, height);
    this.drawAll(this.given, paper, torso);
  }

  drawHead(projection, style) {
    const { gl } = this;
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
  }

  /** A head over what lies behind it, into the canvas. */
  drawAll(sheet, paper, torso) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.disable(gl.BLEND);
    gl.useProgram(this.finish);
    gl.uniform3fv(gl.getUniformLocation(this.finish, "paper"), paper);
    gl.uniform1f(gl.getUniformLocation(this.finish, "torso"), torso && this.behind ? 1 : 0);
    gl.uniform1i(gl.getUniformLocation(this.finish, "behind"), 1);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.behind ?? sheet);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, sheet);
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
