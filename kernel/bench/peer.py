"""The PyTorch side of `tlkit bench`: the same work, timed in the same minute.

Called with one JSON object as its argument, prints one JSON object. Needs torch and
torchvision (and timm for networks that torchvision lacks), which tlkit itself never needs.
"""
import json
import sys
import time


def torch_on(threads):
    import torch
    torch.set_num_threads(threads)
    return torch


def network(name, size=224, **options):
    """A network of the zoo by its name: torchvision's, or timm's, which has a dot in it."""
    import torchvision
    plain, _, tag = name.partition(".")
    if plain == "resnet50_thin":
        return thin_resnet()
    make = getattr(torchvision.models, {"mobilenetv2": "mobilenet_v2"}.get(plain, plain), None)
    if make and (not tag or tag.startswith(("tv", "imagenet1k_v"))):
        return make(weights=None, **options).eval()
    import timm
    plain = "tf_" + plain if plain.startswith("efficientnet_lite") else plain
    try:
        return timm.create_model(plain, pretrained=False, img_size=size, **options).eval()
    except TypeError:  # it takes pictures of every size
        return timm.create_model(plain, pretrained=False, **options).eval()


def thin_resnet():
    """ResNet-50 with half the channels after the first convolution, and two classes."""
    from torch import nn
    from torchvision.models.resnet import Bottleneck, ResNet
    net = ResNet(Bottleneck, [3, 4, 6, 3])
    net.inplanes = 64
    net.layer1 = net._make_layer(Bottleneck, 32, 3)
    net.layer2 = net._make_layer(Bottleneck, 64, 4, stride=2)
    net.layer3 = net._make_layer(Bottleneck, 128, 6, stride=2)
    net.layer4 = net._make_layer(Bottleneck, 256, 3, stride=2)
    net.fc = nn.Linear(1024, 2)
    return net.eval()


