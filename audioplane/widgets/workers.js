// Moments of a voice made ahead of their time in Web Workers: Gaussians moved, sorted by depth and projected, and where no
// GPU draws them, drawn. A worker runs the same functions as the page, so its pictures are the same.

const MOST_WORKERS = 2;
const EARLY = 2; // frames that a moment is made ahead of when it is due, beyond the time that making it takes
const SHARED = { BLUR, LEAST_ALPHA, MOST_ALPHA, NEAR, MARGIN, SH0, DARK, INSTANCE, ROW, CHOSEN, TINT, DENSE, CHUNK };

/** What a worker runs. A message is a head, {facts, parts}, or an order; see `Viewer.order`. */
function serve(scope) {
  let cloud, fields, projection, layers;
  const raster = new Raster();
  const take = ({ facts, parts }) => {
    [cloud, fields, projection] = [new Cloud(facts, parts), new Fields(facts, parts, null), new Projection(facts.count)];
    layers = parts.layer.data;
  };
  const prepared = ({ frame, vector, moved, camera, look, filter, isDrawn, spare }) => {
    cloud.move(moved ?? (vector && fields.all(vector)));
    hide(cloud, layers, filter);
    projection.run(cloud, camera, painted(cloud, look, camera));
    if (spare) raster.sheet = spare;
    const sheet = isDrawn ? raster.draw(projection, camera.width, camera.height) : null;
    const { moving, numbers } = cloud, { drawn } = projection, cut = (table, size) => table.slice(0, size * moving);
    const answer = { frame, camera, drawn, sheet, rows: cut(cloud.rows, numbers), dynamism: cut(cloud.dynamism, 1),
      moved: cut(cloud.moved, 1), sigma: cut(cloud.sigma, 6), opacity: cut(cloud.opacity, 1), order: projection.order.slice(),
      depths: projection.depths.slice(), instances: projection.instances.slice() };
    raster.sheet = null; // it goes along
    const buffers = Object.values(answer).map((value) => value?.buffer).filter((buffer) => buffer instanceof ArrayBuffer);
    scope.postMessage(answer, buffers);
  };
  scope.onmessage = ({ data }) => (data.facts ? take(data) : prepared(data));
}

/** The text of a worker. */
function workerText() {
  const code = [Cloud, Projection, Raster, Field, Fields, Dense, denseCode, denseKernel, harmonics, stepped, rendererName, isSoftware, hide, painted, serve];
  return `const { ${Object.keys(SHARED)} } = ${JSON.stringify(SHARED)};\n${code.join("\n")}\nserve(self);`;
}

class Workers {
  /** facts, parts: of a head. count: of workers. received: called when one has done its work; failed: if there can be
   * none. */
  constructor(facts, parts, count, received, failed) {
    this.received = received;
    this.address = URL.createObjectURL(new Blob([workerText()], { type: "text/javascript" }));
    this.all = Array.from({ length: count }, () => new Worker(this.address));
    for (const worker of this.all) {
      worker.onmessage = ({ data }) => this.receive(worker, data);
      worker.onerror = (event) => {
        event.preventDefault();
        failed();
      };
      worker.postMessage({ facts, parts });
    }
    this.took = 0; // milliseconds from an order to its moment
    this.spares = [];
    this.clear();
  }

  /** How many a page should have: of a GPU's moments only the sorting is left, for which one is enough. */
  static wanted(isDrawn) {
    const cores = globalThis.navigator?.hardwareConcurrency ?? 2;
    return isDrawn ? Math.max(1, Math.min(MOST_WORKERS, cores - 1)) : 1;
  }

  /** Forgets what was ordered; what is still in the making is thrown away when it comes. */
  clear() {
    this.ready = new Map();
    this.ordered = new Map(); // frame -> {worker, since}
    this.last = -1;
  }

  /** A worker that has nothing to do. */
  get idle() {
    return this.all.find((worker) => !worker.isBusy);
  }

  /** The frame to order next when `now` (in frames, a fraction too) is heard; -1 for none yet. */
  next(now, fps) {
    const arrival = Math.floor(now + (this.took / 1000) * fps), frame = Math.max(this.last + 1, arrival);
    return frame <= arrival + EARLY ? frame : -1;
  }

  order(frame, order) {
    const worker = this.idle, spare = this.spares.pop();
    worker.isBusy = true;
    this.last = frame;
    this.ordered.set(frame, { worker, since: performance.now() });
    worker.postMessage({ ...order, frame, spare }, spare ? [spare.buffer] : []);
  }

  receive(worker, moment) {
    worker.isBusy = false;
    const own = this.ordered.get(moment.frame);
    if (own?.worker !== worker) return this.received();
    this.ordered.delete(moment.frame);
    const took = performance.now() - own.since;
    this.took = this.took ? 0.8 * this.took + 0.2 * took : took;
    this.ready.set(moment.frame, moment);
    this.received();
  }

  /** The latest frame that is made and due at `frame`, or -1; earlier ones are forgotten. */
  due(frame) {
    const past = [...this.ready.keys()].filter((one) => one <= frame), latest = Math.max(-1, ...past);
    for (const one of past) if (one < latest) this.reuse(this.take(one).sheet);
    return latest;
  }

  /** The moment of a frame, once; undefined where it was not made. */
  take(frame) {
    const moment = this.ready.get(frame);
    this.ready.delete(frame);
    return moment;
  }

  /** Takes a sheet back that was shown, to draw into it again. */
  reuse(sheet) {
    if (sheet && this.spares.length < this.all.length) this.spares.push(sheet);
  }

  close() {
    for (const worker of this.all) worker.terminate();
    URL.revokeObjectURL(this.address);
  }
}
