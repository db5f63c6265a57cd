#!/usr/bin/env python3
"""What OpenCLIP and Hugging Face's transformers make of words and pictures, on SigLIP's networks filled by the formula of zoo.py.

    python siglip.py --out ../../../tlkit/clip/testdata

The published vocabularies lie on hosts that a test cannot rely on, so small ones of the same kinds are trained here: a
unigram model with T5's options (SigLIP), a BPE model with Gemma's (SigLIP 2). Needs open_clip_torch, ftfy, sentencepiece
and transformers besides requirements.txt.
"""
import argparse
import gzip
import io
import json
import os
import random
import sys
import tempfile

import ftfy
import open_clip
import sentencepiece
import torch
from open_clip.tokenizer import SimpleTokenizer, basic_clean, canonicalize_text
from timm.data import ImageNetInfo
from transformers import CLIPConfig, CLIPModel, GemmaTokenizerFast, SiglipConfig, SiglipModel, T5TokenizerFast

import clip
from zoo import batch, fill

PROMPTS = clip.TEXTS + ["Zürich’s “bees” — №5 & ½", "bee " * 200, ""]
CONTEXT = 64
PIECES = 3000  # of each vocabulary
COUNT = 5000  # texts


def descriptions():
    info = ImageNetInfo("imagenet-12k")
    return [info.index_to_description(i, detailed=True) for i in range(info.num_classes())]


def texts():
    """Texts of many kinds: names of things, definitions, prompts, and what clip.py has, of all scripts and oddities."""
    r = random.Random(2)
    out = PROMPTS + clip.texts()
    things = descriptions()
    for t in r.sample(things, 2200):
        out += [t.partition(",")[0], "a photo of a %s." % t.partition(",")[0].upper()]
    alphabet = [chr(c) for c in list(range(0x20, 0x17F)) + list(range(0x370, 0x45F)) + [0xFB01, 0xFF21, 0x1F41D, 0x3042, 0x871C, 0xAC00, 0x200D, 0x301, 0xAD,
                                                                                       0x2026, 0xFE64, 0x2581, 0x3000, 0x212B, 0x1E9E, 0x132, 0xFFFD, 0x0]]
    while len(out) < COUNT:
        t = "".join(r.choice(alphabet) if r.random() < 0.3 else r.choice("abcdefghijklmnopqrstuvwxyz      ") for _ in range(r.randint(1, 60)))
        if ftfy.fix_encoding(t) == t:  # wrong decodings, which tlkit leaves as they are
            out.append(t)
    return out[:COUNT]


def train(kind):
    options = dict(
        unigram=dict(model_type="unigram", normalization_rule_name="nmt_nfkc", character_coverage=0.9995, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
                     user_defined_symbols=["honeybee"]),
        bpe=dict(model_type="bpe", normalization_rule_name="identity", byte_fallback=True, add_dummy_prefix=False, remove_extra_whitespaces=False,
                 pad_id=0, eos_id=1, bos_id=2, unk_id=3, eos_piece="<eos>", bos_piece="<bos>", user_defined_symbols=["<mask>", "honeybee"], split_digits=True),
    )[kind]
    model = io.BytesIO()
    lines = [canonicalize_text(d) for d in descriptions()]
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, vocab_size=PIECES, num_threads=1, minloglevel=2, **options)
    return model.getvalue()


def tokens_of(model, pad):
    """Google's sentencepiece as SigLIP uses it: canonical text, one end, padding."""
    sp = sentencepiece.SentencePieceProcessor(model_proto=model)

    def tokens(text):
        ids = sp.encode(canonicalize_text(basic_clean(text)))[: CONTEXT - 1] + [1]
        return ids + [pad] * (CONTEXT - len(ids))
    return tokens


