// A blind rating of clips: one trial an identity, clips in random order under letters. `render({ model, el })`.

/** Numbers in [0, 1) that depend on a text alone: the same participant gets the same order again. */
function randomFrom(text) {
  let state = 2166136261;
  for (const letter of text) state = Math.imul(state ^ letter.codePointAt(0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(list, random) {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

class StudyView {
  constructor(model, el) {
    Object.assign(this, { model, rows: [], waiting: new Map(), urls: new Map() });
    this.body = make("div", {});
    this.status = make("p", { class: "ap-status", role: "status" });
    el.replaceChildren(root(model.get("label"), this.body, this.status));
    this.hear = (message) => this.confirmed(message);
    model.on("msg:custom", this.hear);
    this.welcome();
  }

  welcome() {
    const code = make("input", { type: "text", autocomplete: "off", maxlength: 40 });
    const begin = make("button", { type: "submit", class: "ap-play" }, "Begin");
    const { trials, criteria, low, high } = this.model.get("plan");
    this.body.replaceChildren(make("form", { onsubmit: (event) => {
      event.preventDefault();
      const name = code.value.trim();
      if (!name) return this.say("Please give yourself a code, such as two letters and a number.");
      this.start(name);
    } }, make("p", {}, `You will see ${trials.length} group${trials.length > 1 ? "s" : ""} of ${trials[0].length} short clips of one ` +
      `face each, in random order. Rate every clip from ${low} (worst) to ${high} (best) on ${criteria.join(", ")}, comparing the clips ` +
      "of a group with each other. All clips are synthetic. Please use headphones."),
    labelled("participant code", code), begin));
  }

  start(participant) {
    this.participant = participant;
    const random = randomFrom(participant);
    this.trials = shuffled(this.model.get("plan").trials, random).map((tokens) => shuffled(tokens, random));
    this.next(0);
  }

  next(number) {
    this.say("");
    if (number === this.trials.length) return this.thank();
    const { criteria, low, high } = this.model.get("plan"), tokens = this.trials[number];
    const cards = tokens.map((token, position) => {
      const letter = String.fromCharCode(65 + position);
      const video = make("video", { src: this.url(token), controls: true, preload: "auto", playsinline: true, "aria-label": `clip ${letter}` });
      return make("section", { class: "ap-card", "aria-label": `clip ${letter}` }, make("h3", {}, `Clip ${letter}`), video,
        ...criteria.map((criterion) => this.scale(criterion, `${number}-${position}`, letter, low, high)));
    });
    const form = make("form", { onsubmit: (event) => {
      event.preventDefault();
      this.take(form, tokens, criteria, number);
    } }, make("h2", { tabindex: -1 }, `Group ${number + 1} of ${this.trials.length}`), make("div", { class: "ap-cards" }, ...cards),
    make("button", { type: "submit", class: "ap-play" }, number + 1 < this.trials.length ? "Next group" : "Finish"));
    this.body.replaceChildren(form);
    form.querySelector("h2").focus({ preventScroll: true });
  }

  scale(criterion, place, letter, low, high) {
    const choices = [];
    for (let rating = low; rating <= high; rating++)
      choices.push(make("label", {}, make("input", { type: "radio", name: `${place}-${criterion}`, value: rating,
        "aria-label": `clip ${letter}, ${criterion}: ${rating} of ${high}` }), `${rating}`));
    return make("fieldset", { class: "ap-scale" }, make("legend", {}, criterion), make("div", {}, ...choices));
  }

  take(form, tokens, criteria, number) {
    const rows = [], data = new FormData(form);
    for (const [position, clip] of tokens.entries())
      for (const criterion of criteria) {
        const rating = data.get(`${number}-${position}-${criterion}`);
        if (!rating) {
          form.querySelector(`[name="${number}-${position}-${criterion}"]`).focus();
          return this.say(`Clip ${String.fromCharCode(65 + position)} has no rating for ${criterion} yet.`);
        }
        rows.push({ participant: this.participant, clip, criterion, rating: Number(rating), position });
      }
    this.rows.push(...rows);
    this.send(rows);
    this.next(number + 1);
  }

  /** To the kernel, which confirms each group by its number once it is in the file. */
  send(rows) {
    if (this.model.isSaved) return;
    const group = `${this.participant} ${Date.now()} ${this.rows.length}`;
    this.waiting.set(group, rows);
    try {
      this.model.send({ kind: "ratings", group, rows });
    } catch (error) {
      this.refusal = error.message; // a notebook that was opened and not run
    }
  }

  confirmed({ kind, group, words }) {
    if (kind === "stored") this.waiting.delete(group);
    if (kind === "refused" && this.waiting.has(group)) this.refusal = words;
    if (this.isDone) this.thank();
  }

  /** Thanks once all ratings are known to be stored; where no kernel says so, the ratings can be downloaded. */
  thank() {
    const isFirst = !this.isDone;
    this.isDone = true;
    if (this.model.isSaved) return this.offer("Please download your ratings and send them to who asked you.");
    if (!this.waiting.size) {
      clearTimeout(this.patience);
      const again = make("button", { type: "button", onclick: () => this.again() }, "Next participant");
      return this.body.replaceChildren(make("h2", {}, "Thank you!"),
        make("p", {}, "Your ratings are stored. The next participant may begin."), again);
    }
    const advice = "Please download them and give them to who asked you; what was stored already is counted once.";
    if (this.refusal) return this.offer(`Your ratings could not be stored: ${this.refusal} ${advice}`);
    if (!isFirst) return;
    this.body.replaceChildren(make("p", {}, "Storing your ratings ..."));
    this.patience = setTimeout(() => this.offer(`No kernel has stored your ratings. ${advice}`), PATIENCE);
  }

  offer(words) {
    clearTimeout(this.patience);
    const text = ["participant,clip,criterion,rating,position", ...this.rows.map((row) =>
      [`"${row.participant.replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`, row.clip, row.criterion, row.rating, row.position].join(","))].join("\r\n");
    const name = `ratings-${this.participant.replace(/[^\w-]/g, "_")}.csv`;
    const link = make("a", { class: "ap-play", download: name, href: urlOf(text, "text/csv") }, "Download the ratings");
    const again = make("button", { type: "button", onclick: () => this.again() }, "Next participant");
    const title = this.model.isSaved ? "Thank you!" : "Your ratings are not stored yet";
    this.body.replaceChildren(make("h2", {}, title), make("p", {}, words),
      make("div", { class: "ap-row" }, link, ...(this.model.isSaved ? [] : [again])));
  }

  again() {
    Object.assign(this, { rows: [], waiting: new Map(), refusal: null, isDone: false });
    this.welcome();
  }

  url(token) {
    if (!this.urls.has(token)) {
      const { places } = this.model.get("plan"), [start, end] = places[token], data = this.model.get("films");
      this.urls.set(token, urlOf(new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice(start, end), "video/mp4"));
    }
    return this.urls.get(token);
  }

  say(words) {
    this.status.textContent = words;
  }
}

function render({ model, el }) {
  keepHearing(model);
  const view = new StudyView(model, el);
  return () => {
    model.off("msg:custom", view.hear);
    view.urls.forEach((url) => URL.revokeObjectURL(url));
  };
}
