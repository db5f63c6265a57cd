"""Writes BMP, TIFF and PNM pictures with Pillow, and the CRC-32 of their pixels as Pillow reads them:

    python formats.py ../../../tlkit/transforms/testdata

writes OUT/bmp_*.bmp, tiff_*.tif, pnm_*.p?m and OUT/formats.json.
"""
import io, json, os, sys, zlib
from PIL import Image, ImageOps, features, __version__

OUT = sys.argv[1]
W, H = 45, 33
rgb = Image.new("RGB", (W, H))
rgb.putdata([((x * 7 + y * 3) % 256, (x * 5 + y * 11) % 256, (x * x + y) % 256) for y in range(H) for x in range(W)])
grey = rgb.convert("L")
palette = rgb.quantize(200)
few = rgb.quantize(13)
bits = grey.point(lambda v: 255 if v > 120 else 0).convert("1")
rgba = rgb.copy(); rgba.putalpha(grey)
files = {}


def put(name, data):
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(data)
    with Image.open(io.BytesIO(data)) as im:
        p = ImageOps.exif_transpose(im).convert("RGB")
    files[name] = [p.width, p.height, "%08x" % zlib.crc32(p.tobytes())]


def saved(im, form, **o):
    b = io.BytesIO()
    im.save(b, form, **o)
    return b.getvalue()


for name, im in {"rgb": rgb, "grey": grey, "palette": palette, "bits": bits, "rgba": rgba}.items():
    put("bmp_%s.bmp" % name, saved(im, "BMP"))
for name, im in {"rgb": rgb, "grey": grey, "palette": palette, "bits": bits, "rgba": rgba}.items():
    put("tiff_%s.tif" % name, saved(im, "TIFF"))
for c in ["tiff_lzw", "tiff_adobe_deflate", "packbits"]:
    put("tiff_rgb_%s.tif" % c, saved(rgb, "TIFF", compression=c))
put("tiff_bits_group4.tif", saved(bits, "TIFF", compression="group4"))
put("tiff_bits_group4_white.tif", saved(bits, "TIFF", compression="group4", tiffinfo={262: 0}))
put("tiff_bits_group3.tif", saved(bits, "TIFF", compression="group3"))
put("tiff_bits_white.tif", saved(bits, "TIFF", tiffinfo={262: 0}))
put("tiff_exif_6.tif", saved(rgb, "TIFF", tiffinfo={274: 6}))
put("tiff_pages.tif", saved(rgb, "TIFF", save_all=True, append_images=[grey]))
put("pnm_rgb.ppm", saved(rgb, "PPM"))
put("pnm_grey.pgm", saved(grey, "PPM"))
put("pnm_bits.pbm", saved(bits, "PPM"))
px = list(rgb.get_flattened_data())
put("pnm_text.ppm", (b"P3\n# a comment\n%d %d # another\n255\n" % (W, H)) + b"\n".join(b"%d %d %d" % p for p in px) + b"\n")
put("pnm_text.pgm", (b"P2 %d\n%d\n100\n" % (W, H)) + b" ".join(b"%d" % (v * 100 // 255) for v in grey.get_flattened_data()) + b"\n")
put("pnm_text.pbm", (b"P1\n%d %d\n" % (W, H)) + b"".join(b"01"[v == 0:][:1] for v in bits.get_flattened_data()) + b"\n")
put("pnm_100.ppm", (b"P6 %d %d 100\n" % (W, H)) + bytes(v * 100 // 255 for p in px for v in p))
put("pnm_wide.ppm", (b"P6 %d %d 65535\n" % (W, H)) + b"".join((v * 251).to_bytes(2, "big") for p in px for v in p))
with open(os.path.join(OUT, "formats.json"), "w") as f:
    json.dump({"pillow": __version__, "files": files}, f, indent=0)
    f.write("\n")
