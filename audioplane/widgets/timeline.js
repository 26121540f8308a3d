// The time of a voice: its wave and its sounds, where one is in it, and a piece of it that is repeated.

const BARS = 400; // peaks of the wave
const LABEL = 9; // pixels that the name of a sound needs

class Timeline {
  /** seek: called with a frame. told: called when the loop has changed. */
  constructor(seek, told) {
    Object.assign(this, { seek, told });
    this.loop = null; // [first, last] frame, or null
    this.frame = 0;
    this.canvas = make("canvas", { class: "ap-wave", "aria-hidden": "true" });
    const button = (words, hint, onclick) => make("button", { type: "button", title: hint, onclick }, words);
    this.words = make("output", { class: "ap-value" });
    this.buttons = make("div", { class: "ap-row ap-views", role: "group", "aria-label": "repeat a piece" },
      button("repeat from here", "the piece begins at this frame", () => this.set(this.frame, this.loop?.[1])),
      button("repeat to here", "the piece ends with this frame", () => this.set(this.loop?.[0], this.frame)),
      this.noLoop = button("no repeat", "plays the whole voice", () => this.set()), this.words);
    this.element = make("div", { class: "ap-timeline" }, this.canvas, this.buttons);
    this.listen();
  }

  listen() {
    let start = null;
    const frameAt = (event) => {
      const { left, width } = this.canvas.getBoundingClientRect(), { frames } = this.facts;
      return Math.max(0, Math.min(frames - 1, Math.floor(((event.clientX - left) / width) * frames)));
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      if (!this.facts) return;
      this.canvas.setPointerCapture(event.pointerId);
      start = { frame: frameAt(event), x: event.clientX };
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (start && Math.abs(event.clientX - start.x) > 4) this.set(start.frame, frameAt(event));
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (start && Math.abs(event.clientX - start.x) <= 4) this.seek(start.frame);
      start = null;
    });
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.canvas);
    this.leaveTheme = whenThemed(() => this.draw());
  }

  /** A voice: {facts: {frames, fps, marks}, parts: {sound}}, or null. */
  take(talk) {
    this.facts = talk?.facts ?? null;
    this.peaks = null;
    this.hold(null);
    if (talk) this.read(talk.parts.sound.data.slice().buffer);
  }

  /** The peaks of its sound, once the browser has decoded it. */
  async read(bytes) {
    const own = this.facts;
    try {
      const decoder = new OfflineAudioContext(1, 1, 16000), sound = await decoder.decodeAudioData(bytes);
      const samples = sound.getChannelData(0), peaks = new Float32Array(BARS), seconds = own.frames / own.fps;
      for (let i = 0; i < samples.length; i++) {
        const bar = Math.floor((BARS * i) / (seconds * sound.sampleRate));
        if (bar < BARS) peaks[bar] = Math.max(peaks[bar], Math.abs(samples[i]));
      }
      if (own === this.facts) this.peaks = peaks;
    } catch {
      // a browser that does not decode it here still plays it
    }
    this.draw();
  }

  /** Repeats frames first to last; nothing given: no repeat. Either end may be missing, and they may be swapped. */
  set(first, last) {
    const end = (this.facts?.frames ?? 1) - 1;
    this.hold(first === undefined && last === undefined ? null : [first ?? 0, last ?? end].sort((a, b) => a - b));
    this.told(this.loop ?? []);
  }

  hold(ends) {
    this.loop = ends;
    this.noLoop.disabled = !ends;
    const seconds = (frame) => (frame / this.facts.fps).toFixed(2);
    this.words.textContent = ends ? `${seconds(ends[0])} to ${seconds(ends[1] + 1)} s` : "";
    this.draw();
  }

  /** The frame to play after `frame`: the loop's first where it has ended. */
  after(frame) {
    return this.loop && (frame > this.loop[1] || frame < this.loop[0]) ? this.loop[0] : frame;
  }

  show(frame) {
    this.frame = frame;
    this.draw();
  }

  draw() {
    const { canvas, facts } = this, density = globalThis.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * density), height = Math.round(canvas.clientHeight * density);
    if (!facts || !width) return;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d"), styles = getComputedStyle(canvas), x = (frame) => (width * frame) / facts.frames;
    const wave = height - 14 * density, color = (name) => styles.getPropertyValue(name).trim();
    pen.clearRect(0, 0, width, height);
    if (this.loop) {
      pen.fillStyle = color("--ap-loop");
      pen.fillRect(x(this.loop[0]), 0, x(this.loop[1] + 1) - x(this.loop[0]), height);
    }
    pen.fillStyle = color("--ap-x");
    (this.peaks ?? []).forEach((peak, bar) => {
      const tall = Math.max(density, Math.min(1, peak) * wave);
      pen.fillRect((width * bar) / BARS, (wave - tall) / 2, Math.max(1, width / BARS - 0.5), tall);
    });
    pen.fillStyle = styles.color;
    pen.font = `${10 * density}px system-ui, sans-serif`;
    pen.textAlign = "center";
    for (const [start, end, name] of facts.marks ?? []) {
      const [left, right] = [x(start * facts.fps), x(end * facts.fps)];
      pen.fillRect(left, wave, 1, 3 * density);
      if (right - left >= LABEL * density) pen.fillText(name, (left + right) / 2, height - 3 * density);
    }
    pen.fillStyle = color("--ap-y");
    pen.fillRect(x(this.frame + 0.5) - density, 0, 2 * density, height);
  }

  close() {
    this.watcher.disconnect();
    this.leaveTheme();
  }
}
