"""Writes tlkit/weights/testdata: small files as torch and safetensors write them,
and golden.json with the CRC-32 of every tensor in them.

    python internal/golden/referee/weights.py tlkit/weights/testdata

Values are formulas, no random numbers. Needs torch, numpy, safetensors.
"""
import argparse
import collections
import inspect
import json
import os
import pickle
import sys
import types
import warnings
import zipfile
import zlib

import numpy as np
import safetensors.torch
import torch
from torch import nn

torch.set_num_threads(1)
warnings.filterwarnings("ignore")
OUT = sys.argv[1]
os.makedirs(OUT, exist_ok=True)
golden = collections.OrderedDict()

NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
    torch.uint16: "U16", torch.uint32: "U32", torch.uint64: "U64", torch.bool: "BOOL",
    torch.complex64: "C64", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
}


def crc(t):
    t = t.detach().contiguous()
    return zlib.crc32(t.reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b"")


def note(name, tensors):
    golden[name] = [
        {"name": k, "dtype": NAMES[t.dtype], "shape": list(t.shape), "crc32": crc(t),
         "float32": None if t.dtype in (torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2) else crc(t.to(torch.float32))}
        for k, t in tensors.items()]


def save(name, obj, tensors, **options):
    torch.save(obj, os.path.join(OUT, name), **options)
    note(name, tensors)


def wave(*shape):
    n = int(np.prod(shape))
    return torch.from_numpy(np.sin(np.arange(n, dtype=np.float64) * 0.37 + n).astype(np.float32).reshape(shape))


def small_net():
    net = nn.Sequential(collections.OrderedDict(
        conv=nn.Conv2d(3, 4, 3, bias=False), bn=nn.BatchNorm2d(4), depthwise=nn.Conv2d(4, 4, 3, groups=4),
        tail=nn.Sequential(nn.ReLU6(), nn.Linear(4, 2))))
    with torch.no_grad():
        for t in net.state_dict().values():
            t.copy_(wave(*t.shape) if t.dtype == torch.float32 else torch.tensor(7))
    return net.eval()


LEGACY = dict(_use_new_zipfile_serialization=False)
net = small_net()
state = net.state_dict()
save("zip.pth", state, state)
save("legacy.pth", state, state, **LEGACY)
save("protocol4.pth", state, state, pickle_protocol=4)
save("module_zip.pth", net, state)
# A legacy whole module carries the Python source of each class; keep torch's out.
source_of, inspect.getsourcelines = inspect.getsourcelines, lambda obj: (["# source left out\n"], 0)
save("module_legacy.pth", net, state, **LEGACY)
inspect.getsourcelines = source_of
save("parameters.pth", dict(net.named_parameters()), dict(net.named_parameters()))

optimizer = torch.optim.AdamW([p for n, p in net.named_parameters() if "bn" in n])
sum(p.sum() for p in net.parameters()).backward()
optimizer.step()
net.zero_grad()
state = net.state_dict()  # the step moved it
wrapped = collections.OrderedDict(("_orig_mod.module." + k, v) for k, v in state.items())
checkpoint = {"epoch": 3, "arch": "small", "state_dict": wrapped, "optimizer": optimizer.state_dict(),
              "best_acc1": torch.tensor(71.25), "args": argparse.Namespace(lr=0.1, data="pictures"), "history": [0.5, 0.25]}
save("checkpoint.pth", checkpoint, state)
save("checkpoint_legacy.pth", checkpoint, state, **LEGACY)
save("parallel.pth", {"model": nn.DataParallel(net)}, state)

base = wave(6, 8)
views = collections.OrderedDict(
    base=base, rows=base[1:3], columns=base[:, 2:5], transposed=base.t(), every_other=base[::2, ::3],
    channels_last=wave(2, 3, 4, 5).to(memory_format=torch.channels_last), expanded=torch.ones(1, 3).expand(4, 3),
    permuted=wave(2, 3, 4).permute(2, 0, 1), scalar=torch.tensor(3.5), scalar_view=base[3, 3], empty=torch.zeros(0, 3),
    expanded_scalar=torch.tensor(-2.0).expand(2, 2))
save("views.pth", views, views)
save("views_legacy.pth", views, views, **LEGACY)

