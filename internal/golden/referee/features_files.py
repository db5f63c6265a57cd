"""Reads files of features, for TestFileReferee in tlkit/features.

    python features_files.py FOLDER

FOLDER has the same features as a.npy with a.npy.txt, a.csv and a.safetensors. Printed as JSON is, for
each ending, {shape, sha256 of the float32 bytes, paths}.
"""

import csv
import hashlib
import json
import os
import sys

import numpy as np
from safetensors import safe_open

folder = sys.argv[1]


def summary(rows, paths):
    assert rows.dtype == np.float32, rows.dtype
    data = np.ascontiguousarray(rows).tobytes()
    return {"shape": rows.shape, "sha256": hashlib.sha256(data).hexdigest(), "paths": paths}


said = {}
with open(os.path.join(folder, "a.npy.txt"), encoding="utf-8") as f:
    said[".npy"] = summary(np.load(os.path.join(folder, "a.npy"), allow_pickle=False), f.read().splitlines())
with open(os.path.join(folder, "a.csv"), encoding="utf-8", newline="") as f:
    lines = list(csv.reader(f))[1:]
said[".csv"] = summary(np.array([line[1:] for line in lines], dtype=np.float32), [line[0] for line in lines])
with safe_open(os.path.join(folder, "a.safetensors"), "numpy") as f:
    said[".safetensors"] = summary(f.get_tensor("features"), json.loads(f.metadata()["paths"]))
json.dump(said, sys.stdout)
