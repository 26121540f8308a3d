"""What all widgets share: JavaScript put together, a still picture for where it does not run, saved pages."""

from __future__ import annotations

import base64
import html
import io
import json
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioplane.runtime import files

NO_SCRIPT = "This is a still picture: the widget itself needs JavaScript, and where it says so a running kernel."


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
    """Brings a picture and words along, for pages that have no kernel or no JavaScript to run a widget."""

    still: Any = b""  # PNG or JPEG
    label: Any = ""  # what the picture shows

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle: Any = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data and self.still:
            data[_kind(self.still)] = base64.b64encode(self.still).decode()
            data["text/html"] = picture_tag(self.still, self.label)
            data["text/plain"] = f"{self.label} {NO_SCRIPT}"
        return bundle


def picture_tag(still: bytes, label: str) -> str:
    """A still picture with its words as HTML."""
    data = base64.b64encode(still).decode()
    return (
        f'<figure><img src="data:{_kind(still)};base64,{data}" alt="{html.escape(label)}" style="max-width:100%">'
        f"<figcaption>{html.escape(label)} {NO_SCRIPT}</figcaption></figure>"
    )


def _kind(still: bytes) -> str:
    return "image/png" if still.startswith(b"\x89PNG") else "image/jpeg"


def save(path: str | Path, title: str, code: str, values: dict[str, Any], still: bytes, label: str) -> Path:
    """Writes a page that runs a widget without kernel and network, by a temporary name.

    Args:
        path: of the HTML file. title: of the page. code: of `script`. values: the widget's traits; bytes travel as
            base64. still, label: what is shown without JavaScript.
    """
    plain = {name: value for name, value in values.items() if not isinstance(value, bytes)}
    binary = {name: base64.b64encode(value).decode() for name, value in values.items() if isinstance(value, bytes)}
    page = Template(text("page.html")).substitute(
        title=html.escape(title),
        css=text("widgets.css"),
        still=picture_tag(still, label),
        plain=_inside_script(json.dumps(plain)),
        binary=_inside_script(json.dumps(binary)),
        code=code.replace("export default { render };", ""),
    )
    files.write_text(path, page)
    return Path(path)


def _inside_script(json_text: str) -> str:
    """JSON that ends no script and begins no comment, whatever its texts hold."""
    return json_text.replace("<", "\\u003c")
