#!/usr/bin/env python3
"""Lines whose templates are known, from the log statements of other people's programs (stdlib, pip and cargo only).

usage: harvest.py OUT [--seed N] [--lines N]

Downloads the packages named below by name, takes the format strings of their log statements, fills in values, and writes
OUT/{dev,clean}[-named]/PACKAGE/truth.csv with the columns of Loghub-2k's truth. Rules are tried on `dev` alone; `clean` is other
packages. How values are drawn does not depend on the miner:
- a slot is of one kind: numbers, ids, hosts, paths, lists, booleans, and 18 % plain words; 3 % are None now and then;
- `-named`: the kind is guessed from the name of the argument where it says something; errors are phrases of several words.
A third of the words are written as identifiers; a slot has 2 to 40 different ones. Templates are drawn by Zipf's law. What is
generated is not kept in the repository: the texts are their authors'.
"""
import ast, csv, itertools, pathlib, random, re, subprocess, sys, tempfile, zipfile

PYPI = {
    "dev": "celery kazoo paramiko gunicorn luigi supervisor scrapy distributed asyncssh patroni swift keystone".split(),
    "clean": "nova neutron cinder matrix-synapse kafka-python cassandra-driver mitmproxy certbot apscheduler aiokafka pika "
             "ironic octavia barman homeassistant prefect".split(),
}
CRATES = {
    "dev": "quinn-proto raft rumqttd lapin sled h2".split(),
    "clean": "rustls openraft tantivy librespot-core hickory-resolver libp2p-kad zbus cargo-generate russh".split(),
}
TEMPLATES_MIN, TEMPLATES_MAX = 20, 150
METHODS = {"debug", "info", "warning", "warn", "error", "critical", "exception", "fatal", "log"}
WORDS = """alice bob carol dave erin frank grace heidi ivan judy mallory niaj olivia peggy rupert sybil trent victor walter zoe
admin guest backup deploy orders payments billing catalog search shipping invoice session profile gateway frontend ledger audit
metrics mailer worker scheduler indexer crawler exporter collector router broker cache primary replica standby leader follower
alpha beta gamma delta omega north south east west central berlin paris madrid oslo rome vienna london dublin athens lisbon
create update delete insert select merge rebase commit fetch upload download rename archive restore snapshot migrate resize
pending running paused stopped active idle queued done aborted expired image volume network subnet port flavor tenant project
domain region zone rack shelf disk tape queue topic channel stream table column schema view trigger cursor lease token ticket
apple banana cherry grape lemon mango melon orange peach plum amber coral indigo ivory jade scarlet silver violet crimson""".split()
PHRASES = ["Connection refused", "connection reset by peer", "No such file or directory", "timed out", "Permission denied",
           "Broken pipe", "unexpected end of file", "invalid argument", "deadline exceeded", "not found", "already exists",
           "broken header", "Name or service not known", "No space left on device", "certificate has expired"]
KINDS = [("int", 26), ("float", 5), ("id", 11), ("host", 7), ("address", 7), ("path", 10), ("url", 4), ("word", 18), ("list", 5),
         ("bool", 4), ("size", 3)]
HINTS = [("error", r"^(e|ex|exc|err|error|exception|reason|cause|failure|why)$|_(err|error|exc|reason)$"),
         ("path", r"path|file|dir\b|folder"), ("url", r"url|uri"), ("address", r"addr|peer|remote|socket"), ("host", r"host|server"),
         ("id", r"uuid|guid|(^|_)id$|hash|token|digest"), ("int", r"count|num|len|size|port|pid|code|seq|offset|total|version|index"),
         ("float", r"time|delay|duration|elapsed|interval|secs"), ("list", r"s$(?<!ss)(?<!us)"),
         ("word", r"name|user|key|topic|queue|state|status|type|kind|cmd|command|method|mode|action|role|node|group|task")]


def python_slots(text, args):
    """Literals and slots of a %-format: (kind of conversion, name of the argument)."""
    parts, at, n = [], 0, 0
    for m in re.finditer(r"%(\((\w+)\))?[-#0 +]*(\d+|\*)?(\.\d+)?([sdrfixXgeac%])", text):
        parts.append(text[at:m.start()])
        at = m.end()
        if m[5] == "%":
            parts.append("%")
            continue
        parts.append((m[5], m[2] or (name(args[n]) if n < len(args) else "")))
        n += 1
    return parts + [text[at:]]


