#!/usr/bin/env python3
"""What OpenCLIP makes of words and pictures, on networks filled by the formula of zoo.py.

    python clip.py --out ../../../tlkit/clip/testdata     tokens of texts, features of a few texts and pictures

Needs open_clip_torch and ftfy besides requirements.txt.
"""
import argparse
import json
import os
import random

import numpy as np
import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer

from zoo import batch, fill

TEXTS = ["a bee on a flower", "a photo of an ant", "two bees, an ant & a blossom's shadow"]

# Shallow, since equal blocks prove no more; otherwise as published.
MODELS = {
    "ViT-B-32": dict(quick_gelu=True, pixels=64),
    "ViT-B-16": dict(quick_gelu=False, pixels=64),
    "ViT-L-14": dict(quick_gelu=False, pixels=56),
}


def texts():
    """Texts of many kinds: words, prompts, punctuation, numbers, other scripts, entities, quotes, odd spaces."""
    words = ("bee ant blossom flower wing photograph of the a an red green low resolution sculpture robot arm pick place grasp"
             " strawberry Zürich naïve café smørrebrød 蜜蜂 муравей نحلة मधुमक्खी ミツバチ 벌 ants' bee's don't I'll we've they're").split()
    marks = ["", ",", ".", "!", "?!", "...", " - ", "—", "“quoted”", "‘single’", "&amp;", "&lt;b&gt;", "#tag", "@me", "100", "3.14", "1,000", "🐝", "e\u0301",
             "ﬁne ﬂower", "ＦＵＬＬ　ｗｉｄｔｈ", "\t", "\u00a0", "\n", "CamelCase", "snake_case", "http://a.b/c?d=e", "½", "x²", "№5", "'s", "'LL", "<end_of_text>"]
    r = random.Random(1)
    out = list(TEXTS) + ["", " ", "a" * 300, "bee " * 200, "İstanbul", "ΟΔΥΣΣΕΥΣ", "straße", "A\u200dB"]
    for _ in range(400):
        out.append(" ".join(r.choice(words if r.random() < 0.7 else marks) for _ in range(r.randint(1, 14))))
    for word in words:
        out += [word, "a photo of a %s." % word, word.upper()]
    return out


def filled(name, quick_gelu):
    cfg = open_clip.get_model_config(name)
    cfg["vision_cfg"]["layers"] = cfg["text_cfg"]["layers"] = 2
    model = open_clip.CLIP(quick_gelu=quick_gelu, output_dict=True, **{k: cfg[k] for k in ("embed_dim", "vision_cfg", "text_cfg")}).eval()
    with torch.no_grad():
        for key, p in model.state_dict().items():
            if p.ndim:
                p.copy_(torch.from_numpy(fill(key, tuple(p.shape), 0.5)))
            else:
                p.fill_(float(np.log(100)))
    return model


def numbers(rows, count=40):
    step = max(1, rows.shape[1] // count)
    return {"step": step, "values": [[float("%.9g" % v) for v in row[::step][:count]] for row in rows.double().numpy()]}


def golden(name, quick_gelu, pixels):
    model = filled(name, quick_gelu)
    tokens = SimpleTokenizer()(TEXTS)
    model.visual.image_size = (pixels, pixels)
    grid = pixels // model.visual.patch_size[0]
    # positions of a smaller picture, by the formula too
    shape = (grid * grid + 1, model.visual.positional_embedding.shape[1])
    model.visual.positional_embedding = torch.nn.Parameter(torch.from_numpy(fill("visual.positional_embedding", shape, 0.5)))
    with torch.no_grad():
        model = model.double()
        if model.attn_mask is not None:
            model.attn_mask = model.attn_mask.double()
        text = model.encode_text(tokens, normalize=True)
        picture = model.encode_image(batch(pixels, 2).double(), normalize=True)
    return {"name": name, "quick_gelu": quick_gelu, "pixels": pixels, "gain": 0.5, "texts": numbers(text), "pictures": numbers(picture),
            "cosines": [[float("%.9g" % v) for v in row] for row in (picture @ text.T).numpy()]}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    o = p.parse_args()
    torch.manual_seed(0)
    tokenizer = SimpleTokenizer()
    lines = []
    for t in texts():
        tokens = tokenizer([t])[0].tolist()
        while tokens and tokens[-1] == 0:
            tokens.pop()
        lines.append(json.dumps([t, tokens]))
    out = {"by": {"open_clip_torch": open_clip.__version__, "torch": torch.__version__.partition("+")[0]}, "prompts": TEXTS,
           "models": [golden(name, **kw) for name, kw in MODELS.items()]}
    with open(os.path.join(o.out, "openclip.json"), "w") as f:
        head = json.dumps(out, indent=1)[:-2]
        f.write(head + ',\n "tokens": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n")


if __name__ == "__main__":
    main()
