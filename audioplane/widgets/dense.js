// A linear layer in WebAssembly with SIMD, assembled here: `out = max(floor, weight x + bias)` of four rows and four units
// at a time. Where a browser or a page forbids WebAssembly, `denseKernel` gives null.

const DENSE = { x: 0, rows: 1, step: 2, size: 3, weight: 4, bias: 5, units: 6, out: 7, stride: 8, floor: 9, p0: 10, p1: 11,
  p2: 12, p3: 13, q: 14, i: 15, u: 16, o: 17, b: 18, a0: 19, a1: 20, a2: 21, a3: 22, w: 23, least: 24 }; // numbers of locals

/** The body of the function, in the bytes of its instructions. Steps and strides are in bytes. */
function denseCode() {
  const get = (name) => [0x20, DENSE[name]], set = (name) => [0x21, DENSE[name]], number = (value) => [0x41, value];
  const add = [0x6a], sub = [0x6b], more = (name, ...by) => [...get(name), ...by.flat(), ...add, ...set(name)];
  const simd = (code, ...rest) => [0xfd, ...(code < 128 ? [code] : [(code & 127) | 128, code >> 7]), ...rest];
  const load = simd(0x00, 0, 0), splat = simd(0x09, 2, 0), store = simd(0x0b, 0, 0); // 0 or 2: how they are aligned
  const plus = simd(0xe4), times = simd(0xe6), most = simd(0xe9);
  const loop = (name, step, ...body) => [0x03, 0x40, ...body.flat(), ...get(name), ...number(step), ...sub, 0x22, DENSE[name],
    0x0d, 0, 0x0b]; // again until `name` is zero
  const lanes = [0, 1, 2, 3];
  return [
    ...get("floor"), ...simd(0x13), ...set("least"),
    ...loop("rows", 4,
      [...get("weight"), ...set("q"), ...get("bias"), ...set("b"), ...get("out"), ...set("o"), ...get("units"), ...set("u")],
      loop("u", 4,
        lanes.flatMap((k) => [...get("b"), ...load, ...set(`a${k}`)]),
        [...get("x"), ...set("p0")],
        [1, 2, 3].flatMap((k) => [...get(`p${k - 1}`), ...get("step"), ...add, ...set(`p${k}`)]),
        [...get("size"), ...set("i")],
        loop("i", 1,
          [...get("q"), ...load, ...set("w")],
          lanes.flatMap((k) =>
            [...get(`a${k}`), ...get(`p${k}`), ...splat, ...get("w"), ...times, ...plus, ...set(`a${k}`)]),
          lanes.flatMap((k) => more(`p${k}`, number(4))),
          more("q", number(16))),
        [...get("o"), ...set("p0")],
        lanes.flatMap((k) => [...get("p0"), ...get(`a${k}`), ...get("least"), ...most, ...store, ...more("p0", get("stride"))]),
        more("o", number(16)), more("b", number(16))),
      lanes.flatMap(() => [...more("x", get("step")), ...more("out", get("stride"))])),
  ];
}

/** {memory, run(x, rows, step, size, weight, bias, units, out, stride, floor)}: rows and units in fours, places in bytes;
 * of each four units the weights lie input by input. null where there is no WebAssembly. */
function denseKernel(bytes) {
  const size = (value) => (value < 128 ? [value] : [(value & 127) | 128, value >> 7]);
  const part = (code, ...body) => [code, ...size(body.length), ...body], words = (text) => [text.length, ...new TextEncoder().encode(text)];
  const locals = [2, 9, 0x7f, 6, 0x7b], body = [...locals, ...denseCode(), 0x0b];
  const module = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...part(1, 1, 0x60, 10, ...Array(9).fill(0x7f), 0x7d, 0), // one type: nine whole numbers and a fraction to nothing
    ...part(2, 1, ...words("e"), ...words("m"), 2, 0, 1), // its memory is given
    ...part(3, 1, 0), ...part(7, 1, ...words("run"), 0, 0), ...part(10, 1, ...size(body.length), ...body)];
  try {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(module)), { e: { m: memory } });
    return { memory, run: instance.exports.run };
  } catch {
    return null;
  }
}

const CHUNK = 128; // Gaussians at a time, so that what they pass on stays in the cache

/** What `Field.plain` does for all Gaussians of a field, in WebAssembly; `run` is null where there is none. */
class Dense {
  constructor(field) {
    const { parts, width, hidden, units, count } = field, { second, offset, dynamism } = parts;
    const sizes = { x: 4 * Math.ceil(count / 4) * width, w1: units * width, b1: units, w2: hidden * hidden, b2: hidden,
      w3: offset.data.length, b3: offset.shape[0], w4: dynamism.data.length, b4: 4, h: CHUNK * units,
      inner: CHUNK * hidden, out: CHUNK * offset.shape[0], logit: 4 * CHUNK };
    const kernel = denseKernel(4 * Object.values(sizes).reduce((sum, size) => sum + size, 0));
    Object.assign(this, { field, run: kernel?.run, at: {}, arrays: {} });
    if (!kernel) return;
    let first = 0;
    for (const [name, size] of Object.entries(sizes)) {
      this.at[name] = first;
      this.arrays[name] = new Float32Array(kernel.memory.buffer, first, size);
      first += 4 * size;
    }
    this.arrays.x.set(field.features);
    this.set("w2", second.data, hidden);
    this.set("w3", offset.data, hidden);
    this.set("w4", dynamism.data, dynamism.shape[1]);
    for (const [name, part] of [["b2", parts.second_bias], ["b3", parts.offset_bias], ["b4", parts.dynamism_bias]])
      this.arrays[name].set(part.data);
  }

  /** A weight (units x size) as `denseKernel` wants it. */
  set(name, weight, size) {
    const out = this.arrays[name];
    for (let i = 0; i < weight.length; i++) {
      const unit = Math.floor(i / size), c = i % size;
      out[(unit >> 2) * 4 * size + 4 * c + (unit & 3)] = weight[i];
    }
  }

  all(vector) {
    const { field, at, arrays } = this, { width, hidden, units, count, outputs, parts } = field;
    const { weight, bias } = field.fold(vector), rest = units - hidden, wide = parts.offset.shape[0];
    const offsets = new Float32Array(count * outputs), d = new Float32Array(count).fill(1);
    this.set("w1", weight, width);
    arrays.b1.set(bias);
    for (let from = 0; from < count; from += CHUNK) {
      const some = Math.min(CHUNK, count - from), rows = 4 * Math.ceil(some / 4);
      this.run(at.x + 4 * from * width, rows, 4 * width, width, at.w1, at.b1, units, at.h, 4 * units, 0);
      this.run(at.h, rows, 4 * units, hidden, at.w2, at.b2, hidden, at.inner, 4 * hidden, 0);
      this.run(at.inner, rows, 4 * hidden, hidden, at.w3, at.b3, wide, at.out, 4 * wide, -Infinity);
      for (let n = 0; n < some; n++)
        offsets.set(arrays.out.subarray(n * wide, n * wide + outputs), (from + n) * outputs);
      if (!field.facts.weighted) continue;
      this.run(at.h + 4 * hidden, rows, 4 * units, rest, at.w4, at.b4, 4, at.logit, 16, -Infinity);
      for (let n = 0; n < some; n++) d[from + n] = 1 / (1 + Math.exp(-arrays.logit[4 * n]));
    }
    return { offsets, dynamism: d };
  }
}
