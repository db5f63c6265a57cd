#!/usr/bin/env python3
"""Small networks as other libraries name them, filled by zoo.py's formula under those names, and their features.

    python dialects.py --out ../../../tlkit/zoo/testdata/dialects.json

Names and shapes are those of each library's own state dict, and the features are what it computes with it. Of the code
of Microsoft, of the authors of ConvNeXt and of DINOv2 there is no package: their names are written down here, and
another library computes. Needs torch, torchvision, timm, transformers and open_clip_torch.
"""
import argparse
import json
import re

import timm
import torch
import torchvision
import transformers as hf
import open_clip

from zoo import batch, fill, numbers

SMALL = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16)


def tail(features):
    """Features behind a hook."""
    def run(model, x):
        kept = []
        hook = features(model).register_forward_hook(lambda _m, _i, o: kept.append(o))
        model(x)
        hook.remove()
        return kept[0]
    return run


def head_input(module):
    def run(model, x):
        kept = []
        hook = module(model).register_forward_pre_hook(lambda _m, i: kept.append(i[0]))
        model(x)
        hook.remove()
        return kept[0]
    return run


def version4(name):
    """What version 4 of transformers called ViT's and Swin's tensors, as all files of the hub still do."""
    if name.startswith("swin."):
        name = re.sub(r"attention\.(q|k|v)_proj", lambda m: "attention.self." + {"q": "query", "k": "key", "v": "value"}[m[1]], name)
        name = name.replace("attention.o_proj", "attention.output.dense")
        name = name.replace("attention.relative_position_bias.relative", "attention.self.relative")
        return name.replace("mlp.fc1", "intermediate.dense").replace("mlp.fc2", "output.dense")
    name = re.sub(r"attention\.(q|k|v)_proj", lambda m: "attention.attention." + {"q": "query", "k": "key", "v": "value"}[m[1]], name)
    name = name.replace("attention.o_proj", "attention.output.dense")
    if name.startswith("vit.layers"):
        name = name.replace("vit.layers", "vit.encoder.layer")
        name = name.replace("mlp.fc1", "intermediate.dense").replace("mlp.fc2", "output.dense")
    return name


def microsoft(name):
    m = re.match(r"layers\.(\d)\.downsample\.(.*)", name)
    return "layers.%d.downsample.%s" % (int(m[1]) - 1, m[2]) if m else name.replace("head.fc.", "head.")


def convnext_authors(name):
    name = name.replace("convnextv2.", "").replace("convnext.", "").replace("grn.weight", "grn.gamma").replace("grn.bias", "grn.beta")
    name = name.replace("embeddings.patch_embeddings", "downsample_layers.0.0").replace("embeddings.layernorm", "downsample_layers.0.1")
    name = re.sub(r"encoder\.stages\.(\d)\.downsampling_layer", r"downsample_layers.\1", name)
    name = re.sub(r"encoder\.stages\.(\d)\.layers", r"stages.\1", name)
    name = name.replace("layer_scale_parameter", "gamma").replace("classifier.", "head.")
    return re.sub(r"^layernorm", "norm", name.replace(".layernorm.", ".norm."))


def dinov2_authors(state):
    """Three matrices of attention become one."""
    out = {}
    for name, t in state.items():
        name = name.replace("embeddings.position_embeddings", "pos_embed").replace("embeddings.patch_embeddings.projection", "patch_embed.proj")
        name = name.replace("embeddings.", "").replace("encoder.layer.", "blocks.").replace("layer_scale", "ls").replace("lambda1", "gamma")
        name = name.replace("attention.o_proj", "attn.proj").replace("layernorm.", "norm.")
        m = re.match(r"(.*)attention\.([qkv])_proj\.(.*)", name)
        if m:
            out.setdefault(m[1] + "attn.qkv." + m[3], []).append(t)
        else:
            out[name] = t
    return out


def vit():
    return hf.ViTForImageClassification(hf.ViTConfig(**SMALL, intermediate_size=64, num_labels=3))


