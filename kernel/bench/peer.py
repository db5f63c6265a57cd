"""The PyTorch side of `tlkit bench`: the same work, timed in the same minute.

Called with one JSON object as its argument, prints one JSON object. Needs torch and
torchvision (and timm for EfficientNet-Lite), which tlkit itself never needs.
"""
import json
import sys
import time


def torch_on(threads):
    import torch
    torch.set_num_threads(threads)
    return torch


def network(name):
    import torchvision
    if name.startswith("efficientnet_lite"):
        import timm
        return timm.create_model("tf_" + name, pretrained=False).eval()
    return {"resnet18": torchvision.models.resnet18, "mobilenetv2": torchvision.models.mobilenet_v2}[name](weights=None).eval()


def forward(model, batch, seconds, threads):
    """Pictures a second of an eager forward pass on random pixels."""
    torch = torch_on(threads)
    net = network(model)
    x = torch.randn(batch, 3, 224, 224)
    with torch.inference_mode():
        net(x)
        start, n = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            net(x)
            n += batch
        return {"rate": n / (time.perf_counter() - start)}


def onnx(path, batch, seconds, threads):
    """Pictures a second of ONNX Runtime on a file that takes [N,H,W,3], up to its end."""
    import numpy
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    picture = session.get_inputs()[0]
    x = numpy.random.default_rng(1).standard_normal([batch] + picture.shape[1:], dtype=numpy.float32)
    session.run(None, {picture.name: x})
    start, n = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        session.run(None, {picture.name: x})
        n += batch
    return {"rate": n / (time.perf_counter() - start), "by": "onnxruntime " + onnxruntime.__version__}


def pictures(path, seconds):
    """Pictures a second and core of torchvision's evaluation pipeline on one JPEG file."""
    torch_on(1)
    from PIL import Image
    from torchvision import transforms as T
    prepare = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(),
                         T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])

    def one():
        with open(path, "rb") as f:
            return prepare(Image.open(f).convert("RGB"))
    one()
    start, n = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        one()
        n += 1
    return {"rate": n / (time.perf_counter() - start)}


def peak():
    """Most memory this process has had, in MiB."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM"))


def step(model, batch, norms, seconds, threads):
    """Pictures a second of an eager training step through the whole network, SGD with
    momentum, and the memory it took. norms: "frozen" (batch norms in inference) or "batch"."""
    torch = torch_on(threads)
    import torchvision
    net = {"resnet18": torchvision.models.resnet18, "mobilenetv2": torchvision.models.mobilenet_v2}[model](weights=None, num_classes=2)
    net.train()
    for m in net.modules():
        if isinstance(m, torch.nn.Dropout) or norms == "frozen" and isinstance(m, torch.nn.BatchNorm2d):
            m.eval()
    opt = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    x, y = torch.randn(batch, 3, 224, 224), torch.arange(batch) % 2

    def one():
        opt.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        opt.step()
    one()
    start, cpu, n = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        one()
        n += batch
    return {"rate": n / (time.perf_counter() - start), "cpu": (time.process_time() - cpu) / n * 1000, "peak": peak()}


def tutorial(folder, valid, weights, epochs, timed, threads, everything=False):
    """PyTorch's transfer learning tutorial on MobileNetV2. "ConvNet as fixed feature
    extractor": the frozen network runs in every step of every epoch, batch norm in
    inference. With everything, "Finetuning the ConvNet": all layers learn, batch norm
    follows each batch, as the tutorial has it. With timed < epochs only so many are run,
    and the seconds are scaled up."""
    torch = torch_on(threads)
    import torchvision
    from PIL import ImageFile
    from torchvision import datasets, transforms as T
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    begin = time.perf_counter()
    norm = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    train_t = T.Compose([T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), norm])
    valid_t = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), norm])
    real = lambda p: not p.endswith(".gif")  # the archive's placeholder
    sets = {"train": datasets.ImageFolder(f"{folder}/train", train_t, is_valid_file=real),
            "valid": datasets.ImageFolder(f"{folder}/{valid}", valid_t, is_valid_file=real)}
    torch.manual_seed(1)
    net = torchvision.models.mobilenet_v2(weights=None)
    given = [v for k, v in torch.load(weights, map_location="cpu", weights_only=True).items() if "num_batches" not in k]
    own = {k: v for k, v in net.state_dict().items() if "num_batches" not in k and not k.startswith("classifier")}
    assert [tuple(v.shape) for v in given] == [tuple(v.shape) for v in own.values()], "not a MobileNetV2 trunk"
    net.load_state_dict(dict(zip(own, given)), strict=False)
    for p in net.parameters():
        p.requires_grad = everything
    net.classifier = torch.nn.Linear(1280, len(sets["train"].classes))
    opt = torch.optim.SGD(net.parameters() if everything else net.classifier.parameters(), lr=1e-3, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(opt, 7, 0.1)
    loaders = {k: torch.utils.data.DataLoader(s, batch_size=4, shuffle=k == "train") for k, s in sets.items()}
    net.eval()
    setup, right, best = time.perf_counter() - begin, 0, 0
    start = time.perf_counter()
    for _ in range(timed):
        net.train(everything)
        for x, y in loaders["train"]:
            opt.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            opt.step()
        schedule.step()
        net.eval()
        with torch.no_grad():
            right = sum((net(x).argmax(1) == y).sum().item() for x, y in loaders["valid"])
        best = max(best, right)
    return {"seconds": setup + (time.perf_counter() - start) * epochs / timed, "timed": timed, "epochs": epochs,
            "correct": right, "best": best, "total": len(sets["valid"]), "peak": peak()}


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    what = job.pop("what")
    result = {"forward": forward, "pictures": pictures, "tutorial": tutorial, "step": step, "onnx": onnx}[what](**job)
    if "by" not in result:
        import torch
        result["by"] = "torch " + torch.__version__
    print(json.dumps(result))
