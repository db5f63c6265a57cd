"""Tables of labels as people bring them, and what pandas reads in them.

    python internal/golden/referee/tables.py > tlkit/datasets/testdata/tables.json

Needs pandas. Each case is a table with the names of the pictures around it, and for each picture
its labels or values and its split, as somebody reads them who knows which column is which. The Go
test has to find out the same from the table alone.
"""

import ast
import base64
import io
import json

import pandas as pd

N = 24
KIND = ["ants" if i < N // 2 else "bees" for i in range(N)]
FLAT = [f"train/{i:03d}.jpg" for i in range(N)]
TAGS = [["insect", KIND[i]] + (["wings"] if i % 3 == 0 else []) for i in range(N)]
FOLD = [i % 4 for i in range(N)]
cases = []


def case(name, table, text, read, rows, *, pictures=FLAT, task="classes", columns="", names=None):
    """rows(df) yields (picture, labels or values, split) of the frame that read(bytes) returns."""
    raw = text if isinstance(text, bytes) else text.encode()
    found = {}
    for path, truth, split in rows(read(io.BytesIO(raw))):
        found[path] = {"truth": truth, "split": split}
    case = {"name": name, "table": table, "text": base64.b64encode(raw).decode(), "pictures": pictures, "task": task, "columns": columns, "rows": found}
    if names:
        case["names"] = names
    cases.append(case)


def plain(**kw):
    return lambda raw: pd.read_csv(raw, keep_default_na=False, na_values=["", "nan", "NaN", "<NA>"], **{"dtype": str, **kw})


def labels(path, label, split=lambda r: ""):
    """Reads columns by name; path may be a function of the row."""
    where = path if callable(path) else lambda r: r[path]
    what = label if callable(label) else lambda r: [r[label]]
    def rows(df):
        for _, r in df.iterrows():
            t = what(r)
            if not (len(t) == 1 and pd.isna(t[0])):
                yield where(r), sorted(t), split(r)
    return rows


def frame(**columns):
    return pd.DataFrame(columns)


def cut(column, sep):
    return lambda r: [t.strip() for t in r[column].split(sep) if t.strip()] if isinstance(r[column], str) else []


csv = lambda df, **kw: df.to_csv(**{"index": False, **kw})
jpg = lambda column: lambda r: f"train/{int(r[column]):03d}.jpg"

# Splits
is_valid = [i % 4 == 0 for i in range(N)]
by = lambda column, yes="valid", no="train": lambda r: yes if str(r[column]).lower() in ("true", "1", "1.0", "yes", "t") else no
case("fastai is_valid", "labels.csv", csv(frame(name=FLAT, label=KIND, is_valid=is_valid)), plain(), labels("name", "label", by("is_valid")))
case("is_valid of 0 and 1", "labels.csv", csv(frame(fname=FLAT, label=KIND, is_valid=[int(v) for v in is_valid])), plain(), labels("fname", "label", by("is_valid")))
case("isValid yes and no", "labels.csv", csv(frame(image=FLAT, label=KIND, isValid=["yes" if v else "no" for v in is_valid])), plain(), labels("image", "label", by("isValid")))
case("valid as floats", "labels.csv", csv(frame(image=FLAT, label=KIND, valid=[float(v) for v in is_valid])), plain(), labels("image", "label", by("valid")))
case("is_train", "labels.csv", csv(frame(image=FLAT, label=KIND, is_train=[not v for v in is_valid])), plain(), labels("image", "label", by("is_train", "train", "valid")))
case("is_test", "labels.csv", csv(frame(image=FLAT, label=KIND, is_test=is_valid)), plain(), labels("image", "label", by("is_test", "test")))
case("is_valid and is_test", "labels.csv", csv(frame(image=FLAT, label=KIND, is_valid=is_valid, is_test=[i % 4 == 1 for i in range(N)])), plain(),
     labels("image", "label", lambda r: "valid" if r.is_valid == "True" else "test" if r.is_test == "True" else "train"))
word = {"TRAINING": "train", "VALIDATION": "valid", "TEST": "test"}
use = [["VALIDATION", "TRAINING", "TRAINING", "TEST"][i % 4] for i in range(N)]
case("ml_use", "import.csv", csv(frame(ml_use=use, image=FLAT, label=KIND)), plain(), labels("image", "label", lambda r: word[r.ml_use]))
case("vertex, no header", "import.csv", csv(frame(a=use, b=FLAT, c=KIND), header=False), plain(header=None), labels(1, 2, lambda r: word[r[0]]))
case("vertex, bucket", "import.csv", csv(frame(a=use, b=["gs://bucket/data/" + f for f in FLAT], c=KIND), header=False), plain(header=None),
     labels(lambda r: r[1].removeprefix("gs://bucket/data/"), 2, lambda r: word[r[0]]))
case("vertex, several labels", "import.csv", "".join(f"{u},gs://b/{f},{','.join(t)}\n" for u, f, t in zip(use, FLAT, TAGS)), plain(header=None, names=range(5)),
     labels(lambda r: r[1].removeprefix("gs://b/"), lambda r: [c for c in r[2:] if isinstance(c, str)], lambda r: word[r[0]]), task="labels")
case("vertex, unassigned", "import.csv", csv(frame(a=["UNASSIGNED"] * N, b=FLAT, c=KIND), header=False), plain(header=None), labels(1, 2))
case("phase", "a.csv", csv(frame(filepath=FLAT, category=KIND, phase=["val" if v else "train" for v in is_valid])), plain(),
     labels("filepath", "category", lambda r: {"val": "valid"}.get(r.phase, r.phase)))
case("data set with spaces", "sports.csv", csv(pd.DataFrame({"class id": [int(k == "bees") for k in KIND], "filepaths": FLAT, "labels": KIND, "data set": ["valid" if v else "train" for v in is_valid]})), plain(),
     labels("filepaths", "labels", lambda r: r["data set"]))
for column, values, held in (("fold", FOLD, "0"), ("kfold", FOLD, "3"), ("cv_fold", [float(f) for f in FOLD], "2"), ("Fold", [f"fold{f}" for f in FOLD], "fold1")):
    case(f"{column} held out, {held}", "folds.csv", csv(pd.DataFrame({"image": FLAT, "target": KIND, column: values})), plain(),
         labels("image", "target", lambda r, c=column, h=held: "valid" if r[c].removesuffix(".0") == h else "train"), columns=f"{column}=split:{held}")
case("splits by folders", "all.csv", csv(frame(path=[("valid/" if v else "train/") + f"{i:03d}.jpg" for i, v in enumerate(is_valid)], label=KIND)), plain(),
     labels("path", "label", lambda r: r.path.split("/")[0]), pictures=[("valid/" if v else "train/") + f"{i:03d}.jpg" for i, v in enumerate(is_valid)])

case("FER's usage", "icml.csv", csv(frame(image=FLAT, emotion=[i % 3 for i in range(N)], Usage=[["Training", "Training", "PublicTest", "PrivateTest"][i % 4] for i in range(N)])), plain(),
     labels("image", "emotion", lambda r: "train" if r.Usage == "Training" else "test"))
case("is_training_image", "cub.csv", csv(frame(img=FLAT, class_name=KIND, is_training_image=[int(i % 4 > 0) for i in range(N)])), plain(), labels("img", "class_name", by("is_training_image", "train", "valid")))
case("train_test", "t.csv", csv(frame(img=FLAT, **{"class": KIND}, train_test=["test" if v else "train" for v in is_valid])), plain(), labels("img", "class", lambda r: r.train_test))
case("a set of numbers, held out", "t.csv", csv(frame(img=FLAT, **{"class": KIND}, set=[1 + i % 3 for i in range(N)])), plain(), labels("img", "class", lambda r: "valid" if r.set == "2" else "train"), columns="set=split:2")

# Labels by folders
NESTED = [f"images/{k}/{i:03d}.jpg" for i, k in enumerate(KIND)]
parent = lambda path: lambda r: [r[path].split("/")[-2]]
case("only paths", "list.txt", "".join(f + "\n" for f in NESTED), plain(header=None), labels(0, parent(0)), pictures=NESTED)
case("CUB's images.txt", "images.txt", "".join(f"{i + 1} {f.removeprefix('images/')}\n" for i, f in enumerate(NESTED)), plain(header=None, sep=" "), labels(lambda r: "images/" + r[1], parent(1)), pictures=NESTED)
case("paths and splits", "t.csv", csv(frame(path=NESTED, split=["val" if v else "train" for v in is_valid])), plain(), labels("path", parent("path"), lambda r: "valid" if r["split"] == "val" else "train"), pictures=NESTED)

# A column for each label
one = {"ANT": [k == "ants" for k in KIND], "BEE": [k == "bees" for k in KIND]}
attributes = {"six_legs": [1] * N, "stripes": [int(k == "bees") for k in KIND], "wings": [int(i % 5 == 0 or k == "bees") for i, k in enumerate(KIND)]}
hot = lambda r: [c.strip() for c in r.index if r[c] in ("1", "1.0", "True", "x", "yes", "t")]
for name, cells in (("floats", float), ("ints", int), ("booleans", bool), ("yes and no", lambda v: "yes" if v else "no"), ("letters", lambda v: "t" if v else "f"), ("marks", lambda v: "x" if v else "")):
    case(f"one-hot, {name}", "truth.csv", csv(pd.DataFrame({"image": FLAT, **{k: [cells(x) for x in v] for k, v in one.items()}})), plain(), labels("image", hot))
    case(f"several-hot, {name}", "_classes.csv", csv(pd.DataFrame({"filename": FLAT, **{" " + k: [cells(x) for x in v] for k, v in attributes.items()}})), plain(), labels("filename", hot), task="labels")
case("one-hot of -1 and 1", "list_attr.csv", csv(pd.DataFrame({"image_id": FLAT, **{k: [2 * x - 1 for x in v] for k, v in attributes.items()}})), plain(), labels("image_id", hot), task="labels")
case("one-hot with a split", "t.csv", csv(pd.DataFrame({"image": FLAT, **{k: [int(x) for x in v] for k, v in one.items()}, "split": ["val" if v else "train" for v in is_valid]})), plain(),
     labels("image", hot, lambda r: "valid" if r.split == "val" else "train"))
case("one-hot, index", "t.csv", pd.DataFrame({"image": FLAT, **{k: [int(x) for x in v] for k, v in one.items()}}).to_csv(), plain(), labels("image", lambda r: [c for c in ("ANT", "BEE") if r[c] == "1"]))
case("one-hot, no label on some", "t.csv", csv(pd.DataFrame({"image": FLAT, "ANT": [int(k == "ants" and i > 2) for i, k in enumerate(KIND)], "BEE": [int(k == "bees") for k in KIND]})), plain(), labels("image", hot), task="labels")

# Names of pictures
case("ids without folder and ending", "labels.csv", csv(frame(id=[f"{i:03d}" for i in range(N)], breed=KIND)), plain(), labels(jpg("id"), "breed"))
case("numbers without zeros", "labels.csv", csv(frame(id=range(N), breed=KIND)), plain(), labels(jpg("id"), "breed"))
case("Image and Id", "train.csv", csv(frame(Image=[f"{i:03d}.jpg" for i in range(N)], Id=KIND)), plain(), labels(lambda r: "train/" + r.Image, "Id"))
case("other case", "labels.csv", csv(frame(path=[f.upper() for f in FLAT], label=KIND)), plain(), labels(lambda r: r.path.lower(), "label"))
case("backslashes", "labels.csv", csv(frame(path=[f.replace("/", "\\") for f in FLAT], label=KIND)), plain(), labels(lambda r: r.path.replace("\\", "/"), "label"))
case("a drive", "labels.csv", csv(frame(path=["C:\\Users\\me\\data\\" + f.replace("/", "\\") for f in FLAT], label=KIND)), plain(), labels(lambda r: r.path.split("data\\")[1].replace("\\", "/"), "label"))
case("another machine", "labels.csv", csv(frame(path=["/home/me/no-such-folder/" + f for f in FLAT], label=KIND)), plain(), labels(lambda r: r.path.removeprefix("/home/me/no-such-folder/"), "label"))
case("a URL", "labels.csv", csv(frame(image=["https://example.org/" + f + "?token=a.b" for f in FLAT], label=KIND)), plain(), labels(lambda r: r.image[len("https://example.org/"):].split("?")[0], "label"))
case("another ending", "labels.csv", csv(frame(image=[f.replace(".jpg", ".png") for f in FLAT], label=KIND)), plain(), labels(lambda r: r.image.replace(".png", ".jpg"), "label"))
case("folders of labels", "labels.csv", csv(frame(image=[f"{i % 12}.jpg" for i in range(N)], label=KIND)), plain(), labels(lambda r: f"{r.label}/{r.image}", "label"), pictures=[f"{k}/{i % 12}.jpg" for i, k in enumerate(KIND)])
case("train beside test", "train.csv", csv(frame(id=range(N), label=KIND)), plain(), labels(lambda r: f"train/{r.id}.jpg", "label"), pictures=[f"{s}/{i}.jpg" for s in ("test", "train") for i in range(N)])
case("fewer pictures in test", "labels.csv", csv(frame(id=range(N), label=KIND)), plain(), labels(lambda r: f"train/{r.id}.jpg", "label"), pictures=[f"train/{i}.jpg" for i in range(N)] + [f"test/{i}.jpg" for i in range(9)])
case("levels as numbers of pictures", "train.csv", csv(frame(id_code=range(N), diagnosis=[i % 5 for i in range(N)])), plain(), labels(lambda r: f"images/{r.id_code}.png", "diagnosis"), pictures=[f"images/{i}.png" for i in range(N)])
case("pictures without ending", "labels.csv", csv(frame(id=[f"img_{i}" for i in range(N)], label=KIND)), plain(), labels("id", "label"), pictures=[f"img_{i}" for i in range(N)])

# Several labels in a cell
for name, sep in (("space", " "), ("comma", ","), ("comma and space", ", "), ("bar", "|"), ("semicolon", ";")):
    text = [sep.join(t) for t in TAGS]
    for column in ("tags", "labels", "Finding Labels", "attributes"):
        case(f"{column} by {name}", "labels.csv", csv(pd.DataFrame({"image_name": FLAT, column: text})), plain(), labels("image_name", cut(column, sep)), task="labels")
for name, sep in (("slash", "/"), ("plus", "+")):
    text = [sep.join(t) if i % 2 else t[0] for i, t in enumerate(TAGS)]
    case(f"labels by {name}", "labels.csv", csv(pd.DataFrame({"image_name": FLAT, "labels": text})), plain(), labels("image_name", cut("labels", sep)), task="labels")
case("lists of one", "labels.csv", csv(frame(image=FLAT, label=[str([k]) for k in KIND])), plain(), labels("image", lambda r: ast.literal_eval(r.label)))
case("makesense.ai", "labels.csv", "".join(f"[{k}],{f.removeprefix('train/')}\n" for k, f in zip(KIND, FLAT)), plain(header=None), labels(lambda r: "train/" + r[1], lambda r: [r[0].strip("[]")]))
case("Labelbox", "export.csv", csv(pd.DataFrame({"External ID": [f"{i:03d}.jpg" for i in range(N)], "Label": KIND, "Created At": [f"2024-01-{i + 1:02d}" for i in range(N)], "Created By": "a@b.c"})), plain(), labels(lambda r: "train/" + r["External ID"], "Label"))
case("Python lists", "labels.csv", csv(frame(image=FLAT, tags=[str(t) for t in TAGS])), plain(), labels("image", lambda r: ast.literal_eval(r.tags)), task="labels")
case("JSON lists", "labels.csv", csv(frame(image=FLAT, labels=[json.dumps(t) for t in TAGS])), plain(), labels("image", lambda r: json.loads(r.labels)), task="labels")
case("lists under an unknown name", "labels.csv", csv(frame(image=FLAT, attrs=[str(t) for t in TAGS])), plain(), labels("image", lambda r: ast.literal_eval(r["attrs"])), task="labels")
case("Label Studio, choices", "project.csv", csv(pd.DataFrame({"image": ["/data/local-files/?d=" + f for f in FLAT], "id": range(100, 100 + N), "choice": KIND, "annotator": 1, "annotation_id": range(N), "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-02T00:00:00Z", "lead_time": [1.5 + i for i in range(N)]})), plain(),
     labels(lambda r: r.image.split("?d=")[1], "choice"))
case("Label Studio, several choices", "project.csv", csv(pd.DataFrame({"annotation_id": range(N), "annotator": "a@b.c", "choice": [json.dumps({"choices": t}) for t in TAGS], "created_at": "2024", "id": range(N), "image": FLAT, "lead_time": 3.25, "updated_at": "2024"})), plain(),
     labels("image", lambda r: json.loads(r.choice)["choices"]), task="labels")
case("columns of tags", "t.csv", csv(pd.DataFrame({"image": FLAT, "tag1": [t[0] for t in TAGS], "tag2": [t[1] for t in TAGS], "tag3": [t[2] if len(t) > 2 else "" for t in TAGS]})), plain(),
     labels("image", lambda r: [c for c in r[1:] if isinstance(c, str)]), task="labels")
case("a row for each label", "long.csv", csv(pd.DataFrame([(f, t) for f, ts in zip(FLAT, TAGS) for t in ts], columns=["image", "label"])), plain(),
     lambda df: ((f, sorted(g.label), "") for f, g in df.groupby("image")), task="labels", columns="label=labels")
case("some without labels", "t.csv", csv(frame(image=FLAT, labels=[";".join(t) if i % 6 else "" for i, t in enumerate(TAGS)])), plain(), labels("image", lambda r: r.labels.split(";") if isinstance(r.labels, str) else []), task="labels")
case("names with spaces", "t.csv", csv(frame(image=FLAT, label=["red " + k if i % 2 else k for i, k in enumerate(KIND)])), plain(), labels("image", "label"))
case("breeds with spaces", "t.csv", csv(frame(image=FLAT, breed=["golden retriever" if k == "ants" else "labrador retriever" for k in KIND])), plain(), labels("image", "breed"))
case("labels, one each", "t.csv", csv(frame(image=FLAT, labels=KIND)), plain(), labels("image", "labels"))

# Forms of files
df = frame(file_name=FLAT, **{"class": KIND})
case("tabs", "labels.tsv", csv(df, sep="\t"), plain(sep="\t"), labels("file_name", "class"))
case("semicolons", "labels.csv", csv(df, sep=";"), plain(sep=";"), labels("file_name", "class"))
case("bars", "labels.txt", csv(df, sep="|"), plain(sep="|"), labels("file_name", "class"))
case("spaces, no header", "list.txt", csv(df, sep=" ", header=False), plain(sep=" ", header=None), labels(0, 1))
case("BOM and CRLF", "labels.csv", ("\ufeff" + csv(df, sep=";", lineterminator="\r\n")).encode(), plain(sep=";", encoding="utf-8-sig"), labels("file_name", "class"))
case("Excel's Unicode text", "labels.txt", csv(df, sep="\t", lineterminator="\r\n").encode("utf-16"), plain(sep="\t", encoding="utf-16"), labels("file_name", "class"))
case("UTF-16, big end first", "labels.txt", b"\xfe\xff" + csv(df, sep="\t").encode("utf-16-be"), plain(sep="\t", encoding="utf-16"), labels("file_name", "class"))
case("UTF-16 without a mark", "labels.txt", csv(df, sep="\t", lineterminator="\r\n").encode("utf-16-le"), plain(sep="\t", encoding="utf-16-le"), labels("file_name", "class"))
case("old Macintosh", "labels.csv", csv(df, lineterminator="\r"), plain(), labels("file_name", "class"))
case("Excel's sep=", "labels.csv", "sep=;\r\n" + csv(df, sep=";", lineterminator="\r\n"), plain(sep=";", skiprows=1), labels("file_name", "class"))
case("comments above", "labels.csv", "# exported by hand\n# twice\n" + csv(df), plain(comment="#"), labels("file_name", "class"))
case("a header with #", "labels.csv", "#" + csv(df), plain(), labels("#file_name", "class"))
case("empty columns and rows", "labels.csv", "".join(line + ",,\n" for line in csv(df).splitlines()) + ",,,\n,,,\n", lambda raw: plain()(raw).dropna(how="all"), labels("file_name", "class"))
case("index of pandas", "frame.csv", df.to_csv(), plain(index_col=0), labels("file_name", "class"))
case("index saved twice", "frame.csv", pd.read_csv(io.StringIO(df.to_csv())).to_csv(), plain(index_col=0), labels("file_name", "class"))
case("index, shuffled", "frame.csv", df.sample(frac=1, random_state=1).to_csv(), plain(index_col=0), labels("file_name", "class"))
case("row names of R", "frame.txt", "\n".join(['"file_name"\t"class"'] + [f'"{i + 1}"\t"{f}"\t"{k}"' for i, (f, k) in enumerate(zip(FLAT, KIND))]) + "\n", plain(sep="\t"), labels("file_name", "class"))
case("no header", "t.csv", csv(df, header=False), plain(header=None), labels(0, 1))
case("no header, ids", "t.csv", csv(frame(a=[f"{i:03d}" for i in range(N)], b=KIND), header=False), plain(header=None), labels(lambda r: f"train/{r[0]}.jpg", 1))
case("unknown header", "t.csv", csv(pd.DataFrame({"Bilddatei": FLAT, "Sorte": KIND})), plain(), labels("Bilddatei", "Sorte"))
case("unknown header, ids", "t.csv", csv(pd.DataFrame({"bild": [f"{i:03d}" for i in range(N)], "sorte": KIND})), plain(), labels(jpg("bild"), "sorte"))
case("two values under an unknown name", "t.csv", csv(frame(id=[f"{i:03d}" for i in range(N)], has_wings=[i % 2 for i in range(N)])), plain(), labels(jpg("id"), "has_wings"))
case("codes beside names", "t.csv", csv(frame(image=FLAT, class_id=[int(k == "bees") for k in KIND], class_name=KIND)), plain(), labels("image", "class_name"))
case("quotes within words", "t.tsv", "".join(f'{f}\t{"the " + chr(34) + "big" + chr(34) + " one" if k == "ants" else k}\n' for f, k in zip(FLAT, KIND)), plain(sep="\t", header=None, quoting=3), labels(0, 1))
case("rows without label", "t.csv", csv(frame(image=FLAT, label=[k if i % 8 else "" for i, k in enumerate(KIND)])), plain(), labels("image", "label"))
case("rows with nan", "t.csv", csv(frame(image=FLAT, label=[k if i % 8 else "nan" for i, k in enumerate(KIND)])), plain(), labels("image", "label"))
case("rows twice", "t.csv", csv(pd.concat([df, df.iloc[3:7]])), lambda raw: plain()(raw).drop_duplicates(), labels("file_name", "class"))
case("patient left out", "t.csv", csv(frame(path=FLAT, label=KIND, patient=[f"p{i // 3}" for i in range(N)])), plain(), labels("path", "label"), columns="patient=ignore")
case("label declared", "t.csv", csv(frame(path=FLAT, sort=KIND, patient=[f"p{i // 3}" for i in range(N)], width=[i * 7 for i in range(N)])), plain(), labels("path", "sort"), columns="sort=label")

# Numbers
values = lambda path, *names, dec=".": lambda df: ((r[path], [float(str(r[n]).replace(dec, ".")) for n in names], "") for _, r in df.iterrows())
x, y = [i * 1.5 - 3 for i in range(N)], [(i * 7) % 24 for i in range(N)]
case("numbers", "t.csv", csv(frame(path=FLAT, angle=x)), plain(), values("path", "angle"), task="values", names=["angle"])
case("whole numbers called x and y", "t.csv", csv(frame(path=FLAT, x=y, y=y[::-1])), plain(), values("path", "x", "y"), task="values", names=["x", "y"])
case("decimal commas", "t.csv", csv(frame(path=FLAT, angle=x), sep=";", decimal=","), plain(sep=";"), values("path", "angle", dec=","), task="values", names=["angle"])
case("declared numbers", "t.csv", csv(frame(path=FLAT, weight=y, patient=KIND)), plain(), values("path", "weight"), task="values", columns="weight=value", names=["weight"])
case("a target of fractions", "t.csv", csv(frame(path=FLAT, target=x)), plain(), values("path", "target"), task="values", names=["target"])

lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
print(f'{{"pandas":"{pd.__version__}","cases":[\n{lines}\n]}}')
