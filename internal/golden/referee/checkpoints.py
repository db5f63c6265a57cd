#!/usr/bin/env python3
"""Checkpoints as trainers write them, and the features that their own framework computes with them.

    python checkpoints.py --out FOLDER               all of them, about 1 GB
    python checkpoints.py --out FOLDER --only ema    those whose names contain a word
    TLKIT_CHECKPOINTS=FOLDER go test ./tlkit/zoo -run TestCheckpointsOfTrainers -v

Needs torch, torchvision, timm, lightning, keras, h5py and safetensors. Weights are random, statistics of batch norms too.
FOLDER/checkpoints.json has a line for each: the file, the model of tlkit, the entry asked for, and either the features of
the formula's picture or what the refusal has to say.
"""
import argparse
import contextlib
import copy
import json
import os
import shutil

os.environ["KERAS_BACKEND"] = "torch"

import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torchvision.models as tv  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

import zoo  # noqa: E402

SIZE = 64
CASES = {}


def case(model, **more):
    def add(make):
        CASES[make.__name__] = (model, more, make)
        return make
    return add


def shake(net):
    """Other statistics than zeros and ones."""
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, 0, 0.1)
    return net.eval()


def features(net):
    """Of torchvision's and timm's networks: what their classifier sees, averaged over the map."""
    with torch.no_grad():
        x = zoo.batch(SIZE, 1)
        if hasattr(net, "forward_features"):
            return net.forward_features(x).mean((2, 3))
        if hasattr(net, "features"):
            return net.features(x).mean((2, 3))
        body = nn.Sequential(*[m for n, m in net.named_children() if n not in ("avgpool", "fc", "head")])
        return body(x).mean((2, 3))


def other(net):
    """The same network with other weights: what an average was made from."""
    return shake(copy.deepcopy(net))


def resnet18(classes=1000):
    return shake(tv.resnet18(num_classes=classes))


def under(prefix, net):
    return {prefix + k: v for k, v in net.state_dict().items()}


# ---------------------------------------------------------------- PyTorch by hand

@case("resnet18", says="its classifier is not used")
def two_classes(path):
    net = resnet18(2)
    torch.save(net.state_dict(), path + ".pth")
    return net


@case("resnet18", says="fc.1.weight")
def head_of_two_layers(path):
    net = resnet18()
    net.fc = nn.Sequential(nn.Dropout(0.2), nn.Linear(512, 5))
    torch.save(net.state_dict(), path + ".pt")
    return net


@case("resnet18", says="head.weight")
def head_of_another_name(path):
    net = resnet18()
    del net.fc
    net.head = nn.Linear(512, 3)
    torch.save({"net": net.state_dict(), "acc": 0.9, "epoch": 3}, path + ".t7")
    return net


@case("mobilenetv2", says="torchvision")
def compiled_and_parallel(path):
    net = shake(tv.mobilenet_v2())
    torch.save({"epoch": 3, "model": under("_orig_mod.module.", net), "optimizer": torch.optim.SGD(net.parameters(), 0.1, 0.9).state_dict()}, path + ".pth.tar")
    return net


@case("resnet18", says="--entry model")
def torchvision_ema(path):
    raw = resnet18(10)
    ema = torch.optim.swa_utils.AveragedModel(raw)
    ema.module.load_state_dict(other(raw).state_dict())
    opt = torch.optim.AdamW(raw.parameters())
    raw(torch.zeros(2, 3, SIZE, SIZE)).sum().backward()
    opt.step()
    torch.save({"model": raw.state_dict(), "optimizer": opt.state_dict(), "lr_scheduler": {}, "epoch": 1, "args": argparse.Namespace(lr=0.1), "model_ema": ema.state_dict()}, path + ".pth")
    return ema.module


@case("resnet18", entry="model", file="torchvision_ema.pth")
def torchvision_raw(path):
    net = resnet18(10)
    net.load_state_dict(torch.load(os.path.join(os.path.dirname(path), "torchvision_ema.pth"), weights_only=False)["model"])
    return net.eval()


@case("resnet18", says="under ema")
def ema_alone(path):
    net = resnet18(10)
    torch.save({"ema": net.state_dict(), "updates": 1200}, path + ".pt")
    return net


@case("resnet18", says="module.encoder_q")
def moco(path):
    net = resnet18(128)
    key = other(net)
    net.fc = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 128))
    state = under("module.encoder_q.", net) | under("module.encoder_k.", key)
    torch.save({"epoch": 200, "arch": "resnet18", "state_dict": state | {"module.queue": torch.zeros(128, 256), "module.queue_ptr": torch.zeros(1).long()}}, path + ".pth.tar")
    return net


