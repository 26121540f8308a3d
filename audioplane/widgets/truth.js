// The filmed pictures over the drawn ones: a wipe between them, or their difference.

const KEPT = 60, AHEAD = 8; // decoded pictures that are kept, and how many are decoded ahead
const DOUBLINGS = 2; // a difference is shown four times as strong

class Truth {
  /** changed: called when another picture is due. */
  constructor(changed) {
    this.changed = changed;
    this.pictures = new Map();
    this.canvas = make("canvas", { class: "ap-truth", "aria-hidden": "true" });
    this.menu = choice(["off", "wipe", "difference"], "off",
      (key) => ({ off: "off", wipe: "wipe", difference: "difference, 4 ×" })[key],
      () => this.changed());
    this.place = make("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0.5, "aria-label": "where the wipe is",
      oninput: () => this.changed() });
    this.words = make("output", {});
    this.element = make("fieldset", { hidden: true }, make("legend", {}, "filmed picture"), labelled("show", this.menu),
      labelled("wipe at", this.place), this.words);
  }

  /** A voice of `GaussianViewer.compare`, or one that brings no pictures. */
  take(talk) {
    this.talk = talk?.facts.pictures ? talk : null;
    this.pictures.forEach((picture) => picture.then((bitmap) => bitmap.close()));
    this.pictures.clear();
    this.element.hidden = !this.talk;
  }

  /** The decoded picture of a frame, a promise; drawn again when it is there. */
  picture(frame) {
    if (!this.pictures.has(frame)) {
      const { facts: { pictures: ends }, parts } = this.talk, talk = this.talk;
      const bytes = parts.pictures.data.slice(ends[frame], ends[frame + 1]);
      const decoded = createImageBitmap(new Blob([bytes], { type: "image/jpeg" }), { colorSpaceConversion: "none" });
      this.pictures.set(frame, decoded);
      decoded.then((bitmap) => {
        decoded.bitmap = bitmap;
        if (talk === this.talk) this.changed();
      });
      for (const old of [...this.pictures.keys()].slice(0, -KEPT)) {
        this.pictures.get(old).then((bitmap) => bitmap.close());
        this.pictures.delete(old);
      }
    }
    return this.pictures.get(frame);
  }

  /** Draws over `drawn`, the canvas of the Gaussians, in the same task as these; isFront: seen as it was filmed. */
  draw(drawn, frame, isFront) {
    const { canvas, talk, menu } = this, isOn = talk && menu.value !== "off", isShown = isOn && isFront;
    canvas.hidden = true;
    this.place.disabled = menu.value !== "wipe";
    this.words.textContent = isOn && !isFront ? "Only where the head is seen as it was filmed: press “front”." :
      isOn && menu.value === "wipe" ? "Left drawn, right filmed." : "";
    if (!isShown) return;
    for (let ahead = Math.min(talk.facts.frames - 1, frame + AHEAD); ahead > frame; ahead--) this.picture(ahead);
    const { bitmap } = this.picture(frame);
    if (!bitmap) return; // a moment later
    const { width, height } = drawn, pen = canvas.getContext("2d");
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    pen.globalCompositeOperation = "copy";
    canvas.hidden = false;
    if (menu.value === "wipe") {
      pen.clearRect(0, 0, width, height);
      pen.globalCompositeOperation = "source-over";
      const x = Math.round(width * this.place.value);
      pen.save();
      pen.beginPath();
      pen.rect(x, 0, width - x, height);
      pen.clip();
      pen.drawImage(bitmap, 0, 0, width, height);
      pen.restore();
      pen.fillStyle = "#fff";
      pen.fillRect(x - 1, 0, 2, height);
      return;
    }
    pen.drawImage(bitmap, 0, 0, width, height);
    pen.globalCompositeOperation = "difference";
    pen.drawImage(drawn, 0, 0);
    pen.globalCompositeOperation = "lighter";
    for (let k = 0; k < DOUBLINGS; k++) pen.drawImage(canvas, 0, 0);
  }
}
