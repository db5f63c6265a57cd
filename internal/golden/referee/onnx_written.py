"""Checks the ONNX files that Net.ONNX has written, for TestONNXReferee in tlkit/zoo.

    python onnx_written.py FOLDER

FOLDER has NAME.onnx and NAME.f32, prepared pictures, for each network. Every file must pass
onnx.checker with strict shape inference, and give the same for 1, 3 and 8 pictures. What ONNX
Runtime computes is printed as JSON: {NAME: {OUTPUT: [numbers of the first pictures]}}.
"""

import glob
import json
import os
import sys

import numpy as np
import onnx
import onnxruntime

folder = sys.argv[1]
computed = {}
for path in sorted(glob.glob(os.path.join(folder, "*.onnx"))):
    name = os.path.basename(path)[: -len(".onnx")]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    for value in inferred.graph.output:
        dims = value.type.tensor_type.shape.dim
        assert dims[0].dim_param == "N" and len(dims) == 2, f"{name}: {value.name} is {dims}"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert given.name == "pictures" and given.type == "tensor(float)", f"{name}: {given}"
    pictures = np.fromfile(path[: -len(".onnx")] + ".f32", dtype="<f4").reshape(-1, *given.shape[1:])
    outputs = [o.name for o in session.get_outputs()]
    once = session.run(None, {given.name: pictures})
    for batch in 1, 3, 8:
        rows = np.arange(batch) % len(pictures)
        for output, got, want in zip(outputs, session.run(None, {given.name: pictures[rows]}), once):
            difference = np.abs(got - want[rows]).max() / np.abs(want).max()
            assert difference < 2e-5, f"{name}: {output} of {batch} pictures differs by {difference}"
    computed[name] = {o: v.ravel().tolist() for o, v in zip(outputs, once)}
json.dump(computed, sys.stdout)
