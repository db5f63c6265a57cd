#!/usr/bin/env python3
"""Reference values for fine-tuning, made by PyTorch in float64 (torch, numpy; see requirements.txt).

    python internal/golden/referee/finetune.py

Writes tlkit/backbone/testdata/gradients.json (one operation at a time: output, gradients, running statistics),
tlkit/optim/testdata/optim.json (several steps of the optimisers, clipping, schedules) and
tlkit/finetune/testdata/steps.json (whole training steps of a small residual network). All inputs come from the formula of
../formula.go, so no data travels. family_steps.py has steps of every family.
"""
import json
import os
from unittest import mock

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import zoo

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
HERE = os.path.dirname(os.path.abspath(__file__))
BY = {"torch": torch.__version__.split("+")[0]}


def numbers(name, *shape):
    """Values in [-1, 1) by the formula, float32-exact."""
    return torch.from_numpy(zoo.unit(name, int(np.prod(shape))).astype(np.float64).reshape(shape))


def flat(t, digits=9):
    return [float("%.*g" % (digits, v)) for v in t.detach().reshape(-1).tolist()]


def write(path, value):
    path = os.path.join(HERE, "../../..", path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(json.dumps(value, separators=(",", ":")) + "\n")


# ---------------------------------------------------------------- operations

def same(x, k, s):
    """TensorFlow's SAME by explicit padding."""
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def operation(case):
    """x is [N,H,W,C]; weights are in PyTorch's layout, their gradients in ours ([H,W,in,out], [in,out])."""
    name, op, shape = case["name"], case["op"], case["x"]
    x = numbers(name + ".x", *shape)
    if "steps" in case:  # equal values
        x = torch.floor(x * case["steps"]) / case["steps"]
    x.requires_grad_()
    nchw = x.permute(0, 3, 1, 2) if len(shape) == 4 else x
    k, s, p = case.get("kernel"), case.get("stride"), case.get("pad")
    params, buffers, rows = {}, {}, case.get("rows", shape[0])
    if op in ("conv", "depthwise"):
        groups = shape[3] if op == "depthwise" else case.get("groups", 1)
        w = numbers(name + ".weight", case["width"], shape[3] // groups, k, k).requires_grad_()
        params["weight"] = w
        if case.get("eps"):  # each output's kernel standardised
            w = F.batch_norm(w.reshape(1, case["width"], -1), None, None, training=True, momentum=0.0, eps=case["eps"]).reshape_as(w)
        y = F.conv2d(same(nchw, k, s), w, stride=s, groups=groups) if p == -1 else F.conv2d(nchw, w, stride=s, padding=p, groups=groups)
    elif op == "linear":
        params = {"weight": numbers(name + ".weight", case["width"], shape[1]).requires_grad_(), "bias": numbers(name + ".bias", case["width"]).requires_grad_()}
        y = F.linear(x, params["weight"], params["bias"])
    elif op == "maxpool":
        y = F.max_pool2d(nchw, k, s, p)
    elif op == "relu6":
        y = F.relu6(nchw * 8)
    elif op == "average":
        y = nchw.mean((2, 3))
    elif op == "groupnorm":
        params = {n: numbers(name + "." + n, shape[3]).requires_grad_() for n in ("weight", "bias")}
        y = F.group_norm(nchw, case["groups"], params["weight"], params["bias"], case["eps"])
    elif op == "norm":
        c = shape[3]
        bn = nn.BatchNorm2d(c, eps=case["eps"], momentum=case["momentum"])
        with torch.no_grad():
            bn.weight.copy_(numbers(name + ".weight", c)), bn.bias.copy_(numbers(name + ".bias", c))
            bn.running_mean.copy_(numbers(name + ".running_mean", c)), bn.running_var.copy_(numbers(name + ".running_var", c) + 2)
        bn.train(case["train"])
        y = bn(nchw[:rows])
        params, buffers = {"weight": bn.weight, "bias": bn.bias}, {"running_mean": bn.running_mean, "running_var": bn.running_var}
    if y.dim() == 4:
        y = y.permute(0, 2, 3, 1)
    coefficient = numbers(name + ".c", *y.shape)
    (y * y * coefficient).sum().backward()
    layout = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    out = dict(case, y=flat(y), gradients={"x": flat(x.grad)}, after={n: flat(b) for n, b in buffers.items()})
    for n, w in params.items():
        out["gradients"][n] = flat(w.grad.permute(layout[w.dim()]))
    return out


CASES = [
    dict(name="conv1", op="conv", x=[1, 4, 5, 2], width=3, kernel=1, stride=1, pad=0),
    dict(name="conv1s2", op="conv", x=[1, 4, 5, 2], width=3, kernel=1, stride=2, pad=0),
    dict(name="conv3", op="conv", x=[1, 5, 4, 2], width=3, kernel=3, stride=1, pad=1),
    dict(name="conv3s2", op="conv", x=[2, 5, 6, 2], width=2, kernel=3, stride=2, pad=1),
    dict(name="conv7s2", op="conv", x=[1, 8, 8, 2], width=2, kernel=7, stride=2, pad=3),
    dict(name="conv3same", op="conv", x=[1, 6, 6, 2], width=2, kernel=3, stride=2, pad=-1),
    dict(name="conv2", op="conv", x=[1, 5, 4, 2], width=2, kernel=2, stride=1, pad=0),
    dict(name="conv2s2", op="conv", x=[1, 6, 4, 2], width=2, kernel=2, stride=2, pad=0),
    dict(name="conv4s2", op="conv", x=[1, 6, 6, 2], width=2, kernel=4, stride=2, pad=1),
    dict(name="conv4s4", op="conv", x=[1, 8, 8, 2], width=2, kernel=4, stride=4, pad=0),
    dict(name="conv2same", op="conv", x=[1, 5, 5, 2], width=2, kernel=2, stride=1, pad=-1),
    dict(name="depthwise3", op="depthwise", x=[2, 5, 4, 3], width=3, kernel=3, stride=1, pad=1),
    dict(name="depthwise3s2", op="depthwise", x=[1, 6, 5, 3], width=3, kernel=3, stride=2, pad=1),
    dict(name="depthwise5same", op="depthwise", x=[1, 6, 6, 2], width=2, kernel=5, stride=2, pad=-1),
    dict(name="depthwise2s2", op="depthwise", x=[1, 6, 6, 2], width=2, kernel=2, stride=2, pad=0),
    dict(name="groups2", op="conv", x=[2, 5, 4, 6], width=4, kernel=3, stride=1, pad=1, groups=2),
    # pieces of sixteen channels: two of them, and one that is smaller
    dict(name="groups9s2", op="conv", x=[1, 6, 5, 36], width=18, kernel=3, stride=2, pad=1, groups=9),
    dict(name="groups3k1", op="conv", x=[1, 3, 2, 6], width=9, kernel=1, stride=1, pad=0, groups=3),
    dict(name="groups2k2", op="conv", x=[1, 5, 4, 4], width=4, kernel=2, stride=1, pad=0, groups=2),
    dict(name="standardised", op="conv", x=[1, 5, 4, 2], width=3, kernel=3, stride=1, pad=1, eps=1e-8),
    dict(name="groupnorm", op="groupnorm", x=[2, 3, 2, 6], groups=3, eps=1e-5),
    dict(name="maxpool", op="maxpool", x=[1, 6, 5, 2], kernel=3, stride=2, pad=1),
    dict(name="maxpool2", op="maxpool", x=[1, 6, 4, 2], kernel=2, stride=2, pad=0),
    dict(name="maxpoolties", op="maxpool", x=[2, 7, 6, 3], kernel=3, stride=2, pad=1, steps=2),
    dict(name="maxpool3s1", op="maxpool", x=[1, 5, 6, 2], kernel=3, stride=1, pad=0, steps=3),
    dict(name="maxpool5", op="maxpool", x=[1, 7, 7, 2], kernel=5, stride=2, pad=2),
    dict(name="linear", op="linear", x=[3, 4], width=5),
    dict(name="relu6", op="relu6", x=[1, 4, 4, 2]),
    dict(name="average", op="average", x=[2, 3, 2, 3]),
    dict(name="normfrozen", op="norm", x=[3, 3, 2, 4], eps=1e-5, momentum=0.1, train=False),
    dict(name="norm", op="norm", x=[3, 3, 2, 4], eps=1e-5, momentum=0.1, train=True),
    dict(name="normrows", op="norm", x=[4, 3, 2, 4], eps=1e-3, momentum=0.1, train=True, rows=3),
    dict(name="normmomentum", op="norm", x=[2, 3, 2, 4], eps=1e-5, momentum=0.5, train=True),
]


# ---------------------------------------------------------------- optimisers and schedules

def problem():
    """Two matrices and a bias; a loss whose gradient differs everywhere."""
    a, b, c = (nn.Parameter(numbers("optim." + n, *s).clone()) for n, s in (("a", (3, 4)), ("b", (4, 2)), ("c", (2,))))
    x, target = numbers("optim.x", 5, 3), numbers("optim.t", 5, 2)
    return a, b, c, lambda: (((torch.tanh(x @ a) @ b + c) - target) ** 2).sum()


RULES = [
    dict(name="sgd", rule="sgd", rates=[0.01, 0.02], decay=0.0),
    dict(name="momentum", rule="sgd", rates=[0.01, 0.02], momentum=0.9, decay=0.0),
    dict(name="momentum, decay", rule="sgd", rates=[0.01, 0.02], momentum=0.9, decay=0.1),
    dict(name="nesterov, decay, clip", rule="sgd", rates=[0.01, 0.02], momentum=0.9, nesterov=True, decay=0.1, clip=1.0),
    dict(name="adamw", rule="adamw", rates=[0.01, 0.03], decay=0.0),
    dict(name="adamw, decay, clip", rule="adamw", rates=[0.01, 0.03], decay=0.1, clip=0.5),
]


def optimiser(rule, steps=6):
    a, b, c, loss = problem()
    # a in group 0; b and the bias c in group 1; no weight decay on the bias.
    groups = [dict(params=[a], lr=rule["rates"][0], weight_decay=rule["decay"]), dict(params=[b], lr=rule["rates"][1], weight_decay=rule["decay"]),
              dict(params=[c], lr=rule["rates"][1], weight_decay=0.0)]
    if rule["rule"] == "sgd":
        o = torch.optim.SGD(groups, lr=1.0, momentum=rule.get("momentum", 0), nesterov=rule.get("nesterov", False))
    else:
        o = torch.optim.AdamW(groups, lr=1.0)
    losses, norms = [], []
    for step in range(steps):
        o.zero_grad()
        v = loss()
        v.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_([a, b, c], rule.get("clip", 1e9))))
        losses.append(float(v.detach()))
        for g, r in zip(o.param_groups, (rule["rates"][0], rule["rates"][1], rule["rates"][1])):
            g["lr"] = r * (1 - step / 10)  # the rate changes at every step
        o.step()
    return dict(rule, losses=losses, norms=norms, a=flat(a), b=flat(b), c=flat(c))


