// Controls around a figure that Python draws: `render({ model, el })` for `FigureWidget`, in a notebook and, with
// the pictures that a saved page brings along, without one. What is played is drawn ahead into a film of pictures, so
// that sound and picture are of one time.

class FigureView {
  constructor(model, el) {
    this.model = model;
    this.values = { ...model.get("values") };
    this.time = model.get("time");
    this.image = make("img", { class: "ap-figure", alt: "" });
    this.status = make("p", { class: "ap-status", role: "status" });
    this.caption = make("p", { class: "ap-caption", "aria-live": "polite" });
    this.inputs = {};
    const controls = model.get("controls").map((control) => this.control(control));
    el.replaceChildren(root(model.get("label"),
      this.image, this.caption, make("div", { class: "ap-row" }, ...this.player(), ...controls), this.status));
    this.changes = { "change:answered": () => this.show(), "change:values": () => this.follow(),
      "change:film_facts": () => this.filmed(), "change:film_progress": () => this.progressed() };
    for (const [event, react] of Object.entries(this.changes)) model.on(event, react);
    this.show();
    this.leaveTheme = followTheme(model);
    if (model.isSaved) this.say(this.savedWords());
  }

  /** Pictures that are there without a kernel, or null. */
  get film() {
    const film = this.model.get("film_facts");
    return film?.keys ? film : null;
  }

  savedWords() {
    if (!this.film) return "A saved page without pictures: the controls need a running kernel.";
    const isFrozen = Object.values(this.inputs).some((input) => input.disabled);
    return `A saved page: it holds ${this.film.keys.length} pictures and shows the nearest` +
      (isFrozen ? "; gray controls need a running kernel." : ".");
  }

