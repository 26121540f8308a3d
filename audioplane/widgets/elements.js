// Pieces of pages.

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