def schedules():
    def run(make, steps, metrics=None):
        p = nn.Parameter(torch.zeros(1))
        o = torch.optim.SGD([p], lr=1.0, momentum=0.9)
        s = make(o)
        out = []
        for i in range(steps):
            out.append(o.param_groups[0]["lr"])
            o.step()
            s.step(metrics[i]) if metrics else s.step()
        return out
    L = torch.optim.lr_scheduler
    metrics = [1, 0.9, 0.95, 0.91, 0.92, 0.8, 0.85, 0.81, 0.8, 0.79999, 0.7, 0.75]
    warm = lambda o: L.SequentialLR(o, [L.LinearLR(o, 1 / 5, 1.0, 4), L.CosineAnnealingLR(o, 16)], [4])
    return {
        "one_cycle": run(lambda o: L.OneCycleLR(o, 1.0, total_steps=20, pct_start=0.25, div_factor=25, final_div_factor=1e5), 20),
        "cosine": run(warm, 20),
        "step": run(lambda o: L.StepLR(o, 7, 0.1), 20),
        "plateau": run(lambda o: L.ReduceLROnPlateau(o, factor=0.5, patience=1), len(metrics), metrics),
        "plateau_metrics": metrics,
    }


# ---------------------------------------------------------------- whole steps

# What is known about the six pictures of steps(): classes, several labels, values in standard deviations.
CLASSES = torch.tensor([0, 1, 2, 2, 1, 0])
LABELS = torch.tensor([[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1]], dtype=torch.float64)
VALUES = torch.tensor([[0.5, -1, 2], [1.5, 0, -0.25], [-0.5, 1, 0.75], [-2, 0.5, 0], [0.25, -0.5, 1], [0, 0.75, -1.5]])