@case("resnet18", says="teacher.backbone")
def dino(path):
    net = resnet18()
    net.fc = nn.Identity()
    head = {"module.head.mlp.0.weight": torch.zeros(64, 512), "module.head.last_layer.weight_v": torch.zeros(256, 64)}
    torch.save({"student": under("module.backbone.", other(net)) | head, "teacher": under("backbone.", net) | head, "epoch": 3, "dino_loss": {"center": torch.zeros(1, 256)}}, path + ".pth")
    return net


@case("resnet18", says="student")
def distilled(path):
    net = resnet18(10)
    torch.save(under("student.net.", net), path + ".bin")
    return net


@case("resnet18", says="state_dict.backbone")
def mmengine(path):
    net = resnet18()
    net.fc = nn.Identity()
    raw = other(net)
    head = {"head.fc.weight": torch.zeros(10, 512), "head.fc.bias": torch.zeros(10)}
    torch.save({"meta": {"epoch": 2}, "message_hub": {"log_scalars": {}}, "state_dict": under("backbone.", net) | head,
                "ema_state_dict": under("module.backbone.", raw) | {"steps": torch.tensor(3)}}, path + ".pth")
    return net


@case("resnet18")
def whole_module(path):
    net = resnet18(7)
    torch.save(net, path + ".pt")
    return net


@case("resnet18", says="numbers")
def children_in_a_row(path):
    net = resnet18()
    torch.save(nn.Sequential(*list(net.children())[:-1]).state_dict(), path + ".pth")
    return net


@case("mobilenetv2.tv_in1k", says="numbers")
def fastai_mobilenet(path):
    net = shake(tv.mobilenet_v2())
    body = nn.Sequential(net.features)
    torch.save({"model": nn.Sequential(body, fastai_head(1280)).state_dict(), "opt": {}}, path + ".pth")
    return net


def fastai_head(width):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(2 * width), nn.Dropout(), nn.Linear(2 * width, 512, bias=False),
                         nn.ReLU(), nn.BatchNorm1d(512), nn.Dropout(), nn.Linear(512, 2, bias=False))


@case("resnet18", says="model.0")
def fastai_learn_save(path):
    net = resnet18()
    model = nn.Sequential(nn.Sequential(*list(net.children())[:-2]), fastai_head(512))
    opt = torch.optim.Adam(model.parameters())
    torch.save({"model": model.state_dict(), "opt": opt.state_dict()}, path + ".pth")
    return net


@case("resnet18")
def legacy_format(path):
    net = resnet18(3)
    torch.save(net.state_dict(), path + ".pth", _use_new_zipfile_serialization=False)
    return net


@case("resnet18", refuses="--model resnet34")
def another_depth(path):
    torch.save({"state_dict": under("model.", shake(tv.resnet34(num_classes=2)))}, path + ".pth")


@case("resnet50", refuses="--model resnet101")
def deeper_with_the_same_names(path):
    torch.save(shake(tv.resnet101(num_classes=2)).state_dict(), path + ".pth")


@case("resnet18", refuses="se.fc1.weight")
def attention_inside(path):
    net = resnet18()
    net.layer1[0].se = nn.Sequential()
    net.layer1[0].se.fc1 = nn.Conv2d(64, 4, 1)
    torch.save(net.state_dict(), path + ".pth")


@case("resnet18", refuses="norm.mean")
def normalisation_inside(path):
    net = resnet18()
    net.norm = nn.Module()
    net.norm.register_buffer("mean", torch.zeros(1, 3, 1, 1))
    torch.save(net.state_dict(), path + ".pth")


@case("resnet18", refuses="torch.export")
def exported(path):
    torch.export.save(torch.export.export(resnet18(2), (torch.zeros(1, 3, SIZE, SIZE),)), path + ".pt2")


@case("resnet18", refuses="TorchScript")
def scripted(path):
    torch.jit.script(resnet18(2)).save(path + ".pt")


@case("resnet18", refuses="torch.distributed.checkpoint", file="sharded")
def sharded(path):
    import torch.distributed.checkpoint as dcp
    shutil.rmtree(path, ignore_errors=True)
    dcp.save({"model": resnet18(2).state_dict()}, checkpoint_id=path, no_dist=True)


@case("resnet18", refuses="optimizer")
def optimizer_alone(path):
    net = resnet18(2)
    opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(torch.zeros(2, 3, SIZE, SIZE)).sum().backward()
    opt.step()
    torch.save({"optimizer": opt.state_dict(), "epoch": 1}, path + ".pth")


