"""Holds the Go (tlkit) kernel to what notebooks rely on, through Jupyter's own client.

Each check is a function; its outcome leaves as a JSON line {"name", "ok", "seconds", "note"}.
Arguments are the names of checks to make (all without).
"""

import glob
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from jupyter_client import KernelManager

events = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

TEMP = tempfile.gettempdir()
WORK = os.path.join(TEMP, "an empty folder")
os.makedirs(WORK, exist_ok=True)


class Kernel:
    def __init__(self, name="tlkit", env=None):
        self.km = KernelManager(kernel_name=name)
        begin = time.monotonic()
        self.km.start_kernel(cwd=WORK, env={**os.environ, **(env or {})})
        self.connect()
        self.took = time.monotonic() - begin

    def connect(self):
        self.kc = self.km.blocking_client()
        self.kc.start_channels()
        self.kc.wait_for_ready(timeout=90)

    def run(self, code, timeout=90, on=None, stdin=None):
        """Executes a cell; gives its status, what it printed, and all outputs."""
        outputs = []

        def hook(msg):
            outputs.append(msg)
            if on:
                on(msg)

        reply = self.kc.execute_interactive(code, timeout=timeout, output_hook=hook, stdin_hook=stdin, allow_stdin=stdin is not None)
        text = "".join(m["content"]["text"] for m in outputs if m["msg_type"] == "stream")
        return reply["content"]["status"], text, outputs

    def pid(self):
        return self.km.provisioner.process.pid

    def end(self):
        self.kc.stop_channels()
        self.km.shutdown_kernel()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def want(condition, note):
    if not condition:
        raise AssertionError(note)


def cell(body, *imports):
    return "import (\n%s)\n\n%%%%\n%s\n" % ("".join('\t"%s"\n' % i for i in imports), body)


def errors(outputs):
    return ["\n".join(m["content"]["traceback"]) for m in outputs if m["msg_type"] == "error"]


HELLO = cell('fmt.Println("alive")', "fmt")


def alive(k):
    status, text, _ = k.run(HELLO)
    want(status == "ok" and "alive" in text, "the next cell does not run: %s %r" % (status, text))


def rooms():
    return glob.glob(os.path.join(TEMP, "tlk-*"))


def programs(room=TEMP):
    """gonb and gopls that work below our temporary folder."""
    found = []
    for d in glob.glob("/proc/[0-9]*"):
        try:
            exe = os.path.basename(os.readlink(d + "/exe"))
            env = open(d + "/environ", "rb").read()
        except OSError:
            continue
        if exe in ("gonb", "gopls") and ("TMPDIR=" + room).encode() in env:
            found.append((exe, int(os.path.basename(d))))
    return found


def until(condition, seconds, note):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(note)


