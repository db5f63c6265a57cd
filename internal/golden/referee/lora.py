#!/usr/bin/env python3
"""Steps of PEFT's LoRA on timm's transformers, for tlkit/finetune/lora_test.go (torch, timm, peft).

    python lora.py > ../../../tlkit/finetune/testdata/lora.json

Weights and the start of A come from the formula, B starts at 0, the head has 3 classes, the rule is AdamW, in float64.
"""
import json

import peft
import torch
import torch.nn.functional as F

import zoo

CASES = [
    dict(row="vit_tiny_patch16_224.augreg_in21k_ft_in1k", network="vit_tiny_patch16_224", size=32, gain=0.5, rank=4, alpha=8, rate=0.003, decay=0.05,
         options={"dynamic_img_size": True}, blocks=[10, 11], layers=r"attn\.(qkv|proj)"),
    # All linear layers and the norms; gated MLPs.
    dict(row="vit_small_plus_patch16_dinov3.lvd1689m", network="vit_small_plus_patch16_dinov3", size=48, gain=0.5, rank=3, alpha=3, rate=0.001, decay=0.05,
         options={"dynamic_img_size": True, "global_pool": "token"}, blocks=[11], layers=r"(attn\.(qkv|proj)|mlp\.fc\w+)", norms=["norm"]),
]


def flat(t, every):
    return [float("%.9g" % v) for v in t.detach().reshape(-1)[::every].tolist()]


def steps(case):
    model = zoo.timm_model(case["network"], **case["options"]).eval()
    with torch.no_grad():
        for key, t in zoo.ours(dict(zoo.ARCHITECTURES[case["network"]]), model).items():
            t.copy_(torch.from_numpy(zoo.fill(key, tuple(t.shape), case["gain"])))
    model.reset_classifier(0)
    model = model.double()
    blocks = "|".join(str(i) for i in case["blocks"])
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=case["rank"], lora_alpha=case["alpha"], target_modules=r"blocks\.(%s)\.%s" % (blocks, case["layers"])))
    moving = {}
    for key, p in adapted.named_parameters():
        key = key.replace("base_model.model.", "").replace(".default.", ".")
        if key.endswith("lora_A.weight"):
            with torch.no_grad():
                p.copy_(torch.from_numpy(zoo.fill(key, tuple(p.shape), case["gain"])))
        block = [key.startswith("blocks.%d." % i) for i in case["blocks"]]
        if "norms" in case and (any(block) and ".norm" in key or key.split(".")[0] in case["norms"]):
            p.requires_grad_()
        if p.requires_grad:
            moving[key] = p
    width = model.num_features
    head = [torch.from_numpy(zoo.fill(k, s, case["gain"])).double().requires_grad_()
            for k, s in (("linear.weight", (3, width)), ("linear.bias", (3,)))]
    all_ = list(moving.values()) + head
    rule = torch.optim.AdamW([dict(params=[p for p in all_ if p.dim() > 1], weight_decay=case["decay"]),
                              dict(params=[p for p in all_ if p.dim() == 1], weight_decay=0.0)], lr=case["rate"], eps=1e-3)
    x, y = zoo.batch(case["size"], 4).double(), torch.tensor([0, 1, 2, 2])
    losses = []
    for _ in range(4):
        loss = F.cross_entropy(F.linear(adapted(x), *head), y)
        losses.append(float(loss.detach()))
        rule.zero_grad()
        loss.backward()
        rule.step()
    before = adapted(x)
    merged = adapted.merge_and_unload()(x)
    assert (before - merged).abs().max().item() < 1e-12, "PEFT's own merge differs"
    return dict(row=case["row"], size=case["size"], gain=case["gain"], rank=case["rank"], alpha=case["alpha"], rate=case["rate"], decay=case["decay"],
                all="mlp" in case["layers"], norms="norms" in case, losses=losses, features=flat(merged, 7),
                tensors={k: dict(every=max(1, p.numel() // 40 | 1), values=flat(p, max(1, p.numel() // 40 | 1))) for k, p in moving.items()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({"by": {"peft": peft.__version__, "torch": torch.__version__.split("+")[0]}, "runs": [steps(c) for c in CASES]}, separators=(",", ":")))
