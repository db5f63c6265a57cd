#!/usr/bin/env python3
"""Features of networks whose first convolution timm adapts to 1 and 4 channels, filled by the formula of zoo.py.

    python channels.py --out ../../../tlkit/zoo/testdata/channels.json
"""
import argparse
import json

import torch
import torch.nn as nn
from timm.models import adapt_input_conv

from zoo import ARCHITECTURES, batch, fill, forward, ours, sample

NAMES = ["resnet18", "vgg11", "mobilenetv2.tv_in1k", "efficientnet_lite0", "vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2", "deit3_small_patch16_224",
         "convnext_atto", "swin_tiny_patch4_window7_224", "regnety_004", "densenet121", "inception_v3", "squeezenet1_0", "mobilenetv3_small_100",
         "mobilenetv4_conv_small", "efficientnet_b0", "resnetv2_50x1_bit", "eva02_tiny_patch14_336", "tiny_vit_5m_224", "resnet20_cifar10",
         "swinv2_tiny_window8_256", "vit_base_patch32_clip_quickgelu_224", "xception"]


def pictures(size, channels):
    """Two pictures: the first one's red, or red, green, blue and the other one's green."""
    x = batch(size, 2)
    return x[:, :1] if channels == 1 else torch.cat([x, x.flip(0)[:, 1:2]], 1)


def adapt(model, channels):
    for m in model.modules():
        if isinstance(m, nn.Conv2d) and m.groups == 1 and m.in_channels == 3:
            m.weight = nn.Parameter(adapt_input_conv(channels, m.weight.data))
            m.in_channels = channels


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    o = p.parse_args()
    torch.set_num_threads(1)
    out = {"torch": torch.__version__.partition("+")[0], "timm": __import__("timm").__version__, "cases": []}
    for name in NAMES:
        if name not in ARCHITECTURES:
            print("no", name)
            continue
        arch = ARCHITECTURES[name]
        for channels in 1, 4:
            model = arch["model"]().eval()
            with torch.no_grad():
                for key, tensor in ours(arch, model).items():
                    tensor.copy_(torch.from_numpy(fill(key, tuple(tensor.shape), arch["gain"])))
            adapt(model, channels)
            _, features, _ = forward(arch, model.double(), pictures(arch["size"], channels).double())
            out["cases"].append({"name": name, "channels": channels, "size": arch["size"], "gain": arch["gain"], "features": sample(features, 20)})
            print(name, channels, tuple(features.shape), flush=True)
    with open(o.out, "w") as f:
        f.write(json.dumps(out, indent=None, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
