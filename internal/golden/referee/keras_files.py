"""Small Keras files and what Keras and h5py see in them, for tlkit/weights.

Needs keras, h5py, torch, ml-dtypes (see requirements.txt). Run from the repository's root:

    python internal/golden/referee/keras_files.py

Writes tlkit/weights/testdata/*.h5.gz, *.keras.gz and keras.json. Files whose names
begin with "k" are written by Keras itself, those with "h" by h5py.
"""

import gzip
import json
import os
import zlib

os.environ["KERAS_BACKEND"] = "torch"
import h5py
import keras
import ml_dtypes
import numpy as np
from keras import layers
from keras.src.legacy.saving import legacy_h5_format

OUT = "tlkit/weights/testdata/"
golden = {"keras": keras.__version__, "h5py": h5py.__version__, "hdf5": h5py.version.hdf5_version, "files": {}}
rng = np.random.default_rng(7)


def dtype_name(a):
    if a.dtype == ml_dtypes.bfloat16:
        return "BF16"
    if a.dtype == np.bool_:
        return "BOOL"
    return {"f": "F", "i": "I", "u": "U"}[a.dtype.kind] + str(8 * a.dtype.itemsize)


def row(name, a):
    a = np.asarray(a)
    little = np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<")) if a.dtype.kind in "fiu" else np.ascontiguousarray(a)
    return {"Name": name, "DType": dtype_name(a), "Shape": list(a.shape), "CRC32": zlib.crc32(little.tobytes())}


def note(file, rows, layers=None):
    golden["files"][file] = {"Tensors": rows, "Layers": layers}


def network(shift=0):
    """Layers with names of their own, and layers that Keras numbers."""
    keras.utils.clear_session(free_memory=False)
    for _ in range(shift):
        layers.Conv2D(1, 1)
        layers.BatchNormalization()
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, use_bias=False, name="stem_conv")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    r = layers.Conv2D(4, 1)(x)
    r = layers.BatchNormalization()(r)
    x = layers.ReLU()(x)
    x = layers.SeparableConv2D(4, 3, padding="same", use_bias=False, name="block_sepconv")(x)
    x = layers.BatchNormalization(scale=False, name="block_bn")(x)
    x = layers.add([x, r])
    x = layers.DepthwiseConv2D(3, name="block_depthwise")(x)
    r = layers.Conv2D(4, 1)(x)
    x = layers.add([layers.Dropout(0.1)(x), r])
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(5, name="predictions")(x)
    model = keras.Model(inputs, x, name="tiny")
    fill(model)
    return model


def fill(model):
    for w in model.weights:
        if "seed" not in w.path:
            w.assign(rng.standard_normal(w.shape).astype("float32"))


def layer_rows(model):
    """What KerasNames shall make of it: every layer's own weights, with plain names."""
    out = []
    for layer in model.layers:
        ws = [w for w in layer.trainable_weights + layer.non_trainable_weights if "seed" not in w.path]
        if ws:
            out.append({"Name": layer.name, "Class": type(layer).__name__, "Vars": [w.path.split("/")[-1] for w in ws],
                        "Weights": [row(w.path.split("/")[-1], keras.ops.convert_to_numpy(w)) for w in ws]})
    return out


def legacy_rows(path, top=""):
    """The names that our reader gives a legacy file, from h5py."""
    rows = []
    with h5py.File(path) as f:
        g = f[top] if top else f
        names = legacy_h5_format.load_attributes_from_hdf5_group(g, "layer_names")
        for layer in list(names) + (["top_level_model_weights"] if "top_level_model_weights" in g else []):
            for w in legacy_h5_format.load_attributes_from_hdf5_group(g[layer], "weight_names"):
                name = w.removesuffix(":0")
                rows.append(row(name if name.startswith(layer + "/") else layer + "/" + name, g[layer][w][()]))
    return rows


def natural(name):
    import re
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.findall(r"\d+|\D", name)]


def tree_rows(f):
    rows = []

    def walk(g, at):
        for k in sorted(g, key=natural):
            p = f"{at}/{k}" if at else k
            if p == "optimizer":
                continue
            if isinstance(g[k], h5py.Group):
                walk(g[k], p)
            else:
                a = g[k][()]
                if g[k].attrs.get("dtype") == "bfloat16":
                    a = np.asarray(a).view(ml_dtypes.bfloat16)
                if np.asarray(a).dtype.kind in "fiub" or np.asarray(a).dtype == ml_dtypes.bfloat16:
                    rows.append(row(p, a))

    walk(f, "")
    return rows


# --- by Keras itself
model = network()
want = layer_rows(model)
with h5py.File(OUT + "k_legacy.h5", "w") as f:
    legacy_h5_format.save_weights_to_hdf5_group(f, model)
note("k_legacy.h5", legacy_rows(OUT + "k_legacy.h5"), want)

