// Pieces of pages.

const PATIENCE = 6000; // milliseconds after which a kernel counts as gone

/** An element with attributes and children; texts are children too. */
function make(tag, attributes = {}, ...children) {
  const isShape = ["svg", "polyline", "circle", "line", "text"].includes(tag);
  const element = isShape ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  element.append(...children);
  return element;
}

/** A control under its label. */
function labelled(text, control) {
  return make("label", { class: "ap-control" }, make("span", {}, text), control);
}

/** A menu of keys; onpick gets the one that was picked. */
function choice(keys, chosen, label, onpick) {
  const options = keys.map((key) => make("option", { value: key, selected: key === chosen }, label(key)));
  return make("select", { onchange: (event) => onpick(event.target.value) }, ...options);
}

/** Bytes of a trait as a URL that an <img> or <audio> takes. */
function urlOf(bytes, type) {
  return URL.createObjectURL(new Blob([bytes], { type }));
}

/** The root of a widget, which keeps its keys. A picture that was put before a widget for pages without one hides. */
function root(label, ...children) {
  const element = make("div", { class: "audioplane", role: "group", "aria-label": label }, ...children);
  keepKeys(element);
  element.addEventListener("contextmenu", (event) => event.stopPropagation()); // JupyterLab's menu knows cells only
  whenShown(element, hideStill);
  speakAlone(element);
  return element;
}

/** Whether the page has a dark theme: JupyterLab, Notebook, VS Code, Colab or a book. */
function isDark() {
  const { body, documentElement } = document;
  return body.dataset.jpThemeLight === "false" || body.classList.contains("vscode-dark") ||
    [body, documentElement].some((one) => one.getAttribute("theme") === "dark" || one.dataset.theme === "dark" ||
      one.classList.contains("dark"));
}

/** Calls back when the page's theme may have changed; returns what ends that. */
function whenThemed(react) {
  const themes = new MutationObserver(react), attributeFilter = ["class", "data-jp-theme-light", "theme", "data-theme"];
  for (const element of [document.documentElement, document.body])
    themes.observe(element, { attributes: true, attributeFilter });
  return () => themes.disconnect();
}

/** Tells the kernel whether the page is dark, now and when that changes, so that figures are. Returns what ends it. */
function followTheme(model) {
  const tell = () => {
    if (model.isSaved || model.get("dark") === isDark()) return;
    model.set("dark", isDark());
    model.save_changes();
  };
  tell();
  return whenThemed(tell);
}

/** Keys that are typed in an element stay in it, so that a notebook does not take them for commands ("d d" deletes a
 * cell); saving goes on working. JupyterLab reads keys after the element has; Notebook 7 before, unless what has the
 * focus bears Lumino's attribute. */
function keepKeys(element) {
  element.classList.add("ap-keeps");
  element.addEventListener("keydown", keepKey);
  window.addEventListener("keydown", keepKeyFirst, true); // once, however often it is called
}

const isSave = (event) => (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s";

function keepKey(event) {
  if (!isSave(event)) event.stopPropagation();
}

function keepKeyFirst(event) {
  const { target } = event;
  if (target.closest?.(".ap-keeps")) target.toggleAttribute("data-lm-suppress-shortcuts", !isSave(event));
}

/** Calls back once the element is in a document. */
function whenShown(element, react, tries = 600) {
  if (element.isConnected) react(element);
  else if (tries) requestAnimationFrame(() => whenShown(element, react, tries - 1));
}

/** Hides the picture of `page.WithStill`, which is the output before the widget's. */
function hideStill(element) {
  const before = element.closest(".jp-OutputArea-child, .output_area")?.previousElementSibling;
  if (before?.querySelector("figure.audioplane-still")) before.style.display = "none";
}

/** Of all widgets of a page one speaks at a time. */
function speakAlone(element) {
  const own = new WeakRef(element);
  const hush = ({ detail }) => {
    if (!own.deref()) return document.removeEventListener("audioplane-speaks", hush);
    for (const sound of own.deref().querySelectorAll("audio, video")) if (sound !== detail) sound.pause();
  };
  document.addEventListener("audioplane-speaks", hush);
  element.addEventListener("play", ({ target }) => {
    document.dispatchEvent(new CustomEvent("audioplane-speaks", { detail: target }));
  }, true);
}

/** Lets a model hear its kernel. anywidget (0.9 to 0.11) turns away all that is sent to a model whose module took more than
 * two seconds to load, as on a slow machine in a notebook of many widgets, and goes on to do so once the module is there.
 * Such a model takes its messages itself, and asks for its state, since it missed some. */
async function keepHearing(model) {
  const id = model.get("own_id"), own = id && (await model.widget_manager?.get_model?.(id));
  if (!own?.comm) return;
  try {
    await own._handle_comm_msg({ content: { data: { method: "is it heard?" } } });
  } catch {
    const { _handle_comm_msg: take } = Object.getPrototypeOf(Object.getPrototypeOf(own));
    own.comm.on_msg((message) => take.call(own, message));
    own.comm.send({ method: "request_state" }, own.callbacks());
  }
}

/** The model of a page or module that `page.save` wrote: no kernel, but all values. binary: name -> gzip as base64. */
async function savedModel(plain, binary) {
  const values = { ...plain };
  for (const [name, text] of Object.entries(binary)) {
    const packed = new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
    const bytes = packed.stream().pipeThrough(new DecompressionStream("gzip"));
    values[name] = new DataView(await new Response(bytes).arrayBuffer());
  }
  return {
    isSaved: true, get: (name) => values[name], set: (name, value) => { values[name] = value; },
    save_changes() {}, on() {}, off() {}, send() {},
  };
}
