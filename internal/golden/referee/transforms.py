#!/usr/bin/env python3
"""Golden values and fixture pictures for tlkit/transforms, made with Pillow and torchvision.

    transforms.py OUT [TLKIT_DATA]

writes OUT/*.jpg, .png, .gif, .webp and OUT/golden.json (OUT is tlkit/transforms/testdata);
with TLKIT_DATA also OUT/hymenoptera.json, which holds numbers only.
Versions: requirements.txt. Every picture is drawn by formula; values are CRC-32 sums of
RGB bytes (row by row) or of little-endian float32 in the order height, width, channel.
"""
import glob, io, json, os, struct, sys, zlib

import numpy as np
import PIL
from PIL import Image, ImageOps, features

OUT = sys.argv[1]
FILTERS = dict(nearest=0, lanczos=1, bilinear=2, bicubic=3, box=4, hamming=5)


def formula(h, w, k=0):
    y, x, c = np.meshgrid(np.arange(h), np.arange(w), np.arange(3), indexing="ij")
    v = x * (7 + 2 * c) + y * (11 - 3 * c) + (x * y * (c + 1 + k)) // 32
    r = min(h, w) // (4 + k)
    v = np.where((x - w // 3) ** 2 + (y - h // 2) ** 2 < r * r, 255 - (v >> 3), v)
    return (v & 255).astype(np.uint8)


def smooth(h, w):
    """Compresses well: slow waves and an edge."""
    y, x, c = np.meshgrid(np.arange(h), np.arange(w), np.arange(3), indexing="ij")
    v = 128 + 100 * np.sin(x / (9.0 + 2 * c) + y / (17.0 - 3 * c)) + 60 * ((x * 3 + y * 5) % 31 < 6)
    return np.clip(v, 0, 255).astype(np.uint8)


def crc(a):
    if isinstance(a, Image.Image):
        a = a.tobytes()
    elif isinstance(a, np.ndarray):
        a = np.ascontiguousarray(a).tobytes()
    return "%08x" % zlib.crc32(a)


golden = {"versions": {"pillow": PIL.__version__, "libjpeg_turbo": features.version("libjpeg_turbo"),
                       "webp": features.version("webp")}}

# ---- resize, all filters
golden["resize"] = rows = []
for h, w, k, targets in [
    (375, 500, 0, [(341, 256), (224, 224), (900, 700), (97, 61), (500, 256), (341, 375), (1, 1), (37, 375), (256, 40)]),
    (97, 61, 1, [(256, 407), (61, 30), (7, 97), (62, 98), (122, 194)]),
    (2, 3, 0, [(5, 7), (1, 1), (64, 64), (3, 1)]),
    (1, 1, 0, [(9, 4)]),
    (40, 1000, 1, [(10, 3), (1000, 3), (333, 41)]),
]:
    im = Image.fromarray(formula(h, w, k))
    for tw, th in targets:
        for name, f in FILTERS.items():
            rows.append([h, w, k, tw, th, name, crc(im.resize((tw, th), f))])

# ---- torchvision on pictures: the pipeline, crops, colour
import torch
import torchvision
from torchvision import transforms as T
from torchvision.transforms import functional as F
from torchvision.transforms import InterpolationMode as M

torch.set_num_threads(1)
golden["versions"]["torchvision"] = torchvision.__version__

golden["short"] = rows = []
for h, w in [(375, 500), (500, 375), (333, 500), (256, 256), (257, 300), (224, 100), (61, 97), (301, 260), (100, 1001)]:
    im = Image.fromarray(formula(h, w))
    for size, crop in [(256, 224), (232, 224), (100, 133), (40, 33), (33, 33)]:
        for name in ("bilinear", "bicubic", "nearest"):
            x = T.Compose([T.Resize(size, M(name)), T.CenterCrop(crop)])(im)
            rows.append([h, w, size, crop, name, crc(x)])

golden["center"] = rows = []
for h, w in [(10, 13), (7, 9), (20, 5), (5, 20)]:
    for crop in (1, 4, 8, 9, 15, 16):
        rows.append([h, w, crop, crc(T.CenterCrop(crop)(Image.fromarray(formula(h, w))))])

golden["part"] = rows = []
im = Image.fromarray(formula(120, 160, 1))
for top, left, h, w, size in [(0, 0, 120, 160, 64), (7, 11, 64, 64, 64), (7, 11, 64, 64, 63), (100, 3, 20, 97, 96), (119, 159, 1, 1, 8), (5, 50, 90, 31, 224)]:
    for name in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"):
        rows.append([top, left, h, w, size, name, crc(F.resized_crop(im, top, left, h, w, [size, size], M(name)))])

golden["colour"] = rows = []
wheel = np.zeros((64, 96, 3), np.uint8)
i = np.arange(64 * 96)
wheel[..., 0], wheel[..., 1], wheel[..., 2] = (a.reshape(64, 96) for a in (i * 7 % 256, i // 24 * 5 % 256, i * i // 50 % 256))
for k, im in enumerate((Image.fromarray(formula(60, 80)), Image.fromarray(wheel))):
    for name, values in dict(brightness=[0, 0.6, 0.97, 1, 1.4, 3], contrast=[0, 0.6, 1, 1.7], saturation=[0, 0.3, 1, 2.2], hue=[-0.5, -0.1, 0, 0.05, 0.31, 0.5]).items():
        for v in values:
            rows.append([k, name, v, crc(getattr(F, "adjust_" + name)(im, v))])

# ---- the whole evaluation, as float32
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
golden["imagenet"] = rows = []
for h, w in [(375, 500), (500, 333), (224, 224)]:
    im = Image.fromarray(formula(h, w))
    x = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), T.Normalize(MEAN, STD)])(im)
    x = x.numpy().transpose(1, 2, 0).astype("<f4")
    y = torchvision.transforms._presets.ImageClassification(crop_size=224)(im).numpy().transpose(1, 2, 0).astype("<f4")
    assert np.array_equal(x, y)
    rows.append([h, w, crc(x), float(x.mean(dtype=np.float64)), float(np.abs(x).max())])

# Keras' three modes, spelled out as keras.applications.imagenet_utils does in numpy.
golden["keras"] = rows = []
px = np.asarray(Image.fromarray(formula(90, 70)).resize((32, 32), 0)).astype("f4")  # load_img's default is nearest
torch_mode = (px / np.float32(255) - np.asarray(MEAN, "f4")) / np.asarray(STD, "f4")
tf_mode = px / np.float32(127.5) - np.float32(1)
caffe = px[..., ::-1] - np.asarray([103.939, 116.779, 123.68], "f4")
for name, a in dict(tf=tf_mode, torch=torch_mode, caffe=caffe).items():
    i = [0, 1, 2, 300, 1601, 3071]
    rows.append([name, float(a.mean(dtype=np.float64)), [float(v) for v in a.reshape(-1)[i]]])

# TensorFlow's EfficientNet evaluation: middle square of int(fraction*short), corner rounded up.
golden["crop"] = rows = []
for h, w, frac, size in [(375, 500, 224 / 256, 224), (300, 301, 240 / 272, 240), (272, 333, 240 / 272, 240), (91, 64, 0.875, 32)]:
    im = Image.fromarray(formula(h, w))
    c = int(np.float32(frac) * np.float32(min(h, w)))
    top, left = (h - c + 1) // 2, (w - c + 1) // 2
    rows.append([h, w, frac, size, crc(im.crop((left, top, left + c, top + c)).resize((size, size), 3))])

# ---- fixture files
files = {}


def put(name, data, expect=None):
    if not isinstance(data, bytes):
        raise TypeError(name)
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(data)
    im = Image.open(io.BytesIO(data))
    stored = im.convert("RGB") if expect is None else Image.fromarray(expect)
    upright = ImageOps.exif_transpose(im).convert("RGB") if expect is None else stored
    files[name] = [upright.size[0], upright.size[1], crc(upright), crc(stored)]


def save(im, fmt, **kw):
    b = io.BytesIO()
    im.save(b, fmt, **kw)
    return b.getvalue()


pic = Image.fromarray(formula(33, 45))
soft = Image.fromarray(smooth(75, 91))
for ss in (0, 1, 2):
    tag = ("444", "422", "420")[ss]
    put("jpeg_%s.jpg" % tag, save(pic, "JPEG", quality=90, subsampling=ss))
    put("jpeg_%s_progressive.jpg" % tag, save(soft, "JPEG", quality=85, subsampling=ss, progressive=True))
    for w, h in ((1, 1), (3, 5), (4, 4), (5, 2), (17, 16)):
        put("jpeg_%s_%dx%d.jpg" % (tag, w, h), save(Image.fromarray(formula(h, w)), "JPEG", quality=92, subsampling=ss))
put("jpeg_q100.jpg", save(pic, "JPEG", quality=100, subsampling=0))
put("jpeg_q5.jpg", save(soft, "JPEG", quality=5))
put("jpeg_optimized_restarts.jpg", save(soft, "JPEG", quality=80, optimize=True, restart_marker_blocks=3))
put("jpeg_progressive_restarts.jpg", save(soft, "JPEG", quality=95, progressive=True, restart_marker_rows=1))
put("jpeg_grey.jpg", save(pic.convert("L"), "JPEG", quality=90))
put("jpeg_grey_progressive.jpg", save(soft.convert("L"), "JPEG", quality=90, progressive=True))
put("jpeg_rgb.jpg", save(pic, "JPEG", quality=90, keep_rgb=True))
cmyk = np.dstack([255 - np.asarray(pic), np.asarray(pic.convert("L")) // 2])
cmyk = save(Image.fromarray(cmyk, "CMYK"), "JPEG", quality=92)
put("jpeg_cmyk.jpg", cmyk)
at = cmyk.index(b"Adobe")
put("jpeg_ycck.jpg", cmyk[:at + 11] + b"\x02" + cmyk[at + 12:])
put("jpeg_cmyk_no_adobe.jpg", cmyk[:at - 4] + cmyk[at + 12:])


def resampled(data, hv, w, h):
    """The same blocks declared with another sampling: a valid file of a scrambled picture,
    the only way to get samplings that Pillow does not write."""
    at = data.index(b"\xff\xc0")
    return data[:at + 5] + struct.pack(">HH", h, w) + data[at + 9:at + 11] + bytes([hv]) + data[at + 12:]


put("jpeg_440.jpg", resampled(save(Image.fromarray(smooth(32, 64)), "JPEG", quality=85, subsampling=1), 0x12, 31, 63))
put("jpeg_411.jpg", resampled(save(Image.fromarray(smooth(32, 64)), "JPEG", quality=85, subsampling=2), 0x41, 125, 15))
put("jpeg_114.jpg", resampled(save(Image.fromarray(smooth(32, 64)), "JPEG", quality=85, subsampling=2), 0x14, 15, 125))
put("jpeg_garbage_after.jpg", save(pic, "JPEG", quality=50) + b"\x00\xff\xd8 trailing" * 3)
for o in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = o
    put("exif_%d.jpg" % o, save(Image.fromarray(formula(9, 14)), "JPEG", quality=90, exif=exif))
exif = Image.Exif()
exif[0x0112] = 6
put("exif_6.png", save(Image.fromarray(formula(9, 14)), "PNG", exif=exif))
put("exif_6.webp", save(Image.fromarray(formula(9, 14)), "WEBP", lossless=True, exif=exif))


def png(w, h, depth, colour, rows, *chunks):
    def chunk(name, b):
        return struct.pack(">I", len(b)) + name + b + struct.pack(">I", zlib.crc32(name + b))
    raw = b"".join(b"\x00" + r for r in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, 0)) + \
        b"".join(chunk(*c) for c in chunks) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


alpha = Image.fromarray((np.arange(33 * 45).reshape(33, 45) % 256).astype("u1"))
rgba = pic.copy()
rgba.putalpha(alpha)
put("png_rgb.png", save(pic, "PNG"))
put("png_rgba.png", save(rgba, "PNG"))
put("png_grey.png", save(pic.convert("L"), "PNG"))
la = pic.convert("L").convert("LA")
la.putalpha(alpha)
put("png_grey_alpha.png", save(la, "PNG"))
put("png_1bit.png", save(pic.convert("1"), "PNG"))
for bits in (1, 2, 4, 8):
    pal = pic.convert("P", palette=Image.Palette.ADAPTIVE, colors=2 ** bits)
    put("png_palette_%d.png" % bits, save(pal, "PNG", bits=bits))
    put("png_palette_%d_transparent.png" % bits, save(pal, "PNG", bits=bits, transparency=bytes([0, 128][:2 ** bits])))
wide = (formula(33, 45).astype(">u2") << 8) + formula(33, 45, 1)
put("png_rgb16.png", png(45, 33, 16, 2, [r.astype(">u2").tobytes() for r in wide]))
# Pillow clips 16-bit grey to white in convert("RGB"); the high byte is wanted here.
put("png_grey16.png", png(45, 33, 16, 0, [r[:, 0].astype(">u2").tobytes() for r in wide]),
    np.repeat((wide[..., :1] >> 8).astype("u1"), 3, 2))
put("png_grey_key.png", png(45, 33, 8, 0, [r[:, 1].tobytes() for r in formula(33, 45)], (b"tRNS", b"\x00\x10")))
put("png_rgb_key.png", png(45, 33, 8, 2, [r.tobytes() for r in formula(33, 45)], (b"tRNS", b"\x00\x00\x00\x07\x00\x0b")))

for n, im in dict(soft=soft, odd=soft.crop((0, 0, 90, 74)), w1=soft.crop((0, 0, 1, 7)), h1=soft.crop((0, 0, 6, 1)), w2=soft.crop((3, 0, 5, 5)), one=soft.crop((9, 9, 10, 10))).items():
    put("webp_%s.webp" % n, save(im, "WEBP", quality=80))
put("webp_hard.webp", save(pic, "WEBP", quality=60))
put("webp_lossless.webp", save(soft, "WEBP", lossless=True))
soft_alpha = soft.copy()
soft_alpha.putalpha(Image.fromarray(smooth(75, 91)[..., 1]))
put("webp_alpha.webp", save(soft_alpha, "WEBP", quality=80, exact=True))
put("webp_lossless_alpha.webp", save(soft_alpha, "WEBP", lossless=True, exact=True))
put("webp_animated.webp", save(soft, "WEBP", quality=70, save_all=True, append_images=[soft.transpose(0)]))
put("webp_animated_alpha.webp", save(soft_alpha, "WEBP", quality=70, save_all=True, exact=True, append_images=[soft_alpha.transpose(0)]))

gif = pic.convert("P", palette=Image.Palette.ADAPTIVE, colors=32)
put("gif.gif", save(gif, "GIF"))
put("gif_straight.gif", save(gif, "GIF", interlace=0))
put("gif_transparent.gif", save(gif, "GIF", transparency=5))
put("gif_animated.gif", save(gif, "GIF", save_all=True, append_images=[gif.transpose(0), gif.transpose(1)], duration=100))
put("gif_grey.gif", save(pic.convert("L"), "GIF"))


def offset_frame(b, x, y, w, h):
    """A larger canvas, so that the first frame leaves some of it free."""
    at = b.index(b"\x2c\x00\x00\x00\x00")
    return b[:6] + struct.pack("<HH", w, h) + b[10:at + 1] + struct.pack("<HH", x, y) + b[at + 5:]


put("gif_offset.gif", offset_frame(save(gif, "GIF", interlace=0), 3, 2, 60, 40))
put("gif_offset_transparent.gif", offset_frame(save(gif, "GIF", transparency=7, interlace=0), 3, 2, 60, 40))
golden["files"] = files

# ---- mean and deviation over pixels of several pictures
names = ["png_rgb.png", "png_grey.png", "jpeg_q5.jpg", "webp_soft.webp"]
px = np.concatenate([np.asarray(Image.open(os.path.join(OUT, n)).convert("RGB")).reshape(-1, 3) for n in names]) / 255.0
golden["measure"] = {"files": names, "mean": px.mean(0).tolist(), "std": px.std(0).tolist(), "pixels": len(px)}


def write(name, value):
    text = json.dumps(value, indent=None, separators=(",", ":"))
    text = text.replace("],[", "],\n[").replace('],"', '],\n"')
    with open(os.path.join(OUT, name), "w") as f:
        f.write(text + "\n")


write("golden.json", golden)

# ---- photos: numbers only
if len(sys.argv) > 2:
    root = os.path.join(sys.argv[2], "hymenoptera")
    rows = {}
    for path in sorted(glob.glob(root + "/**/*.jpg", recursive=True))[::13]:
        im = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        a = np.asarray(im)
        rows[os.path.relpath(path, root)] = [im.size[0], im.size[1], crc(im), float(a.mean())]
    write("hymenoptera.json", rows)