model.compile("adam", "mse")
model.train_on_batch(np.zeros((2, 8, 8, 3), "float32"), np.zeros((2, 5), "float32"))
want = layer_rows(model)
model.save(OUT + "k_full.h5")
note("k_full.h5", legacy_rows(OUT + "k_full.h5", "model_weights"), want)
model.save_weights(OUT + "k3.weights.h5")
with h5py.File(OUT + "k3.weights.h5") as f:
    note("k3.weights.h5", tree_rows(f), want)
model.save(OUT + "k3.keras")
note("k3.keras", golden["files"]["k3.weights.h5"]["Tensors"], want)

shifted = network(shift=16)
numbered = layer_rows(shifted)
with h5py.File(OUT + "k_shifted.h5", "w") as f:
    legacy_h5_format.save_weights_to_hdf5_group(f, shifted)
note("k_shifted.h5", legacy_rows(OUT + "k_shifted.h5"), numbered)
shifted.save_weights(OUT + "k3_shifted.weights.h5")
with h5py.File(OUT + "k3_shifted.weights.h5") as f:
    note("k3_shifted.weights.h5", tree_rows(f), numbered)

inner = network()
outer = keras.Sequential([keras.Input((8, 8, 3)), inner, layers.Dense(2, name="head")])
fill(outer)
want = layer_rows(inner)
outer.save(OUT + "k_nested.h5")
note("k_nested.h5", legacy_rows(OUT + "k_nested.h5", "model_weights"), want)
outer.save_weights(OUT + "k3_nested.weights.h5")
with h5py.File(OUT + "k3_nested.weights.h5") as f:
    note("k3_nested.weights.h5", tree_rows(f), want)

half = keras.Sequential([keras.Input((3,)), layers.Dense(4, dtype="bfloat16", name="a"), layers.Dense(2, dtype="float16", name="b")])
half.save_weights(OUT + "k3_half.weights.h5")
with h5py.File(OUT + "k3_half.weights.h5") as f:
    note("k3_half.weights.h5", tree_rows(f))

danger = keras.Sequential([keras.Input((3,)), layers.Lambda(lambda x: x * 2, name="twice"), layers.Dense(1)])
danger.save(OUT + "k_lambda.keras")
danger.save(OUT + "k_lambda.h5")


# --- by h5py: the same content in every form that HDF5 has for it
def texts(o, name, values, varying=False):
    if varying:
        o.attrs.create(name, values, dtype=h5py.string_dtype()) if values else o.attrs.create(name, [], dtype="f8")
    else:
        o.attrs[name] = np.array([v.encode() for v in values]) if values else []


def layout(file, count=3, top="", varying=False, libver="earliest", track=False, userblock=0, split=0, sparse=1, shape=(3, 3, 2, 4), dtype="f4", **how):
    path = OUT + file
    with h5py.File(path, "w", libver=libver, track_order=track, userblock_size=userblock) as f:
        g = f.create_group(top, track_order=track) if top else f
        names = [f"layer_{(i * 11) % count}" for i in range(count)]
        if split:
            for n, i in enumerate(range(0, count, split)):
                texts(g, f"layer_names{n}", names[i:i + split], varying)
        else:
            texts(g, "layer_names", names, varying)
        g.attrs["keras_version"] = "2.4.3" if varying else b"2.4.3"
        if top:
            f.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"name": "m", "layers": [
                {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 8, 8, 2]}, "name": "in"}]}})
        for i, name in enumerate(names):
            sub = g.create_group(name, track_order=track)
            weights = [] if i % 3 == 1 and count > 3 or i % sparse else [f"{name}/kernel:0", f"{name}/bias:0"]
            texts(sub, "weight_names", weights, varying)
            for w, s in zip(weights, (shape, shape[-1:])):
                sub.create_dataset(w, data=rng.standard_normal(s).astype(dtype), **how)
    note(file, legacy_rows(path, top))


layout("h_earliest.h5")
layout("h_varying.h5", varying=True)
layout("h_full_varying.h5", top="model_weights", varying=True)
layout("h_split.h5", count=7, split=2)
layout("h_userblock.h5", userblock=512)
layout("h_latest.h5", libver="latest")
layout("h_latest_varying.h5", libver="latest", varying=True)
layout("h_gzip.h5", chunks=True, compression="gzip", shuffle=True)
layout("h_gzip_parts.h5", shape=(3, 5, 7, 4), chunks=True, compression="gzip", fletcher32=True)
layout("h_fletcher.h5", chunks=True, fletcher32=True)
layout("h_latest_gzip.h5", libver="latest", chunks=True, compression="gzip", shuffle=True, fletcher32=True)
layout("h_big_endian.h5", dtype=">f4")
layout("h_double.h5", dtype="f8")
layout("h_many.h5", count=177, sparse=10, shape=(2,))
layout("h_very_many.h5", count=300, sparse=50, shape=(1,))
layout("h_many_latest.h5", count=177, sparse=10, shape=(2,), libver="latest")
layout("h_very_many_latest.h5", count=1200, sparse=100, shape=(1,), libver="latest")
layout("h_many_tracked.h5", count=177, sparse=10, shape=(2,), track=True)


