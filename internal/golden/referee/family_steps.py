#!/usr/bin/env python3
"""Three training steps of one network of every family in PyTorch, for tlkit/finetune/families_test.go.

    python family_steps.py                                all of them
    python family_steps.py --only swin_t resnet18         some; the others stay as they are

Weights come from the formula, the head behind the features has three classes, the last stages learn with it, by SGD with
momentum 0.9 on four pictures and smoothed labels, in float64. norms="batch" has the batch norms of those stages follow the
batch. Of Keras' network the layers are Keras', on its PyTorch backend. A run is kept only if float32 gives the same and the
loss moves.
"""
import argparse
import json
import os

os.environ["KERAS_BACKEND"] = "torch"

import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import zoo  # noqa: E402

OUT = os.path.join(os.path.dirname(__file__), "../../../tlkit/finetune/testdata/families.json")
PICTURES = 4
CLASSES = torch.tensor([0, 1, 2, 2])
MOMENTUM = 0.1  # of every norm that follows, as by default in PyTorch; torchvision's MobileNetV3 has 0.01, and Keras too


def timm(name, **options):
    """A network in its whole depth, of which zoo.py may compare two blocks."""
    return lambda: zoo.timm_model(name, **options)


def tokens(name, **options):
    return timm(name, dynamic_img_size=True, num_classes=0, **options)


def clip(depth):
    def build():
        model = zoo.OpenCLIPTower("vit_base_patch32_clip_224", 512)
        model.trunk = zoo.timm_model("vit_base_patch32_clip_224", depth=depth, num_classes=0, dynamic_img_size=True)
        return model
    return build