# ---------------------------------------------------------------- timm

@case("mobilenetv2", says="timm")
def timm_mobilenet(path):
    net = shake(timm.create_model("mobilenetv2_100", num_classes=5))
    torch.save(net.state_dict(), path + ".pth")
    return net


@case("efficientnet_lite0", says="timm")
def timm_lite(path):
    net = shake(timm.create_model("tf_efficientnet_lite0", num_classes=0))
    save_file(net.state_dict(), path + ".safetensors")
    return net


@case("resnet18")
def timm_resnet(path):
    net = shake(timm.create_model("resnet18", num_classes=0))
    save_file(net.state_dict(), path + ".safetensors")
    return net


@case("mobilenetv2", says="state_dict_ema")
def timm_checkpoint(path):
    from timm.utils import CheckpointSaver, ModelEmaV2
    net = shake(timm.create_model("mobilenetv2_100", num_classes=5))
    ema = ModelEmaV2(net)
    ema.module.load_state_dict(other(net).state_dict())
    folder = os.path.dirname(path)
    saver = CheckpointSaver(net, torch.optim.SGD(net.parameters(), 0.1), model_ema=ema, args=argparse.Namespace(model="mobilenetv2_100"), checkpoint_dir=folder, recovery_dir=folder)
    saver.save_checkpoint(0, 0.5)
    os.replace(os.path.join(folder, "last.pth.tar"), path + ".pth.tar")
    for name in os.listdir(folder):
        if name.startswith(("checkpoint-", "model_best")):
            os.remove(os.path.join(folder, name))
    return ema.module.eval()


# ---------------------------------------------------------------- Lightning

def lightning_fit(net, path, **more):
    import lightning as L

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = net
            self.criterion = nn.CrossEntropyLoss(weight=torch.ones(4))
            self.save_hyperparameters({"lr": 0.1, "classes": 4})

        def training_step(self, batch, _):
            return self.criterion(self.model(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.05)

    data = torch.utils.data.TensorDataset(torch.randn(8, 3, SIZE, SIZE), torch.arange(8) % 4)
    trainer = L.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **more)
    module = Module()
    trainer.fit(module, torch.utils.data.DataLoader(data, 4))
    trainer.save_checkpoint(path + ".ckpt")
    return module.model.eval()


@case("resnet18", says="state_dict.model")
def lightning(path):
    return lightning_fit(resnet18(4), path)


@case("resnet18", says="current_model_state")
def lightning_ema(path):
    from lightning.pytorch.callbacks import EMAWeightAveraging
    net = resnet18(4)
    lightning_fit(net, path, callbacks=[EMAWeightAveraging(decay=0.5)])
    state = torch.load(path + ".ckpt", weights_only=False)["state_dict"]
    net.load_state_dict({k[6:]: v for k, v in state.items() if k.startswith("model.")})
    return net.eval()


# ---------------------------------------------------------------- Keras

def keras_random(model):
    rng = np.random.default_rng(3)
    for w in model.weights:
        v = rng.normal(0, 0.05, w.shape)
        if w.path.endswith(("gamma", "moving_variance")):
            v = rng.uniform(0.5, 1.5, w.shape)
        w.assign(v.astype(np.float32))
    return model


def keras_features(trunk, size=SIZE):
    x = zoo.batch(size, 1).numpy().transpose(0, 2, 3, 1)
    return np.asarray(trunk(x, training=False).detach()).mean((1, 2))


def keras_trunk(name="MobileNetV2", **options):
    keras.utils.clear_session()
    options = {"include_top": False, "weights": None, "input_shape": (SIZE, SIZE, 3)} | options
    return keras_random(getattr(keras.applications, name)(**options))


@case("mobilenetv2.keras_in1k", says="without a classifier")
def keras_without_top(path):
    base = keras_trunk()
    base.save_weights(path + ".weights.h5")
    return keras_features(base)


@case("resnet50.keras_in1k", says="without a classifier")
def keras_resnet_without_top(path):
    base = keras_trunk("ResNet50")
    base.save(path + ".h5")
    return keras_features(base)


@case("xception", size=96, says="without a classifier")
def keras_xception_without_top(path):
    base = keras_trunk("Xception", input_shape=(96, 96, 3))
    base.save(path + ".keras")
    return keras_features(base, 96)


@case("mobilenetv2.keras_in1k", says="not used")
def keras_transfer(path):
    base = keras_trunk()
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.GlobalAveragePooling2D()(base(inputs, training=False))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(keras.layers.Dropout(0.2)(x)))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(path + ".keras")
    return keras_features(base)