def clip(model):
    vision = dict(SMALL, intermediate_size=64)
    if model == "tower":
        return hf.CLIPVisionModelWithProjection(hf.CLIPVisionConfig(**vision, projection_dim=8))
    text = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=50000)
    return hf.CLIPModel(hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))


def open_model():
    return open_clip.model.CLIP(
        8, dict(layers=2, width=64, head_width=32, image_size=32, patch_size=16),
        dict(context_length=8, vocab_size=20, width=16, heads=2, layers=2))


def convnext(second):
    config = dict(hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 2, 1], num_labels=3)
    if second:
        return hf.ConvNextV2ForImageClassification(hf.ConvNextV2Config(**config))
    return hf.ConvNextForImageClassification(hf.ConvNextConfig(**config))


def tv_convnext():
    block = torchvision.models.convnext.CNBlockConfig
    return torchvision.models.convnext.ConvNeXt(
        [block(8, 16, 1), block(16, 32, 1), block(32, 64, 2), block(64, None, 1)], num_classes=3)


def swin():
    return hf.SwinForImageClassification(hf.SwinConfig(
        embed_dim=8, depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8], image_size=224, window_size=7, num_labels=3))


SWIN = dict(embed_dim=8, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8))


def resnet(layer):
    widths = {"basic": [64, 128, 256, 512], "bottleneck": [256, 512, 1024, 2048]}[layer]
    return hf.ResNetForImageClassification(hf.ResNetConfig(
        hidden_sizes=widths, depths=[1, 2, 1, 1], layer_type=layer, num_labels=3))


pooled = lambda model, x: model(x).pooler_output  # noqa: E731
one = lambda name: name  # noqa: E731

