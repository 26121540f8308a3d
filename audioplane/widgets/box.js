// What a box of ipywidgets lacks: keys stay in it, and it says so when no kernel answers. `render({ model, el })`.

const SIGNS = ["change", "click", "keyup"]; // of somebody who wants something from the kernel
const NO_KERNEL = "No kernel answers: it is busy with another cell, or it is gone. If it is gone, run the cell again.";

/** The box that this widget is a child of. */
function boxOf(el) {
  return el.parentElement?.closest(".jupyter-widgets.widget-vbox");
}

function render({ model, el }) {
  keepHearing(model);
  const words = make("span", {}), status = make("p", { class: "ap-status", role: "status", hidden: true }, words);
  let asked = null;
  const say = (text) => {
    words.textContent = text;
    status.hidden = !text;
  };
  const hear = () => {
    clearTimeout(asked);
    asked = null;
    say("");
  };
  const ask = () => {
    asked ??= setTimeout(() => {
      asked = null;
      say(NO_KERNEL);
    }, PATIENCE);
    try {
      model.send({ kind: "are you there" });
    } catch {
      // without a kernel there is nothing to send with, and no answer comes
    }
  };
  model.on("msg:custom", hear);
  const element = root(model.get("label"), status);
  el.replaceChildren(element);
  const leaveTheme = followTheme(model);
  let box = null;
  whenShown(element, () => {
    box = boxOf(el);
    if (box) keepKeys(box);
    for (const event of SIGNS) box?.addEventListener(event, ask);
  });
  return () => {
    model.off("msg:custom", hear);
    leaveTheme();
    clearTimeout(asked);
    box?.removeEventListener("keydown", keepKey);
    for (const event of SIGNS) box?.removeEventListener(event, ask);
  };
}
