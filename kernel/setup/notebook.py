"""Executes one notebook through its kernel and writes it, with an HTML page beside it.

A job comes as JSON on standard input, events leave as JSON lines on standard output:
{"event": "cell", "n": 1, "of": 9} before each cell and {"event": "end", ...} last.
"""

import json
import os
import re
import sys
import time

# The kernel inherits standard output; events need one of their own.
events = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def tell(**event):
    events.write(json.dumps(event) + "\n")
    events.flush()


def write(path, text):
    """Whole or not at all."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    part = "%s.%d.part" % (path, os.getpid())
    with open(part, "w", encoding="utf-8", newline="\n") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace(part, path)


ROOM = re.compile(r"[^\s:]*/gonb_[0-9a-f]+/")  # where a cell was compiled says nothing to anybody
NAME = re.compile(r"(?m)^# gonb_[0-9a-f]+\n?")
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def text(value):
    value = "".join(value) if isinstance(value, list) else str(value)
    return NAME.sub("", ROOM.sub("", ANSI.sub("", value)))


def says(cell):
    """The text of a cell's outputs, as a terminal would show it."""
    parts = []
    for o in cell.get("outputs", []):
        if o.output_type == "stream" and o.name == "stdout":
            parts.append(text(o.text))
        elif o.output_type in ("display_data", "execute_result") and "text/plain" in o.data:
            parts.append(text(o.data["text/plain"]) + "\n")
    return "".join(parts).strip("\n")


def trouble(cell):
    """What a failed cell says went wrong: the panic or the error card, else the error itself."""
    stderr = "".join(text(o.text) for o in cell.get("outputs", []) if o.output_type == "stream" and o.name == "stderr")
    for line in stderr.splitlines():
        if line.startswith(("panic:", "fatal error:")):
            return line
    lines = [l for l in stderr.splitlines() if l.strip() and not re.match(r"(exit status|signal: )", l)]
    for o in cell.get("outputs", []):
        if o.output_type == "error":
            trace = "\n".join(text(t) for t in o.get("traceback", []))
            evalue = "" if o.evalue.startswith(("exit status", "main.go:")) or "/main.go:" in o.evalue else o.evalue
            return "\n".join(lines[:12]) or evalue or "\n".join(trace.strip().splitlines()[:16]) or o.evalue
    return "\n".join(lines[-12:])


def page(nb, title):
    """One HTML file that loads nothing from anywhere."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="lab", embed_images=True)
    for name in ("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url", "widget_renderer_url"):
        if exporter.has_trait(name):
            setattr(exporter, name, "")
    body, _ = exporter.from_notebook_node(nb, resources={"metadata": {"name": title}})
    # Without its addresses the template still leaves loaders; they would load the page's own address.
    body = re.sub(r'<script\b[^>]*\bsrc\s*=\s*["\']{2}[^>]*>\s*</script>', "", body)
    body = re.sub(r'<script type="module">(?:(?!</script>).)*?mermaid(?:(?!</script>).)*?</script>', "", body, flags=re.S)
    body = re.sub(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", "", body, flags=re.S)
    return body


def main():
    job = json.load(sys.stdin)
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    begin = time.monotonic()
    nb = nbformat.read(job["notebook"], as_version=4)
    code = [i for i, c in enumerate(nb.cells) if c.cell_type == "code" and c.source.strip()]
    number = {i: n + 1 for n, i in enumerate(code)}
    at = {"n": 0}

    def started(cell, cell_index, **_):
        if cell_index in number:
            at["n"], at["cell"] = number[cell_index], cell
            tell(event="cell", n=number[cell_index], of=len(code))

    client = NotebookClient(
        nb,
        kernel_name=job["kernel"],
        timeout=job["timeout"] or None,
        startup_timeout=job["startup"],
        record_timing=False,
        coalesce_streams=True,  # how prints are cut into pieces is chance
        resources={"metadata": {"path": job["folder"]}},
        on_cell_start=started,
    )
    failed, why = 0, ""
    try:
        client.execute()
    except CellExecutionError as e:
        failed, why = at["n"], trouble(at["cell"]) or str(e)
    except CellTimeoutError:
        failed, why = at["n"], "no end after %d s (--timeout)" % job["timeout"]
    except DeadKernelError:
        failed, why = at["n"], "the kernel ended while the cell ran"
    except (RuntimeError, OSError, AssertionError) as e:  # nbclient asserts that a kernel is there when it has just gone
        failed, why = at["n"], "%s: %s" % (type(e).__name__, e)
    done = [nb.cells[i] for i in code if nb.cells[i].get("outputs")]
    written = job["failed"] if failed and job["failed"] else job["out"]
    write(written, nbformat.writes(nb))
    html = ""
    if job["html"]:
        write(job["html"], page(nb, os.path.splitext(os.path.basename(job["notebook"]))[0]))
        html = job["html"]
    png = sum(any(m in o.get("data", {}) for m in ("image/png", "image/jpeg")) for c in nb.cells if c.cell_type == "code" for o in c.outputs)
    tell(event="end", ok=not why, cell=failed, why=why, last=says(done[-1]) if done else "", out=written, html=html,
         cells=len(code), pictures=png, seconds=round(time.monotonic() - begin, 2))


main()