def name(node):
    while isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Name):
        node = node.args[0]
    while isinstance(node, (ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def python_format(node, args):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        node = node.args[0]                                    # _("translated")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        args = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        node = node.left
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return python_slots(node.value, args)
    if isinstance(node, ast.JoinedStr):
        return [v.value if isinstance(v, ast.Constant) else ("r" if v.conversion == 114 else "s", name(v.value)) for v in node.values]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        text = node.func.value
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            names = iter(node.args)
            return braces(text.value, lambda: name(next(names, None)))
    return None


def braces(text, next_name=lambda: ""):
    parts, at = [], 0
    for m in re.finditer(r"\{\{|\}\}|\{([\w.\[\]]*)(![rs])?(:[^{}]*)?\}", text):
        parts.append(text[at:m.start()])
        at = m.end()
        if m[0] in ("{{", "}}"):
            parts.append(m[0][0])
            continue
        is_debug = m[2] == "!r" or "?" in (m[3] or "")
        parts.append(("r" if is_debug else "s", m[1] if m[1] and not m[1].isdigit() else next_name()))
    return parts + [text[at:]]


def python_statements(source):
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS):
            continue
        if not re.search("log", ast.unparse(node.func.value), re.I):
            continue
        args = node.args[1:] if node.func.attr == "log" else node.args
        if args:
            parts = python_format(args[0], args[1:])
            if parts:
                yield parts


RUST = re.compile(r'\b(?:trace|debug|info|warn|error)!\s*\(\s*([^";]*?)"((?:[^"\\]|\\.)*)"', re.S)


def rust_statements(source):
    for m in RUST.finditer(source.split("#[cfg(test)]")[0]):
        if "=" in m[1].replace("target:", "") and not m[1].rstrip().endswith(","):
            continue
        yield braces(re.sub(r"\\\n\s*", "", m[2]).replace('\\"', '"'))


def templates(statements):
    """By text, in the order of the sources: what begins or ends with spaces, or is in several lines, is left out."""
    found = {}
    for parts in statements:
        joined = []
        for part in parts:
            if isinstance(part, str) and joined and isinstance(joined[-1], str):
                joined[-1] += part
            elif part != "":
                joined.append(part)
        text = "".join(p if isinstance(p, str) else "<*>" for p in joined)
        literal = " ".join(p for p in joined if isinstance(p, str))
        if re.search(r"[A-Za-z]{3}", literal) and not re.search(r"[\n\r\t\\]|<\*><\*>", text) and text == text.strip() and len(text) < 300:
            found.setdefault(text, joined)
    return list(found.items())


class Values:
    """What the slots of a template hold."""

    def __init__(self, rng, named, rust):
        self.rng, self.named, self.rust = rng, named, rust

    def slot(self, conversion, arg):
        kind = None
        if conversion in "dixX":
            kind = "int"
        elif conversion in "feg":
            kind = "float"
        elif self.named and arg:
            kind = next((k for k, pattern in HINTS if re.search(pattern, arg, re.I)), None)
        kind = kind or self.rng.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
        pool = [self.word() for _ in range(self.rng.randint(2, 40))]
        none = kind not in ("int", "float", "size", "bool", "error") and self.rng.random() < 0.08
        return kind, pool, none, conversion in "ra"

    def word(self):
        r = self.rng
        if r.random() < 1 / 3:
            return r.choice(["_", "-", "."]).join(r.sample(WORDS, 2)) if r.random() < .8 else r.choice(WORDS) + r.choice(WORDS).title()
        return r.choice(WORDS)

    def value(self, slot):
        kind, pool, none, quoted = slot
        r = self.rng
        if none and r.random() < 0.4:
            return "None"
        number = lambda: r.choice([r.randint(0, 9), r.randint(0, 999), r.randint(0, 10 ** 7)])
        hexa = lambda n: "%0*x" % (n, r.getrandbits(4 * n))
        if kind == "int":
            return str(number())
        if kind == "float":
            return "%.*f" % (r.randint(1, 4), r.random() * r.choice([1, 100]))
        if kind == "bool":
            return r.choice(["true", "false"] if self.rust else ["True", "False"])
        if kind == "size":
            return "%d%s" % (number(), r.choice([" KB", " MB", "ms", "s", " bytes"]))
        if kind == "list":
            some = r.sample(WORDS, r.randint(0, 4))
            return str(some).replace("'", '"') if self.rust else str(some)
        if kind == "error":
            return r.choice(PHRASES)
        text = {"id": lambda: r.choice([lambda: "-".join(hexa(n) for n in (8, 4, 4, 4, 12)), lambda: hexa(r.choice([7, 12, 32])),
                                        lambda: "%s-%d" % (r.choice(WORDS), number())])(),
                "host": lambda: r.choice(["%s-%02d" % (r.choice(WORDS), r.randint(1, 40)),
                                          "%s%d.example.com" % (r.choice(WORDS), r.randint(1, 9)),
                                          "%s.%s.internal" % (r.choice(WORDS), r.choice(WORDS))]),
                "address": lambda: "10.%d.%d.%d%s" % (r.randint(0, 255), r.randint(0, 255), r.randint(1, 254),
                                                     r.choice(["", ":%d" % r.randint(1024, 65535)])),
                "path": lambda: "/" + "/".join(r.sample(WORDS, r.randint(1, 4))) + r.choice(["", ".log", ".conf", "/"]),
                "url": lambda: "http%s://%s.example.com/%s" % (r.choice(["", "s"]), r.choice(WORDS), "/".join(r.sample(WORDS, 2))),
                "word": lambda: r.choice(pool[:r.randint(1, len(pool))])}[kind]()
        return '"%s"' % text if quoted and self.rust else repr(text) if quoted else text


def write(out, package, found, seed, lines, named, rust):
    rng = random.Random("%s/%s" % (seed, package))
    values = Values(rng, named, rust)
    found = rng.sample(found, min(len(found), TEMPLATES_MAX))
    slots = [[p if isinstance(p, str) else values.slot(*p) for p in parts] for _, parts in found]
    weights = [1 / rank for rank in range(1, len(found) + 1)]
    folder = out / package
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "truth.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["LineId", "Content", "EventId", "EventTemplate", "EventIdCorrected", "EventTemplateCorrected"])
        for line in range(1, lines + 1):
            at = rng.choices(range(len(found)), weights)[0]
            content = "".join(p if isinstance(p, str) else values.value(p) for p in slots[at])
            table.writerow([line, content] + ["E%d" % at, found[at][0]] * 2)


def pypi(package, into):
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", into, package], check=True)
    [wheel] = pathlib.Path(into).glob("*.whl")
    with zipfile.ZipFile(wheel) as z:
        names = sorted(n for n in z.namelist() if n.endswith(".py") and not re.search(r"(^|/)tests?(/|_)|_test\.py$", n))
        return templates(itertools.chain.from_iterable(python_statements(z.read(n).decode(errors="replace")) for n in names))


def crate(package, into):
    root = pathlib.Path(into)
    (root / "src").mkdir()
    (root / "src/lib.rs").write_text("")
    (root / "Cargo.toml").write_text('[package]\nname = "harvest"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n%s = "*"\n' % package)
    subprocess.run(["cargo", "vendor", "-q", "vendor"], cwd=root, check=True, stdout=subprocess.DEVNULL)
    sources = sorted(p for p in (root / "vendor" / package).rglob("*.rs") if not {"tests", "benches", "examples"} & set(p.parts))
    return templates(itertools.chain.from_iterable(rust_statements(p.read_text(errors="replace")) for p in sources))


def main():
    args = sys.argv[1:]
    option = lambda key, default: int(args.pop(args.index(key) + 1)) if key in args else default
    seed, lines = option("--seed", 1), option("--lines", 2000)
    args = [a for a in args if not a.startswith("--")]
    if len(args) != 1:
        sys.exit(__doc__)
    out = pathlib.Path(args[0])
    for which in ("dev", "clean"):
        for fetch, packages in ((pypi, PYPI[which]), (crate, CRATES[which])):
            for package in packages:
                try:
                    with tempfile.TemporaryDirectory() as into:
                        found = fetch(package, into)
                except (subprocess.CalledProcessError, ValueError) as error:
                    print("%s: left out: %s" % (package, error), file=sys.stderr)
                    continue
                if len(found) < TEMPLATES_MIN:
                    print("%s: left out: %d templates" % (package, len(found)), file=sys.stderr)
                    continue
                write(out / which, package, found, seed, lines, False, fetch is crate)
                write(out / (which + "-named"), package, found, seed, lines, True, fetch is crate)
                print("%s/%s: %d templates" % (which, package, len(found)))


if __name__ == "__main__":
    main()
