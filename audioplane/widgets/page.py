"""What all widgets share: JavaScript put together, a still picture for where it does not run, saved pages."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import re
import zlib
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioplane.runtime import files

SHORT_BLOCKS = 5  # zlib's memory level: a new code table every 2,048 symbols
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
NO_SCRIPT = "This is a still picture. The widget itself needs JavaScript; in a notebook, trust it and run the cell."


def script(*names: str) -> str:
    """An ES module for anywidget: files of this folder one after the other; the last one defines `render`."""
    return "\n".join([*map(text, names), "export default { render };", ""])


def text(name: str) -> str:
    """A file of this folder."""
    return (resources.files(__name__.rpartition(".")[0]) / name).read_text(encoding="utf-8")


def png(image: NDArray) -> bytes:
    """(H, W, 3) uint8 as PNG."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", optimize=True)
    return out.getvalue()


def jpeg(image: NDArray, quality: int = 86) -> bytes:
    """(H, W, 3) uint8 as JPEG."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=quality)
    return out.getvalue()


def figure_pixels(figure: Any) -> NDArray:
    """A matplotlib figure as (H, W, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


class WithStill:
    """Brings a picture and words along, for pages that have no kernel or no JavaScript to run a widget.

    In a notebook the picture is an output of its own before that of the widget, because a page that finds a widget but
    not its state shows neither the widget nor another form of the same output. The living widget hides it.
    """

    still: Any = b""  # PNG or JPEG
    label: Any = ""  # what the picture shows

    def _ipython_display_(self) -> None:
        from IPython.display import display

        bundle = self._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        if self.still:
            display(self._still_bundle(), raw=True)
            data = {kind: own for kind, own in data.items() if kind == WIDGET_VIEW or kind == "text/plain"}
        display(data, metadata=metadata, raw=True)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle: Any = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data and self.still:
            data |= self._still_bundle()
        return bundle

    def _still_bundle(self) -> dict[str, str]:
        return {
            _kind(self.still): base64.b64encode(self.still).decode(),
            "text/html": picture_tag(self.still, self.label),
            "text/plain": f"{self.label} {NO_SCRIPT}",
        }


def picture_tag(still: bytes, label: str) -> str:
    """A still picture with its words as HTML."""
    source = f"data:{_kind(still)};base64,{base64.b64encode(still).decode()}"
    return (
        f'<figure class="audioplane-still"><img src="{source}" alt="{html.escape(label)}" style="max-width:100%">'
        f"<figcaption>{html.escape(label)} {NO_SCRIPT}</figcaption></figure>"
    )


def _kind(still: bytes) -> str:
    return "image/png" if still.startswith(b"\x89PNG") else "image/jpeg"


def save(path: str | Path, title: str, code: str, values: dict[str, Any], still: bytes, label: str) -> Path:
    """Writes a page that runs a widget without kernel and network, by a temporary name.

    Args:
        path: of the HTML file; with the ending .mjs it becomes an ES module with all that it shows, which a book takes
            (MyST: `{anywidget} talk.mjs`).
        title: of the page. code: of `script`. values: the widget's traits; bytes travel compressed, as base64.
        still, label: what is shown without JavaScript.
    """
    is_module = Path(path).suffix == ".mjs"
    plain = {name: value for name, value in values.items() if not isinstance(value, bytes)}
    binary = {name: _packed(value) for name, value in values.items() if isinstance(value, bytes)}
    if not is_module:
        binary.pop("still", None)  # the page has it once, as its picture
    plain_code = code.replace("export default { render };", "export { render, savedModel };")
    parts = {"plain": _inside_script(json.dumps(plain)), "binary": _inside_script(json.dumps(binary))}
    css = text("widgets.css")
    if is_module:
        own = code.replace("export default { render };", "")
        written = Template(text("module.mjs")).substitute(parts, code=own, css=json.dumps(css))
    else:
        written = Template(text("page.html")).substitute(
            parts,
            title=html.escape(title),
            css=css,
            still=picture_tag(still, label),
            code=_packed(_bare(plain_code).encode()),
        )
    files.write_text(path, written)
    return Path(path)


def _bare(code: str) -> str:
    """JavaScript without the comments that have lines of their own, and without indentation."""
    code = re.sub(r"^ */\*\*.*?\*/\n", "", code, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^ *(//.*\n)?", "", code, flags=re.MULTILINE)


def _packed(value: bytes) -> str:
    """Bytes as gzip as base64; its blocks are short, because tables change from row to row."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31, SHORT_BLOCKS, zlib.Z_FILTERED)
    short = packer.compress(value) + packer.flush()
    return base64.b64encode(min(short, gzip.compress(value, mtime=0), key=len)).decode()


def _inside_script(json_text: str) -> str:
    """JSON that ends no script and begins no comment, whatever its texts hold."""
    return json_text.replace("<", "\\u003c")
