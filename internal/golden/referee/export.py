"""Does a head file do in PyTorch what it does here? By hand, development only:

    tlkit predict HEAD PICTURE... --json > ours.json
    python internal/golden/referee/export.py HEAD WEIGHTS ours.json

WEIGHTS is the MobileNetV2 trunk that the head was trained on. The code that opens the
head is taken out of the documentation of package export, so the documentation is what is
tested. Pictures are prepared by torchvision from the preset in the file. Prints the
largest difference of a probability and fails above 0.01: float32 sums differ by 1e-5,
and libjpeg's inverse DCT may differ from ours by a level here and there.
"""
import json
import os
import re
import sys

import torch
import torchvision
from PIL import Image, ImageOps
from torchvision import transforms as T


def documented():
    here = os.path.dirname(os.path.abspath(__file__))
    doc = open(os.path.join(here, "../../../tlkit/export/head.go")).read()
    code = re.search(r"//\timport json\n(?:.*\n)*?//\t    return head.eval\(\), about\n", doc).group(0)
    scope = {}
    exec("\n".join(line[3:] for line in code.splitlines()), scope)  # "//<tab>" goes
    return scope["open_head"]


def prepare(p):
    assert p["geometry"] == "short" and p["channels"] == "RGB" and p["range"] == [0, 1], p
    by = {"bilinear": T.InterpolationMode.BILINEAR, "bicubic": T.InterpolationMode.BICUBIC}[p["interpolation"]]
    return T.Compose([T.Resize(p["resize"], by), T.CenterCrop(p["size"]), T.ToTensor(), T.Normalize(p["mean"], p["std"])])


head_file, weights, ours = sys.argv[1:]
head, about = documented()(head_file)
net = torchvision.models.mobilenet_v2(weights=None).eval()
given = [v for k, v in torch.load(weights, map_location="cpu", weights_only=True).items() if "num_batches" not in k]
own = [k for k in net.state_dict() if "num_batches" not in k and not k.startswith("classifier")]
net.load_state_dict(dict(zip(own, given)), strict=False)
worst = 0.0
for row in json.load(open(ours)):
    picture = ImageOps.exif_transpose(Image.open(row["path"])).convert("RGB")
    with torch.no_grad():
        features = net.features(prepare(about["preset"])(picture)[None]).mean((2, 3))
        p = head(features).softmax(1)[0]
    worst = max(worst, max(abs(float(p[i]) - row["probabilities"][label]) for i, label in enumerate(about["labels"])))
print(f"largest difference of a probability: {worst:.2e}")
sys.exit(worst > 0.01)
