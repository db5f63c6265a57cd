"""Golden values for folds of groups in tlkit/datasets, by scikit-learn.

    python internal/golden/referee/groups.py > tlkit/datasets/testdata/groups.json

The classes are those of tlkit's drawn sets, whose pictures get made-up groups; imbalance is what
StratifiedGroupKFold minimises: the mean over classes of the standard deviation, over folds, of the share of
the class. GroupKFold has no regard for classes.
"""

import json
import sys

import numpy as np
import sklearn
from sklearn.model_selection import StratifiedGroupKFold


def imbalance(classes, folds):
    names = np.unique(classes)
    share = np.array([[(classes[f] == c).sum() / (classes == c).sum() for c in names] for f in folds])
    return float(share.std(axis=0).mean())


def case(name, classes, groups, folds=5):
    classes, groups = np.array(classes), np.array(groups)
    out = []
    for seed in range(10):
        k = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        out.append(imbalance(classes, [held for _, held in k.split(np.zeros(len(classes)), classes, groups)]))
    return {"name": name, "classes": classes.tolist(), "groups": groups.tolist(), "folds": folds, "imbalance": out}


r = np.random.default_rng(1)
insects = [0] * 622 + [1] * 622  # insects: 122 and 500 of each class
few = [0] * 148 + [1] * 148  # insects-few
three = [0] * 150 + [1] * 90 + [2] * 24
cases = [
    case("insects, 60 videos", insects, r.integers(0, 60, len(insects))),
    case("insects, a class a video", insects, np.array(insects) * 40 + r.integers(0, 40, len(insects))),
    case("insects, uneven videos", insects, np.minimum(r.geometric(0.08, len(insects)), 50)),
    case("insects-few, 12 patients", few, r.integers(0, 12, len(few))),
    case("insects-few, 10 folds", few, r.integers(0, 40, len(few)), 10),
    case("three classes, 25 patients", three, r.integers(0, 25, len(three))),
    case("three classes, uneven", three, np.minimum(r.geometric(0.15, len(three)), 20)),
]
json.dump({"versions": {"scikit-learn": sklearn.__version__}, "cases": cases}, sys.stdout)
print()