# family: row, architecture of zoo.py, side of the pictures, where the frozen part ends, what learns behind it and how the names
# of its tensors begin. The gain is 0.8 and the rate 0.01, if nothing else is said.
TWO = dict(border="blocks.9", stages=["blocks.10", "blocks.11", "norm"], tensors=["blocks.10.", "blocks.11.", "norm."], gain=0.5)
RUNS = {
    "MobileNetV2": dict(
        row="mobilenetv2", arch="mobilenetv2", size=64, border="features.15", stages=["features.16", "features.17", "features.18"],
        tensors=["features.16.", "features.17.", "features.18."], norms="batch"),
    "EfficientNet-Lite": dict(
        row="efficientnet_lite0", arch="efficientnet_lite0", size=64, border="_blocks.14", stages=["_blocks.15", "conv_head"],
        tensors=["_blocks.15.", "_conv_head.", "_bn1."], norms="batch"),
    "ResNet": dict(
        row="resnet18", arch="resnet18", size=64, border="layer3", stages=["layer4"], tensors=["layer4."], norms="batch"),
    "ResNeXt": dict(
        row="resnext50_32x4d", arch="resnext50_32x4d", size=64, border="layer3", stages=["layer4"], tensors=["layer4."], rate=1e-5),
    "Wide ResNet": dict(
        row="wide_resnet50_2", arch="wide_resnet50_2", size=64, border="layer3", stages=["layer4"], tensors=["layer4."], rate=1e-5),
    "SE-ResNet": dict(
        row="seresnet50.ra2_in1k", arch="seresnet50", size=64, border="layer3", stages=["layer4"], tensors=["layer4."], norms="batch",
        rate=1e-3),
    "ResNet-D": dict(
        row="resnet18d.ra2_in1k", arch="resnet18d", size=64, border="layer2", stages=["layer3", "layer4"],
        tensors=["layer3.", "layer4."], rate=5e-5),
    "ResNet (CIFAR)": dict(
        row="resnet20_cifar10", arch="resnet20_cifar10", size=32, border="layer2", stages=["layer3"], tensors=["layer3."],
        norms="batch"),
    "VGG": dict(
        row="vgg11_bn", arch="vgg11_bn", size=64, border="block4", stages=["block5"],
        tensors=["features.22.", "features.23.", "features.25.", "features.26."], rate=1e-3),
    "Xception": dict(
        row="mini_xception", arch="mini_xception", size=64, border="block2", stages=["block3", "block4"],
        tensors=["conv2d_5.", "conv2d_6."] + ["separable_conv2d_%d." % i for i in (5, 6, 7, 8)] +
        ["batch_normalization_%d." % i for i in (9, 10, 11, 12, 13, 14)], norms="batch"),
    "BiT": dict(
        row="resnetv2_50x1_bit.goog_in21k", arch="resnetv2_bit", build=timm("resnetv2_50x1_bit"), size=64, border="stages.2",
        stages=["stages.3", "norm"], tensors=["stages.3.", "norm."], rate=3e-4),
    "RegNet": dict(
        row="regnet_y_400mf", arch="regnet_y_400mf", size=64, border="trunk_output.block3", stages=["trunk_output.block4"],
        tensors=["trunk_output.block4."]),
    "DenseNet": dict(
        row="densenet121", arch="densenet121.torchvision", size=64, border="features.transition3", stages=["features.denseblock4"],
        tensors=["features.denseblock4.", "features.norm5."], rate=0.05),
    "Inception-v3": dict(
        row="inception_v3", arch="inception_v3", size=128, border="Mixed_7b", stages=["Mixed_7c"], tensors=["Mixed_7c."], rate=0.05),
    "SqueezeNet": dict(
        row="squeezenet1_1", arch="squeezenet1_1", size=64, border="features.10", stages=["features.11", "features.12"],
        tensors=["features.11.", "features.12."], rate=0.05),
    "ONNX": dict(  # the network of SqueezeNet's row from an ONNX file, which ends its stages elsewhere
        row="squeezenet1_1", arch="squeezenet1_1", size=64, border="Relu_20", stages=["Relu_23", "Concat_8"],
        tensors=["features.11.expand", "features.12."], rate=0.05),
    "MobileNetV3": dict(
        row="mobilenet_v3_small", arch="mobilenet_v3_small.torchvision", size=64, border="features.10",
        stages=["features.11", "features.12", "classifier.0"], tensors=["features.11.", "features.12.", "classifier.0."], norms="batch"),
    "MobileNetV4": dict(
        row="mobilenetv4_conv_small_050.e3000_r224_in1k", arch="mobilenetv4_conv_small_050", size=64, border="blocks.3.4",
        stages=["blocks.3.5", "blocks.4.0", "conv_head"], tensors=["blocks.3.5.", "blocks.4.", "conv_head.", "norm_head."]),
    "EfficientNet": dict(
        row="efficientnet_b0", arch="efficientnet_b0.torchvision", size=64, border="features.6.2",
        stages=["features.6.3", "features.7.0", "features.8"], tensors=["features.6.3.", "features.7.0.", "features.8."], norms="batch",
        gain=1.1, rate=0.003),
    "EfficientNetV2": dict(
        row="tf_efficientnetv2_b0.in1k", arch="tf_efficientnetv2_b0", size=64, border="blocks.5.6", stages=["blocks.5.7", "conv_head"],
        tensors=["blocks.5.7.", "conv_head.", "bn2."], norms="batch"),
    "ConvNeXt": dict(
        row="convnext_atto.d2_in1k", arch="convnext_atto", size=64, border="stages.2", stages=["stages.3", "head.norm"],
        tensors=["stages.3.", "head.norm."], gain=0.5),
    "ConvNeXt V2": dict(
        row="convnextv2_atto.fcmae_ft_in1k", arch="convnextv2_atto", size=64, border="stages.2", stages=["stages.3", "head.norm"],
        tensors=["stages.3.", "head.norm."], gain=0.5),
    "Swin": dict(  # windows that the map does not fill, and one that is larger than the map
        row="swin_t", arch="swin_t", size=64, border="features.4", stages=["features.5", "features.6", "features.7", "norm"],
        tensors=["features.5.", "features.6.", "features.7.", "norm."], gain=0.5, rate=1e-3),
    "Swin V2": dict(  # cosines, and a network that computes what distances add
        row="swinv2_tiny_window8_256.ms_in1k", arch="swinv2_tiny_window8_256", build=timm("swinv2_tiny_window8_256", img_size=64),
        size=64, border="layers.1", stages=["layers.2", "layers.3", "norm"], tensors=["layers.2.", "layers.3.", "norm."], gain=0.5,
        rate=1e-3),
    "TinyViT": dict(  # distances in a table, batch norms that are frozen
        row="tiny_vit_5m_224.in1k", arch="tiny_vit_5m_224", size=64, border="stages.1", stages=["stages.2", "stages.3", "head.norm"],
        tensors=["stages.2.", "stages.3.", "head.norm."], gain=1.0, rate=1e-3),
    "ViT": dict(
        TWO, row="vit_tiny_patch16_224.augreg_in21k_ft_in1k", arch="vit_tiny_patch16_224", build=tokens("vit_tiny_patch16_224"), size=32),
    "FlexiViT": dict(TWO, row="flexivit_small.1200ep_in1k", arch="flexivit_small", build=tokens("flexivit_small"), size=32),
    "MAE": dict(TWO, row="vit_base_patch16_224.mae", arch="vit_base_patch16_224", build=tokens("vit_base_patch16_224"), size=32),
    "DINO": dict(TWO, row="vit_small_patch16_224.dino", arch="vit_small_patch16_224", build=tokens("vit_small_patch16_224"), size=32),
    "DINOv2": dict(
        TWO, row="vit_small_patch14_reg4_dinov2.lvd142m", arch="vit_small_patch14_reg4_dinov2",
        build=tokens("vit_small_patch14_reg4_dinov2"), size=42),
    "DeiT": dict(TWO, row="deit_tiny_patch16_224.fb_in1k", arch="vit_tiny_patch16_224", build=tokens("deit_tiny_patch16_224"), size=48),
    "DeiT III": dict(
        TWO, row="deit3_small_patch16_224.fb_in22k_ft_in1k", arch="deit3_small_patch16_224", build=tokens("deit3_small_patch16_224"),
        size=32),
    "CLIP": dict(
        TWO, row="vit_base_patch32_clip_quickgelu_224.openai", arch="vit_base_patch32_clip_quickgelu_224",
        build=tokens("vit_base_patch32_clip_quickgelu_224"), size=64),
    "SigLIP": dict(
        row="vit_base_patch32_siglip_256.v2_webli", arch="vit_base_patch32_siglip_256", build=tokens("vit_base_patch32_siglip_256"),
        size=64, border="blocks.10", stages=["blocks.11", "norm", "attn_pool"], tensors=["blocks.11.", "norm.", "attn_pool."], gain=0.5),
    "BEiT": dict(  # pictures of one size
        row="beit_base_patch16_224.in22k_ft_in22k_in1k", arch="beit_base_patch16_224", build=timm("beit_base_patch16_224"), size=224,
        border="blocks.10", stages=["blocks.11", "fc_norm"], tensors=["blocks.11.", "fc_norm."], gain=0.5),
    "EVA-02": dict(  # rotated queries and keys, gated MLPs, biases of queries and values alone
        row="eva02_tiny_patch14_336.mim_in22k_ft_in1k", arch="eva02_tiny_patch14_336", build=tokens("eva02_tiny_patch14_336"), size=42,
        border="blocks.9", stages=["blocks.10", "blocks.11", "fc_norm"], tensors=["blocks.10.", "blocks.11.", "fc_norm."], gain=0.5),
    "DINOv3": dict(
        row="vit_small_plus_patch16_dinov3.lvd1689m", arch="vit_small_plus_patch16_dinov3",
        build=tokens("vit_small_plus_patch16_dinov3", global_pool="token"), size=48, border="blocks.10", stages=["blocks.11", "norm"],
        tensors=["blocks.11.", "norm."], gain=0.5),
    "LingBot-Vision": dict(
        TWO, row="vit_small_patch16_lingbot.robbyant", arch="vit_small_patch16_lingbot",
        build=tokens("vit_small_patch16_lingbot", global_pool="token"), size=48),
    "OpenCLIP": dict(
        row="vit-b-32.laion2b_s34b_b79k", arch="open_clip_ViT-B-32", build=clip(12), size=64, border="blocks.10",
        stages=["blocks.11", "norm", "proj"], tensors=["blocks.11.", "norm.", "proj"], gain=0.5, rate=0.1),
}