def starts():
    took = []
    times = 20 if os.environ.get("TLKIT_KERNEL_TEST") == "1" else 5
    for _ in range(times):
        with Kernel() as k:
            took.append(k.took)
    until(lambda: not rooms(), 5, "rooms stay: %s" % rooms())
    until(lambda: not programs(), 5, "programs stay: %s" % programs())
    took.sort()
    return "%d starts, median %.2f s, longest %.2f s" % (times, took[times // 2], took[-1])


def interrupt_running():
    with Kernel() as k:
        k.run(HELLO)
        begin = {}

        def on(msg):
            if msg["msg_type"] == "stream" and "started" in msg["content"]["text"] and not begin:
                begin["t"] = time.monotonic()
                k.km.interrupt_kernel()

        status, text, _ = k.run(cell('fmt.Println("started"); time.Sleep(time.Minute); fmt.Println("never")', "fmt", "time"), on=on)
        took = time.monotonic() - begin["t"]
        want(status == "error" and "never" not in text and took < 5, "%s %r after %.1f s" % (status, text, took))
        want(errors(_) == ["interrupted"], "an interrupt is called %s" % errors(_))
        begin.clear()
        save = 'ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt); defer stop(); fmt.Println("started"); <-ctx.Done(); fmt.Println("saved")'
        status, text, _ = k.run(cell(save, "context", "fmt", "os", "os/signal"), on=on)
        want(status == "ok" and "saved" in text, "a cell that handles the interrupt: %s %r" % (status, text))
        alive(k)
        return "stopped after %.2f s" % took


def interrupt_compiling():
    with Kernel() as k:
        k.run(HELLO)
        timer = threading.Timer(0.15, k.km.interrupt_kernel)
        timer.start()
        begin = time.monotonic()
        status, text, outputs = k.run(cell('_ = http.DefaultClient; fmt.Println("ran"); time.Sleep(40*time.Second)', "fmt", "net/http", "time"))
        took = time.monotonic() - begin
        want(status == "error" and took < 20, "%s %r after %.1f s" % (status, text, took))
        said = [m["content"]["evalue"] for m in outputs if m["msg_type"] == "error"]
        alive(k)
        return "ended after %.2f s: %s" % (took, said)


def restart():
    with Kernel() as k:
        k.run(cell('fmt.Println("before")', "fmt"))
        begin = time.monotonic()
        k.kc.stop_channels()
        k.km.restart_kernel()
        k.connect()
        took = time.monotonic() - begin
        alive(k)
        want(len(rooms()) == 1, "rooms after a restart: %s" % rooms())
        return "%.2f s" % took


def hard_kill():
    k = Kernel()
    k.run(HELLO)
    want(any(p == "gonb" for p, _ in programs()), "no gonb seen while a kernel runs")
    os.kill(k.pid(), signal.SIGKILL)
    until(lambda: not any(p == "gonb" for p, _ in programs()), 10, "gonb lives without its kernel")
    left = rooms()
    k.kc.stop_channels()
    k.km.shutdown_kernel(now=True)
    with Kernel() as k:
        alive(k)
        want(len(rooms()) == 1 and rooms()[0] not in left, "the dead kernel's room stays: %s" % rooms())
        want(not any(programs(room) for room in left), "the dead kernel's programs stay: %s" % programs())
    return "what it left was swept by the next kernel"


def panics():
    with Kernel() as k:
        status, text, _ = k.run(cell('var m map[string]int; m["a"] = 1; fmt.Println(m)', "fmt"))
        want(status == "error" and "nil map" in text and "Cell [1]" in text, "%s %r" % (status, text))
        # The same when the pipe is read in the middle of the location, which chance does too.
        for first, rest in (("/main.g", "o:5"), ("/main.go:", "5")):
            body = 'fmt.Fprint(os.Stderr, os.Getenv("GONB_TMP_DIR") + "%s"); time.Sleep(400*time.Millisecond); fmt.Fprintln(os.Stderr, "%s")' % (first, rest)
            _, text, _ = k.run(cell(body, "fmt", "os", "time"))
            want("Cell [" in text, "a location cut at %s names no cell: %r" % (first, text))
        status, text, outputs = k.run(cell("os.Exit(3)", "os"))
        want(status == "error" and errors(outputs) == ["exit status 3"] and "exit status" not in text, "%s %r %s" % (status, text, errors(outputs)))
        status, text, _ = k.run("!exit 4")
        want(text.count("exit status 4") == 1, "a command: %r" % text)
        alive(k)


def stderr_lines():
    with Kernel() as k:
        body = 'log.SetFlags(log.LstdFlags|log.Lshortfile); log.Print("logged"); fmt.Fprintln(os.Stderr, "12:34:56 main.go:7: this ends plain gonb")'
        status, text, outputs = k.run(cell(body, "fmt", "log", "os"))
        want(status == "ok" and "logged" in text, "%s %r" % (status, text))
        logged = [m for m in outputs if m["msg_type"] == "stream" and "logged" in m["content"]["text"]]
        want(all(m["content"]["name"] == "stdout" for m in logged), "logging goes to standard error")
        alive(k)


def lines():
    with Kernel() as k:
        k.run(HELLO)
        begin = time.monotonic()
        status, text, _ = k.run(cell('for i := range 5000 { fmt.Println("line", i) }', "fmt"))
        want(status == "ok" and text.count("\n") == 5000 and text.endswith("line 4999\n"), "%s, %d lines" % (status, text.count("\n")))
        return "5,000 lines in %.2f s" % (time.monotonic() - begin)


def picture():
    with Kernel() as k:
        k.run(HELLO)
        begin = time.monotonic()
        body = 'b := make([]byte, 10<<20); copy(b, "\\x89PNG\\r\\n\\x1a\\n"); gonbui.DisplayPng(b); gonbui.Sync()'
        status, text, outputs = k.run(cell(body, "github.com/janpfeifer/gonb/gonbui"))
        png = [m for m in outputs if m["msg_type"] == "display_data" and "image/png" in m["content"]["data"]]
        want(status == "ok" and len(png) == 1 and len(png[0]["content"]["data"]["image/png"]) > 13_000_000, "%s %r, %d pictures" % (status, text, len(png)))
        return "10 MB in %.2f s" % (time.monotonic() - begin)


def stdin():
    with Kernel() as k:
        def answer(msg):
            k.kc.input("forty-two")

        status, text, _ = k.run("%with_inputs\n!read x; echo got $x", stdin=answer)
        want(status == "ok" and "got forty-two" in text, "%s %r" % (status, text))


def pins():
    with Kernel() as k:
        module = "github.com/tlkit/transfer-learning"
        for _ in range(2):  # and again after the person resets go.mod
            status, text, _ = k.run(cell("fmt.Println(types.Const, dtypes.Float32, metrics.Wilson(145, 153))".replace("types.Const, ", ""),
                                         "fmt", "github.com/gomlx/compute/dtypes", module + "/tlkit/metrics"))
            want(status == "ok" and "Float32" in text, "%s %r" % (status, text))
            status, text, _ = k.run("!*cat go.mod && go list -m github.com/gomlx/compute")
            want(module + " v0.0.0" in text and "compute v0.1.6" in text, text)
            k.run("%reset go.mod")
        alive(k)
        status, text, _ = k.run('%test\nfunc TestIt(t *testing.T) { t.Log("tested") }\n')
        want(status == "ok", "a %%test cell: %s %r" % (status, text))
        alive(k)


def help_page():
    with Kernel() as k:
        status, _, outputs = k.run("%help")
        shown = "".join("".join(m["content"]["data"].values()) for m in outputs if m["msg_type"] in ("display_data", "execute_result"))
        want(status == "ok" and "bees.FitHead()" in shown and "GoNB Help Page" in shown, "%s %r" % (status, shown[:300]))


def traps():
    with Kernel(env={"GOWORK": "off", "GOFLAGS": "-mod=vendor"}) as k:
        status, text, _ = k.run(cell("fmt.Println(metrics.Wilson(1, 2))", "fmt", "github.com/tlkit/transfer-learning/tlkit/metrics"))
        want(status == "ok", "GOWORK=off, GOFLAGS=-mod=vendor: %s %r" % (status, text))


def cleared_cache():
    """go clean -cache takes everything that Go built, tlkit too; the kernel lives on its own copy."""
    if os.environ.get("TLKIT_KERNEL_TEST") != "1":
        return "not made: compiles the standard library"
    with Kernel(env={"GOCACHE": tempfile.mkdtemp(dir=TEMP)}) as k:
        binary = os.readlink("/proc/%d/exe" % k.pid())
        want(binary.startswith(os.environ["XDG_DATA_HOME"]), "the kernel runs from " + binary)
        status, text, _ = k.run(HELLO, timeout=240)
        want(status == "ok" and "alive" in text, "%s %r" % (status, text))


def broken(name, spoil, *words):
    """A kernel that cannot run says why in the notebook, on every cell, and ends when asked."""
    data = os.environ["JUPYTER_DATA_DIR"]
    spec = json.load(open(os.path.join(data, "kernels", "tlkit", "kernel.json")))
    spoil(spec["env"])
    folder = os.path.join(data, "kernels", name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "kernel.json"), "w") as f:
        json.dump(spec, f)
    try:
        with Kernel(name) as k:
            for _ in range(2):
                status, text, outputs = k.run(HELLO)
                said = "\n".join("\n".join(m["content"]["traceback"]) for m in outputs if m["msg_type"] == "error")
                want(status == "error" and all(w in said for w in words), "%s %r" % (status, said))
            proc = k.km.provisioner.process
        until(lambda: proc.poll() is not None, 5, "the explaining kernel does not end")
        return said.splitlines()[0]
    finally:
        shutil.rmtree(folder)


def script(name, text):
    folder = tempfile.mkdtemp(dir=TEMP)
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text + "\n")
    os.chmod(path, 0o755)
    return folder


