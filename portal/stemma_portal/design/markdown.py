"""Model cards as pages: Markdown without any HTML of its own."""

from __future__ import annotations

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

DEEPER = 2
"""A card's first heading stands below the page's own two."""


def rendered(text: str) -> SafeString:
    """HTML of a Markdown text, front matter left out, headings moved below those of the page."""
    if text.startswith("---\n") and "\n---" in text[4:]:
        text = text[4:].split("\n---", 1)[1]
    writer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = writer.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + DEEPER)}"
        if token.type in {"th_open", "td_open"}:
            token.attrs.pop("style", None)  # no inline style under the content security policy
        for child in token.children or ():
            if child.type == "image":
                child.attrs.pop("src", None)  # a page loads nothing from elsewhere
    return mark_safe(writer.renderer.render(tokens, writer.options, {}))  # noqa: S308 (the writer escapes HTML)