class Torch:
    """A network of torchvision, timm or zoo.py."""

    def __init__(self, run, dtype):
        arch = zoo.ARCHITECTURES[run["arch"]]
        self.net = run.get("build", arch["model"])().to(dtype).eval()
        self.tensors = zoo.ours(arch, self.net)
        owners = {p.data_ptr(): (p, None) for p in self.net.parameters()}
        for m in self.net.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                owners[m.weight.data_ptr()] = (m.weight, m)
        self.parameters, self.norms = {}, []
        for name, t in self.tensors.items():
            p, norm = owners.get(t.data_ptr(), (None, None))
            if p is None:
                continue
            p.requires_grad_(name.startswith(tuple(run["tensors"])))
            if p.requires_grad:
                self.parameters[name] = p
                self.norms += [norm] if norm is not None else []
        classifier = None if run.get("build") and not run["row"].startswith(("beit", "resnetv2", "swinv2")) else arch["classifier"]
        self.kept = {}
        if run["arch"].startswith(("vgg", "squeezenet", "densenet")):
            self.features = lambda x: self.net.features(x).mean((2, 3))
        elif classifier:
            self.net.get_submodule(classifier).register_forward_pre_hook(lambda _m, i: self.kept.__setitem__("x", i[0]))
            self.features = lambda x: (self.net(x), self.kept["x"].flatten(1))[1]
        else:
            self.features = self.net

    def follow(self):
        for m in self.norms:
            m.train()
            m.momentum = MOMENTUM

    def fresh(self):
        for m in self.net.modules():
            if hasattr(m, "attention_bias_cache"):  # of TinyViT, which expects no gradients in evaluation
                m.attention_bias_cache = {}

    def put(self, name, values):
        self.tensors[name].copy_(torch.from_numpy(values))