ramp = torch.arange(-12, 12).reshape(4, 6)
dtypes = collections.OrderedDict(
    f64=ramp.double() / 7, f32=ramp.float() / 7, f16=ramp.half() / 7, bf16=ramp.bfloat16() / 7,
    i64=ramp * 1_000_003, i32=ramp.int(), i16=ramp.short(), i8=ramp.to(torch.int8), u8=(ramp + 12).byte(), b=ramp > 3,
    f16_edges=torch.tensor([0.0, -0.0, 6e-8, 6.1e-5, 65504.0, -1.0], dtype=torch.float16), c64=torch.complex(ramp.float(), -ramp.float()))
save("dtypes_legacy.pth", dtypes, dtypes, **LEGACY)
dtypes.update(
    u16=(ramp + 12).to(torch.uint16) * 3, u32=(ramp + 12).to(torch.uint32), u64=(ramp + 12).to(torch.uint64),
    f8=ramp.float().to(torch.float8_e4m3fn), f8b=ramp.float().to(torch.float8_e5m2))
save("dtypes.pth", dtypes, dtypes)

halves = torch.tensor(np.arange(65536, dtype=np.uint16).view(np.float16))
golden_half = crc(torch.nan_to_num(halves.float(), nan=0.0))  # every half there is, NaN as 0


def repack(source, target, method=zipfile.ZIP_STORED, edit=lambda name, data: data):
    with zipfile.ZipFile(os.path.join(OUT, source)) as a, zipfile.ZipFile(os.path.join(OUT, target), "w", method) as b:
        for name in a.namelist():
            # A fixed date: the same script gives the same file.
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            b.writestr(info, edit(name, a.read(name)))
    golden[target] = golden[source]


CPU, CUDA = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
repack("zip.pth", "cuda.pth", edit=lambda name, data: data.replace(CPU, CUDA) if name.endswith("data.pkl") else data)
repack("views.pth", "deflated.pth", zipfile.ZIP_DEFLATED)
with open(os.path.join(OUT, "legacy.pth"), "rb") as f:
    data = f.read()
assert CPU in data
with open(os.path.join(OUT, "cuda_legacy.pth"), "wb") as f:
    f.write(data.replace(CPU, CUDA))
golden["cuda_legacy.pth"] = golden["legacy.pth"]


class OldPickler(pickle.Pickler):
    """Describes tensors as torch did in 2017."""

    def reducer_override(self, obj):
        if isinstance(obj, torch.Tensor):
            return torch._utils._rebuild_tensor, (obj._typed_storage(), obj.storage_offset(), tuple(obj.size()), obj.stride())
        return NotImplemented


old = types.ModuleType("old")
old.Pickler, old.dumps, old.dump = OldPickler, pickle.dumps, pickle.dump
floats = collections.OrderedDict((k, v) for k, v in state.items() if v.dtype == torch.float32)
save("rebuild_v1.pth", floats, floats, pickle_module=old, **LEGACY)

torch.serialization.set_crc32_options(False)
save("no_crc.pth", state, state)
torch.serialization.set_crc32_options(True)

quantised = collections.OrderedDict(weight=torch.quantize_per_tensor(wave(2, 3), 0.1, 10, torch.quint8), bias=wave(3))
save("quantised.pth", quantised, {"bias": quantised["bias"]})


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(wave(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


torch.jit.script(Scaled()).save(os.path.join(OUT, "script.pt"))

plain = {"b.weight": wave(3, 4), "a.weight": wave(2, 2), "half": wave(3).half(), "count": torch.tensor(5), "empty": torch.zeros(0, 2)}
safetensors.torch.save_file(plain, os.path.join(OUT, "python.safetensors"), metadata={"format": "pt"})
note("python.safetensors", plain)

for name in sorted(os.listdir(OUT)):
    path = os.path.join(OUT, name)
    if name.endswith((".pth", ".pt")):
        assert os.path.getsize(path) < 20_000, (name, os.path.getsize(path))
with open(os.path.join(OUT, "golden.json"), "w") as f:
    json.dump({"torch": torch.__version__.split("+")[0], "half": golden_half, "files": golden}, f, separators=(",", ":"))
    f.write("\n")
