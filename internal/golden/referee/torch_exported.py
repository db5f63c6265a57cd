"""Loads the PyTorch files of exported heads, for TestTorchReferee in tlkit/export.

    python torch_exported.py FOLDER

Every folder in FOLDER is an export, with prepared.bin beside it: the test pictures as tlkit prepares
them. The Python in its README.md is run as it stands, so that load_state_dict(strict=True) is what is
tested. The test pictures are made here by the formula in the documentation of WriteTorch. Printed as
JSON is {NAME: {logits, exact}}: the logits of all test pictures, and whether the prepared pictures are
equal, number by number.
"""

import json
import os
import re
import sys

import numpy as np
import torch
from PIL import Image


def picture(w, h, k):
    y, x, c = np.mgrid[0:h, 0:w, 0:3]
    v = x * (7 + 2 * c) + y * (11 - 3 * c) + x * y * (c + 1 + k) // 32
    disc = (x - w // 3) ** 2 + (y - h // 2) ** 2 < (min(w, h) // (4 + k)) ** 2
    return Image.fromarray(np.where(disc, 255 - (v >> 3), v).astype(np.uint8))


root, said = os.path.abspath(sys.argv[1]), {}
for name in sorted(os.listdir(root)):
    os.chdir(os.path.join(root, name))
    scope = {}
    exec(re.search(r"```python\n(.*?)```", open("README.md", encoding="utf-8").read(), re.S).group(1), scope)
    about = scope["about"]
    pictures = [picture(w, h, k) for k, (w, h) in enumerate(about["parity"]["sizes"])]
    x = torch.stack([scope["prepare"](p) for p in pictures])
    with torch.no_grad():
        logits = scope["net"](x)
    pictures[0].save("picture.png")
    answer = scope["predict"]("picture.png")
    want = logits[0] if about["task"] == "values" else logits[0].softmax(0) if about["task"] == "classes" else logits[0].sigmoid()
    for i, label in enumerate(about["labels"]):
        if about["task"] == "labels":
            assert (label in answer) == (float(want[i]) >= about["thresholds"][i]), f"{name}: {answer}"
        assert label not in answer and about["task"] == "labels" or abs(answer[label] - float(want[i])) < 1e-4 * max(1, abs(float(want[i]))), f"{name}: {answer}"
    ours = np.fromfile("prepared.bin", "<f4").reshape(x.shape[0], x.shape[2], x.shape[3], 3)
    exact = bool(np.array_equal(x.permute(0, 2, 3, 1).numpy(), ours))
    said[name] = {"logits": logits.flatten().tolist(), "exact": exact}
json.dump(said, sys.stdout)
