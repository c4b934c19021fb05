#!/usr/bin/env python3
"""What other detectors find in the made-up cases of `just anomaly`, in the same columns.

usage: anomaly.py DIR
       DIR    what `QUELL_CASES=DIR cargo bench -p quell-benches --bench anomaly` wrote: KIND-SEED.csv (minute,value,happens)

Installs river and scikit-learn by name into a virtual environment of its own. River's detectors and the weighted mean score each sample by
what came before it, as Quell does; scikit-learn's are fitted once, to the first two weeks. Those that take features are given the value, its
change, the hour of the day as cosine and sine, and whether it is a rest day. Area: rows of what happens told apart from those of the week before; found: a
row above all of that week, and how many minutes late the first is.
"""
import bisect, csv, math, pathlib, sys, time
from collections import defaultdict

import own_python

PACKAGES = ["river==0.26.1", "scikit-learn==1.9.1"]
DAY, WEEK = 1440, 7 * 1440


def features(rows):
    before = rows[0][1]
    for minute, value in rows:
        turn = 2 * math.pi * (minute % DAY) / DAY
        yield {"value": value, "change": value - before, "cos": math.cos(turn), "sin": math.sin(turn), "rests": float(minute // DAY % 7 >= 5)}
        before = value


def ewma(rows):
    """Mean and deviation of the last 300 samples."""
    mean, variance, scores = 0.0, 0.0, []
    for n, (_, value) in enumerate(rows):
        off = value - mean
        scores.append(abs(off) / max(math.sqrt(variance), 1e-9) if n > 30 else 0.0)
        step = max(1 / (n + 1), 1 / 300)
        mean += step * off
        variance += step * (off * off - variance)
    return scores


def half_space_trees(rows):
    from river import anomaly, preprocessing
    scaler, trees, scores = preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(n_trees=25, height=10, window_size=DAY, seed=1), []
    for x in features(rows):
        scaler.learn_one(x)
        x = scaler.transform_one(x)
        scores.append(trees.score_one(x))
        trees.learn_one(x)
    return scores


def of_values(make, warm_up=0):
    """A river detector of values alone."""
    def run(rows):
        detector, scores = make(), []
        for n, (_, value) in enumerate(rows):
            scores.append(detector.score_one(None, value) if n >= warm_up else 0.0)
            detector.learn_one(None, value)
        return scores
    return run


def gaussian():
    from river import anomaly
    return anomaly.GaussianScorer()


def absolute_deviation():
    from river import anomaly
    return anomaly.StandardAbsoluteDeviation()


def predictive(model):
    def make():
        from river import anomaly
        # So many deviations that no score is cut off at 1.
        return anomaly.PredictiveAnomalyDetection(model(), horizon=1, n_std=1e6)
    # A forecast needs a season and more.
    return of_values(make, warm_up=2 * DAY)


def holt_winters():
    from river import time_series
    return time_series.HoltWinters(alpha=0.1, beta=0.01, gamma=0.3, seasonality=DAY)


def snarimax():
    from river import linear_model, optim, preprocessing, time_series
    regressor = preprocessing.StandardScaler() | linear_model.LinearRegression(optimizer=optim.SGD(0.005))
    return time_series.SNARIMAX(p=5, d=0, q=0, m=DAY, sp=1, regressor=regressor)


def fitted(make):
    """A detector of scikit-learn."""
    def run(rows):
        import numpy
        table = numpy.array([list(x.values()) for x in features(rows)])
        first = sum(minute < 2 * WEEK for minute, _ in rows)
        mean, deviation = table[:first].mean(0), table[:first].std(0)
        table = (table - mean) / deviation
        scores = -make().fit(table[:first]).score_samples(table[first:])
        return [0.0] * first + list(scores)
    return run


def isolation_forest():
    from sklearn.ensemble import IsolationForest
    return IsolationForest(random_state=1)


def local_outlier_factor():
    from sklearn.neighbors import LocalOutlierFactor
    return LocalOutlierFactor(n_neighbors=20, novelty=True)


DETECTORS = {
    "EWMA z-score": ewma,
    "river GaussianScorer": of_values(gaussian),
    "river StandardAbsoluteDeviation": of_values(absolute_deviation),
    "river HalfSpaceTrees": half_space_trees,
    "river PredictiveAnomalyDetection, Holt-Winters": predictive(holt_winters),
    "river PredictiveAnomalyDetection, SNARIMAX": predictive(snarimax),
    "scikit-learn IsolationForest": fitted(isolation_forest),
    "scikit-learn LocalOutlierFactor": fitted(local_outlier_factor),
}


def read(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [(int(row["minute"]), float(row["value"])) for row in rows], [row["happens"] == "1" for row in rows]


def measured(rows, happens, scores):
    begin = happens.index(True)
    since = rows[begin][0]
    before = sorted(score for (minute, _), score in zip(rows[:begin], scores) if minute >= since - WEEK)
    during = [(minute - since, score) for (minute, _), score, is_so in zip(rows, scores, happens) if is_so]
    below = lambda score: (bisect.bisect_left(before, score) + bisect.bisect_right(before, score)) / 2 / len(before)
    area = sum(below(score) for _, score in during) / len(during)
    return area, next((late for late, score in during if score > before[-1]), None)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        import river as _, sklearn as _
    except ImportError:
        own_python.again_with("quell-peers-anomaly", PACKAGES)
    kinds = defaultdict(list)
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.csv")):
        kinds[path.stem.rsplit("-", 1)[0]].append(path)
    if not kinds:
        sys.exit("%s: no cases; `QUELL_CASES=%s cargo bench -p quell-benches --bench anomaly` writes them" % (sys.argv[1], sys.argv[1]))
    print("area, delay in minutes, found\n\n| detector | %s | µs a sample |" % " | ".join(kinds))
    print("|---" * (len(kinds) + 2) + "|")
    for name, run in DETECTORS.items():
        cells, spent, count = [], 0.0, 0
        for paths in kinds.values():
            found = []
            for path in paths:
                rows, happens = read(path)
                start = time.perf_counter()
                scores = run(rows)
                spent, count = spent + time.perf_counter() - start, count + len(rows)
                found.append(measured(rows, happens, scores))
            late = [delay for _, delay in found if delay is not None]
            area = sum(area for area, _ in found) / len(found)
            cells.append("%.3f, %.1f, %d of %d" % (area, sum(late) / max(len(late), 1), len(late), len(found)))
        print("| %s | %s | %.1f |" % (name, " | ".join(cells), 1e6 * spent / count), flush=True)


if __name__ == "__main__":
    main()
