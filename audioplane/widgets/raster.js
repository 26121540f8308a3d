// Splats drawn by the processor, for machines where a program stands in for a GPU: that program blends every fragment of
// every splat, while this one leaves a pixel alone once no light comes through.

class Raster {
  /** Draws a projection into a sheet of width x height x RGBA, bottom row first: light of the head, and the light that
   * still comes through. */
  draw(projection, width, height) {
    if (this.sheet?.length !== 4 * width * height) this.sheet = new Float32Array(4 * width * height);
    const { sheet } = this, { instances, drawn } = projection;
    for (let at = 0; at < sheet.length; at += 4) {
      sheet[at] = sheet[at + 1] = sheet[at + 2] = 0;
      sheet[at + 3] = 1;
    }
    for (let i = 0; i < drawn; i++) Raster.splat(sheet, width, height, instances, INSTANCE * i);
    return sheet;
  }

  /** One Gaussian, row by row between the edges of its ellipse; along a row, exp(-q / 2) by two products a pixel. */
  static splat(sheet, width, height, data, first) {
    const u = data[first] - 0.5, v = data[first + 1] - 0.5, ry = data[first + 3]; // the middle of a pixel is at 0.5
    const a = data[first + 4], b = data[first + 5], c = data[first + 6], opacity = data[first + 7];
    const red = data[first + 8], green = data[first + 9], blue = data[first + 10];
    const reach = 2 * Math.log(opacity / LEAST_ALPHA), bend = Math.exp(-a), isOpaque = opacity > MOST_ALPHA;
    const last = Math.min(height - 1, Math.floor(v + ry));
    for (let y = Math.max(0, Math.ceil(v - ry)); y <= last; y++) {
      const dy = y - v, middle = (-b * dy) / a, half = Math.sqrt((b * b * dy * dy - a * (c * dy * dy - reach)) / (a * a));
      if (!(half >= 0)) continue;
      const from = Math.max(0, Math.ceil(u + middle - half)), to = Math.min(width - 1, Math.floor(u + middle + half));
      if (from > to) continue;
      const dx = from - u;
      let alpha = opacity * Math.exp(-0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy));
      let ratio = Math.exp(-0.5 * a * (2 * dx + 1) - b * dy);
      let at = 4 * ((height - 1 - y) * width + from);
      for (const end = at + 4 * (to - from); at <= end; at += 4) {
        const light = sheet[at + 3];
        if (light > DARK) {
          const part = (isOpaque && alpha > MOST_ALPHA ? MOST_ALPHA : alpha) * light;
          sheet[at] += part * red;
          sheet[at + 1] += part * green;
          sheet[at + 2] += part * blue;
          sheet[at + 3] = light - part;
        }
        alpha *= ratio;
        ratio *= bend;
      }
    }
  }
}