  control({ name, label, kind, low, high, step, options, limits }) {
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
        if (limits) input.max = limits.high[limits.by in this.values ? String(this.values[limits.by]) : ""] ?? high;
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

  /** Plays; in a notebook the film is drawn first, and the button cancels that. */
  toggle() {
    if (!this.sound.paused) return this.sound.pause();
    if (this.isFilming) return this.cancel();
    const last = Number(this.inputs[this.time].max);
    if (this.values[this.time] >= last - 1) this.values[this.time] = this.offset;
    if (this.model.isSaved || this.holds(this.values)) return this.play();
    this.isFilming = true;
    this.button.textContent = "Cancel";
    this.say("Drawing the film ...");
    this.patience = setTimeout(() => {
      this.cancel();
      this.say("No kernel answers, so there is no film to play: run the notebook.");
    }, PATIENCE);
    this.model.send({ kind: "film", values: this.values });
  }

  cancel() {
    clearTimeout(this.patience);
    this.isFilming = false;
    this.button.textContent = "Play";
    this.say("");
    this.model.send({ kind: "cancel" });
  }

  progressed() {
    if (!this.isFilming) return;
    clearTimeout(this.patience);
    const [done, total] = this.model.get("film_progress");
    this.say(`Drawing the film: picture ${done} of ${total}. It then plays with its sound.`);
  }

  filmed() {
    if (!this.isFilming) return;
    clearTimeout(this.patience);
    this.isFilming = false;
    this.say("");
    if (this.film) this.play();
  }

  /** Whether the film goes on from these values. */
  holds(values) {
    if (!this.film) return false;
    const { names, keys } = this.film, at = names.indexOf(this.time);
    const isOther = names.some((name, k) => k !== at && keys[0][k] !== values[name]);
    return !isOther && values[this.time] >= keys[0][at] && values[this.time] < keys[keys.length - 1][at];
  }

  play() {
    const fps = this.model.get("fps"), last = this.lastPlayed();
    this.sound.currentTime = (this.values[this.time] - this.offset + 0.5) / fps;
    this.button.textContent = "Pause";
    this.isPlaying = true;
    const step = () => {
      if (this.sound.paused || !this.image.isConnected) return;
      const t = Math.min(last, this.offset + Math.floor(this.sound.currentTime * fps));
      this.advance(t);
      if (t >= last) return this.sound.pause(); // the film ends here
      requestAnimationFrame(step);
    };
    this.sound.play().then(step, (error) => this.stopped(`The sound does not play: ${error.message}`));
  }

  advance(t) {
    if (t === this.values[this.time]) return;
    this.values[this.time] = t;
    this.inputs[this.time].show(t);
    if (this.film) this.showNearest(this.time);
  }

  lastPlayed() {
    const { names, keys } = this.film ?? { names: [] }, at = names.indexOf(this.time);
    return at < 0 ? Number(this.inputs[this.time].max) : Math.max(...keys.map((key) => key[at]));
  }

  stopped(words) {
    this.button.textContent = "Play";
    if (typeof words === "string") this.say(words);
    if (this.isPlaying && this.sound.ended) this.advance(this.lastPlayed()); // between two pictures of a slow machine
    if (this.isPlaying && !this.model.isSaved) this.set(this.time, this.values[this.time]); // the exact picture
    this.isPlaying = false;
  }

  set(name, value) {
    this.values[name] = value;
    for (const [own, input] of Object.entries(this.inputs)) {
      input.show(this.values[own]);
      if (input.type === "range") this.values[own] = Math.min(this.values[own], Number(input.max));
    }
    if (this.model.isSaved) return this.showSaved(name);
    if (this.asked) return void (this.isStale = true);
    this.ask();
  }

  /** One question at a time: what is set meanwhile is asked when the answer is here. */
  ask() {
    this.isStale = false;
    if (JSON.stringify(this.values) === JSON.stringify(this.model.get("values"))) return this.show(); // as asked last
    this.asked = setTimeout(() => {
      this.asked = null;
      if (this.isStale) return this.ask();
      this.isLate = true; // until it answers after all
      this.say("No kernel answers, so the picture stays as it is: run the notebook to move it.");
    }, PATIENCE);
    this.model.set("values", { ...this.values });
    this.model.save_changes();
  }

  show() {
    if (this.asked || this.isLate) this.say("");
    clearTimeout(this.asked);
    this.asked = null;
    this.isLate = false;
    this.shown = null;
    if (!this.isPlaying) this.put(this.model.get("picture"), this.model.get("caption"));
    if (this.isStale) this.ask();
  }

  put(bytes, words) {
    URL.revokeObjectURL(this.image.src);
    this.image.src = urlOf(bytes, "image/jpeg");
    this.image.alt = `${this.model.get("label")} ${words}`;
    this.caption.textContent = words;
  }

  /** The saved picture that is nearest; the controls go where it was drawn, so that none says what is not shown. */
  showSaved(moved) {
    if (!this.film) return;
    const key = this.showNearest(moved);
    this.film.names.forEach((name, k) => {
      this.values[name] = key[k];
      this.inputs[name].show(key[k]);
    });
    this.say(this.savedWords());
  }

  /** Shows the picture of the film that is nearest to the values, first of all to that of `moved`; returns its key. */
  showNearest(moved) {
    const { names, keys, ends, captions } = this.film, own = names.map((name) => this.values[name]);
    const weights = names.map((name) => (name === moved ? 1e6 : name === this.time ? 1 : 1e3));
    const spans = names.map((name) => Math.max(1e-9, Number(this.inputs[name].max) - Number(this.inputs[name].min)) || 1);
    const distance = (key) => key.reduce((sum, value, k) =>
      sum + weights[k] * (typeof value !== "number" ? Number(value !== own[k]) : Math.abs(value - own[k]) / spans[k] +
        (names[k] === this.time && value > own[k] ? 1e-6 : 0)), 0); // of two equally near the earlier: never before its sound
    const best = keys.reduce((found, key, k) => (distance(key) < distance(keys[found]) ? k : found), 0);
    if (this.shown === best && this.shownOf === this.film) return keys[best];
    [this.shown, this.shownOf] = [best, this.film];
    const data = this.model.get("film_data");
    this.put(new Uint8Array(data.buffer, data.byteOffset, data.byteLength).subarray(ends[best - 1] ?? 0, ends[best]), captions[best]);
    return keys[best];
  }

  /** Values set from Python. */
  follow() {
    if (this.asked || this.isPlaying) return;
    this.values = { ...this.model.get("values") };
    for (const [name, input] of Object.entries(this.inputs)) input.show(this.values[name]);
  }

  say(words) {
    this.status.textContent = words;
  }

  close() {
    for (const [event, react] of Object.entries(this.changes)) this.model.off(event, react);
    this.leaveTheme();
    this.isPlaying = false;
    this.sound?.pause();
    clearTimeout(this.asked);
    clearTimeout(this.patience);
  }
}

function render({ model, el }) {
  keepHearing(model);
  const view = new FigureView(model, el);
  el.view = view; // for scripts and tests
  return () => view.close();
}
