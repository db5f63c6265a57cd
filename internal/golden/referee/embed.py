#!/usr/bin/env python3
"""PCA and t-SNE by scikit-learn, on points made by a formula.

    python embed.py > ../../../tlkit/embed/testdata/referee.json

The points are N = 300 in five groups, C = 20 numbers each: float32(2 sin(1.7 g + 0.9 c + 0.3 g c)
+ 0.7 sin(12.9898 i + 78.233 c) cos(4.1414 i c + 1)), with g = i % 5.
"""
import json
import sys

import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness

N, C = 300, 20
i, c = np.arange(N)[:, None], np.arange(C)[None, :]
g = i % 5
x = (2 * np.sin(1.7 * g + 0.9 * c + 0.3 * g * c) + 0.7 * np.sin(12.9898 * i + 78.233 * c) * np.cos(4.1414 * i * c + 1)).astype(np.float32)

pca = PCA(4, svd_solver="full").fit(x.astype(np.float64))
at = pca.transform(x.astype(np.float64))
out = {"sklearn": sklearn.__version__, "variance": pca.explained_variance_ratio_.tolist(), "first": at[:10].tolist(),
       "trust_pca": float(trustworthiness(x, at[:, :2], n_neighbors=10)), "tsne": []}
for perplexity in (5, 30, 60):
    t = TSNE(2, perplexity=perplexity, init="pca", method="exact", random_state=0)
    y = t.fit_transform(x)
    out["tsne"].append({"perplexity": perplexity, "kl": float(t.kl_divergence_), "trust": float(trustworthiness(x, y, n_neighbors=10))})
json.dump(out, sys.stdout)
print()
