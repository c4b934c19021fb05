#!/usr/bin/env python3
"""Cuts the recorded outage of `quell demo` out of the Nezha data set (README.md beside this file says what and why).

usage: make.py DAY [OUT]
  DAY  the data set's folder of one day, online-boutique-2022-08-22: alerts.jsonl.zst dependency.csv
       edge_latency_p50_{source,destination}.csv.zst front_service.csv.zst pod_metrics.csv.zst
  OUT  gets events.jsonl (canonical events in arrival order) and topology.json; the folder of this file when left out

Needs Python's standard library and the zstd program. The same input gives the same bytes.
"""
import csv, io, json, os, statistics, subprocess, sys
from datetime import datetime, timezone


def at(clock):
    return int(datetime.fromisoformat(f"2022-08-22T{clock}+00:00").timestamp())


START, END = at("07:09:00"), at("08:22:00")
RULES_UNTIL = 1661156013  # the data set's alert rules look at the day up to 20 minutes after its last fault
ORIGIN, SCOPE, ENTRY = "prometheus/online-boutique", "online-boutique", "frontend-entry"
SAMPLED = {"adservice", "checkoutservice", "frontend", "recommendationservice", "shippingservice"}
SERVICES = {  # name for people, tier
    "frontend": ("Shop frontend", "edge"), "checkoutservice": ("Checkout", "app"), "recommendationservice": ("Recommendations", "app"),
    "adservice": ("Ads", "backend"), "cartservice": ("Cart", "backend"), "currencyservice": ("Currency", "backend"), "emailservice": ("Email", "backend"),
    "paymentservice": ("Payment", "backend"), "productcatalogservice": ("Product catalogue", "backend"), "shippingservice": ("Shipping", "backend"),
}


def text(folder, name):
    path = os.path.join(folder, name)
    raw = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout if name.endswith(".zst") else open(path, "rb").read()
    return io.StringIO(raw.decode("utf-8"))


def number(cell):
    return float(cell) if cell else None


class Day:
    """The series of one day: `of(alert)` is that alert's, as {time: value}."""

    def __init__(self, folder):
        self.pods, self.pod_names = {}, set()
        for r in csv.DictReader(text(folder, "pod_metrics.csv.zst")):
            t, pod = int(r.pop("ts")), r.pop("pod")
            self.pod_names.add(pod)
            for metric, cell in r.items():
                self.pods.setdefault((pod, metric), {})[t] = number(cell)
        self.front = self.columns(text(folder, "front_service.csv.zst"), skip=("service",))
        self.front["fail"] = {t: None if v is None else 100 - v for t, v in self.front["SuccessRate(%)"].items()}
        self.seen = {k: self.columns(text(folder, f"edge_latency_p50_{k}.csv.zst")) for k in ("source", "destination")}
        self.depends = {}
        for r in csv.DictReader(text(folder, "dependency.csv")):
            if r["Source"] in SERVICES and r["Target"] in SERVICES:  # the rest is addresses and the load generator
                self.depends.setdefault(r["Source"], set()).add(r["Target"])
        self.alerts = [json.loads(line) for line in text(folder, "alerts.jsonl.zst")]

    @staticmethod
    def columns(file, skip=()):
        out = {}
        for r in csv.DictReader(file):
            t = int(r.pop("ts"))
            for name, cell in r.items():
                if name not in skip:
                    out.setdefault(name, {})[t] = number(cell)
        return out

    def of(self, a):
        if a["name"].startswith("Front"):
            return self.front[a["metric"]]
        if a["name"].startswith("Edge"):
            return self.seen["destination" if a["name"].startswith("EdgeServer") else "source"][a["metric"]]
        return self.pods[a["instance"], a["metric"]]


def breaches(a, series):
    """The data set's rule, for one minute: above the median + 8 robust sigma (or, for workload, below a fifth)."""
    usual = a["baseline"]
    if a["name"] == "PodWorkloadDrop":
        return lambda v: v < usual / 5
    known = [v for t, v in series.items() if t <= RULES_UNTIL and v is not None]
    middle = statistics.median(known)
    sigma = max(1.4826 * statistics.median(abs(v - middle) for v in known), 0.05 * middle)
    return lambda v: v > usual + 8 * sigma


def digits(v):
    return f"{v:.0f}" if v >= 10 else f"{v:.1f}".removesuffix(".0")


def seconds(v):
    return f"{digits(v)} s" if v >= 1 else f"{v * 1000:.0f} ms"


def words(a, v):
    """(what it is about, how it stands now, how it usually stands)"""
    name, who, usual = a["name"], a["service"], a["baseline"]
    if name == "FrontErrorRateHigh":
        return "failing requests to the shop", f"{digits(v)} %", f"{digits(usual)} %"
    if name == "FrontLatencyP90High":
        return "p90 latency of the shop", seconds(v), seconds(usual)
    if name.startswith("Edge"):
        caller, callee = a["instance"].split("->")
        side = f"at {callee}" if name.startswith("EdgeServer") else f"seen by {caller}"
        return f"median latency of {caller} calling {callee}, {side}", seconds(v), seconds(usual)
    if name == "PodCpuHigh":
        return f"cpu usage of {who}", f"{digits(v)} % of its limit", f"{digits(usual)} %"
    if name == "PodMemoryHigh":
        return f"memory usage of {who}", f"{digits(v)} % of its limit", f"{digits(usual)} %"
    if name == "PodWorkloadDrop":
        return f"requests to {who}", f"{digits(v)}/s", f"{digits(usual)}/s"
    if name == "PodClientLatencyP90High":
        return f"p90 latency of calls made by {who}", seconds(v), seconds(usual)
    return f"p90 latency of {who}", seconds(v), seconds(usual)


