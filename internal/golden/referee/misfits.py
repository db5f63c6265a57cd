#!/usr/bin/env python3
"""Weights files that are almost those of a network, as torch, torchvision and timm write them.

    python misfits.py --out FOLDER               all of them, about 1.7 GB
    python misfits.py --out FOLDER --only vit    those whose names contain a word
    TLKIT_ONNX_PYTHON=PY go test ./tlkit/zoo -run TestMisfits -v     writes them itself, into a folder of its own

Needs torch, torchvision, timm and safetensors. Weights are random. FOLDER/misfits.json has a line for each: the file,
the model of tlkit, and either what the notes have to say, with the features that the framework computes for the
formula's picture, or everything that the refusal has to say.
"""
import argparse
import json
import os

import timm
import torch
import torch.nn as nn
import torchvision.models as tv
from safetensors.torch import save_file

import zoo

CASES = {}


def case(name, model, **more):
    def add(make):
        CASES[name] = (model, more, make)
        return make
    return add


def shake(net):
    """Other statistics, scales and positions than those that a network begins with."""
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)
    for name, p in net.named_parameters():
        if p.ndim == 1 and name.endswith("weight"):
            nn.init.uniform_(p, 0.5, 1.5)
        elif p.ndim == 1 or "pos_embed" in name or "cls_token" in name:
            nn.init.normal_(p, 0, 0.05)
    return net.eval()


def timm_net(name, **more):
    return shake(timm.create_model(name, **more))


def written(net, path):
    torch.save(net.state_dict(), path + ".pth")
    return net


# ---------------------------------------------------------------- another number of classes, in every family

for model, name in {
    "mobilenetv2": "mobilenetv2_100", "efficientnet_lite0": "tf_efficientnet_lite0", "resnet18": "resnet18",
    "squeezenet1_1": "squeezenet1_1", "mobilenetv3_small_100.lamb_in1k": "mobilenetv3_small_100",
    "mobilenetv4_conv_small_050.e3000_r224_in1k": "mobilenetv4_conv_small_050", "regnety_002.pycls_in1k": "regnety_002",
    "densenet121.ra_in1k": "densenet121", "convnext_atto.d2_in1k": "convnext_atto",
    "convnextv2_atto.fcmae_ft_in1k": "convnextv2_atto", "efficientnet_b0.ra_in1k": "efficientnet_b0",
    "tf_efficientnetv2_b0.in1k": "tf_efficientnetv2_b0", "vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224",
    "deit_tiny_patch16_224.fb_in1k": "deit_tiny_patch16_224", "tiny_vit_5m_224.in1k": "tiny_vit_5m_224",
    "swin_tiny_patch4_window7_224.ms_in1k": "swin_tiny_patch4_window7_224", "resnet26d.bt_in1k": "resnet26d",
}.items():
    @case("three_classes_" + name, model, says=["not used: classifier.weight [3" if model == "mobilenetv2" else "its classifier is not used"])
    def three_classes(path, name=name):
        if name == "squeezenet1_1":
            return written(shake(tv.squeezenet1_1(num_classes=3)), path)
        return written(timm_net(name, num_classes=3), path)


# ---------------------------------------------------------------- channels

@case("kernels_of_tensorflow", "resnet18", refuses=["20 of the wrong shape", "conv1.weight: got [7 7 3 64], want [64 3 7 7]", "[H,W,in,out]"])
def kernels_of_tensorflow(path):
    state = tv.resnet18().state_dict()
    save_file({k: v.permute(2, 3, 1, 0).contiguous() if v.ndim == 4 else v for k, v in state.items()}, path + ".safetensors")


@case("kernels_in_channels_last", "resnet18", says=[])
def kernels_in_channels_last(path):
    """Another order in memory is not another order of the axes."""
    net = shake(tv.resnet18())
    torch.save(net.to(memory_format=torch.channels_last).state_dict(), path + ".pth")
    return net


