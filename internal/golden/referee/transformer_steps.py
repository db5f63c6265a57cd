#!/usr/bin/env python3
"""Losses of four training steps of timm's transformers, for tlkit/finetune/tokens_test.go.

    python transformer_steps.py

Weights come from the formula, the head has 3 classes, the rule is SGD with momentum 0.9, in float64.
"""
import torch
import torch.nn.functional as F

import zoo

# architecture: (side of the pictures, gain, rate, options, what is trained together with the head)
NETWORKS = {
    "vit_tiny_patch16_224": (32, 0.5, 0.01, {"dynamic_img_size": True}, ("blocks.10.", "blocks.11.", "norm.")),
    "eva02_tiny_patch14_336": (42, 0.5, 0.01, {"dynamic_img_size": True}, ("blocks.10.", "blocks.11.", "fc_norm.")),
    "vit_small_plus_patch16_dinov3": (48, 0.5, 0.01, {"dynamic_img_size": True, "global_pool": "token"}, ("blocks.11.", "norm.")),
    "swinv2_tiny_window8_256": (64, 0.5, 0.001, {"img_size": 64}, ("layers.2.", "layers.3.", "norm.")),
    "tiny_vit_5m_224": (64, 1.0, 0.001, {"num_classes": 1000}, ("stages.2.", "stages.3.", "head.norm.")),
}


def losses(name):
    size, gain, rate, options, trained = NETWORKS[name]
    arch = dict(zoo.ARCHITECTURES[name])
    model = zoo.timm_model(name, **options).eval()
    with torch.no_grad():
        for key, t in zoo.ours(arch, model).items():
            t.copy_(torch.from_numpy(zoo.fill(key, tuple(t.shape), gain)))
    model.reset_classifier(0)
    model = model.double()
    width = model.num_features
    head = [torch.from_numpy(zoo.fill(k, s, gain)).double().requires_grad_()
            for k, s in (("linear.weight", (3, width)), ("linear.bias", (3,)))]
    parameters = [p for k, p in model.named_parameters() if k.startswith(trained)]
    rule = torch.optim.SGD(parameters + head, lr=rate, momentum=0.9)
    x, y = zoo.batch(size, 4).double(), torch.tensor([0, 1, 2, 2])
    for _ in range(4):
        for m in model.modules():
            if hasattr(m, "attention_bias_cache"):  # of TinyViT, which expects no gradients in evaluation
                m.attention_bias_cache = {}
        loss = F.cross_entropy(F.linear(model(x), *head), y)
        yield float(loss.detach())
        rule.zero_grad()
        loss.backward()
        rule.step()


if __name__ == "__main__":
    torch.set_num_threads(1)
    for network in NETWORKS:
        print(network, ", ".join("%.9f" % v for v in losses(network)))