def summary(a, v):
    what, now, usual = words(a, v)
    if a["name"] == "PodWorkloadDrop":
        return f"{what} dropped to {now}, usually {usual}"
    if a["name"] == "FrontErrorRateHigh":
        return f"{what}: {now}, usually {usual}"
    return f"{what} {digits(v / a['baseline'])}x its usual ({now}, usually {usual})"


def severity(a, v):
    """The data set knows critical and warning; five steps come from how much of it anybody feels (table in README.md)."""
    bad = a["severity"] == "critical"
    if a["name"] == "FrontErrorRateHigh":
        return "critical"
    if "Latency" in a["name"]:
        rise = v - a["baseline"]
        if rise < 0.1:
            return "info"
        return ("critical" if bad else "major") if rise >= 1 else ("major" if bad else "minor")
    if a["name"] == "PodWorkloadDrop":
        return "minor"
    return ("major" if bad else "minor") if v >= 80 else ("minor" if bad else "warning")


def left_out(a, day):
    if "P99" in a["name"]:
        return True  # a minute holds too few requests for it
    return a["name"].startswith("PodClient") and not day.depends.get(a["service"])  # it calls nothing that the topology knows


def stamp(t):
    return datetime.fromtimestamp(t, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def place(a):
    """(entity, service): an edge belongs to the service that is called."""
    if a["name"].startswith("Front"):
        return ENTRY, "frontend"
    return a["instance"], a["instance"].split("->")[1] if "->" in a["instance"] else a["service"]


def alert_events(day):
    ends = {a["id"]: a["ts"] for a in day.alerts if a["status"] == "resolved"}
    for a in day.alerts:
        if a["status"] != "firing" or not START <= a["ts"] < END or left_out(a, day):
            continue
        series, (entity, service), n = day.of(a), place(a), 0
        over, number = breaches(a, series), a["id"].rsplit("-", 1)[1]
        base = {"origin": ORIGIN, "scope": SCOPE, "entity": entity, "check": a["name"]}
        start, end = a["ts"], ends[a["id"]]
        for t, v in sorted(series.items()):
            # the opening, then a repeat for every minute in which the rule still holds
            if start <= t < end and v is not None and (t == start or over(v)):
                n, last = n + 1, severity(a, v)
                yield t, {"id": f"a{number}-{n}", "time": stamp(t), "started_at": stamp(start), **base, "status": "firing", "severity": last,
                          "summary": summary(a, v), "value": round(v, 4), "service": service}
        what, _, usual = words(a, a["baseline"])
        yield end, {"id": f"a{number}-end", "time": stamp(end), "started_at": stamp(start), "ended_at": stamp(end), **base, "status": "resolved", "severity": last,
                    "summary": f"{what} is back in its usual range (usually {usual})", "service": service}


def sample_events(day):
    series = [(pod, "cpu_millicores", pod.rsplit("-", 2)[0], day.pods[pod, "CpuUsage(m)"]) for pod in sorted(day.pod_names) if pod.rsplit("-", 2)[0] in SAMPLED]
    series += [(ENTRY, "latency_p90_seconds", "frontend", day.front["LatencyP90(s)"])]
    n = 0
    for entity, check, service, values in series:
        for t, v in sorted(values.items()):
            if START <= t < END and v is not None:
                n += 1
                yield t, {"id": f"s{n}", "time": stamp(t), "kind": "sample", "origin": ORIGIN, "scope": SCOPE, "entity": entity, "check": check, "value": round(v, 3), "service": service}


def topology(day):
    edges = sorted((a, b) for a, bs in day.depends.items() for b in bs)
    entities = [{"id": ENTRY, "type": "entry"}] + [{"id": p, "type": "pod"} for p in sorted(day.pod_names)]
    entities += [{"id": f"{a}->{b}", "type": "edge"} for a, b in edges]
    services = []
    for s, (name, tier) in SERVICES.items():
        own = [p for p in sorted(day.pod_names) if p.rsplit("-", 2)[0] == s] + [f"{a}->{b}" for a, b in edges if b == s]
        services.append({"id": s, "name": name, "tier": tier, "depends_on": sorted(day.depends.get(s, ())), "entities": ([ENTRY] if s == "frontend" else []) + own})
    return {"entities": [{**e, "scope": SCOPE} for e in entities], "services": [{**s, "scope": SCOPE} for s in services]}


def main(folder, out):
    day = Day(folder)
    # by time; of one second: samples, then recoveries, then what fires
    rank = lambda e: 0 if "kind" in e else 1 if e["status"] == "resolved" else 2
    events = sorted([*alert_events(day), *sample_events(day)], key=lambda p: (p[0], rank(p[1]), p[1]["entity"], p[1]["check"]))
    with open(os.path.join(out, "events.jsonl"), "w", encoding="utf-8", newline="\n") as f:
        f.writelines(json.dumps(e, separators=(",", ":")) + "\n" for _, e in events)
    topo = topology(day)
    with open(os.path.join(out, "topology.json"), "w", encoding="utf-8", newline="\n") as f:
        part = lambda k: ",\n".join("  " + json.dumps(x) for x in topo[k])
        f.write('{\n "entities": [\n' + part("entities") + '\n ],\n "services": [\n' + part("services") + "\n ]\n}\n")
    fired = sum(1 for _, e in events if e.get("status") == "firing" and e["id"].endswith("-1"))
    samples = sum(1 for _, e in events if "kind" in e)
    print(f"{len(events)} events: {samples} samples, {len(events) - samples} of {fired} alerts, {stamp(events[0][0])} to {stamp(events[-1][0])}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else os.path.dirname(os.path.abspath(__file__)))
