// Arrays as `bake.pack` packs them.

/** A half float's 16 bits as a number. */
function halfToFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, part = bits & 1023;
  if (exponent === 0) return sign * part * 2 ** -24;
  return exponent === 31 ? (part ? NaN : sign * Infinity) : sign * 2 ** (exponent - 25) * (1024 + part);
}

/** {name: {data, shape, bits}} of what `bake.pack` packed; halves come as Float32Array, their bits beside. */
function unpack(facts, view) {
  const bytes = new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength).slice();
  const kinds = { float32: Float32Array, float16: Uint16Array, uint16: Uint16Array, uint8: Uint8Array };
  const found = {};
  for (const [name, [kind, shape, at]] of Object.entries(facts.parts)) {
    const bits = new kinds[kind](bytes.buffer, at, shape.reduce((a, b) => a * b, 1));
    found[name] = { data: kind === "float16" ? Float32Array.from(bits, halfToFloat) : bits, shape, bits };
  }
  return found;
}
