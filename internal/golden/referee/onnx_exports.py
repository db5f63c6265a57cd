#!/usr/bin/env python3
"""Small ONNX networks as people bring them, and what ONNX Runtime computes for them.

    python onnx_exports.py ../../../tlkit/onnx/testdata/exports      writes NAME.onnx and golden.json

Vision transformers of torchvision and timm by both exporters of PyTorch, for one picture, for eight, and for any number;
networks that prepare their pictures themselves, from bytes; a quantised network; numbers in a file beside the network.
Needs torch, torchvision, timm, onnx, onnxscript and onnxruntime. The weights are random; the files are the reference.
"""
import argparse
import os
import warnings

import numpy as np
import onnx
import onnxruntime
import timm
import torch
import torchvision
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from onnx_zoo import VERSIONS, Net, attached, automatic, pictures, producer
from zoo import numbers, write

warnings.filterwarnings("ignore")
SIDE = 24


def torchvision_vit():
    m = torchvision.models.VisionTransformer(image_size=SIDE, patch_size=8, num_layers=2, num_heads=3, hidden_dim=12, mlp_dim=20, num_classes=5)
    torch.nn.init.normal_(m.heads.head.weight)
    torch.nn.init.normal_(m.class_token)
    return m


def timm_vit():
    m = timm.create_model("vit_tiny_patch16_224", img_size=SIDE, patch_size=8, embed_dim=12, depth=2, num_heads=3, mlp_ratio=1.5, num_classes=5)
    torch.nn.init.normal_(m.head.weight)
    return m


def timm_swin():
    m = timm.create_model("swin_tiny_patch4_window7_224", img_size=32, window_size=4, embed_dim=6, depths=(2, 2), num_heads=(1, 2), num_classes=5)
    torch.nn.init.normal_(m.head.fc.weight)
    return m


def export(path, model, side, count, dynamo):
    """count 0 leaves the number of pictures open."""
    x = (torch.randn(count or 2, 3, side, side),)
    if dynamo:
        shapes = None if count else ({0: torch.export.Dim("batch")},)
        torch.onnx.export(model, x, path, dynamo=True, external_data=False, verbose=False, dynamic_shapes=shapes)
    else:
        axes = None if count else {"input": {0: "batch"}}
        torch.onnx.export(model, x, path, dynamo=False, input_names=["input"], dynamic_axes=axes)
    m = onnx.load(path)
    for part in [m, m.graph, *m.graph.node, *m.graph.input, *m.graph.output, *m.graph.value_info]:
        del part.metadata_props[:]  # stack traces
    for n in m.graph.node:
        n.doc_string = ""
    onnx.save(m, path)


