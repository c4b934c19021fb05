#!/usr/bin/env python3
"""Drain3 and Quell over the same lines (one setting each, the header cut, original labels).

usage: templates.py DIR [QUELL]
       DIR    as for `just templates`: DIR/loghub-2k/dev, DIR/harvested/{dev,clean}[-named]
       QUELL  the binary; target/release/quell without it

Installs drain3 by name into a virtual environment of its own. Drain3 runs with its defaults, and with masks for addresses, hexadecimal
and decimal numbers, which its manual shows. Accuracy is the mean over systems; lines/s are those of all lines of the set as one stream, on one
core: of Drain3 `add_log_message` alone, of Quell all of `quell templates --input`, reading and writing included (`just templates` has the
miner alone).
"""
import csv, io, pathlib, shutil, subprocess, sys, tempfile, time
from collections import Counter, defaultdict

import own_python

SETS = ["loghub-2k/dev", "harvested/dev", "harvested/dev-named", "harvested/clean", "harvested/clean-named"]
DRAIN3 = "drain3==0.9.11"
# Quell reads the lines so many times over: one time is mostly the start of the program.
QUELL_ROUNDS = 20


def systems(folder):
    for system in sorted(p for p in folder.iterdir() if p.is_dir()):
        plain = system / "truth.csv"
        text = plain.read_text() if plain.exists() else subprocess.run(
            ["zstd", "-dc", system / "truth.csv.zst"], check=True, capture_output=True).stdout.decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        yield [row["Content"] for row in rows], [row["EventId"] for row in rows]


def measures(truth, groups):
    size, found = Counter(truth), defaultdict(list)
    for event, group in zip(truth, groups):
        found[group].append(event)
    exact = [events for events in found.values() if len(set(events)) == 1 and size[events[0]] == len(events)]
    return sum(map(len, exact)) / len(truth), 2 * len(exact) / (len(found) + len(size))


def drain3(masked):
    from drain3 import TemplateMiner
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig
    config = TemplateMinerConfig()
    if masked:
        config.masking_instructions = [
            MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "IP"),
            MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)", "HEX"),
            MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM")]
    miner = TemplateMiner(config=config)

    def run(lines):
        begin = time.perf_counter()
        groups = [miner.add_log_message(line)["cluster_id"] for line in lines]
        return groups, time.perf_counter() - begin
    return run


def quell(binary):
    def run(lines):
        with tempfile.NamedTemporaryFile("w", suffix=".log") as file:
            file.write("".join(line.replace("\n", " ") + "\n" for line in lines))
            file.flush()
            begin = time.perf_counter()
            out = subprocess.run([binary, "templates", "--input", file.name], check=True, capture_output=True).stdout
            seconds = time.perf_counter() - begin
        return [row["template_id"] for row in csv.DictReader(io.StringIO(out.decode(), newline=""))], seconds
    return run


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        import drain3 as _
    except ImportError:
        own_python.again_with("quell-peers-templates", [DRAIN3])
    root = pathlib.Path(sys.argv[1])
    binary = sys.argv[2] if len(sys.argv) > 2 else "target/release/quell"
    if not shutil.which(binary):
        sys.exit("%s: no such program; `cargo build --release` makes it, or name it as the second argument" % binary)
    print("| set | miner | GA | FGA | lines/s |\n|---|---|---|---|---|")
    for name in (name for name in SETS if (root / name).exists()):
        of = list(systems(root / name))
        for miner, make in (("Drain3, defaults", lambda: drain3(False)), ("Drain3, masks", lambda: drain3(True)),
                            ("Quell", lambda: quell(binary))):
            got = [measures(truth, make()(content)[0]) for content, truth in of]
            lines = [line for content, _ in of for line in content] * (QUELL_ROUNDS if miner == "Quell" else 1)
            seconds = make()(lines)[1]
            ga, fga = (sum(column) / len(got) for column in zip(*got))
            print("| %s | %s | %.3f | %.3f | %s |" % (name, miner, ga, fga, format(round(len(lines) / seconds, -2), ",.0f")))


if __name__ == "__main__":
    main()
