"""The page that shows a run: one file of HTML, which needs neither a network nor a script."""

import base64
import struct
from pathlib import Path
from typing import Any

import jinja2

FOLDER = Path(__file__).parent
PIXELS = 96  # per inch, on a page


def render(**content: Any) -> str:
    """Fill the template; text is escaped, and a name that is not in `content` is an error."""
    html = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html.filters |= {"percent": "{:.2%}".format, "share": "{:.1%}".format, "count": "{:,}".format}
    return html.get_template("page.html.jinja").render(content) + "\n"


def embed(png: bytes, dpi: int = PIXELS) -> dict[str, Any]:
    """Return the attributes that show a PNG file in its true size, whatever its resolution."""
    width, height = (round(n * PIXELS / dpi) for n in struct.unpack_from(">2I", png, offset=16))
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return {"src": source, "width": width, "height": height}
