"""Makes one self-contained HTML file from an executed notebook.

Every step takes time in proportion to the notebook. nbconvert's own conversion of colour codes
copies the rest of a text at each of them, and it parses the whole page again to set attributes,
which takes a minute for some hundred thousand coloured lines.
"""

import re
import secrets

ESCAPE = re.compile(r"\x1b\[([0-9;:<=>?]*)[ -/]*([@-~])")
COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


class Style:
    """The colours in effect at one place in a text."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.fg = self.bg = None  # 0-15, or (r, g, b)
        self.bold = self.underline = self.inverse = False

    def apply(self, parameters):
        """Follows one code, as in "1;31"."""
        try:
            n = [int(p or 0) for p in parameters.split(";")]
        except ValueError:
            return  # a private code
        while n:
            code = n.pop(0)
            if code == 0:
                self.reset()
            elif code in (1, 5):
                self.bold = True
            elif code == 4:
                self.underline = True
            elif code == 7:
                self.inverse = True
            elif code in (21, 22):
                self.bold = False
            elif code == 24:
                self.underline = False
            elif code == 27:
                self.inverse = False
            elif 30 <= code <= 37 or 90 <= code <= 97:
                self.fg = code - 30 if code < 90 else code - 82
            elif 40 <= code <= 47 or 100 <= code <= 107:
                self.bg = code - 40 if code < 100 else code - 92
            elif code == 39:
                self.fg = None
            elif code == 49:
                self.bg = None
            elif code in (38, 48):
                colour = extended(n)
                if code == 38:
                    self.fg = colour
                else:
                    self.bg = colour

    def tag(self):
        """The opening tag, in nbconvert's classes; "" for plain text."""
        fg, bg = (self.bg, self.fg) if self.inverse else (self.fg, self.bg)
        classes, styles = [], []
        for colour, suffix, rule in ((fg, "-fg", "color"), (bg, "-bg", "background-color")):
            if isinstance(colour, int):
                bright = colour >= 8 or self.bold and colour == self.fg
                classes.append("ansi-" + COLOURS[colour % 8] + ("-intense" if bright else "") + suffix)
            elif colour:
                styles.append("%s: rgb(%d,%d,%d)" % (rule, *colour))
            elif self.inverse:
                classes.append("ansi-default-inverse" + suffix)
        if self.bold:
            classes.append("ansi-bold")
        if self.underline:
            classes.append("ansi-underline")
        if not classes and not styles:
            return ""
        return "<span" + (' class="%s"' % " ".join(classes) if classes else "") + (' style="%s"' % "; ".join(styles) if styles else "") + ">"


def extended(n):
    """Takes a 256-colour or true-colour value from the numbers that follow 38 or 48."""
    kind = n.pop(0) if n else 0
    if kind == 2 and len(n) >= 3:
        colour = n[0], n[1], n[2]
        del n[:3]
        return colour if all(c <= 255 for c in colour) else None
    if kind == 5 and n:
        i = n.pop(0)
        if i < 16:
            return i
        if i < 232:
            return tuple(55 + 40 * c if c else 0 for c in ((i - 16) // 36, (i - 16) // 6 % 6, (i - 16) % 6))
        if i < 256:
            return (8 + 10 * (i - 232),) * 3
    n.clear()
    return None


def coloured(value):
    """A text as HTML, with its colour codes."""
    import html

    style, out, at = Style(), [], 0

    def add(text):
        if text:
            tag = style.tag()
            out.append(tag + html.escape(text) + ("</span>" if tag else ""))

    for m in ESCAPE.finditer(value):
        add(value[at : m.start()])
        at = m.end()
        if m.group(2) == "m":
            style.apply(m.group(1))
    add(value[at:])
    return "".join(out)


def page(nb, title):
    from nbconvert import HTMLExporter

    texts, mark = [], "text-" + secrets.token_hex(8) + "-"

    def keep(value):
        """A placeholder for a text until nbconvert has parsed its page."""
        texts.append(coloured(value))
        return "%s%d;" % (mark, len(texts) - 1)

    exporter = HTMLExporter(template_name="lab", embed_images=True)
    exporter.register_filter("ansi2html", keep)
    for name in ("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url", "widget_renderer_url"):
        if exporter.has_trait(name):
            setattr(exporter, name, "")
    body, _ = exporter.from_notebook_node(nb, resources={"metadata": {"name": title}})
    # Even without URLs the template leaves loaders, which would load the page itself.
    end = body.index("</head>")
    head = re.sub(r'<script\b[^>]*\bsrc\s*=\s*["\']{2}[^>]*>\s*</script>', "", body[:end])
    head = re.sub(r'<script type="module">(?:(?!</script>).)*?mermaid(?:(?!</script>).)*?</script>', "", head, flags=re.S)
    head = re.sub(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", "", head, flags=re.S)
    return head + re.sub(mark + r"(\d+);", lambda m: texts[int(m.group(1))], body[end:])
