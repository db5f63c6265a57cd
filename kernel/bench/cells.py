"""Times cells through kernels, in turn, with Jupyter's own client.

A job comes as JSON on standard input: {"rounds", "kernels": {name: first lines}, "cells": {name: code}}.
Each measurement leaves as a JSON line {"cell", "kernel", "seconds", "cpu"}; "start" is the start of a kernel,
"cpu" the processor time of all its programs (Linux; else 0), which a busy machine changes little.
In a cell's code NUMBER stands for a number that is new each time, so that it is built and linked again.
"""

import glob
import json
import os
import sys
import time

events = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def used(km):
    """Seconds of processor that a kernel and its children, also those that ended, have used."""
    children, times = {}, {}
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat) as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        pid = int(stat.split("/")[2])
        children.setdefault(int(fields[1]), []).append(pid)
        times[pid] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    total, todo = 0.0, [km.provisioner.process.pid]
    while todo:
        pid = todo.pop()
        total += times.get(pid, 0.0)
        todo += children.get(pid, [])
    return total


def main():
    job = json.load(sys.stdin)
    from jupyter_client import KernelManager

    def tell(cell, kernel, begin, km, before=0.0):
        events.write(json.dumps({"cell": cell, "kernel": kernel, "seconds": time.monotonic() - begin, "cpu": used(km) - before}) + "\n")
        events.flush()

    def start(name):
        km = KernelManager(kernel_name=name)
        km.start_kernel(stdout=2, stderr=2)
        kc = km.blocking_client()
        kc.start_channels()
        kc.wait_for_ready(timeout=120)
        return km, kc

    def end(km, kc):
        kc.stop_channels()
        km.shutdown_kernel()

    def run(kc, code):
        said = []
        reply = kc.execute_interactive(code, timeout=300, output_hook=lambda m: said.append(m["content"]))
        if reply["content"]["status"] != "ok":
            raise SystemExit("a cell failed: %.600s" % json.dumps(said))

    for _ in range(job["rounds"]):
        for name in job["kernels"]:
            begin = time.monotonic()
            k = start(name)
            tell("start", name, begin, k[0])
            end(*k)
    kernels = {name: start(name) for name in job["kernels"]}
    try:
        for name, first in job["kernels"].items():
            if first:
                run(kernels[name][1], first)
        n = 0
        for cell, code in job["cells"].items():
            for round in range(job["rounds"] + 1):
                for name in kernels:
                    n += 1
                    before, begin = used(kernels[name][0]), time.monotonic()
                    run(kernels[name][1], code.replace("NUMBER", str(n)))
                    if round > 0:  # the first compiles packages
                        tell(cell, name, begin, kernels[name][0], before)
    finally:
        for k in kernels.values():
            end(*k)


main()