def arrays(file, libver):
    """Arrays in every type and storage, in no order of Keras."""
    path = OUT + file
    with h5py.File(path, "w", libver=libver) as f:
        for t in ("f2", "f4", "f8", ">f4", ">f8", ">i2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"):
            f["types/" + t.replace(">", "big_")] = (np.arange(12) % 7 - (3 if "u" not in t else 0)).reshape(3, 4).astype(t)
        f["scalar"] = np.float32(3.5)
        f["empty"] = np.zeros((0, 4), "f4")
        f["cube"] = rng.standard_normal((5, 7, 3, 2)).astype("f4")
        n = 1100 if libver == "latest" else 300  # past 1024 the index has pages
        numbers = rng.standard_normal((20, 11)).astype("f4")
        f.create_dataset("chunks/plain", data=numbers, chunks=(4, 4))
        f.create_dataset("chunks/one", data=numbers, chunks=(20, 11), compression="gzip")
        f.create_dataset("chunks/many", data=np.arange(2 * n - 1, dtype="f4") % 16, chunks=(2,))
        f.create_dataset("chunks/many_packed", data=np.arange(2 * n - 1, dtype="f4") % 16, chunks=(2,), compression="gzip")
        f.create_dataset("chunks/two_open", data=numbers, chunks=(4, 4), maxshape=(None, None), shuffle=True, compression="gzip")
        f.create_dataset("chunks/big_endian", data=numbers.astype(">f4"), chunks=(6, 6), shuffle=True)
        f.create_dataset("fill/never", shape=(10, 3), dtype="f4", chunks=(4, 3), fillvalue=7)
        f.create_dataset("fill/whole", shape=(10, 3), dtype="f4", fillvalue=-1)
        f.create_dataset("fill/some", shape=(10, 3), dtype="f4", chunks=(4, 3), fillvalue=7)[5:7] = 1
        dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        dcpl.set_layout(h5py.h5d.COMPACT)
        d = h5py.h5d.create(f.id, b"inline", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((6,)), dcpl)
        d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(6, dtype="f4"))
        dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        dcpl.set_chunk((4, 4))
        dcpl.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        d = h5py.h5d.create(f.id, b"early", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((9, 9)), dcpl)
        d.write(h5py.h5s.ALL, h5py.h5s.ALL, rng.standard_normal((9, 9)).astype("f4"))
        f["text"] = "not a number"
        f.create_dataset("records", data=np.zeros(3, dtype=[("a", "f4"), ("b", "i4")]))
        rows = tree_rows(f)
    note(file, rows)


arrays("h_arrays.h5", "earliest")
arrays("h_arrays_latest.h5", "latest")


# --- what is refused
def refused(file, make, libver="earliest"):
    with h5py.File(OUT + file, "w", libver=libver) as f:
        f["layers/dense/vars/0"] = np.zeros(2, "f4")
        make(f)


def twice(f):
    f["layers/dense_1"] = f["layers/dense"]


def circle(f):
    f["layers/dense/vars/round"] = f["layers"]


refused("r_soft.h5", lambda f: f.__setitem__("layers/soft", h5py.SoftLink("/layers/dense")))
refused("r_soft_latest.h5", lambda f: f.__setitem__("layers/soft", h5py.SoftLink("/layers/dense")), "latest")
refused("r_external.h5", lambda f: f.__setitem__("layers/else", h5py.ExternalLink("/etc/passwd", "/x")))
refused("r_storage.h5", lambda f: f.create_dataset("layers/raw", (4,), "f4", external=[("/etc/passwd", 0, 16)]))
refused("r_twice.h5", twice)
refused("r_circle.h5", circle, "latest")
refused("r_lzf.h5", lambda f: f.create_dataset("layers/lzf", data=np.arange(64, dtype="f4"), compression="lzf"))
refused("r_open.h5", lambda f: f.create_dataset("layers/open", data=np.arange(64, dtype="f4"), maxshape=(None,)), "latest")


def virtual(f):
    v = h5py.VirtualLayout((2,), "f4")
    v[:] = h5py.VirtualSource("/etc/passwd", "x", (2,))
    f.create_virtual_dataset("layers/virtual", v)


refused("r_virtual.h5", virtual, "latest")

for file in sorted(os.listdir(OUT)):
    if file.endswith((".h5", ".keras")):  # mostly zeros
        with open(OUT + file, "rb") as f, open(OUT + file + ".gz", "wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=0) as z:
            z.write(f.read())
        os.remove(OUT + file)
with open(OUT + "keras.json", "w") as f:
    json.dump(golden, f, separators=(",", ":"))
