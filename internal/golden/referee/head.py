"""Reference values for package head, made by scikit-learn (its LogisticRegression on
StandardScaler's output). Writes tlkit/head/testdata/logistic.json.

    python internal/golden/referee/head.py

The samples are made by an integer formula that head_test.go repeats, so no data travels.
"""
import json, os
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
import sklearn


def samples(n, c, k):
    """x[i, j] in [-1, 1) from a small integer hash, plus a class-dependent shift."""
    i = np.arange(n, dtype=np.uint32)[:, None]
    j = np.arange(c, dtype=np.uint32)[None, :]
    h = (i * np.uint32(2654435761) + j * np.uint32(40503) + np.uint32(12345)).astype(np.uint32)
    h ^= h >> np.uint32(15)
    h = (h * np.uint32(2246822519)).astype(np.uint32)
    h ^= h >> np.uint32(13)
    x = (h >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
    y = (np.arange(n) * 7 + np.arange(n) // 5) % k
    for cls in range(k):
        cols = np.arange(c) % k == cls
        x[np.ix_(y == cls, cols)] += np.float32(0.25)
    return x.astype(np.float32), y


def fit(n, c, k, lam):
    x, y = samples(n, c, k)
    scaled = StandardScaler().fit_transform(x.astype(np.float64))
    # For two classes scikit-learn has one weight vector where softmax has two; the softmax
    # penalty λ/2(|w0|²+|w1|²) with w1 = -w0 = w/2 is λ/4|w|², hence the halved λ.
    m = LogisticRegression(C=1 / (lam * n) if k > 2 else 2 / (lam * n), tol=1e-12, max_iter=100000)
    m.fit(scaled, y)
    p = m.predict_proba(scaled)
    return {"n": n, "features": c, "classes": k, "strength": lam,
            "probabilities": [[round(float(v), 9) for v in row] for row in p[:12]]}


rows = [fit(40, 100, 2, 0.1), fit(60, 200, 3, 1.0), fit(200, 20, 2, 0.01), fit(300, 30, 5, 0.1)]
out = os.path.join(os.path.dirname(__file__), "../../../tlkit/head/testdata/logistic.json")
os.makedirs(os.path.dirname(out), exist_ok=True)
with open(out, "w") as f:
    json.dump({"by": f"scikit-learn {sklearn.__version__}", "fits": rows}, f, indent=1)


# Several labels a picture and real values, on the same samples: testdata/tasks.json.
from sklearn.linear_model import Ridge


def labels_of(n, k):
    i, c = np.arange(n)[:, None], np.arange(k)[None, :]
    return ((i * (c + 2) + i // 3) % 5 < 2).astype(int)


def values_of(x, k):
    n = len(x)
    i, c = np.arange(n)[:, None], np.arange(k)[None, :]
    return 100.0 ** (c - 1) * (x[:, :k].astype(np.float64) * 3 + x[:, k:2 * k] + (i * 13 % 7 + i * c % 3) / 4) + 10 * c


def several(n, c, k, lam):
    x, _ = samples(n, c, k)
    t = labels_of(n, k)
    scaled = StandardScaler().fit_transform(x.astype(np.float64))
    p = np.stack([LogisticRegression(C=1 / (lam * n), tol=1e-12, max_iter=100000).fit(scaled, t[:, j]).predict_proba(scaled)[:, 1] for j in range(k)], 1)
    return {"n": n, "features": c, "classes": k, "strength": lam, "probabilities": [[round(float(v), 9) for v in row] for row in p[:12]]}


def values(n, c, k, lam):
    x, _ = samples(n, c, k)
    t = values_of(x, k)
    scaled = StandardScaler().fit_transform(x.astype(np.float64))
    mean, sd = t.mean(0), t.std(0)
    fitted = Ridge(alpha=lam * n).fit(scaled, (t - mean) / sd).predict(scaled)
    fitted = fitted.reshape(n, k)
    return {"n": n, "features": c, "classes": k, "strength": lam, "standardised": [[round(float(v), 9) for v in row] for row in fitted[:12]],
            "mean": mean.tolist(), "sd": sd.tolist()}


with open(os.path.join(os.path.dirname(out), "tasks.json"), "w") as f:
    json.dump({"by": f"scikit-learn {sklearn.__version__}",
               "labels": [several(40, 100, 3, 0.1), several(200, 20, 4, 0.01), several(60, 30, 1, 1.0)],
               "values": [values(40, 100, 3, 0.1), values(200, 20, 2, 3.0), values(60, 30, 1, 0.01)]}, f, indent=1)


# The families of heads of classes, on the same samples: testdata/families.json.
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier


def rounded(rows):
    return [[round(float(v), 9) for v in row] for row in rows[:12]]


def discriminant(n, c, k, shrinkage):
    x, y = samples(n, c, k)
    m = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(x.astype(np.float64), y)
    return {"n": n, "features": c, "classes": k, "setting": shrinkage, "outputs": rounded(m.predict_proba(x.astype(np.float64)))}


def ridge_of_classes(n, c, k, lam):
    x, y = samples(n, c, k)
    scaled = StandardScaler().fit_transform(x.astype(np.float64))
    return {"n": n, "features": c, "classes": k, "setting": lam,
            "outputs": rounded(Ridge(alpha=lam * n).fit(scaled, np.eye(k)[y]).predict(scaled))}


def neighbours(n, c, k, near):
    """DINO's weighted k-NN: exp(cosine / 0.07); the last ten samples are asked about."""
    x, y = samples(n, c, k)
    m = KNeighborsClassifier(near, metric="cosine", algorithm="brute", weights=lambda d: np.exp(-d / 0.07))
    return {"n": n, "features": c, "classes": k, "setting": near,
            "outputs": rounded(m.fit(x[:-10].astype(np.float64), y[:-10]).predict_proba(x[-10:].astype(np.float64)))}


with open(os.path.join(os.path.dirname(out), "families.json"), "w") as f:
    json.dump({"by": f"scikit-learn {sklearn.__version__}",
               "lda": [discriminant(40, 100, 2, 0.5), discriminant(60, 200, 3, 0.1), discriminant(200, 20, 2, 0.01), discriminant(300, 30, 5, 0.9)],
               "ridge": [ridge_of_classes(40, 100, 2, 1.0), ridge_of_classes(60, 200, 3, 0.1), ridge_of_classes(300, 30, 5, 3.0)],
               "knn": [neighbours(40, 100, 2, 1), neighbours(60, 200, 3, 5), neighbours(300, 30, 5, 20)]}, f, indent=1)
