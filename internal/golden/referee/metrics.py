"""Golden values for tlkit/metrics, by scikit-learn, SciPy and NumPy.

    python internal/golden/referee/metrics.py > tlkit/metrics/testdata/referee.json

The scores are made by formula, so that the Go test makes the same ones:
score[i][k] = float32(sin(1.3 i + 2.1 k + 0.37 i k) * 3), label[i] = (i i + i // 50) % 5,
with 1.5 added to the label's score so that the classifier is better than chance.
"""

import json
import sys

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn import metrics as m
from sklearn.calibration import calibration_curve

N, K, BINS = 120, 5, 10
i, k = np.arange(N)[:, None], np.arange(K)[None, :]
labels = (np.arange(N) ** 2 + np.arange(N) // 50) % K
logits = np.sin(1.3 * i + 2.1 * k + 0.37 * i * k) * 3
logits[np.arange(N), labels] += 1.5
logits = logits.astype(np.float32)
wide = logits.astype(np.float64)
prob = np.exp(wide - wide.max(1, keepdims=True))
prob = (prob / prob.sum(1, keepdims=True)).astype(np.float32)
pred = prob.argmax(1)
other = (wide + np.cos(0.9 * i * (k + 1))).argmax(1)

out = {"versions": {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__}}
out["correct"] = int((pred == labels).sum())
out["topk"] = [float(m.top_k_accuracy_score(labels, wide, k=q)) if q < K else 1.0 for q in range(1, K + 1)]
out["cross_entropy"] = float(-(wide - scipy.special.logsumexp(wide, axis=1, keepdims=True))[np.arange(N), labels].mean())
out["log_loss"] = float(m.log_loss(labels, prob))
out["brier"] = float(m.brier_score_loss(labels, prob, labels=list(range(K)), scale_by_half=False))
out["confusion"] = m.confusion_matrix(labels, pred).tolist()
p, r, f, s = m.precision_recall_fscore_support(labels, pred, zero_division=0)
out["precision"], out["recall"], out["f1"], out["support"] = p.tolist(), r.tolist(), f.tolist(), s.tolist()
out["balanced"] = float(m.balanced_accuracy_score(labels, pred))
out["macro_f1"] = float(m.f1_score(labels, pred, average="macro"))

confidence, right = prob.max(1).astype(np.float64), pred == labels
true, mean = calibration_curve(right, confidence, n_bins=BINS)
out["bin_accuracy"], out["bin_confidence"] = true.tolist(), mean.tolist()
which = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
out["ece"] = float(sum(abs(right[which == b].mean() - confidence[which == b].mean()) * (which == b).mean()
                       for b in range(BINS) if (which == b).any()))

positive = (np.sin(0.7 * i + 1.9 * k) > 0.4)
rounded = np.round(logits, 1).astype(np.float32)  # ties on purpose
out["average_precision"] = [float(m.average_precision_score(positive[:, c], rounded[:, c])) for c in range(K)]
out["map"] = float(m.average_precision_score(positive, rounded, average="macro"))

out["roc_auc"] = [float(m.roc_auc_score(positive[:, c], rounded[:, c])) for c in range(K)]
fpr, tpr, _ = m.roc_curve(positive[:, 1], rounded[:, 1], drop_intermediate=False)
out["roc"] = [fpr.tolist(), tpr.tolist()]
precision, recall, _ = m.precision_recall_curve(positive[:, 1], rounded[:, 1])
out["pr"] = [recall[::-1][1:].tolist(), precision[::-1][1:].tolist()]

# Several labels a picture: thresholds are probabilities, so that 0.3 and 0.6 differ from the sign of a logit.
thresholds = np.array([0.5, 0.3, 0.6, 0.5, 0.8])
sure = 1 / (1 + np.exp(-rounded.astype(np.float64)))
p, r, f, s = m.precision_recall_fscore_support(positive, sure >= thresholds, zero_division=0)
out["label_precision"], out["label_recall"], out["label_f1"], out["label_support"] = p.tolist(), r.tolist(), f.tolist(), s.tolist()
out["label_log_loss"] = float(np.mean([m.log_loss(positive[:, c], sure[:, c]) for c in range(K)]))
out["best_f1"] = []
for c in range(K):
    p, r, _ = m.precision_recall_curve(positive[:, c], rounded[:, c])
    out["best_f1"].append(float(np.max(2 * p * r / np.maximum(p + r, 1e-12))))


def macro(rows):
    return m.average_precision_score(positive[rows], rounded[rows], average="macro")


def without(statistic, units):
    return np.array([statistic(np.setdiff1d(np.arange(N), unit)) for unit in units])


def jackknife(values):
    n = len(values)
    return np.sqrt((n - 1) / n * ((values - values.mean()) ** 2).sum())


def interval(to, back, value, left, freedom, clustered=False):
    """Student's t on the scale of to; with clusters, the one that matters most counts once more downwards."""
    z, se, t = to(value), jackknife(to(left)), stats.t.ppf(0.975, freedom)
    down = np.hypot(se, np.abs(to(left) - z).max()) if clustered else se
    return [float(back(z - t * down)), float(back(z + t * se))]


def log_odds(support):
    return (lambda v: np.log((v * support + 0.5) / ((1 - v) * support + 0.5)),
            lambda z: (scipy.special.expit(z) * (support + 1) - 0.5) / support)


def satterthwaite(variances, freedoms, most):
    variances = np.array(variances)
    return min(variances.sum() ** 2 / (variances**2 / np.array(freedoms)).sum(), most)


alone = np.arange(N)[:, None]
fours = np.arange(N).reshape(-1, 4)  # clusters of four pictures
for name, units in ("", alone), ("cluster_", fours):
    clustered, ap, supports = units is fours, [], []
    for c in range(K):
        one = lambda rows, c=c: m.average_precision_score(positive[rows, c], rounded[rows, c])
        ap.append(without(one, units))
        supports.append(sum(positive[unit, c].any() for unit in units))
    out[name + "ap_interval"] = interval(*log_odds(supports[2]), out["average_precision"][2], ap[2], supports[2] - 1, clustered)
    if not clustered:
        area = lambda rows: m.roc_auc_score(positive[rows, 2], rounded[rows, 2])
        out["auc_interval"] = interval(*log_odds(supports[2]), area(np.arange(N)), without(area, units), min(supports[2], N - supports[2]) - 1)
    f = satterthwaite([jackknife(v) ** 2 for v in ap], [s - 1 for s in supports], len(units) - 1)
    out[name + "map_interval"] = interval(*log_odds(sum(supports)), out["map"], without(macro, units), f, clustered)

# Real values, of wild scales: predictions are the logits times a scale plus an offset.
scale, offset = np.array([1.0, 100.0, 1e-3, 1.0, 1.0]), np.array([0.0, 5000.0, 0.0, -3.0, 0.0])
noise = np.cos(1.7 * i * (k + 1) + k) * np.array([0.3, 1.0, 0.7, 4.0, 0.0])
values = (wide + noise) * scale + offset
predicted = (wide * scale + offset).astype(np.float32).astype(np.float64)
out["r2"] = [float(v) for v in m.r2_score(values, predicted, multioutput="raw_values")]
out["mae"] = [float(v) for v in m.mean_absolute_error(values, predicted, multioutput="raw_values")]
out["rmse"] = [float(v) for v in m.root_mean_squared_error(values, predicted, multioutput="raw_values")]
unexplained = (lambda v: -np.log(np.maximum(1 - v, 1e-12)), lambda z: 1 - np.exp(-z))
for name, units in ("", alone), ("cluster_", fours):
    r2 = [without(lambda rows, c=c: m.r2_score(values[rows, c], predicted[rows, c]), units) for c in range(K)]
    out[name + "r2_interval"] = [interval(*unexplained, out["r2"][c], r2[c], len(units) - 1) for c in (0, 3)]
    f = satterthwaite([jackknife(v) ** 2 for v in r2], [len(units) - 1] * K, len(units) - 1)
    out[name + "mean_r2_interval"] = interval(*unexplained, np.mean(out["r2"]), np.mean(r2, axis=0), f)

# Accuracy by clusters: Wilson's interval of the effective number of pictures, by Student's t for the clusters.
accuracy = lambda rows: (pred[rows] == labels[rows]).mean()
p, t = accuracy(np.arange(N)), stats.t.ppf(0.975, len(fours) - 1)
left = without(accuracy, fours)
out["cluster_accuracy_interval"] = []
for sign, variance in (-1, jackknife(left) ** 2 + np.abs(left - p).max() ** 2), (1, jackknife(left) ** 2):
    effective = min(p * (1 - p) / variance, N)
    half = t * np.sqrt(p * (1 - p) / effective + t * t / (4 * effective**2))
    out["cluster_accuracy_interval"].append(float((p + t * t / (2 * effective) + sign * half) / (1 + t * t / effective)))
out["wilson"] = []
for a, n in [(145, 153), (0, 10), (10, 10), (1, 2), (804, 1000), (1, 1), (0, 1), (49999, 50000)]:
    ci = stats.binomtest(a, n).proportion_ci(0.95, "wilson")
    out["wilson"].append([a, n, float(ci.low), float(ci.high)])

out["mean"] = []
for v in ([0.948, 0.961, 0.954, 0.941, 0.967], [0.9, 0.92], [3.0, 3.0, 3.0, 4.0]):
    lo, hi = stats.t.interval(0.95, len(v) - 1, np.mean(v), stats.sem(v))
    out["mean"].append({"values": v, "value": float(np.mean(v)), "sd": float(np.std(v, ddof=1)), "low": float(lo), "high": float(hi)})

a, b = pred == labels, other == labels
b01, b10 = int((~a & b).sum()), int((a & ~b).sum())
pa, pb, n2 = (b10 + 1) / (N + 2), (b01 + 1) / (N + 2), N + 2
half = stats.norm.ppf(0.975) * np.sqrt((pa + pb - (pb - pa) ** 2) / n2)
out["compare"] = {"only_a": b10, "only_b": b01, "difference": (b01 - b10) / N, "low": pb - pa - half, "high": pb - pa + half,
                  "p": float(stats.binomtest(b10, b10 + b01, 0.5).pvalue)}
gain = lambda rows: (other[rows] == labels[rows]).mean() - accuracy(rows)
se = max(jackknife(without(gain, fours)), np.sqrt((pa + pb - (pb - pa) ** 2) / n2))
out["cluster_compare"] = [float(pb - pa - t * se), float(pb - pa + t * se), float(2 * stats.t.sf(abs(gain(np.arange(N))) / se, len(fours) - 1))]
out["mcnemar"] = [[x, y, float(stats.binomtest(x, x + y, 0.5).pvalue)] for x, y in [(1, 7), (0, 5), (30, 60), (4, 4), (900, 1100)]]
json.dump(out, sys.stdout)
print()
