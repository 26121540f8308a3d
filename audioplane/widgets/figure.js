// Controls around a figure that Python draws: `render({ model, el })` for `FigureWidget`, in a notebook and, with
// the pictures that a saved page brings along, without one.

const PATIENCE = 6000; // milliseconds after which a kernel counts as gone

class FigureView {
  constructor(model, el) {
    this.model = model;
    this.values = { ...model.get("values") };
    this.time = model.get("time");
    this.film = model.get("film_facts");
    this.film = this.film?.keys ? this.film : null;
    this.image = make("img", { class: "ap-figure", alt: "" });
    this.status = make("p", { class: "ap-status", role: "status" });
    this.caption = make("p", { class: "ap-caption", "aria-live": "polite" });
    this.inputs = {};
    const controls = model.get("controls").map((control) => this.control(control));
    el.replaceChildren(make("div", { class: "audioplane", role: "group", "aria-label": model.get("label") },
      this.image, this.caption, make("div", { class: "ap-row" }, ...this.player(), ...controls), this.status));
    this.changes = { "change:answered": () => this.show(), "change:values": () => this.follow() };
    for (const [event, react] of Object.entries(this.changes)) model.on(event, react);
    this.show();
    if (model.isSaved) this.say(this.film ? "Saved pages hold some pictures; gray controls need a running kernel." : "A saved page without pictures: the controls need a running kernel.");
  }

  control({ name, label, kind, low, high, step, options }) {
    const isFrozen = this.model.isSaved && !this.film?.names.includes(name);
    const words = make("output", { class: "ap-value" });
    let input;
    if (kind === "choice") {
      input = choice(options.map((_, k) => String(k)), String(options.findIndex(([value]) => value === this.values[name])),
        (k) => options[k][1], (k) => this.set(name, options[k][0]));
      input.show = (value) => { input.value = String(options.findIndex(([own]) => own === value)); };
    } else {
      input = make("input", { type: "range", min: low, max: high, step, value: this.values[name],
        oninput: () => this.set(name, Number(input.value)) });
      input.show = (value) => {
        input.value = value;
        words.textContent = name === this.time ? `${(value / this.model.get("fps")).toFixed(2)} s` : `${value}`;
        input.setAttribute("aria-valuetext", words.textContent);
      };
    }
    input.dataset.name = name;
    input.setAttribute("aria-label", label); // without the number that stands beside it
    input.disabled = isFrozen;
    if (isFrozen) input.title = "needs a running kernel";
    input.show(this.values[name]);
    this.inputs[name] = input;
    return make("label", { class: "ap-inline" }, make("span", {}, label), input, words);
  }

  player() {
    const sound = this.model.get("sound");
    if (!this.time || !sound?.byteLength) return [];
    this.sound = make("audio", { src: urlOf(sound, "audio/ogg"), preload: "auto", onpause: () => this.stopped(), onended: () => this.stopped() });
    this.button = make("button", { type: "button", class: "ap-play", onclick: () => this.toggle() }, "Play");
    return [this.button, this.sound];
  }

  get offset() {
    return this.model.get("controls").find(({ name }) => name === this.time).low;
  }

  toggle() {
    if (!this.sound.paused) return this.sound.pause();
    const fps = this.model.get("fps"), last = Number(this.inputs[this.time].max);
    if (this.values[this.time] >= last) this.values[this.time] = this.offset;
    this.sound.currentTime = (this.values[this.time] - this.offset) / fps;
    this.button.textContent = "Pause";
    const step = () => {
      if (this.sound.paused || !this.image.isConnected) return;
      const t = Math.min(last, this.offset + Math.floor(this.sound.currentTime * fps));
      if (t !== this.values[this.time] && !this.asked) this.set(this.time, t);
      requestAnimationFrame(step);
    };
    this.sound.play().then(step, (error) => this.stopped(`The sound does not play: ${error.message}`));
  }

  stopped(words) {
    this.button.textContent = "Play";
    if (typeof words === "string") this.say(words);
  }

  set(name, value) {
    this.values[name] = value;
    this.inputs[name].show(value);
    if (this.model.isSaved) return this.showSaved();
    if (this.asked) return void (this.isStale = true);
    this.ask();
  }

  /** One question at a time: what is set meanwhile is asked when the answer is here. */
  ask() {
    this.isStale = false;
    this.asked = setTimeout(() => {
      this.asked = null;
      this.say("No kernel answers, so the picture stays as it is: run the notebook to move it.");
    }, PATIENCE);
    this.model.set("values", { ...this.values });
    this.model.save_changes();
  }

  show() {
    if (this.asked) this.say("");
    clearTimeout(this.asked);
    this.asked = null;
    this.put(this.model.get("picture"), this.model.get("caption"));
    if (this.isStale) this.ask();
  }

  put(bytes, words) {
    URL.revokeObjectURL(this.image.src);
    this.image.src = urlOf(bytes, "image/jpeg");
    this.image.alt = `${this.model.get("label")} ${words}`;
    this.caption.textContent = words;
  }

  /** The saved picture of these values; of those along time the nearest. */
  showSaved() {
    if (!this.film) return;
    const { names, keys, ends, captions } = this.film;
    const distance = (key) => names.reduce((sum, name, k) =>
      sum + (name === this.time ? Math.abs(key[k] - this.values[name]) : key[k] === this.values[name] ? 0 : 1e9), 0);
    const best = keys.reduce((found, key, k) => (distance(key) < distance(keys[found]) ? k : found), 0);
    const data = this.model.get("film_data");
    this.put(new Uint8Array(data.buffer, data.byteOffset, data.byteLength).subarray(ends[best - 1] ?? 0, ends[best]), captions[best]);
  }

  /** Values set from Python. */
  follow() {
    if (this.asked) return;
    this.values = { ...this.model.get("values") };
    for (const [name, input] of Object.entries(this.inputs)) input.show(this.values[name]);
  }

  say(words) {
    this.status.textContent = words;
  }

  close() {
    for (const [event, react] of Object.entries(this.changes)) this.model.off(event, react);
    this.sound?.pause();
    clearTimeout(this.asked);
  }
}

function render({ model, el }) {
  const view = new FigureView(model, el);
  el.view = view; // for scripts and tests
  return () => view.close();
}