def no_tools():
    # Nothing called tlkit is on the PATH here: what is to be typed names the kernel's own copy.
    return broken("tlkit-a", lambda env: env.update(TLKIT_KERNEL_TOOLS="/no/where", PATH="/usr/bin:/bin"), "gonb is not where", "in a terminal: ", "/tlkit-", " setup")


def old_go():
    return broken("tlkit-b", lambda env: env.update(PATH=script("go", "echo '{\"GOVERSION\":\"go1.22.1\"}'") + ":/usr/bin:/bin"), "1.22.1 is too old", "go.dev/dl")


def no_go():
    return broken("tlkit-c", lambda env: env.update(PATH="/no/where", TLKIT_KERNEL_GO=""), "There is no go command")


def read_only_home():
    return broken("tlkit-f", lambda env: env.update(HOME="/proc/1", XDG_CACHE_HOME="", GOCACHE=""), "cannot write its build cache", "set GOCACHE")


def moved():
    return broken("tlkit-d", lambda env: env.update(TLKIT_KERNEL_ROOT="/moved/away"), "is gone: /moved/away")


def dying_gonb():
    folder = script("gonb", "echo 'gonb: the reason' >&2; exit 2")
    script_imports = os.path.join(folder, "goimports")
    shutil.copy(os.path.join(folder, "gonb"), script_imports)
    return broken("tlkit-e", lambda env: env.update(TLKIT_KERNEL_TOOLS=folder), "ended while it was starting", "the reason")