@case("matrices_turned_around", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", refuses=["blocks.0.attn.qkv.weight: got [192 576], want [576 192]"])
def matrices_turned_around(path):
    state = timm_net("vit_tiny_patch16_224").state_dict()
    torch.save({k: v.T.contiguous() if v.ndim == 2 else v for k, v in state.items()}, path + ".pth")


for channels in (1, 4, 13):
    @case(f"pictures_of_{channels}_channels", "resnet18", refuses=[f"conv1.weight: got [64 {channels} 7 7], want [64 3 7 7]", f"pictures of {channels} channel"])
    def other_channels(path, channels=channels):
        written(timm_net("resnet18", in_chans=channels), path)


@case("patches_of_one_channel", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", refuses=["patch_embed.proj.weight: got [192 1 16 16], want [192 3 16 16]", "pictures of 1 channel"])
def patches_of_one_channel(path):
    written(timm_net("vit_tiny_patch16_224", in_chans=1), path)


# ---------------------------------------------------------------- neighbours

for model, name, says in (
    ("resnet18", "resnet34", ["80 unexpected", "unexpected layer1.2.bn1.bias", "--model resnet34"]),
    ("squeezenet1_0", "squeezenet1_1", ["10 of the wrong shape", "--model squeezenet1_1", "features.0.weight: got [64 3 3 3], want [96 3 7 7]"]),
    ("mobilenetv3_large_100.ra_in1k", "mobilenetv3_small_100", ["--model mobilenet", "small"]),
    ("mobilenetv4_conv_small.e2400_r224_in1k", "mobilenetv4_conv_small_050", ["blocks.0.0.conv.weight", "--model mobilenetv4_conv_small_050"]),
    ("convnext_atto.d2_in1k", "convnextv2_atto", ["unexpected stages.0.blocks.0.mlp.grn.bias", "--model convnextv2_atto"]),
    ("convnextv2_atto.fcmae_ft_in1k", "convnext_atto", ["missing stages.0.blocks.0.mlp.grn", "--model convnext_atto"]),
    ("convnext_atto.d2_in1k", "convnext_femto", ["got [48 3 4 4], want [40 3 4 4]", "--model convnext_femto"]),
    ("deit_small_patch16_224.fb_in1k", "vit_tiny_patch16_224", ["cls_token: got [1 1 192], want [1 1 384]", "--model vit_tiny_patch16_224"]),
    ("vit_small_patch16_224.dino", "vit_tiny_patch16_224", ["150 of the wrong shape", "patch_embed.proj.weight: got [192 3 16 16], want [384 3 16 16]", "--model vit_tiny_patch16_224"]),
    ("vit_small_patch14_dinov2.lvd142m", "vit_small_patch14_reg4_dinov2", ["--model vit_small_patch14_reg4_dinov2"]),
    ("vit_small_patch14_reg4_dinov2.lvd142m", "vit_small_patch14_dinov2", ["missing", "--model vit_small_patch14_dinov2"]),
    ("efficientnet_b1.ra4_e3600_r240_in1k", "efficientnet_b0", ["missing blocks.", "--model efficientnet_b0"]),
    ("efficientnet_b0.ra_in1k", "tf_efficientnet_lite0", ["missing blocks.0.0.se.conv_reduce.weight", "--model efficientnet_lite0"]),
    ("swin_tiny_patch4_window7_224.ms_in1k", "swinv2_tiny_window8_256", ["unexpected layers.0.blocks.0.attn", "--model swinv2_tiny_window8_256"]),
    ("regnet_y_400mf", "regnety_002", ["--model regnety_002"]),
    ("tiny_vit_5m_224.in1k", "convnext_atto", ["--model convnext_atto"]),
):
    @case(f"{name}_for_{model.split('.')[0]}", model, refuses=says)
    def neighbour(path, name=name):
        net = tv.squeezenet1_1() if name == "squeezenet1_1" else timm.create_model(name)
        written(shake(net), path)


# ---------------------------------------------------------------- dialects

def transformers_names(state, blocks):
    """timm's ViT in the names of transformers, in some of its blocks; the rest stays timm's."""
    out = {}
    for k, v in state.items():
        part = k.split(".")
        if part[0] != "blocks" or int(part[1]) not in blocks:
            out[k] = v
            continue
        at = f"encoder.layer.{part[1]}."
        rest = ".".join(part[2:])
        if rest.startswith("attn.qkv"):
            for word, piece in zip(("query", "key", "value"), v.chunk(3)):
                out[at + f"attention.attention.{word}.{part[-1]}"] = piece.clone()
            continue
        names = {"norm1": "layernorm_before", "norm2": "layernorm_after", "attn.proj": "attention.output.dense", "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense"}
        out[at + names[rest.rsplit(".", 1)[0]] + "." + part[-1]] = v
    return out


@case("blocks_in_two_dialects", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", says=["in the names of Hugging Face's transformers"])
def blocks_in_two_dialects(path):
    """Every tensor is there once, under one name or the other."""
    net = timm_net("vit_tiny_patch16_224")
    torch.save(transformers_names(net.state_dict(), range(1, 12)), path + ".pth")
    return net


@case("a_block_in_both_dialects", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", refuses=["16 unexpected", "unexpected encoder.layer.3.layernorm_before.weight"])
def a_block_in_both_dialects(path):
    """Nothing says which of the two is meant."""
    theirs = transformers_names(timm_net("vit_tiny_patch16_224").state_dict(), range(12))
    other = timm_net("vit_tiny_patch16_224").state_dict()
    torch.save(theirs | {k: v for k, v in other.items() if k.startswith("blocks.3.")}, path + ".pth")


@case("half_of_a_block_in_another_dialect", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", refuses=["1 missing", "missing blocks.5.attn.qkv.weight", "unexpected encoder.layer.5.attention.attention.query.weight"])
def half_of_a_block_in_another_dialect(path):
    """Keys and values of one block are called something else."""
    state = transformers_names(timm_net("vit_tiny_patch16_224").state_dict(), range(12))
    torch.save({k.replace("layer.5.attention.attention.key.w", "layer.5.attention.attention.k.w"): v for k, v in state.items()}, path + ".pth")


@case("keys_of_another_dialect", "resnet18", refuses=["missing layer1.0.conv1.weight", "unexpected layer1.0.convolution1.weight"])
def keys_of_another_dialect(path):
    state = tv.resnet18().state_dict()
    torch.save({k.replace("layer1.0.conv", "layer1.0.convolution"): v for k, v in state.items()}, path + ".pth")


@case("two_networks", "resnet18", refuses=["unexpected layer1.2.bn1"])
def two_networks(path):
    """One file with the tensors of two, where their names meet those of the second."""
    torch.save(tv.resnet34().state_dict() | tv.resnet18().state_dict(), path + ".pth")


# ---------------------------------------------------------------- TorchScript

for kind in ("script", "trace"):
    for model, name in {"mobilenetv2": "mobilenetv2_100", "vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224"}.items():
        @case(f"torch_{kind}_{name}", model, refuses=["TorchScript", "torch.jit.load"])
        def script(path, kind=kind, name=name):
            net = timm_net(name)
            made = torch.jit.script(net) if kind == "script" else torch.jit.trace(net, torch.zeros(1, 3, 224, 224))
            made.save(path + ".pt")


# ---------------------------------------------------------------- other forms of the same numbers

for model, name in {"convnext_atto.d2_in1k": "convnext_atto", "convnextv2_atto.fcmae_ft_in1k": "convnextv2_atto"}.items():
    for conv in (False, True):
        @case(f"{name}_with_{'convolutions' if conv else 'matrices'}", model, says=[])
        def conv_mlp(path, name=name, conv=conv):
            return written(timm_net(name, conv_mlp=conv), path)


@case("vit_without_bias_of_qkv", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", says=["has no blocks.#.attn.qkv.bias, taken as 0"])
def vit_without_bias_of_qkv(path):
    return written(timm_net("vit_tiny_patch16_224", qkv_bias=False), path)


@case("swin_without_bias_of_qkv", "swin_tiny_patch4_window7_224.ms_in1k", says=["attn.qkv.bias, taken as 0"])
def swin_without_bias_of_qkv(path):
    return written(timm_net("swin_tiny_patch4_window7_224", qkv_bias=False), path)


@case("one_block_without_bias", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", refuses=["1 missing", "missing blocks.3.attn.qkv.bias"])
def one_block_without_bias(path):
    state = timm_net("vit_tiny_patch16_224").state_dict()
    del state["blocks.3.attn.qkv.bias"]
    torch.save(state, path + ".pth")


@case("norms_without_bias", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", refuses=["25 missing", "missing blocks.0.norm1.bias"])
def norms_without_bias(path):
    torch.save({k: v for k, v in timm_net("vit_tiny_patch16_224").state_dict().items() if not ("norm" in k and k.endswith("bias"))}, path + ".pth")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    p.add_argument("--only", default="")
    o = p.parse_args()
    torch.set_num_threads(1)
    os.makedirs(o.out, exist_ok=True)
    lines = []
    for name, (model, more, make) in CASES.items():
        if o.only not in name:
            continue
        torch.manual_seed(len(name))
        net = make(os.path.join(o.out, name))
        line = {"name": name, "model": model, "file": next(f for f in os.listdir(o.out) if f.rsplit(".", 1)[0] == name)} | more
        if net is not None:
            size = 224 if hasattr(net, "patch_embed") else 64
            with torch.no_grad():
                x = zoo.batch(size, 1)
                features = net.forward_head(net.forward_features(x), pre_logits=True) if hasattr(net, "forward_head") else None
                if isinstance(net, tv.ResNet):
                    features = nn.Sequential(*list(net.children())[:-1])(x).flatten(1)
                elif isinstance(net, tv.SqueezeNet):
                    features = net.features(x).mean((2, 3))
            line |= {"size": size, "features": features.ravel().tolist()}
        lines.append(line)
    with open(os.path.join(o.out, "misfits.json"), "w") as f:
        json.dump(lines, f)


if __name__ == "__main__":
    main()