# name: our network, model, how it computes features, how its tensors are called, side of the pictures
CASES = {
    "ViT of transformers": ("vit", vit, head_input(lambda m: m.classifier), one, 32),
    "ViT of transformers 4": ("vit", vit, head_input(lambda m: m.classifier), version4, 32),
    "DINOv2 of transformers": (
        "dinov2", lambda: hf.Dinov2Model(hf.Dinov2Config(**SMALL)), pooled, one, 48),
    "DINOv2 of transformers 4": (
        "dinov2", lambda: hf.Dinov2Model(hf.Dinov2Config(**SMALL)), pooled, version4, 48),
    "DINOv2 with registers of transformers": (
        "dinov2 with registers", lambda: hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(**SMALL)), pooled, version4, 48),
    "DINOv2 with registers of its authors": (
        "dinov2 with registers", lambda: hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(**SMALL)), pooled, dinov2_authors, 48),
    "CLIP's picture tower of transformers": (
        "clip", lambda: clip("tower"), tail(lambda m: m.vision_model.post_layernorm), one, 32),
    "CLIP of transformers": (
        "clip", lambda: clip("both"), lambda m, x: m.vision_model(x).pooler_output, one, 32),
    "CLIP of OpenCLIP": (
        "open_clip", open_model, lambda m, x: tail(lambda v: v.ln_post)(m.visual, x)[:, 0], one, 32),
    "SigLIP of transformers": (
        "siglip", lambda: hf.SiglipVisionModel(hf.SiglipVisionConfig(**SMALL, intermediate_size=64)), pooled, one, 32),
    "ViT of torchvision": (
        "vit", lambda: torchvision.models.VisionTransformer(32, 16, 2, 2, 16, 64, num_classes=3), head_input(lambda m: m.heads), one, 32),
    "ViT of timm, without biases of attention": (
        "vit", lambda: timm.create_model("vit_tiny_patch16_224", img_size=32, embed_dim=16, depth=2, num_heads=2, num_classes=3, qkv_bias=False),
        head_input(lambda m: m.head), one, 32),
    "ConvNeXt of transformers": ("convnext", lambda: convnext(False), head_input(lambda m: m.classifier), one, 64),
    "ConvNeXt V2 of transformers": ("convnextv2", lambda: convnext(True), head_input(lambda m: m.classifier), one, 64),
    "ConvNeXt of its authors": ("convnext", lambda: convnext(False), head_input(lambda m: m.classifier), convnext_authors, 64),
    "ConvNeXt V2 of its authors": ("convnextv2", lambda: convnext(True), head_input(lambda m: m.classifier), convnext_authors, 64),
    "ConvNeXt of torchvision": ("convnext", tv_convnext, head_input(lambda m: m.classifier[2]), one, 64),
    "ConvNeXt of timm, with convolutions for matrices": (
        "convnext", lambda: timm.create_model("convnext_atto", dims=(8, 16, 32, 64), depths=(1, 1, 2, 1), num_classes=3, conv_mlp=True),
        head_input(lambda m: m.head.fc), one, 64),
    "Swin of transformers": ("swin", swin, head_input(lambda m: m.classifier), one, 224),
    "Swin of transformers 4": ("swin", swin, head_input(lambda m: m.classifier), version4, 224),
    "Swin of Microsoft": (
        "swin", lambda: timm.create_model("swin_tiny_patch4_window7_224", num_classes=3, **SWIN), head_input(lambda m: m.head.fc), microsoft, 224),
    "Swin of torchvision": (
        "swin", lambda: torchvision.models.SwinTransformer([4, 4], 8, [2, 2, 2, 2], [1, 2, 4, 8], [7, 7], num_classes=3),
        head_input(lambda m: m.head), one, 224),
    "ResNet of transformers": ("resnet", lambda: resnet("bottleneck"), head_input(lambda m: m.classifier[1]), one, 64),
    "ResNet of transformers, narrow": ("resnet narrow", lambda: resnet("basic"), head_input(lambda m: m.classifier[1]), one, 64),
}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    p.add_argument("--only", nargs="*")
    o = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    out = []
    for name, (ours, make, features, names, size) in CASES.items():
        if o.only and name not in o.only:
            continue
        model = make().eval()
        gain = 0.5
        whole = names is dinov2_authors
        state = names(model.state_dict()) if whole else {names(k): v for k, v in model.state_dict().items()}
        tensors = []
        with torch.no_grad():
            for key, target in state.items():
                parts = target if isinstance(target, list) else [target]
                shape = list(parts[0].shape)
                if len(parts) > 1:
                    order = {"q": 0, "k": 1, "v": 2}  # transformers lists them in this order
                    assert len(parts) == len(order)
                    shape[0] *= len(parts)
                if not parts[0].is_floating_point():
                    tensors.append({"name": key, "shape": shape, "integers": True})
                    continue
                values = torch.from_numpy(fill(key, tuple(shape), gain))
                for part, value in zip(parts, values.chunk(len(parts)) if len(parts) > 1 else [values], strict=True):
                    part.copy_(value)
                tensors.append({"name": key, "shape": shape})
            x = batch(size, 1)
            f32 = features(model, x)
            f64 = features(model.double(), x.double())
        f32, f64 = (f.reshape(1, -1) if f.ndim != 3 else f[:, 0] for f in (f32, f64))
        off = float((f32.double() - f64).abs().max() / f64.abs().max())
        spread = float(f64.std() / f64.abs().max())
        print("%-50s %3d tensors, %4d features, float32 %.1e, spread %.2f" % (name, len(tensors), f64.shape[1], off, spread))
        assert off < 1e-5 and spread > 0.05
        out.append({"name": name, "network": ours, "size": size, "gain": gain, "tensors": tensors,
                    "features": numbers(f64[0, :64].tolist())})
    by = {m.__name__: m.__version__.partition("+")[0] for m in (torch, torchvision, timm, hf, open_clip)}
    with open(o.out, "w") as f:
        f.write('{"by": %s, "cases": [\n%s\n]}\n' % (json.dumps(by), ",\n".join(json.dumps(c) for c in out)))


if __name__ == "__main__":
    main()