def compiler_messages():
    """A message comes first and once, with its place and its line, and with what to do."""
    with Kernel() as k:
        k.run("%%\nlearn := 3\nvar kept, other = 4, 5\n_, _, _ = learn, kept, other")
        for code, message, hints, others in (
            ("%%\nvar unused int", "declared and not used: unused", "cell [", ()),
            ('import "fmt"\nfmt.Println("x")', "expected declaration, found fmt", "Put %% on a line of its own", ()),
            ("x := 1", "expected declaration, found x", "Put %% on a line of its own", ()),
            ("for i := range 3 {}", "expected declaration, found 'for'", "Put %% on a line of its own", ()),
            ("%%\nprintln(learn)", "undefined: learn", "declared below %% in cell [1]", ()),
            ("%%\nprintln(kept)", "undefined: kept", "declare it above %%: var kept", ()),
            ("%%\nprintln(never)", "undefined: never", "", ("→",)),
            ("%%\na := 1\nb := 2", "declared and not used: a", "declared and not used: b", ()),
        ):
            status, text, outputs = k.run(code)
            said = errors(outputs)
            want(status == "error" and len(said) == 1 and not text.strip(), "%r: %s %r %s" % (code, status, text, said))
            said = re.sub("\x1b\\[[0-9;]*m", "", said[0])
            want(said.startswith(message) and said.count(message) == 1 and hints in said, "%r: %s" % (code, said))
            for other in ("flag.Parse", "func main", "gonb_", "exit status", "/main.go") + others:
                want(other not in said, "%r: %r in %s" % (code, other, said))
        alive(k)


def ready():
    tools = json.load(open(os.path.join(os.environ["JUPYTER_DATA_DIR"], "kernels", "tlkit", "kernel.json")))["env"]["TLKIT_KERNEL_TOOLS"]
    return os.path.exists(os.path.join(tools, "gopls.sha256")), tools


def ask(k, request, code, timeout=60):
    at = code.index("|")
    begin = time.monotonic()
    reply = getattr(k.kc, request)(code.replace("|", ""), at, reply=True, timeout=timeout)["content"]
    return reply, time.monotonic() - begin


def settled():
    """Waits until gopls has read what it was warmed up with: it stops using the processor."""
    before, still = -1, 0
    end = time.monotonic() + 120
    while time.monotonic() < end and still < 4:
        pids = [pid for name, pid in programs() if name == "gopls"]
        now = sum(sum(int(n) for n in open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[11:13]) for pid in pids)
        still = still + 1 if pids and now - before <= 2 else 0
        before = now
        time.sleep(0.5)


def answered(k, request, code, good):
    """Asks until the answer is good, as somebody does who presses the key again on a busy machine."""
    end, begin = time.monotonic() + 120, time.monotonic()
    while True:
        reply, took = ask(k, request, code)
        if good(reply):
            return reply, took, time.monotonic() - begin
        want(time.monotonic() < end, "%s" % reply)
        time.sleep(1)


LEARNER = 'import "github.com/tlkit/transfer-learning/tlkit"\n\n'