@case("mobilenetv2.keras_in1k", says="not used")
def keras_transfer_h5(path):
    base = keras_trunk()
    model = keras.Sequential([base, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    model.build((None, SIZE, SIZE, 3))
    model.save(path + ".h5")
    return keras_features(base)


@case("mobilenetv2.keras_in1k", says="not used")
def keras_flat_head(path):
    base = keras_trunk()
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dense(32, activation="relu")(x)
    keras.Model(base.input, keras.layers.Dense(3)(x)).save(path + ".h5")
    return keras_features(base)


@case("mobilenetv2.keras_in1k", says="its classifier is not used")
def keras_five_classes(path):
    keras.utils.clear_session()
    model = keras_random(keras.applications.MobileNetV2(weights=None, classes=5, input_shape=(SIZE, SIZE, 3)))
    model.save_weights(path + ".weights.h5")
    return keras_features(keras.Model(model.input, model.get_layer("out_relu").output))


@case("teachable_machine", classes=2)
def teachable_machine_h5(path):
    keras.utils.clear_session()
    base = keras_random(keras.applications.MobileNetV2(include_top=False, weights=None, alpha=0.35, input_shape=(SIZE, SIZE, 3)))
    left = keras.Sequential([base, keras.layers.GlobalAveragePooling2D(name="global_average_pooling2d_GlobalAveragePooling2D1")], name="sequential_1")
    right = keras.Sequential([keras.layers.Dense(100, activation="relu", name="dense_Dense1"), keras.layers.Dense(2, activation="softmax", use_bias=False, name="dense_Dense2")], name="sequential_3")
    model = keras.Sequential([left, right], name="sequential_4")
    model.build((None, SIZE, SIZE, 3))
    # The converter of Teachable Machine names weights without the models that they are in.
    with h5py.File(path + ".h5", "w") as f:
        f.attrs["keras_version"], f.attrs["backend"], f.attrs["model_config"] = "2.2.4-tf", "tensorflow", model.to_json()
        root = f.create_group("model_weights")
        root.attrs["layer_names"] = [b"sequential_1", b"sequential_3"]
        for part in (left, right):
            group, names = root.create_group(part.name), []
            for layer in (base.layers if part is left else part.layers):
                for w in layer.weights:
                    leaf = {"kernel": "depthwise_kernel"}.get(w.name, w.name) if "depthwise" in layer.name and "BN" not in layer.name else w.name
                    names.append(f"{layer.name}/{leaf}:0")
                    group[names[-1]] = np.asarray(w.value.detach())
            group.attrs["weight_names"] = [n.encode() for n in names]
    return keras_features(base)


@case("resnet18", refuses="--model mobilenetv2.keras_in1k")
def keras_for_torch(path):
    keras_trunk().save_weights(path + ".weights.h5")


# ---------------------------------------------------------------- not weights at all

@case("resnet18", refuses="git lfs pull")
def lfs_pointer(path):
    with open(path + ".pth", "w") as f:
        f.write("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 46830571\n")


@case("resnet18", refuses="HTML")
def web_page(path):
    with open(path + ".pth", "w") as f:
        f.write("<!DOCTYPE html><html><head><title>Sign in</title></head></html>")


@case("resnet18", refuses="SavedModel", file="saved_model")
def saved_model(path):
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "saved_model.pb"), "wb") as f:
        f.write(b"\x08\x01\x12\x00")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    p.add_argument("--only", default="")
    o = p.parse_args()
    torch.set_num_threads(1)
    os.makedirs(o.out, exist_ok=True)
    index = os.path.join(o.out, "checkpoints.json")
    lines = {}
    with contextlib.suppress(FileNotFoundError):
        lines = {c["name"]: c for c in json.load(open(index))}
    for name, (model, more, make) in CASES.items():
        if o.only not in name:
            continue
        torch.manual_seed(len(name))
        before = set(os.listdir(o.out))
        got = make(os.path.join(o.out, name))
        file = more.get("file") or next(f for f in sorted(os.listdir(o.out), key=len) if f.startswith(name + "."))
        line = {"name": name, "model": model, "size": SIZE, "file": file} | {k: v for k, v in more.items() if k != "file"}
        if got is not None:
            line["features"] = [float(v) for v in np.asarray(features(got) if isinstance(got, nn.Module) else got).ravel()]
        lines[name] = line
        print(name, file, sorted(set(os.listdir(o.out)) - before))
        with open(index, "w") as f:
            json.dump(list(lines.values()), f)


if __name__ == "__main__":
    main()