class Keras:
    """A network of Keras, whose variables hold tensors of PyTorch."""

    def __init__(self, run, dtype):
        import keras
        import keras_zoo
        floats = str(dtype).partition(".")[2]
        keras.utils.clear_session()
        keras.config.set_dtype_policy(floats)
        keras.config.set_floatx(floats)
        model = keras_zoo.ARCHITECTURES[run["arch"]][2](run["size"])
        self.variables = keras_zoo.tensors_of(model)
        self.tensors = {n: v.value for n, v in self.variables.items()}
        self.parameters = {}
        for name, v in self.variables.items():
            moves = v.trainable and name.startswith(tuple(run["tensors"]))
            v.value.requires_grad_(moves)
            if moves:
                self.parameters[name] = v.value
        stages = keras_zoo.stages_of(model, "mini_xception")
        self.model = keras.Model(model.input, keras.layers.GlobalAveragePooling2D()(stages[-1][1]))
        moving = {n.partition(".")[0] for n in self.parameters}
        self.batch = False
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = keras_zoo.counted(layer.name) in moving  # the others stay in inference, also in training
                layer.momentum = 1 - MOMENTUM

    def features(self, x):
        return self.model(x.permute(0, 2, 3, 1), training=self.batch)

    def follow(self):
        self.batch = True

    def fresh(self):
        pass

    def put(self, name, values):
        self.variables[name].assign(values)


