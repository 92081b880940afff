"""The page that shows a run: one file of HTML, which needs neither a network nor a script."""

import base64
import struct
from pathlib import Path
from typing import Any

import jinja2

TEMPLATE = Path(__file__).with_name("page.html.jinja")
PIXELS = 96  # per inch, on a page


def render(**content: Any) -> str:
    """Fill the template; text is escaped, and a name that is not in `content` is an error."""
    blocks: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True}
    html = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, **blocks)
    return html.from_string(TEMPLATE.read_text(encoding="utf-8")).render(content) + "\n"


def embed(png: bytes, dpi: int) -> dict[str, Any]:
    """Return the attributes that show a PNG file in its true size, whatever its resolution."""
    width, height = (round(n * PIXELS / dpi) for n in struct.unpack_from(">2I", png, offset=16))
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return {"src": source, "width": width, "height": height}
