"""Makes the pictures of the README from the outputs that are stored in the notebooks.

    python3 docs/gallery/make.py        # needs Pillow

Each thumbnail is a part of one stored picture, scaled down, in at most 256 colours.
"""

import base64
import io
import json
import pathlib

from PIL import Image, ImageDraw, ImageFont

HERE = pathlib.Path(__file__).parent
NOTEBOOKS = HERE.parent.parent / "notebooks"
INK, GREY, RED = "#1c2733", "#5b6770", "#b5380c"

# Notebook: the beginning of the stored picture's text, and the part of it (left, top, right, bottom).
PARTS = {
    "01": ("As the network sees them", (770, 52, 1520, 650)),
    "02": ("Input statistics against", (20, 108, 500, 520)),
    "03": ("Most wrong about", (20, 70, 1100, 930)),
    "05": ("Train loss rises from", (18, 24, 640, 560)),
    "06": ("Loss against learning rate from 1e-6 to 0.0512", (20, 20, 1280, 680)),
    "07": ("Train loss falls from 0.693 to 0.160", (640, 24, 1310, 560)),
    "08": ("One bee, as each network gets it", (0, 0, 760, 494)),
    "09": ("White: true. Orange: said", (0, 0, 752, 494)),
    "10": ("The teacher shows how", (0, 0, 390, 212)),
    "11": ("Why? ants-0003.png", (28, 110, 760, 430)),
    "12": ("Most confused", (28, 110, 760, 430)),
    "13": ("Predictions: 4 pictures", (20, 60, 690, 540)),
    "15": ("A line every ten", (30, 76, 450, 386)),
    "16": ("Backbones on insects-medium", (20, 100, 1270, 750)),
    "17": ("Train loss falls from 1.11 to 0.223", (690, 24, 1380, 500)),
}


def outputs(number):
    path, = NOTEBOOKS.glob(number + "_*.ipynb")
    for cell in json.loads(path.read_text())["cells"]:
        for out in cell.get("outputs", []):
            data = {k: "".join(v) if isinstance(v, list) else v for k, v in out.get("data", {}).items()}
            yield "".join(out.get("text", "")) or data.get("text/plain", ""), data.get("image/png") or data.get("image/jpeg")


def stored(number, begins):
    for text, png in outputs(number):
        if png and text.startswith(begins):
            return Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    raise SystemExit(f"notebook {number} has no picture that begins with {begins!r}")


def onto(canvas, part, box):
    """Scales part into box, in its middle."""
    part = part.copy()
    part.thumbnail((box[2] - box[0], box[3] - box[1]), Image.Resampling.LANCZOS)
    canvas.paste(part, ((box[0] + box[2] - part.width) // 2, (box[1] + box[3] - part.height) // 2))


def save(canvas, name, most):
    for colours in (256, 128, 64, 32):
        small = canvas.quantize(colours, dither=Image.Dither.FLOYDSTEINBERG if colours < 128 else Image.Dither.NONE)
        small.save(HERE / name, optimize=True)
        if (HERE / name).stat().st_size < most:
            return
    raise SystemExit(f"{name} is larger than {most} bytes")


def head_file():
    """Notebook 04 draws nothing: its words, a prediction and a refusal."""
    texts = [text for text, _ in outputs("04")]
    table = next(t for t in texts if t.startswith("picture")).splitlines()
    refusal = next(t for t in texts if "the file is damaged" in t)
    canvas = Image.new("RGB", (320, 220), "white")
    draw = ImageDraw.Draw(canvas)
    big, normal = ImageFont.load_default(17), ImageFont.load_default(14)
    y = 14
    draw.text((14, y), "The same head, one bit flipped", INK, big)
    y += 38
    for line in table:
        name, label, probability = line.replace(" %", "%").split()
        ink = GREY if line is table[0] else INK
        probability = probability.replace("%", " %")
        draw.text((14, y), name, ink, normal)
        draw.text((172, y), label, ink, normal)
        draw.text((306, y), probability, ink, normal, anchor="ra")
        y += 22
    y += 14
    draw.rectangle((14, y, 17, y + 62), RED)
    words = refusal[: refusal.index(" its header")].replace("export: ", "").split()
    line = ""
    for word in words:
        word = word if len(word) < 40 else word[:12] + "…,"
        if draw.textlength(line + " " + word, normal) > 280:
            draw.text((26, y), line, RED, normal)
            y, line = y + 21, ""
        line = (line + " " + word).strip()
    draw.text((26, y), line.rstrip(","), RED, normal)
    return canvas


def differences():
    """Notebook 14 draws nothing of its own: its table of differences."""
    table = next(t for t, _ in outputs("14") if t.startswith("Runtime")).splitlines()
    canvas = Image.new("RGB", (320, 220), "white")
    draw = ImageDraw.Draw(canvas)
    big, normal = ImageFont.load_default(17), ImageFont.load_default(13)
    draw.text((14, 14), "One head, five runtimes", INK, big)
    y = 56
    for line in table:
        cells = [cell for cell in line.split("  ") if cell.strip()]
        ink = GREY if line is table[0] else INK
        draw.text((14, y), cells[0].strip(), ink, normal)
        for x, cell in zip((210, 306), cells[1:]):
            draw.text((x, y), cell.strip(), ink, normal, anchor="ra")
        y += 27
    return canvas


for number, (begins, part) in PARTS.items():
    thumbnail = Image.new("RGB", (320, 220), "white")
    onto(thumbnail, stored(number, begins).crop(part), (0, 0, 320, 220))
    save(thumbnail, number + ".png", 40_000)
save(head_file(), "04.png", 40_000)
save(differences(), "14.png", 40_000)

# The first picture of the README: what the network sees, and how the head learns it.
first = Image.new("RGB", (1240, 376), "white")
onto(first, stored("01", "As the network sees them"), (0, 8, 744, 368))
onto(first, stored("01", "Train loss falls").crop((690, 20, 1400, 506)), (764, 8, 1240, 368))
save(first, "first.png", 200_000)
