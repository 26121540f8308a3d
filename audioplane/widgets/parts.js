// Arrays as `bake.pack` packs them.

/** A half float's 16 bits as a number. */
function halfToFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, part = bits & 1023;
  if (exponent === 0) return sign * part * 2 ** -24;
  return exponent === 31 ? (part ? NaN : sign * Infinity) : sign * 2 ** (exponent - 25) * (1024 + part);
}

/** {name: {data, shape, bits}} of what `bake.pack` packed; halves come as Float32Array, their bits beside. */
function unpack(facts, view) {
  const bytes = new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength);
  const kinds = { float32: Float32Array, float16: Uint16Array, uint16: Uint16Array, uint8: Uint8Array };
  const found = {};
  for (const [name, [kind, shape, at]] of Object.entries(facts.parts)) {
    const bits = new kinds[kind](shape.reduce((a, b) => a * b, 1)), own = new Uint8Array(bits.buffer);
    const size = bits.BYTES_PER_ELEMENT, { length } = bits; // all first bytes come first, then all second ones
    for (let byte = 0; byte < size; byte++)
      for (let i = 0; i < length; i++) own[i * size + byte] = bytes[at + byte * length + i];
    found[name] = { data: kind === "float16" ? Float32Array.from(bits, halfToFloat) : bits, shape, bits };
  }
  return found;
}

/** A table of whole steps (C x n), each row between its `low` and `high`, as n x C numbers. last: the most steps. */
function stepped({ data, shape: [columns, count] }, low, high, last) {
  const out = new Float32Array(columns * count);
  for (let c = 0; c < columns; c++) {
    const start = low.data[c], step = (high.data[c] - start) / last;
    for (let n = 0; n < count; n++) out[n * columns + c] = start + data[c * count + n] * step;
  }
  return out;
}
