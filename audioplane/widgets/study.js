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
    Object.assign(this, { model, rows: [], urls: new Map() });
    this.body = make("div", {});
    this.status = make("p", { class: "ap-status", role: "status" });
    el.replaceChildren(make("div", { class: "audioplane", role: "group", "aria-label": model.get("label") }, this.body, this.status));
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
    if (!this.model.isSaved) this.model.send({ kind: "ratings", rows });
    this.next(number + 1);
  }

  thank() {
    const text = ["participant,clip,criterion,rating,position", ...this.rows.map((row) =>
      [`"${row.participant.replaceAll('"', '""')}"`, row.clip, row.criterion, row.rating, row.position].join(","))].join("\r\n");
    const link = make("a", { class: "ap-play", download: `ratings-${this.participant.replace(/[^\w-]/g, "_")}.csv`, href: urlOf(text, "text/csv") }, "Download the ratings");
    const words = this.model.isSaved ? "Please download your ratings and send them to who asked you." : "Your ratings are stored. The next participant may begin.";
    const again = make("button", { type: "button", onclick: () => { this.rows = []; this.welcome(); } }, "Next participant");
    this.body.replaceChildren(make("h2", {}, "Thank you!"), make("p", {}, words), ...(this.model.isSaved ? [link] : [again]));
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
  const view = new StudyView(model, el);
  return () => view.urls.forEach((url) => URL.revokeObjectURL(url));
}
