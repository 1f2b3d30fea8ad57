"""The comparison as one HTML file, complete in itself."""

from lab.compare.page.render import render_html

__all__ = ["render_html"]
