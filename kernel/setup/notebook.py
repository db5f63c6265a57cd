"""Executes one notebook through its kernel and writes it, with an HTML page beside it.

A job comes as one JSON line on standard input, events leave as JSON lines on standard output:
{"event": "cell", "n": 1, "of": 9} before each cell, {"event": "save"} and {"event": "page"}
before the files, and {"event": "end", ...} last. Standard input stays open; its end means that
the program that asked is gone.
"""

import json
import os
import queue
import re
import signal
import sys
import threading
import time

# The kernel inherits standard output; events need one of their own.
events = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

MOST = 250_000_000  # characters of output; more would take the machine's memory
QUIET = 2.0  # seconds without a message after which a kernel that ended has nothing left to say


def tell(**event):
    events.write(json.dumps(event) + "\n")
    events.flush()


def write(path, text):
    """Whole or not at all."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    part = "%s.%d.part" % (path, os.getpid())
    try:
        with open(part, "w", encoding="utf-8", errors="replace", newline="\n") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)


class Stopped(Exception):
    """The run was interrupted, or the program that asked for it is gone."""


class Failed(Exception):
    """A cell failed; the notebook ends here."""


# Texts. Each function takes time in proportion to the length of the text, whatever its content.

ROOM = re.compile(r"/gonb_[0-9a-f]+/")  # the folder a cell was compiled in is of no interest
NAME = re.compile(r"(?m)^# gonb_[0-9a-f]+\n?")
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
LONGEST = 4096  # of a path


def without_rooms(value):
    """Drops the folder from paths of compiled cells."""
    parts, at = [], 0
    for m in ROOM.finditer(value):
        start = m.start()
        while start > max(at, m.start() - LONGEST) and not value[start - 1].isspace() and value[start - 1] != ":":
            start -= 1
        parts.append(value[at:start])
        at = m.end()
    return "".join(parts) + value[at:]


def text(value):
    value = "".join(value) if isinstance(value, list) else str(value)
    return NAME.sub("", without_rooms(ANSI.sub("", value)))


def overwritten(value):
    """A text as a terminal shows it after carriage returns, which progress bars print."""
    if "\r" not in value:
        return value
    lines = value.split("\n")
    return "\n".join(l[l.rfind("\r", 0, len(l) - 1) + 1 :] if len(l) > 1 else l for l in lines)


def short(line):
    return line if len(line) <= 1000 else line[:1000] + "… (%d characters)" % len(line)


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
            return short(line)
    lines = [short(l) for l in stderr.splitlines() if l.strip() and not re.match(r"(exit status|signal: )", l)]
    for o in cell.get("outputs", []):
        if o.output_type == "error":
            trace = [short(l) for t in o.get("traceback", []) for l in text(t).strip().splitlines()]
            evalue = "" if o.evalue.startswith(("exit status", "main.go:")) or "/main.go:" in o.evalue else o.evalue
            return "\n".join(lines[:12]) or short(evalue) or "\n".join(trace[:16]) or short(o.evalue)
    return "\n".join(lines[-12:])


class Outputs:
    """The outputs of one cell, as JupyterLab would keep them.

    What is printed to one stream becomes one output: how prints are cut into pieces is chance.
    """

    def __init__(self, places):
        self.all = []  # outputs; a stream is a list of its pieces until finish
        self.streams = {}
        self.places = places  # of every cell: outputs by display id
        self.clear = False  # before the next output

    def take(self, msg):
        """Keeps the output in a message and returns its number of characters."""
        from nbformat.v4 import output_from_msg

        kind, content = msg["msg_type"], msg["content"]
        if kind == "clear_output":
            self.clear = bool(content.get("wait"))
            if not self.clear:
                self.drop()
            return 0
        if kind == "stream":
            self.before()
            name, piece = content["name"], content["text"]
            if name not in self.streams:
                self.streams[name] = []
                self.all.append((name, self.streams[name]))
            self.streams[name].append(piece)
            return len(piece)
        if kind not in ("display_data", "update_display_data", "execute_result", "error"):
            return 0
        place = (content.get("transient") or {}).get("display_id")
        if kind == "update_display_data":
            for o in self.places.get(place, ()):
                o["data"], o["metadata"] = content["data"], content["metadata"]
            return 0  # it replaces something
        self.before()
        out = output_from_msg(msg)
        if place:
            for o in self.places.setdefault(place, []):
                o["data"], o["metadata"] = out["data"], out["metadata"]
            self.places[place].append(out)
        self.all.append(out)
        return sum(len(v) for v in content.get("data", {}).values() if isinstance(v, str))

    def before(self):
        if self.clear:
            self.clear = False
            self.drop()

    def drop(self):
        self.all, self.streams = [], {}

    def finish(self):
        """The outputs as a notebook has them, standard output before standard error."""
        from nbformat.v4 import new_output

        outs = []
        for o in self.all:
            if isinstance(o, tuple):
                o = new_output("stream", name=o[0], text=overwritten("".join(o[1])))
                last = outs[-1] if outs else None
                if o.name == "stdout" and last is not None and last.output_type == "stream" and last.name == "stderr":
                    outs.insert(len(outs) - 1, o)
                    continue
            if o.output_type == "display_data" and not any("".join(v) if isinstance(v, (str, list)) else v for v in o.data.values()):
                continue  # emptied, as the place of a progress bar is at its end
            outs.append(o)
        return outs


class Session:
    """A kernel and the messages exchanged with it."""

    def __init__(self, job):
        from jupyter_client import KernelManager

        self.km = KernelManager(kernel_name=job["kernel"])
        self.km.shutdown_wait_time = 10
        self.kc = None
        self.timeout = job["timeout"]  # seconds of one cell; 0 = none
        self.startup = job["startup"]
        self.folder = job["folder"]
        self.group = 0
        self.cells = {}  # outputs by the id of the request, so that late output goes to its cell
        self.places = {}
        self.size = 0

    def start(self):
        self.km.start_kernel(cwd=self.folder)
        self.group = getattr(self.km.provisioner, "pgid", None) or 0
        self.kc = self.km.blocking_client()
        self.kc.start_channels()
        self.kc.wait_for_ready(timeout=self.startup)
        info = self.kc.kernel_info(reply=True, timeout=self.startup)
        return info["content"]["language_info"]

    def run(self, cell, outputs):
        """Executes a cell and waits for its answer and for all of its output."""
        import zmq

        request = self.kc.execute(cell.source, store_history=True, allow_stdin=False)
        self.cells[request] = outputs
        poller = zmq.Poller()
        for channel in (self.kc.iopub_channel, self.kc.shell_channel):
            poller.register(channel.socket, zmq.POLLIN)
        begin = heard = time.monotonic()
        reply, idle = None, False
        while reply is None or not idle:
            if poller.poll(200):
                heard = time.monotonic()
                idle = self.listen(request) or idle
                reply = self.answer(request) or reply
                if self.size > MOST:
                    raise Failed("the notebook printed more than %d million characters; write that much to a file instead" % (MOST // 1000000))
            elif time.monotonic() - heard > QUIET and not self.km.is_alive():
                raise Failed("the kernel ended while the cell ran")
            if self.timeout and time.monotonic() - begin > self.timeout:
                raise Failed("no end after %g s (--timeout)" % self.timeout)
        return reply["content"]

    def listen(self, request):
        """Takes the pending iopub messages; reports whether the request has been dealt with."""
        idle, until = False, time.monotonic() + 1  # an endless output has a deadline too
        while time.monotonic() < until:
            try:
                msg = self.kc.iopub_channel.get_msg(timeout=0)
            except queue.Empty:
                break
            parent = msg["parent_header"].get("msg_id")
            if parent in self.cells:
                self.size += self.cells[parent].take(msg)
            if parent == request and msg["msg_type"] == "status" and msg["content"]["execution_state"] == "idle":
                idle = True
        return idle

    def answer(self, request):
        try:
            while True:
                msg = self.kc.shell_channel.get_msg(timeout=0)
                if msg["parent_header"].get("msg_id") == request:
                    return msg
        except queue.Empty:
            return None

    def end(self):
        """Ends the kernel and everything that it started."""
        try:
            if self.km.has_kernel:
                self.km.shutdown_kernel()
        except (RuntimeError, OSError) as e:
            print("the kernel did not shut down, killing it:", e, file=sys.stderr)
        finally:
            self.kill()
            if self.kc:
                self.kc.stop_channels()
            self.km.cleanup_resources()

    def kill(self):
        if self.group and hasattr(os, "killpg"):
            try:
                os.killpg(self.group, signal.SIGKILL)
            except OSError:
                pass  # nothing is left of it


def execute(nb, code, session):
    """Executes the cells and returns which one failed and why; (0, "") when none did."""
    at, all_outputs = 0, []
    try:
        nb.metadata["language_info"] = session.start()
        for n, cell in enumerate(code, 1):
            tags = cell.metadata.get("tags", [])
            if "skip-execution" in tags:
                continue
            at = n
            tell(event="cell", n=n, of=len(code))
            outputs = Outputs(session.places)
            all_outputs.append((cell, outputs))
            cell.execution_count = len(all_outputs)
            content = session.run(cell, outputs)
            if content["status"] != "ok" and "raises-exception" not in tags:
                cell.outputs = outputs.finish()
                return n, trouble(cell) or "%s: %s" % (content.get("ename", "error"), content.get("evalue", content["status"]))
    except Failed as e:
        return at, str(e)
    except (RuntimeError, OSError) as e:  # the kernel does not start or no longer answers
        return at, "%s: %s" % (type(e).__name__, e)
    finally:
        # Not earlier: a background child may print after its cell has ended.
        for cell, outputs in all_outputs:
            cell.outputs = outputs.finish()
    return 0, ""


def watch(session):
    """Ends everything when the program that asked for the run is gone."""
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)  # time to handle Stopped
    session.kill()
    os._exit(1)


def main():
    job = json.loads(sys.stdin.readline())
    import nbformat

    def stop(*_):
        for s in (signal.SIGINT, signal.SIGTERM):
            signal.signal(s, signal.SIG_IGN)
        raise Stopped("interrupted")

    session = Session(job)
    for s in (signal.SIGINT, signal.SIGTERM):
        signal.signal(s, stop)
    threading.Thread(target=watch, args=(session,), daemon=True).start()

    begin = time.monotonic()
    nb = nbformat.read(job["notebook"], as_version=4)
    code = [c for c in nb.cells if c.cell_type == "code" and c.source.strip()]
    failed, why = 0, ""
    try:
        try:
            failed, why = execute(nb, code, session)
        finally:
            session.end()
    except Stopped as e:
        why = str(e)
    done = [c for c in code if c.get("outputs")]
    written = job["failed"] if why and job["failed"] else job["out"]
    tell(event="save")
    write(written, nbformat.writes(nb))
    html = ""
    if job["html"] and why != "interrupted":
        tell(event="page", out=written)
        write(job["html"], page(nb, os.path.splitext(os.path.basename(job["notebook"]))[0]))
        html = job["html"]
    png = sum(any(m in o.get("data", {}) for m in ("image/png", "image/jpeg")) for c in nb.cells if c.cell_type == "code" for o in c.outputs)
    tell(event="end", ok=not why, cell=failed, why=why, last=says(done[-1]) if done else "", out=written, html=html,
         cells=len(code), pictures=png, seconds=round(time.monotonic() - begin, 2))


main()