def completion():
    """The first answer comes before JupyterLab stops waiting, 15 s, once gopls is warm. The note says
    how long it really took: a second on a quiet machine."""
    if os.environ.get("TLKIT_KERNEL_TEST") != "gopls":
        return "not made: gopls needs minutes on a busy machine; TLKIT_KERNEL_TEST=gopls makes it"
    if not ready()[0]:
        return "not made: gopls is not built"
    with Kernel() as k:
        k.run(LEARNER + 'var learn = tlkit.Learner{Name: "x"}')
        settled()
        _, took, _ = answered(k, "complete", "%%\nlearn.Fit|", lambda r: any(m.startswith("FitHead") for m in r["matches"]))
        busy = os.getloadavg()[0] > 2 * os.cpu_count()  # that says nothing about us
        want(took < 15 or busy, "the first answer took %.2f s" % took)
        _, then, _ = answered(k, "complete", "%%\nlearn.|", lambda r: len(r["matches"]) > 5)
        for code in ("var l2 = tlkit.Learner|", "var l2 = tlkit.Lear|ner", "var l2 = tlkit.Learner|{}", "%%\nl := tlkit.Learner|{}", "var l3 = tlkit.Must|", "var a, b = tlkit.Learner|{}, 1"):
            reply, _, _ = answered(k, "inspect", code, lambda r: any("type Learner struct" in text or "func Must" in text for text in r["data"].values()))
            want("4294967295" not in "".join(reply["data"].values()), "%s: %s" % (code, reply))
        alive(k)
        return "first %.2f s, then %.2f s" % (took, then)


def gopls_later():
    """A gopls that is built while the kernel runs is used, and until then its absence is said."""
    if os.environ.get("TLKIT_KERNEL_TEST") != "gopls":
        return "not made: gopls needs minutes on a busy machine; TLKIT_KERNEL_TEST=gopls makes it"
    built, tools = ready()
    if not built:
        return "not made: gopls is not built"
    folder = tempfile.mkdtemp(dir=TEMP)
    for name in ("gonb", "goimports"):
        os.link(os.path.join(tools, name), os.path.join(folder, name)) if os.stat(folder).st_dev == os.stat(tools).st_dev else shutil.copy(os.path.join(tools, name), folder)
    data = os.environ["JUPYTER_DATA_DIR"]
    spec = json.load(open(os.path.join(data, "kernels", "tlkit", "kernel.json")))
    spec["env"].update(TLKIT_KERNEL_TOOLS=folder, PATH="%s:/usr/bin:/bin" % os.path.dirname(shutil.which("go")))
    os.makedirs(os.path.join(data, "kernels", "tlkit-g"), exist_ok=True)
    with open(os.path.join(data, "kernels", "tlkit-g", "kernel.json"), "w") as f:
        json.dump(spec, f)
    try:
        with Kernel("tlkit-g") as k:
            alive(k)
            reply, _ = ask(k, "inspect", 'import "strings"\n%%\nstrings.Cut|("a", "b")')
            want("gopls is still being built" in "".join(reply["data"].values()), "%s" % reply)
            shutil.copy(os.path.join(tools, "gopls"), os.path.join(folder, "gopls.part"))
            os.rename(os.path.join(folder, "gopls.part"), os.path.join(folder, "gopls"))
            documented = lambda r: any("func Cut" in text or "func strings.Cut" in text for text in r["data"].values())
            _, _, took = answered(k, "inspect", 'import "strings"\n%%\nstrings.Cut|("a", "b")', documented)
            return "%.1f s" % took
    finally:
        shutil.rmtree(os.path.join(data, "kernels", "tlkit-g"))


CHECKS = [starts, interrupt_running, interrupt_compiling, restart, hard_kill, panics, stderr_lines, lines, picture, stdin, help_page, pins, traps, cleared_cache,
          compiler_messages, completion, gopls_later, no_tools, old_go, no_go, read_only_home, moved, dying_gonb]

for check in CHECKS:
    if sys.argv[1:] and check.__name__ not in sys.argv[1:]:
        continue
    begin = time.monotonic()
    event = {"name": check.__name__, "ok": True, "note": ""}
    try:
        event["note"] = check() or ""
    except Exception as e:
        event.update(ok=False, note="%s: %s\n%s" % (type(e).__name__, e, traceback.format_exc(limit=-3)))
    event["seconds"] = round(time.monotonic() - begin, 2)
    events.write(json.dumps(event) + "\n")
    events.flush()