def agrees(kind, model, lines):
    """Says in how many texts Hugging Face's tokenizers, which OpenCLIP loads for these networks, have other tokens."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "spiece.model" if kind == "unigram" else "tokenizer.model"), "wb") as f:
            f.write(model)
        if kind == "unigram":
            t = T5TokenizerFast.from_pretrained(folder, extra_ids=0, pad_token="</s>")
        else:
            t = GemmaTokenizerFast.from_pretrained(folder, padding_side="right", add_bos_token=False, add_eos_token=True)

        def tokens(text):
            return t([canonicalize_text(basic_clean(text))], max_length=CONTEXT, padding="max_length", truncation=True)["input_ids"][0]
        different = [text for text, ids in lines if tokens(text) != ids]
    print(kind, "differs from", type(t).__name__, "in", len(different), "of", len(lines), different[:5], file=sys.stderr)


def formula(model, gain, scale, bias):
    with torch.no_grad():
        for key, p in model.state_dict().items():
            if key == "logit_scale":
                p.fill_(scale)
            elif key == "logit_bias":
                p.fill_(bias)
            elif p.is_floating_point():
                p.copy_(torch.from_numpy(fill(key, tuple(p.shape), gain)))
    return model.eval().double()


def named(model):
    return [{"name": k, "shape": list(p.shape), "integers": not p.is_floating_point()} for k, p in model.state_dict().items()]


def result(by, name, model, pixels, text, picture, bias=-3.0):
    return {"by": by, "name": name, "pixels": pixels, "gain": 0.5, "scale": 2.0, "bias": bias, "tensors": named(model),
            "texts": clip.numbers(text), "pictures": clip.numbers(picture)}


def unit(x):
    return torch.nn.functional.normalize(getattr(x, "pooler_output", x), dim=-1)


def siglip_open(name, tokens, side):
    cfg = open_clip.get_model_config(name)
    cfg["text_cfg"].update(layers=2, vocab_size=PIECES)
    model = open_clip.model.CustomTextCLIP(**{k: v for k, v in cfg.items() if k != "custom_text"})
    model.visual.trunk.set_input_size((side, side))
    model.visual.trunk.blocks = model.visual.trunk.blocks[:2]
    model = formula(model, 0.5, 2.0, -3.0)
    with torch.no_grad():
        return result("OpenCLIP", name, model, side, model.encode_text(tokens, normalize=True), model.encode_image(batch(side, 2).double(), normalize=True))


def siglip_transformers(name, tokens, side, patch):
    size = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=2, num_attention_heads=12)
    model = SiglipModel(SiglipConfig(
        text_config=dict(vocab_size=PIECES, max_position_embeddings=CONTEXT, **size), vision_config=dict(image_size=side, patch_size=patch, **size)))
    model = formula(model, 0.5, 2.0, -3.0)
    with torch.no_grad():
        return result("transformers", name, model, side, unit(model.get_text_features(input_ids=tokens)),
                      unit(model.get_image_features(pixel_values=batch(side, 2).double())))


def clip_transformers(name, side):
    size = dict(num_hidden_layers=2)
    model = CLIPModel(CLIPConfig(
        text_config=dict(eos_token_id=49407, **size), vision_config=dict(image_size=side, patch_size=32, **size), projection_dim=512))
    model = formula(model, 0.5, 2.0, 0.0)
    tokens = SimpleTokenizer()(PROMPTS)
    with torch.no_grad():
        return result("transformers", name, model, side, unit(model.get_text_features(input_ids=tokens)),
                      unit(model.get_image_features(pixel_values=batch(side, 2).double())), bias=0.0)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    o = p.parse_args()
    all_texts, out = texts(), {}
    vocabularies = {kind: train(kind) for kind in ("unigram", "bpe")}
    for kind, model in vocabularies.items():
        with open(os.path.join(o.out, kind + ".model.gz"), "wb") as f:
            f.write(gzip.compress(model, 9, mtime=0))
        tokens = tokens_of(model, 1 if kind == "unigram" else 0)
        out[kind] = [tokens(t) for t in all_texts]
        agrees(kind, model, list(zip(all_texts, out[kind])))
    few = {kind: torch.tensor(out[kind][: len(PROMPTS)]) for kind in out}
    models = [
        siglip_open("ViT-B-16-SigLIP", few["unigram"], 64), siglip_open("ViT-B-32-SigLIP2-256", few["bpe"], 64),
        siglip_transformers("ViT-B-16-SigLIP", few["unigram"], 64, 16), siglip_transformers("ViT-B-32-SigLIP2-256", few["bpe"], 64, 32),
        clip_transformers("ViT-B-32-quickgelu", 64)]
    by = {m: __import__(m).__version__.partition("+")[0] for m in ("open_clip", "transformers", "sentencepiece", "torch")}
    with open(os.path.join(o.out, "siglip.json"), "w") as f:
        f.write(json.dumps({"by": by, "prompts": PROMPTS, "models": models}, indent=None, separators=(",", ":")).replace('{"by":"', '\n{"by":"') + "\n")

    def stripped(row):  # without the padding, which the first end begins
        return row[: row.index(1) + 1] if 1 in row else row
    lines = [json.dumps([t] + [stripped(out[kind][i]) for kind in out], separators=(",", ":")) for i, t in enumerate(all_texts)]
    with open(os.path.join(o.out, "pieces.json.gz"), "wb") as f:
        f.write(gzip.compress(("[" + ",\n".join(lines) + "]\n").encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
