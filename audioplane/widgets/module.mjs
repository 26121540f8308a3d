// A widget of audioplane with all that it shows, for pages that load ES modules, such as MyST's `{anywidget}`; what is
// shown is synthetic.
$code
const PLAIN = $plain;
const BINARY = $binary;
const CSS = $css;
export default {
  async render({ el }) {
    const place = make("div", {});
    el.replaceChildren(make("style", {}, CSS), place);
    return render({ model: await savedModel(PLAIN, BINARY), el: place });
  },
};
