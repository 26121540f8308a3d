// Pictures and films of what a viewer shows, each marked as synthetic.

const PIECES = 200; // milliseconds of a film that come at a time
const LINGER = 5, LONGEST = 100; // pictures that stand at its end, and while the encoder has given nothing at all
const EMPTY = 1000; // bytes, below which a film has no picture yet
const PAUSE = 40; // milliseconds between them

/** Draws canvases over each other, and the mark. */
function compose(pen, layers) {
  const { width, height } = pen.canvas;
  for (const layer of layers) if (!layer.hidden) pen.drawImage(layer, 0, 0, width, height);
  pen.font = `${Math.round(height / 30)}px system-ui, sans-serif`;
  Object.assign(pen, { fillStyle: "#fff", textAlign: "right", shadowColor: "#000", shadowBlur: 4 });
  pen.fillText("synthetic", width - 8, height - 8);
  pen.shadowBlur = 0;
}

/** Offers bytes or a blob as a file. */
function download(data, type, name) {
  make("a", { href: urlOf(data, type), download: name.replace(/[^\w.-]/g, "_") }).click();
}

/** Records pictures and a sound while it plays, in the form that the browser has. */
class Recorder {
  constructor(sound) {
    this.sound = sound;
  }

  get isRecording() {
    return this.recorder?.state === "recording";
  }

  /** Begins; throws where the browser records nothing. name: of the file, without its ending. */
  start(width, height, fps, name) {
    const type = ["video/mp4;codecs=avc1.42E01F,mp4a.40.2", "video/webm;codecs=vp9,opus", "video/webm"]
      .find((one) => globalThis.MediaRecorder?.isTypeSupported(one));
    if (!type) throw new Error("it does not record films");
    this.pen = make("canvas", { width, height }).getContext("2d");
    const stream = this.pen.canvas.captureStream(fps), pieces = [];
    this.bytes = 0;
    stream.addTrack(this.tap().stream.getAudioTracks()[0]);
    this.recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 4e6 });
    this.recorder.ondataavailable = ({ data }) => {
      pieces.push(data);
      this.bytes += data.size;
    };
    this.recorder.onstop = () => {
      const plain = type.split(";")[0];
      download(new Blob(pieces), plain, `${name}.${plain.split("/")[1]}`);
    };
    this.recorder.start(PIECES);
  }

  /** Where the sound can be heard a second time; once, since an element gives its sound to one graph. */
  tap() {
    if (!this.tapped) {
      const context = new AudioContext(), source = context.createMediaElementSource(this.sound);
      this.tapped = context.createMediaStreamDestination();
      source.connect(this.tapped);
      source.connect(context.destination);
    }
    this.tapped.context.resume();
    return this.tapped;
  }

  take(layers) {
    if (!this.isRecording) return;
    compose(this.pen, layers);
  }

  /** Ends the film; its last picture stays for a moment, in which a slow machine's encoder catches up. */
  async stop() {
    const { recorder } = this;
    if (!this.isRecording || this.ending === recorder) return;
    this.ending = recorder;
    for (let k = 0; k < LINGER || (this.bytes < EMPTY && k < LONGEST); k++) {
      this.pen.drawImage(this.pen.canvas, 0, 0); // the same once more: a GPU's canvas is empty by now
      await new Promise((done) => setTimeout(done, PAUSE));
    }
    recorder.stop();
  }

  close() {
    this.tapped?.context.close();
  }
}