def task_loss(task, logits, at):
    if task == "labels":
        return F.binary_cross_entropy_with_logits(logits, 0.9 * LABELS[at] + 0.05)
    if task == "values":
        return F.mse_loss(logits, VALUES[at])
    return F.cross_entropy(logits, CLASSES[at], label_smoothing=0.1)


def clear(name, values):
    """The formula's values, changed so that every input of a ReLU stays far from zero: norms with small gains and large
    biases. In every second channel between the two convolutions of a block the ReLU is always off, elsewhere always on.
    clearOfKinks in tlkit/finetune/kinks_test.go is the other half."""
    leaf = name.rpartition(".")[2]
    if "bn" in name and leaf == "weight":
        return values / np.float32(8)
    if "bn" in name and leaf == "bias":
        off = ".bn1." in name  # the stem is "bn1.bias"
        return values + np.where(off & (np.arange(len(values)) % 2 == 1), np.float32(-1), np.float32(1))
    return values


def steps(norms, rule, task="classes"):
    """Six steps of ResNet-20 on six formula pictures in batches of four and two, label smoothing 0.1, layer1 and before
    frozen, layer2 at a third of the rate."""
    net = zoo.CifarResNet(3)
    gain = 0.3
    net.linear = nn.Linear(64, 3)
    with torch.no_grad():
        for n, t in net.state_dict().items():
            if t.is_floating_point():
                t.copy_(torch.from_numpy(clear(n, zoo.fill(n, list(t.shape), gain)).astype(np.float64)))
    nearest = [np.inf]  # how near zero the input of a ReLU came, in root mean squares of its layer

    def relu(x, inplace=False):
        nearest.append(float((x.detach().abs() / x.detach().square().mean().sqrt()).min()))
        return torch.relu(x)

    train = [(n, p) for n, p in net.named_parameters() if n.startswith(("layer2", "layer3", "linear"))]
    for n, p in net.named_parameters():
        p.requires_grad_(any(p is q for _, q in train))
    for n, m in net.named_modules():
        if isinstance(m, nn.BatchNorm2d):
            m.train(norms == "batch" and n.startswith(("layer2", "layer3")))
    group = lambda n: 0 if n.startswith("layer2") else 1
    base = 0.08 if rule == "sgd" else 0.003
    rates = [base / 3, base]
    groups = [dict(params=[p], lr=rates[group(n)], weight_decay=0.05 if p.dim() > 1 else 0.0) for n, p in train]
    # A large epsilon: with the usual one the first steps are signs of gradients, and those near zero are rounding noise.
    o = torch.optim.SGD(groups, lr=1.0, momentum=0.9) if rule == "sgd" else torch.optim.AdamW(groups, lr=1.0, eps=1e-3)
    x = zoo.batch(32, 6).double()
    out = []
    for step in range(6):
        at = slice(0, 4) if step % 2 == 0 else slice(4, 6)
        o.zero_grad()
        with mock.patch.object(F, "relu", relu):
            logits = net(x[at])
        loss = task_loss(task, logits, at)
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_([p for _, p in train], 1.0))
        out.append(dict(loss=float(loss.detach()), norm=norm, right=int((logits.argmax(1) == CLASSES[at]).sum())))
        o.step()
    # At the kink of a ReLU rounding decides which way the gradient goes, and every processor rounds in its own way.
    assert min(nearest) > 1e-3, "%s %s %s: a ReLU's input comes as near zero as %.1e" % (norms, rule, task, min(nearest))
    net.eval()
    state = net.state_dict()
    some = ["layer1.2.bn2.running_mean", "layer2.0.conv1.weight", "layer2.0.bn1.running_mean", "layer2.2.bn2.running_var", "layer3.1.bn1.weight", "layer3.2.conv2.weight", "linear.weight", "linear.bias"]
    every = lambda t: max(1, t.numel() // 40)
    return dict(task=task, norms=norms, rule=rule, rates=rates, gain=gain, steps=out, logits=flat(net(x)),
                tensors={n: dict(every=every(state[n]), values=flat(state[n].reshape(-1)[::every(state[n])])) for n in some})


if __name__ == "__main__":
    write("tlkit/backbone/testdata/gradients.json", dict(by=BY, cases=[operation(c) for c in CASES]))
    write("tlkit/optim/testdata/optim.json", dict(by=BY, rules=[optimiser(r) for r in RULES], schedules=schedules()))
    write("tlkit/finetune/testdata/steps.json", dict(by=BY, runs=[steps(n, r) for n in ("frozen", "batch") for r in ("sgd", "adamw")] + [steps("frozen", "adamw", t) for t in ("labels", "values")]))
