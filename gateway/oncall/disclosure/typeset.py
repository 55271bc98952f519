"""Documents as PDF: set by typst in the font IPAexGothic, which is embedded; text that can be searched and read aloud.

Knows where template and font are. Must not know what a document says: it is passed as data, of which nothing is
interpreted. The same data make the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import typst

TEMPLATES = Path(__file__).parent
STANDARDS = ("a-2a", "ua-1")  # for archives and screen readers; a character without a glyph is an error, not a box
INSTALL = "install the extra `desk`: pip install 'credit-gateway[desk]'"
_FONT_PACKAGE = "matplotlib_fontja"
_FONTS = "fonts"
_FONT = "ipaexg.ttf"


class CannotTypesetError(Exception):
    """There is no PDF; the text says what is missing, or which character has no glyph."""


def look_for_typesetter() -> None:
    """Raises CannotTypesetError if what a PDF needs is not installed."""
    _tools()


def pdf_of(template: str, document: Mapping[str, Any]) -> bytes:
    """The document in a template of this directory. Raises CannotTypesetError."""
    compiler, fonts = _tools()
    data = {"data": orjson.dumps(document).decode()}
    source = TEMPLATES / f"{template}.typ"
    try:
        return bytes(
            compiler.compile(source, root=TEMPLATES, font_paths=fonts, sys_inputs=data, pdf_standards=list(STANDARDS))
        )
    except compiler.TypstError as error:
        raise CannotTypesetError(
            f"no PDF could be made: {error.message}. The other forms have all the text: --format csv or json"
        ) from error


@cache
def _tools() -> tuple[Any, typst.Fonts]:
    font = find_spec(_FONT_PACKAGE)  # imported, it would want the rest of matplotlib
    places = (font.submodule_search_locations or ()) if font is not None else ()
    there = [Path(place) / _FONTS for place in places if (Path(place) / _FONTS / _FONT).is_file()]
    if find_spec("typst") is None or not there:
        missing = "the Japanese font (matplotlib-fontja)" if not there else "typst"
        raise CannotTypesetError(f"a PDF needs {missing}: {INSTALL}, or ask for --format csv or json")
    import typst

    return typst, typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=there)