def prepared():
    """Bytes [N,H,W,3] that are resized in every way, scaled and normalised: one branch each."""
    n = Net("prepared", 18, ["batch", 16, 16, 3], "bytes")
    x = n.node("Transpose", n.node("Cast", "bytes", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    cuts = []
    ways = [("linear", 24, dict(mode="linear")), ("smaller", 10, dict(mode="linear")), ("antialias", 6, dict(mode="linear", antialias=1)),
            ("cubic", 23, dict(mode="cubic")), ("keys", 9, dict(mode="cubic", cubic_coeff_a=-0.5, antialias=1)),
            ("outside", 21, dict(mode="cubic", exclude_outside=1)),
            ("corners", 21, dict(mode="linear", coordinate_transformation_mode="align_corners")),
            ("torch", 7, dict(mode="linear", coordinate_transformation_mode="pytorch_half_pixel")),
            ("asymmetric", 32, dict(mode="linear", coordinate_transformation_mode="asymmetric")),
            ("nearest", 13, dict(mode="nearest")),
            ("double", 32, dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")),
            ("ceil", 11, dict(mode="nearest", coordinate_transformation_mode="half_pixel", nearest_mode="ceil"))]
    for k, (name, side, attrs) in enumerate(ways):
        if k % 2:
            y = n.node("Resize", x, "", n.number([1, 1, side / 16, side / 16], np.float32), **attrs)
        else:
            y = n.node("Resize", x, "", "", n.number([1, 3, side, side]), **attrs)
        y = n.node("Mul", y, n.number(1 / 255, np.float32))
        y = n.node("Sub", y, n.number([[[0.485]], [[0.456]], [[0.406]]], np.float32, "mean." + name))
        y = n.node("Div", y, n.number([[[0.229]], [[0.224]], [[0.225]]], np.float32, "deviation." + name))
        n.node("Flatten", n.conv(y, name, 1, 3, 3, pads=[1, 1, 1, 1], strides=[2, 2]), out=name + ".features")
        cuts.append(name + ".features")
    m = n.model(cuts[0], 144)
    m.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    return attached(m, cuts), 16, cuts


def small(opset=17, shape=("batch", 3, 16, 16)):
    n = Net("small", opset, list(shape))
    x = n.node("Relu", n.conv("pictures", "one", 8, 3, 3, pads=[1, 1, 1, 1], strides=[2, 2]))
    x = n.node("Relu", n.conv(x, "two", 12, 8, 3, pads=[1, 1, 1, 1]))
    x = n.node("Flatten", n.node("GlobalAveragePool", x))
    return n.model(n.node("Gemm", x, n.weight("fc.weight", 5, 12), n.weight("fc.bias", 5), transB=1, out="logits"), 5)


def classifier(model):
    """The cut as automatic finds it, also where the logits are quantised."""
    end = name = model.graph.output[0].name
    while producer(model, name).op_type in ("QuantizeLinear", "DequantizeLinear"):
        name = producer(model, name).input[0]
    if name == end:
        return automatic(model)
    return producer(model, name).input[0], end


def tables():
    """Settings that a file computes, as TensorFlow's padding and attention's masks are exported; negative padding."""
    n = Net("tables", 17, ["batch", 3, 15, 15])
    side = n.node("Cast", n.node("Slice", n.node("Shape", "pictures"), n.number([2]), n.number([3])), to=TensorProto.FLOAT)
    total = n.node("Clip", n.node("Sub", n.node("Mul", n.node("Ceil", n.node("Div", side, n.number([2], np.float32))), n.number([2], np.float32)), n.node("Sub", side, n.number([3], np.float32))), n.number(0, np.float32))
    half = n.node("Cast", n.node("Floor", n.node("Mul", total, n.number([0.5], np.float32))), to=TensorProto.INT64)
    rest = n.node("Sub", n.node("Cast", total, to=TensorProto.INT64), half)
    x = n.node("Pad", "pictures", n.node("Concat", n.number([0, 0]), half, half, n.number([0, 0]), rest, rest, axis=0), n.number(0, np.float32))
    x = n.conv(x, "one", 6, 3, 3, strides=[2, 2])
    x = n.node("Pad", x, n.number([0, 0, -1, 1, 0, 0, 0, -2]), n.number(0.5, np.float32))
    x = n.node("InstanceNormalization", x, n.weight("norm.weight", 6), n.weight("norm.bias", 6), epsilon=1e-3)
    mask = n.node("ScatterND", n.node("ConstantOfShape", n.number([8, 8]), value=numpy_helper.from_array(np.array([1], np.float32))),
                  n.number([[0, 0], [3, -1], [6, 6]]), n.number([-1, 2, 3], np.float32))
    x = n.node("Mul", x, n.node("Mul", mask, n.node("CumSum", mask, n.number(1))))
    x = n.node("Flatten", n.node("GlobalAveragePool", n.node("Relu", x)))
    return n.model(n.node("Gemm", x, n.weight("fc.weight", 5, 6), n.weight("fc.bias", 5), transB=1, out="logits"), 5)


class Calibration(CalibrationDataReader):
    def __init__(self, name):
        self.rows = iter([{name: np.ascontiguousarray(pictures(16).transpose(0, 3, 1, 2))}])

    def get_next(self):
        return next(self.rows, None)


def quantised(path, bytes):
    onnx.save(small(), path)
    quantize_static(path, path, Calibration("pictures"), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    m = onnx.load(path)
    if bytes:  # the pictures come as bytes, which is how they were quantised
        first = next(n for n in m.graph.node if n.op_type == "DequantizeLinear" and n.input[0].startswith("pictures"))
        q = next(n for n in m.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "pictures")
        m.graph.node.remove(q)
        first.input[0] = "pictures"
        m.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.checker.check_model(m)
    onnx.save(m, path)


def as_bytes(x):
    return np.clip(np.rint(x * 48 + 120), 0, 255).astype(np.uint8)


def run(path, x, names, optimise):
    m = attached(onnx.load(path), names)
    side = m.graph.input[0].type.tensor_type.elem_type
    o = onnxruntime.SessionOptions()
    if not optimise:
        o.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    folder = os.path.dirname(path)
    loose = os.path.join(folder, "run.onnx")
    onnx.save(m, loose)
    s = onnxruntime.InferenceSession(loose, o, providers=["CPUExecutionProvider"])
    os.remove(loose)
    i = s.get_inputs()[0]
    if i.type == "tensor(uint8)":
        x = as_bytes(x)
    if i.shape[3] != 3:
        x = x.transpose(0, 3, 1, 2)
    rows = []
    for k in range(len(x)):
        one = x[k:k + 1]
        if isinstance(i.shape[0], int) and i.shape[0] > 1:
            one = np.concatenate([one, np.zeros((i.shape[0] - 1,) + one.shape[1:], one.dtype)])
        rows.append([v[:1] for v in s.run(names, {i.name: np.ascontiguousarray(one)})])
    return [np.concatenate(v) for v in zip(*rows)]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folder")
    folder = p.parse_args().folder
    os.makedirs(folder, exist_ok=True)
    torch.set_num_threads(1)
    versions = dict(VERSIONS, torch=torch.__version__, torchvision=torchvision.__version__, timm=timm.__version__)
    out = {"by": versions, "nets": []}

    def add(file, side, cuts=("",), optimise=True):
        path = os.path.join(folder, file)
        model = onnx.load(path)
        for cut in cuts:
            value, logits = (cut, None) if cut else classifier(model)
            names = [value] + ([logits] if logits else [])
            got = run(path, pictures(side), names, optimise)
            entry = {"file": file, "size": side, "cut": cut, "value": value, "features": [numbers(r) for r in got[0].astype(np.float64)]}
            if logits:
                entry["logits"] = [numbers(r) for r in got[1].astype(np.float64)]
            spread = float(np.abs(got[0][0] - got[0][1]).max() / np.abs(got[0]).max())
            print("%-32s %7d bytes %4d nodes, cut %s %s, picture %.2f" % (file, os.path.getsize(path), len(model.graph.node), value, got[0].shape, spread))
            assert spread > 0.01, "the picture does not matter"
            out["nets"].append(entry)

    for make, side in ((torchvision_vit, SIDE), (timm_vit, SIDE), (timm_swin, 32)):
        for dynamo in (False, True):
            for count in (1, 0, 8):
                if count == 8 and make is not timm_vit or make is timm_swin and count != 1:
                    continue
                torch.manual_seed(1)
                name = "%s_%s_%s.onnx" % (make.__name__, "dynamo" if dynamo else "script", {0: "open", 1: "one", 8: "eight"}[count])
                export(os.path.join(folder, name), make().eval(), side, count, dynamo)
                add(name, side)

    model, side, cuts = prepared()
    onnx.save(model, os.path.join(folder, "prepared.onnx"))
    add("prepared.onnx", side, cuts)
    onnx.save(tables(), os.path.join(folder, "tables.onnx"))
    add("tables.onnx", 15)
    for name, bytes in (("quantised.onnx", False), ("quantised_bytes.onnx", True)):
        quantised(os.path.join(folder, name), bytes)
        add(name, 16, optimise=False)

    path = os.path.join(folder, "beside.onnx")
    data = path + ".data"
    if os.path.exists(data):
        os.remove(data)
    onnx.save(small(), path, save_as_external_data=True, all_tensors_to_one_file=True, location="beside.onnx.data", size_threshold=0)
    add("beside.onnx", 16)
    write(os.path.join(folder, "golden.json"), out)


if __name__ == "__main__":
    main()
