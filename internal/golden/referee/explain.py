#!/usr/bin/env python3
"""Grad-CAM by PyTorch's gradients, on networks filled by the formula of zoo.py.

    python explain.py --out ../../../tlkit/explain/testdata/referee.json

The output is that of a linear head whose weights are the formula's for "head.weight", [1, C]. Maps are weighted by the
mean of their gradients, as in pytorch-grad-cam's GradCAM. Of the tokens behind the last block but one, each patch's
difference from the mean patch is weighted by its own gradient. The patch alone would give 0: the next block begins with
a norm, so that the length of a token does not matter, and its gradient is at right angles to it.
"""
import argparse
import json
import math

import torch

from zoo import ARCHITECTURES, batch, fill, numbers, ours

# Our rows, and which of zoo.py's networks they are.
ROWS = {"resnet18": "resnet18", "mobilenetv2.tv_in1k": "mobilenetv2.tv_in1k", "efficientnet_lite0": "efficientnet_lite0", "resnet20_cifar10": "resnet20_cifar10",
        "convnext_atto.d2_in1k": "convnext_atto", "swin_tiny_patch4_window7_224.ms_in1k": "swin_tiny_patch4_window7_224",
        "deit_tiny_patch16_224.fb_in1k": "vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2.lvd142m": "vit_small_patch14_reg4_dinov2",
        "deit3_small_patch16_224.fb_in1k": "deit3_small_patch16_224", "eva02_tiny_patch14_336.mim_in22k_ft_in1k": "eva02_tiny_patch14_336"}


def features(arch, model, x):
    """Features with their graph, and the output of each stage."""
    kept, hooks = {}, []
    for name, module in arch["stages"](model):
        hooks.append(module.register_forward_hook(lambda _m, _i, o, name=name: kept.__setitem__(name, o)))
    if arch["classifier"]:
        last = model.get_submodule(arch["classifier"])
        hooks.append(last.register_forward_pre_hook(lambda _m, i: kept.__setitem__("features", i[0])))
    y = model(x)
    for h in hooks:
        h.remove()
    stages = {n: kept[n] for n, _ in arch["stages"](model)}
    if arch["classifier"]:
        y = arch.get("features", lambda _, f: f)(list(stages.values()), kept["features"])
    return y, stages


def looked_at(arch, stages):
    tokens = [n for n, s in stages.items() if s.ndim == 3 and not n.startswith("norm")]
    if len(tokens) > 1:
        return tokens[-2]
    return [n for n, s in stages.items() if s.ndim == 4 and s.numel() > s.shape[1]][-1]


def heat(arch, name, seen, grad):
    if seen.ndim == 4:
        if not arch.get("channels_last", False):
            seen, grad = seen.permute(0, 2, 3, 1), grad.permute(0, 2, 3, 1)
        return (seen * grad.mean((1, 2), keepdim=True)).sum(-1)[0].relu()
    side = int(math.sqrt(seen.shape[1]))
    seen, grad = seen[:, -side * side:], grad[:, -side * side:]
    return ((seen - seen.mean(1, keepdim=True)) * grad).sum(-1)[0].relu().reshape(side, side)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    o = p.parse_args()
    torch.set_num_threads(1)
    out = {"torch": torch.__version__.partition("+")[0], "timm": __import__("timm").__version__, "cases": []}
    for name, which in ROWS.items():
        arch = ARCHITECTURES[which]
        model = arch["model"]().eval()
        with torch.no_grad():
            for key, tensor in ours(arch, model).items():
                tensor.copy_(torch.from_numpy(fill(key, tuple(tensor.shape), arch["gain"])))
        y, stages = features(arch, model.double(), batch(arch["size"], 1).double())
        stage = looked_at(arch, stages)
        direction = torch.from_numpy(fill("head.weight", (1, y.shape[1]), 1.0)).double()
        (grad,) = torch.autograd.grad((y * direction).sum(), stages[stage])
        h = heat(arch, name, stages[stage], grad).detach()
        out["cases"].append({"name": name, "size": arch["size"], "gain": arch["gain"], "stage": stage, "width": h.shape[1], "heat": numbers(h.flatten().tolist())})
        print(name, stage, tuple(h.shape), float(h.max()), flush=True)
    with open(o.out, "w") as f:
        f.write(json.dumps(out, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
