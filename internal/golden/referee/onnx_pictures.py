"""Checks an exported ONNX file and computes prepared pictures with it, for TestEveryFamily in tlkit/run.

    python onnx_pictures.py FILE.onnx SQUARES

SQUARES holds the bytes of the pictures, one after the other, [N,S,S,3]. The file must pass onnx.checker
with strict shape inference. Printed as JSON are the first output of each picture, and versions.
"""

import json
import sys

import numpy as np
import onnx
import onnxruntime

model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(given,) = session.get_inputs()
size = given.shape[1]
pictures = np.fromfile(sys.argv[2], np.uint8).reshape(-1, size, size, 3)
rows = [session.run(None, {given.name: pictures[i : i + 1]})[0][0].tolist() for i in range(len(pictures))]
json.dump({"outputs": rows, "opset": model.opset_import[0].version, "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}, sys.stdout)
