"""Checks the ONNX files of exported heads, for TestONNXReferee in tlkit/export.

    python onnx_exported.py FOLDER

Every .onnx file of FOLDER must pass onnx.checker with strict shape inference. Its test pictures are
made here by the formula in the documentation. Printed as JSON is {NAME: {labels, off}}, where off is
the largest difference between what ONNX Runtime computes and what the metadata says, as a share of
the largest number; for values, of deviations from their means.
"""

import glob
import json
import os
import sys

import numpy as np
import onnx
import onnxruntime


def picture(S, k):
    y, x, c = np.mgrid[0:S, 0:S, 0:3]
    v = x * (7 + 2 * c) + y * (11 - 3 * c) + x * y * (c + 1 + k) // 32
    disc = (x - S // 3) ** 2 + (y - S // 2) ** 2 < (S // (4 + k)) ** 2
    return np.where(disc, 255 - (v >> 3), v).astype(np.uint8)


said = {}
for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.onnx"))):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    about = {pair.key: pair.value for pair in model.metadata_props}
    head = json.loads(about["tlkit.head"])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert given.name == "pictures" and given.type == "tensor(uint8)", f"{path}: {given}"
    size = given.shape[1]
    pictures = np.stack([picture(size, k) for k in range(3)])
    got = session.run(None, {"pictures": pictures})
    for batch in 1, 2, 7:
        rows = np.arange(batch) % 3
        for a, b in zip(session.run(None, {"pictures": pictures[rows]}), got):
            assert np.abs(a - b[rows]).max() <= 2e-5 * np.abs(b).max(), f"{path}: {batch} pictures"
    want, have = np.array(json.loads(about["tlkit.parity"])), got[0].astype(float)
    for i, scale in enumerate(head.get("scales", [])):
        for rows in want, have:
            rows[:, i] = (rows[:, i] - scale["mean"]) / scale["sd"]
    if head["task"] == "classes":
        e = np.exp(got[0] - got[0].max(1, keepdims=True))
        assert np.abs(got[1] - e / e.sum(1, keepdims=True)).max() < 1e-6, path
    if head["task"] == "labels":
        assert np.abs(got[1] - 1 / (1 + np.exp(-got[0].astype(float)))).max() < 1e-6, path
    said[os.path.basename(path)] = {"labels": json.loads(about["labels"]), "off": float(np.abs(want - have).max() / np.abs(want).max())}
json.dump(said, sys.stdout)