def forward(model, threads):
    """Has a network ready in PyTorch, as it is and frozen, and in ONNX Runtime from PyTorch's own
    export. Prints which there are; then, for each line {"peer", "batch", "seconds"}, pictures a
    second on random pixels."""
    import contextlib
    torch = torch_on(threads)
    net = network(model)
    by, missing = {"torch": "torch " + torch.__version__, "torch_jit": "torch jit " + torch.__version__}, {}

    def torch_call(batch):
        x = torch.randn(batch, 3, 224, 224)
        return lambda: net(x)

    def jit_call(batch):
        x = torch.randn(batch, 3, 224, 224)
        fast = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, x)))
        fast(x)
        return lambda: fast(x)

    with contextlib.redirect_stdout(sys.stderr):
        try:
            session, name = exported(torch, net, threads)
            import onnxruntime
            by["onnxruntime"] = "onnxruntime " + onnxruntime.__version__
        except ImportError as e:
            missing["onnxruntime"] = str(e)

    def onnx_call(batch):
        x = torch.randn(batch, 3, 224, 224).numpy()
        return lambda: session.run(None, {name: x})

    makers, ready = {"torch": torch_call, "torch_jit": jit_call, "onnxruntime": onnx_call}, {}
    print(json.dumps({"by": by, "missing": missing}), flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            job = json.loads(line)
            key = job["peer"], job["batch"]
            with contextlib.redirect_stdout(sys.stderr):
                if key not in ready:
                    ready[key] = makers[job["peer"]](job["batch"])
                call = ready[key]
                call()
                start, n = time.perf_counter(), 0
                while time.perf_counter() - start < job["seconds"]:
                    call()
                    n += job["batch"]
                rate = n / (time.perf_counter() - start)
            print(json.dumps({"rate": rate}), flush=True)


def exported(torch, net, threads):
    """An ONNX Runtime session on PyTorch's export of a network, and the name of its input."""
    import io
    import onnx  # the exporter needs it
    import onnxruntime
    file = io.BytesIO()
    torch.onnx.export(net, (torch.randn(2, 3, 224, 224),), file, dynamo=False, input_names=["pictures"], output_names=["scores"],
                      dynamic_axes={"pictures": {0: "n"}, "scores": {0: "n"}})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"]), "pictures"


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


def timed(one, batch, seconds):
    """Pictures a second and ms of processor time a picture. The first call is not counted."""
    one()
    start, cpu, n = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds or n == 0:
        one()
        n += batch
    return {"rate": n / (time.perf_counter() - start), "cpu": (time.process_time() - cpu) / n * 1000}


def one_pass(model, size, batch, seconds, threads):
    """An eager forward pass."""
    torch = torch_on(threads)
    net, x = network(model, size), torch.randn(batch, 3, size, size)
    with torch.inference_mode():
        return timed(lambda: net(x), batch, seconds)


def step(model, batch, norms, seconds, threads, size=224):
    """An eager training step through the whole network, SGD with momentum, and the memory it took.
    norms: "frozen" (batch norms in inference) or "batch". Nothing is dropped."""
    torch = torch_on(threads)
    net = network(model, size, num_classes=2)
    if norms != "frozen":
        net.train()
        for m in net.modules():
            if "drop" in type(m).__name__.lower():
                m.eval()
    opt = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    x, y = torch.randn(batch, 3, size, size), torch.arange(batch) % 2

    def one():
        opt.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        opt.step()
    return dict(timed(one, batch, seconds), peak=peak())


def trunk(torch, weights):
    """torchvision's MobileNetV2 with the weights of our row, whose keys have other names."""
    import torchvision
    net = torchvision.models.mobilenet_v2(weights=None)
    given = [v for k, v in torch.load(weights, map_location="cpu", weights_only=True).items() if "num_batches" not in k]
    own = {k: v for k, v in net.state_dict().items() if "num_batches" not in k and not k.startswith("classifier")}
    assert [tuple(v.shape) for v in given] == [tuple(v.shape) for v in own.values()], "not a MobileNetV2 trunk"
    net.load_state_dict(dict(zip(own, given)), strict=False)
    return net


def folders(folder, valid, train_t, valid_t):
    from torchvision import datasets
    real = lambda p: not p.endswith(".gif")  # the archive's placeholder
    return (datasets.ImageFolder(f"{folder}/train", train_t, is_valid_file=real),
            datasets.ImageFolder(f"{folder}/{valid}", valid_t, is_valid_file=real))


def careful(folder, valid, weights, seed, epochs, threads):
    """One plain, careful recipe with fixed settings: first the head, on features of three
    augmented passes; then all layers by AdamW, at rates that fall from the head towards the
    pictures; batch norms keep their statistics. The last epoch counts."""
    torch = torch_on(threads)
    from torch import nn
    from torchvision import transforms as T
    begin, cpu = time.perf_counter(), time.process_time()
    norm = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    train, test = folders(folder, valid,
                          T.Compose([T.RandomResizedCrop(224, scale=(0.35, 1)), T.RandomHorizontalFlip(), T.ToTensor(), norm]),
                          T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), norm]))
    torch.manual_seed(seed)
    net = trunk(torch, weights)
    net.classifier = nn.Linear(1280, len(train.classes))
    net.eval()  # and so it stays: the norms keep their statistics
    body = lambda x: net.features(x).mean((2, 3))
    loader = torch.utils.data.DataLoader(train, batch_size=16, shuffle=True)
    with torch.no_grad():
        kept = [(body(x), y) for _ in range(3) for x, y in loader]
    head = torch.optim.AdamW(net.classifier.parameters(), lr=3e-3, weight_decay=0.01)
    for _ in range(60):
        for x, y in kept:
            head.zero_grad()
            nn.functional.cross_entropy(net.classifier(x), y).backward()
            head.step()
    rate, blocks = 5e-4, list(net.features)
    groups = [{"params": net.classifier.parameters(), "lr": rate}]
    groups += [{"params": b.parameters(), "lr": rate * 0.8 ** (len(blocks) - 1 - i)} for i, b in enumerate(blocks)]
    tuner, steps = torch.optim.AdamW(groups, weight_decay=0.01), epochs * len(loader)
    warm = max(1, steps // 10)
    import math
    schedule = torch.optim.lr_scheduler.LambdaLR(tuner, lambda s: min((s + 1) / warm, (1 + math.cos(math.pi * max(0, s - warm) / (steps - warm))) / 2))
    for _ in range(epochs):
        for x, y in loader:
            tuner.zero_grad()
            nn.functional.cross_entropy(net.classifier(body(x)), y).backward()
            tuner.step()
            schedule.step()
    return scored(torch, test, lambda x: net.classifier(body(x)), begin, cpu)


def fastai(folder, valid, weights, seed, epochs, threads):
    """fastai's vision_learner(...).fine_tune(epochs) with its defaults."""
    torch = torch_on(threads)
    import fastai
    from fastai.vision.all import ImageDataLoaders, Normalize, Resize, accuracy, aug_transforms, imagenet_stats, set_seed, vision_learner
    begin, cpu = time.perf_counter(), time.process_time()
    set_seed(seed)
    data = ImageDataLoaders.from_folder(folder, train="train", valid=valid, bs=32, num_workers=0, item_tfms=Resize(256), batch_tfms=[
        *aug_transforms(size=224), Normalize.from_stats(*imagenet_stats)])
    net = trunk(torch, weights)
    learn = vision_learner(data, lambda pretrained=False: net, pretrained=False, metrics=accuracy, cut=lambda m: m.features)
    learn.freeze()
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(epochs)
    logits, y = learn.get_preds()
    return {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu, "correct": (logits.argmax(1) == y).sum().item(),
            "total": len(y), "by": "fastai " + fastai.__version__}


def scored(torch, test, logits, begin, cpu):
    took, processor = time.perf_counter() - begin, time.process_time() - cpu
    with torch.no_grad():
        right = sum((logits(x).argmax(1) == y).sum().item() for x, y in torch.utils.data.DataLoader(test, batch_size=50))
    return {"seconds": took, "cpu": processor, "correct": right, "total": len(test)}


def tutorial(folder, valid, weights, epochs, timed, threads, everything=False):
    """PyTorch's transfer learning tutorial on MobileNetV2. "ConvNet as fixed feature
    extractor": the frozen network runs in every step of every epoch, batch norm in
    inference. With everything, "Finetuning the ConvNet": all layers learn, batch norm
    follows each batch, as the tutorial has it. With timed < epochs only so many are run,
    and the seconds are scaled up."""
    torch = torch_on(threads)
    from PIL import ImageFile
    from torchvision import transforms as T
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    begin = time.perf_counter()
    norm = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    train_t = T.Compose([T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), norm])
    valid_t = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), norm])
    sets = dict(zip(("train", "valid"), folders(folder, valid, train_t, valid_t)))
    torch.manual_seed(1)
    net = trunk(torch, weights)
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