def train(run, dtype):
    """The losses of three steps and the one behind them, what the steps changed, and how many tensors they trained."""
    net = (Keras if run["arch"] == "mini_xception" else Torch)(run, dtype)
    with torch.no_grad():
        for name, t in net.tensors.items():
            net.put(name, zoo.fill(name, tuple(t.shape), run["gain"]))
    net.fresh()
    if run["norms"] == "batch":
        net.follow()
    x = zoo.batch(run["size"], PICTURES).to(dtype)
    with torch.no_grad():
        width = net.features(x).shape[1]
        for name, t in net.tensors.items():  # statistics have moved
            net.put(name, zoo.fill(name, tuple(t.shape), run["gain"]))
    head = [torch.from_numpy(zoo.fill(k, s, run["gain"])).to(dtype).requires_grad_()
            for k, s in (("linear.weight", (3, width)), ("linear.bias", (3,)))]
    rule = torch.optim.SGD(list(net.parameters.values()) + head, lr=run["rate"], momentum=0.9)
    losses = []
    for step in range(4):
        if step == 3:
            changes = moved(run, net)  # statistics follow once more
        net.fresh()
        loss = F.cross_entropy(F.linear(net.features(x), *head), CLASSES, label_smoothing=0.1)
        losses.append(float(loss.detach()))
        if step < 3:
            rule.zero_grad()
            loss.backward()
            rule.step()
    return losses, changes, len(net.parameters)


def moved(run, net):
    """How far some numbers of some tensors have gone: of the first and the last matrix or kernel that learns, of the last vector,
    and of statistics that follow."""
    flat = [n for n, p in net.parameters.items() if p.ndim < 2]
    some = [n for n, p in net.parameters.items() if p.ndim > 1 and n.endswith(("weight", "kernel", "proj"))]
    some = [some[0], some[-1], flat[-1]]
    if run["norms"] == "batch":
        # Keras' own norm follows the variance divided by n, where PyTorch and TensorFlow's fused one divide by n-1.
        some += [n for n in net.tensors if n.startswith(tuple(run["tensors"])) and n.endswith(("running_var", "moving_mean"))][-1:]
    out = {}
    for name in some:
        t = net.tensors[name].detach().double().numpy()
        by = (t - zoo.fill(name, t.shape, run["gain"])).reshape(-1)
        every = max(1, by.size // 24)
        out[name] = {"every": every, "values": [float("%.6g" % v) for v in by[::every][:24]]}
    return out


def run_of(family, run):
    run = dict({"gain": 0.8, "rate": 0.01, "norms": "frozen"}, **run)
    single, rounded, _ = train(run, torch.float32)
    losses, changes, trained = train(run, torch.float64)
    off = max(abs(a - b) / b for a, b in zip(single, losses))
    drift = 0.0
    for a, b in zip(changes.values(), rounded.values()):
        largest = max(map(abs, a["values"]))
        drift = max(drift, max(abs(x - y) for x, y in zip(a["values"], b["values"])) / largest)
    ok = off < 1e-4 and max(abs(v - losses[0]) for v in losses) > 0.02 * losses[0] and losses[0] < 20 and drift < 1e-2
    print("%-18s %-46s %s float32 %.1e, weights %.1e %s" % (
        family, run["row"], " ".join("%.5f" % v for v in losses), off, drift, "ok" if ok else "REJECTED"), flush=True)
    out = {"family": family, **{k: run[k] for k in ("row", "size", "norms", "border", "stages", "gain", "rate")},
           "trained": trained, "losses": [float("%.9f" % v) for v in losses], "moved": changes}
    return out if ok else None


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--only", nargs="*", help="families or rows")
    o = p.parse_args()
    torch.set_num_threads(1)
    kept = {}
    if o.only and os.path.exists(OUT):
        with open(OUT) as f:
            kept = {r["family"]: r for r in json.load(f)["runs"] if "family" in r}
    bad = 0
    for family, run in RUNS.items():
        if not o.only or family in o.only or run["row"] in o.only:
            out = run_of(family, run)
            bad += out is None
            if out:
                kept[family] = out
    by = {name: __import__(name).__version__.partition("+")[0] for name in ("torch", "torchvision", "timm", "keras")}
    zoo.write(OUT, {"by": by, "runs": [kept[f] for f in RUNS if f in kept]})
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