def serve(classes):
    """A server as FastAPI's and PyTorch's documentation write one: a plain function for each request,
    which FastAPI runs in a thread. Prints {"url"} when it answers, then serves until it is killed."""
    import contextlib
    import io
    import socket
    with contextlib.redirect_stdout(sys.stderr):
        import fastapi
        import torch
        import torchvision.transforms as T
        import uvicorn
        from PIL import Image
    net = network("mobilenetv2")
    net.classifier[1] = torch.nn.Linear(1280, classes)
    prepare = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    app = fastapi.FastAPI()

    @app.get("/")
    def about():
        return {"by": f"fastapi {fastapi.__version__} + torch {torch.__version__}"}

    @app.post("/predict")
    def predict(picture: fastapi.UploadFile):
        image = Image.open(io.BytesIO(picture.file.read())).convert("RGB")
        with torch.inference_mode():
            probabilities = net(prepare(image)[None]).softmax(1)[0]
        best = int(probabilities.argmax())
        return {"label": str(best), "probability": float(probabilities[best])}

    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}/"}), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def robot(folder, weights, frames, side, mean, std, action, steps, seed, threads):
    """Behaviour cloning as R3M evaluates frozen networks (facebookresearch/r3m, branch eval):
    pooled features and what the robot feels, batch norm, two hidden layers of 256, mean squared
    error, Adam 1e-3, batches of 32; an action for each look. Prints the seconds when it is
    fitted; then, for each line {"looks"} and the pixels and states that follow it, the actions.
    action: the limits of each number; the network learns them as -1 to 1."""
    torch = torch_on(threads)
    import numpy
    from torch import nn
    begin = time.perf_counter()
    net = trunk(torch, weights).eval()
    read = lambda name, kind: torch.from_numpy(numpy.fromfile(f"{folder}/{name}", kind))
    mean, std = (torch.tensor(v)[:, None, None] for v in (mean, std))

    def see(pixels):
        x = pixels.reshape(-1, side, side, 3).permute(0, 3, 1, 2).float() / 255
        return net.features((x - mean) / std).mean((2, 3))

    with torch.no_grad():
        pixels = read("pixels", numpy.uint8).reshape(frames, -1)
        seen = torch.cat([see(pixels[i:i + 32]) for i in range(0, frames, 32)])
    x = torch.cat([seen, read("states", numpy.float32).reshape(frames, -1)], 1)
    low, high = torch.tensor(action).T
    y = (read("actions", numpy.float32).reshape(frames, -1) - low) / (high - low) * 2 - 1
    extracted = time.perf_counter()
    torch.set_num_threads(1)  # faster, for steps as small as these
    torch.manual_seed(seed)
    policy = nn.Sequential(nn.BatchNorm1d(x.shape[1]), nn.Linear(x.shape[1], 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(),
                           nn.Linear(256, y.shape[1]))
    opt = torch.optim.Adam(policy.parameters(), lr=1e-3)
    for _ in range(steps):
        i = torch.randint(frames, (32,))
        loss = nn.functional.mse_loss(policy(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    policy.eval()
    torch.set_num_threads(threads)
    print(json.dumps({"by": "torch " + torch.__version__, "features": extracted - begin,
                      "fit": time.perf_counter() - extracted, "loss": loss.item()}), flush=True)
    felt = x.shape[1] - seen.shape[1]
    with torch.inference_mode():
        while line := sys.stdin.buffer.readline():
            looks = json.loads(line)["looks"]
            pixels = torch.frombuffer(bytearray(sys.stdin.buffer.read(looks * side * side * 3)), dtype=torch.uint8)
            states = torch.frombuffer(bytearray(sys.stdin.buffer.read(looks * felt * 4)), dtype=torch.float32)
            out = policy(torch.cat([see(pixels), states.reshape(looks, felt)], 1))
            print(json.dumps({"actions": ((out + 1) / 2 * (high - low) + low).tolist()}), flush=True)


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    what = job.pop("what")
    if what == "forward":  # answers line by line
        forward(**job)
        sys.exit()
    if what == "robot":  # acts when asked
        robot(**job)
        sys.exit()
    if what == "serve":  # until it is killed
        serve(**job)
        sys.exit()
    result = {"pictures": pictures, "tutorial": tutorial, "step": step, "pass": one_pass, "onnx": onnx,
              "careful": careful, "fastai": fastai}[what](**job)
    if "by" not in result:
        import torch
        result["by"] = "torch " + torch.__version__
    print(json.dumps(result))
