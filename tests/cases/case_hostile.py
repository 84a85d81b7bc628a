"""Files made to break a reader, and neighbours of each kind, made here: one line and exit code 1 or 2, or read right."""
import os
import signal
import struct
import subprocess
import threading
from typing import NamedTuple

SECONDS = 10  # of processor time, so that a busy machine breaks nothing
PATIENCE_S = 60  # for what waits without computing
MEGABYTES = 1024


class Ended(NamedTuple):
    code: int  # -N: ended by signal N
    out: str
    err: str
    seconds: float  # of processor time, with those of the reader that it starts
    megabytes: float


def _run(command, tmp):
    with open(tmp / "out", "wb") as out, open(tmp / "err", "wb") as err:
        child = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                                 cwd=tmp, start_new_session=True)
    stop = threading.Timer(PATIENCE_S, os.killpg, [child.pid, signal.SIGKILL])
    stop.start()
    _, status, usage = os.wait4(child.pid, 0)
    stop.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    return Ended(child.returncode, (tmp / "out").read_text(errors="replace"), (tmp / "err").read_text(errors="replace"),
                 usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


class Hostile:
    """Runs programs on files; keeps what was wrong."""

    def __init__(self, bin_dir, folder, tmp):
        self.bin, self.folder, self.tmp, self.wrong, self.tried = bin_dir, folder, tmp, [], 0
        self.out = tmp / "written.h5"

    def change(self, source, name, *changes):
        """A copy of a file's bytes with some replaced: pairs of a place and what goes there."""
        content = bytearray(source)
        for at, new in changes:
            content[at:at + len(new)] = new
        path = self.tmp / name
        path.write_bytes(content)
        return path

    def made(self, name, text):
        path = self.tmp / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def _limits(self, what, ended):
        self.tried += 1
        if ended.seconds > SECONDS:
            self.wrong.append(f"{what}: took {ended.seconds:.1f} s")
        if ended.megabytes > MEGABYTES:
            self.wrong.append(f"{what}: took {ended.megabytes:.0f} MB")
        if "bad_alloc" in ended.err or "std::" in ended.err:
            self.wrong.append(f"{what}: said {ended.err.strip()[:200]}")

    def refused(self, what, *command, saying=""):
        """One line that has `saying`; nothing is written."""
        ended = _run([self.bin / f"fewwatt-{command[0]}", *command[1:]], self.tmp)
        self._limits(what, ended)
        lines = ended.err.strip().splitlines()
        if ended.code not in (1, 2) or len(lines) != 1 or saying not in lines[0] or ended.out:
            self.wrong.append(f"{what}: ended with {ended.code} and said {ended.err.strip()[:300] or 'nothing'}; expected "
                              f"to be refused with one line" + (f" that has '{saying}'" if saying else ""))
        if self.out.exists():
            self.wrong.append(f"{what}: something was written")
            self.out.unlink()

    def read(self, what, *command, saying=""):
        """Exit code 0 with notices, one of which has `saying`."""
        ended = _run([self.bin / f"fewwatt-{command[0]}", *command[1:]], self.tmp)
        self._limits(what, ended)
        if ended.code != 0 or saying not in ended.err:
            self.wrong.append(f"{what}: ended with {ended.code} and said {ended.err.strip()[:300] or 'nothing'}; expected 0"
                              + (f" and '{saying}'" if saying else ""))
        self.out.unlink(missing_ok=True)

    def read_or_refused(self, what, *command):
        ended = _run([self.bin / f"fewwatt-{command[0]}", *command[1:]], self.tmp)
        self._limits(what, ended)
        if ended.code != 0 and (ended.code not in (1, 2) or len(ended.err.strip().splitlines()) != 1):
            self.wrong.append(f"{what}: ended with {ended.code} and said {ended.err.strip()[:300] or 'nothing'}")
        self.out.unlink(missing_ok=True)

    def adapt(self, checkpoint):
        return ("adapt", "--init", checkpoint, "--measurements", self.folder / "m.csv", "--space", "orin-agx-64", "--out",
                self.out)

    def predict(self, model):
        return "predict", "--model", model, "--out", self.out


def _settings(on):
    """Numbers of a net out of bounds: its layers and its steps."""
    widths = (on.folder / "ovf-maml.h5").read_bytes()
    two = struct.pack("<2d", 65536, 65536)
    at = widths.index(two)
    on.refused("ovf-maml.h5", *on.adapt(on.folder / "ovf-maml.h5"), saying="hidden")
    for first, second in ((4294967297, 1), (2 ** 31, 2 ** 31), (1e300, 1), (float("nan"), 8), (-1, 8), (4096, 4096), (0.5, 8)):
        path = on.change(widths, "widths.h5", (at, struct.pack("<2d", first, second)))
        on.refused(f"layers of {first:g} and {second:g}", *on.adapt(path), saying="hidden" if first != 4096 else "")

    steps = (on.folder / "n-maml-steps.h5").read_bytes()
    at = steps.index(struct.pack("<d", 2e9))
    on.refused("n-maml-steps.h5", *on.adapt(on.folder / "n-maml-steps.h5"), saying="steps")
    for number in (1e18, float("inf"), float("nan"), -5, 10001, 2.5):
        path = on.change(steps, "steps.h5", (at, struct.pack("<d", number)))
        on.refused(f"{number:g} steps", *on.adapt(path), saying="steps")


def _entries(content):
    """Places of the entries of an HDF5 file's groups: 8 bytes of a name's place, then 32 of the object that it names."""
    found, at = [], content.find(b"SNOD")
    while at >= 0:
        count = struct.unpack_from("<H", content, at + 6)[0]
        found += [at + 8 + 40 * i for i in range(count)]
        at = content.find(b"SNOD", at + 4)
    return found


def _objects(on):
    """Groups that lead into themselves, and objects that stand in two places."""
    cycle = (on.folder / "ck-cycle.h5").read_bytes()
    on.refused("ck-cycle.h5", *on.adapt(on.folder / "ck-cycle.h5"), saying="/tensors/loop")
    entries = _entries(cycle)
    object_of = {at: cycle[at + 8:at + 40] for at in entries}
    address = {at: cycle[at + 8:at + 16] for at in entries}
    loop = next(at for at in entries if sum(address[at] == other for other in address.values()) == 2)
    others = [at for at in entries if address[at] != address[loop]]
    groups = [at for at in others if cycle[at + 16] == 1]  # with the place of their own entries
    datasets = [at for at in others if cycle[at + 16] == 0]
    kinds = [("the file's root", cycle[64:96])]
    kinds += [(f"group {i}", object_of[at]) for i, at in enumerate(groups[:3])]
    kinds += [(f"dataset {i}", object_of[at]) for i, at in enumerate(datasets[:2])]
    kinds += [("nothing", struct.pack("<Q", 2 ** 63) + bytes(24)), ("the file's start", bytes(32))]
    for name, target in kinds:
        on.refused(f"a link to {name}", *on.adapt(on.change(cycle, "link.h5", (loop + 8, target))))
    on.refused("a group that is its own neighbour",
               *on.adapt(on.change(cycle, "link.h5", (loop + 8, object_of[groups[0]]), (groups[0] + 8, object_of[loop]))))


def _bytes(on):
    """Bytes of a file changed, of what describes the data and of the data."""
    on.refused("ck-one-byte-2265.h5", *on.adapt(on.folder / "ck-one-byte-2265.h5"), saying="damaged")
    on.refused("model-endless.h5", *on.predict(on.folder / "model-endless.h5"), saying="reader")
    old = (on.folder / "ck-one-byte-2265.h5").read_bytes()
    for at in range(2100, 2400, 60):  # names and places of a group's objects
        on.read_or_refused(f"checkpoint, byte {at}", *on.adapt(on.change(old, "byte.h5", (2265, b"\0"), (at, b"\xff"))))
    # What this version writes has a checksum: no change of it is read as something else.
    plain = on.tmp / "plain.h5"
    on.read("a model to be damaged", "adapt", "--learner", "gp", "--measurements", on.folder / "m.csv", "--out", plain)
    model = plain.read_bytes()
    table = _run([on.bin / "fewwatt-predict", "--model", plain, "--out", "-"], on.tmp).out
    for at in [8, 20, 40, 64, 100, 800, 2000, *range(3000, len(model), len(model) // 12)]:
        path = on.change(model, "byte.h5", (at, bytes([model[at] ^ 0x81])))
        ended = _run([on.bin / "fewwatt-predict", "--model", path, "--out", "-"], on.tmp)
        on._limits(f"model, byte {at}", ended)
        if ended.code == 0 and ended.out != table:
            on.wrong.append(f"model, byte {at}: predicts something else without a word")
        if ended.code != 0 and (ended.code not in (1, 2) or len(ended.err.strip().splitlines()) != 1):
            on.wrong.append(f"model, byte {at}: ended with {ended.code} and said {ended.err.strip()[:300]}")
    for size in (0, 7, 8, 96, len(model) // 3, len(model) // 2, len(model) - 1):
        path = on.tmp / "short.h5"
        path.write_bytes(model[:size])
        on.refused(f"model, first {size} bytes", *on.predict(path))


def _grids(on):
    """Levels whose product is large, of a model and of measurements."""
    on.refused("m-grid1e8.h5", *on.predict(on.folder / "m-grid1e8.h5"), saying="cpu_khz")
    notice = "measured modes are predicted"
    on.read("jitter60.csv", "adapt", "--measurements", on.folder / "jitter60.csv", "--out", on.out, saying=notice)

    def table(rows, levels):
        lines = ["cpu_cores,cpu_khz,gpu_khz,mem_khz,time_ms,power_w"]
        for i in range(rows):
            a, b, c, d = levels(i)
            lines.append(f"{a},{b},{c},{d},{4e8 / b / a ** 0.5 + 2e7 / c:.6g},{2 + a * b * 4e-7 + c * 8e-6:.6g}")
        return "\n".join(lines) + "\n"

    kinds = {
        "every clock jitters": (400, lambda i: (1 + i % 12, 1000000 + 7 * i, 500000 + 11 * i, 200000 + 13 * i)),
        "one clock jitters widely": (900, lambda i: (1 + i % 12, 100000 + 2003 * i, 114750 * (1 + i % 9), 665600 * (1 + i % 4))),
        "two clocks jitter": (350, lambda i: (12, 729600 + i, 318750 + i, 3199000)),
    }
    for name, (rows, levels) in kinds.items():
        path = on.made("jitter.csv", table(rows, levels))
        on.read(name, "adapt", "--learner", "physics", "--measurements", path, "--out", on.out, "--max-modes", 10000,
                saying=notice)
    path = on.made("levels.csv", table(8, lambda i: (1 + i, 2147483000 + i, 500000 * (i + 1), 200000 * (i + 1))))
    on.read_or_refused("clocks up to what an int holds", "adapt", "--learner", "physics", "--measurements", path, "--out", on.out)
    path = on.made("levels.csv", table(8, lambda i: (1 + i, 2 ** 32 + i, 500000 * (i + 1), 200000 * (i + 1))))
    on.refused("clocks beyond it", "adapt", "--learner", "physics", "--measurements", path, "--out", on.out, saying="cpu_khz")
    for size in (10 ** 8, 10 ** 18, 2 ** 64 - 1):
        on.refused(f"a grid of {size} modes", "simulate", "--device", "orin-agx-64", "--grid", size, "--out", on.out)


def _conf(on):
    """Modes of a board's own that lack what they refer to."""
    root = on.tmp / "board"
    subprocess.run([on.bin / "fake_tree", "agx-orin-jp6", root], check=True, capture_output=True)
    (root / "etc").mkdir(exist_ok=True)
    given = (on.folder / "nvpmodel-no-default.conf").read_text()
    export = ("device", "export-nvpmodel", "--root", root, "--mode", "cpu_cores=4")

    def conf(text):
        (root / "etc/nvpmodel.conf").write_text(text)

    conf(given)
    on.refused("nvpmodel-no-default.conf", *export, saying="nvpmodel.conf")
    first = given.index("< POWER_MODEL")
    for name, text in {
        "no mode at all": given[:first],
        "an empty file": "",
        "a default that is no mode": given + "< PM_CONFIG DEFAULT=9 >\n",
        "a default that is no number": given + "< PM_CONFIG DEFAULT=nine >\n",
        "a mode of a huge number": given + "< POWER_MODEL ID=99999999999999999999 NAME=X >\n< PM_CONFIG DEFAULT=0 >\n",
        "a mode without a number": given + "< POWER_MODEL NAME=X >\n",
        "bytes that are no text": "\0\xff< >\0\n" * 1000,
    }.items():
        conf(text)
        on.refused(name, *export, saying="nvpmodel.conf")


def _patterns(on):
    """Patterns of files' names that fit in very many ways, or not."""
    where = ("import", "--mapping")
    on.refused("rx.ini", *where, on.folder / "rx.ini", "--out", on.out, on.folder / "rx", saying="does not fit")
    ini = (on.folder / "rx.ini").read_text()
    head, tail = ini[:ini.index("[file")], ini[ini.index("cpu_khz ="):]
    table = "cpu_khz,time_ms\n1,2\n"
    many = "".join(f"{{p{i}}}" + "a" for i in range(30))
    for name, glob, pattern, file in (
        ("thirty parts", "*.csv", many + "X.csv", "a" * 200 + ".csv"),
        ("many stars", "*a" * 60 + "*b.csv", "{p}.csv", "a" * 200 + ".csv"),
        ("parts and stars", "*" * 100 + ".csv", "{p0}_{p1}_{p2}{p3}_{p4}_Y.csv", "_" * 200 + ".csv"),
        ("brackets", "*.csv", "(((((({p})*)*)*)*)*)*b.csv", "a" * 200 + ".csv"),
    ):
        mapping = on.made("rx2.ini", f"{head}[file {glob}]\npattern = {pattern}\n{tail}")
        path = on.made(f"rx2-{name.replace(' ', '-')}/{file}", table)
        on.refused(name, *where, mapping, "--out", on.out, path.parent)


def _tables(on):
    """Text of many cells, rows, keys or names."""
    adapt = ("adapt", "--learner", "physics", "--out", on.out, "--measurements")
    names = ",".join(f"c{i}" for i in range(300000))
    on.refused("300000 columns", *adapt, on.made("wide.csv", f"cpu_khz,{names}\n1,{'1,' * 299999}1\n"))
    rows = "".join(f"{1000000 + i},{90 - i},{'1,' * 199999}1\n" for i in range(5))
    on.read("columns that are not used", *adapt, on.made("wide.csv", f"cpu_khz,time_ms,{names[:names.index(',c200000')]}\n" + rows),
            saying="199990 more columns")
    on.refused("a million rows of one column", *adapt, on.made("tall.csv", "cpu_khz\n" + "1000000\n" * 1000000))
    on.refused("empty cells", *adapt, on.made("empty.csv", "time_ms\n" + "," * 40000000 + "\n"), saying="cells")
    on.refused("a quote that is never closed", *adapt, on.made("open.csv", 'cpu_khz,time_ms\n"' + '1,""\n' * 3000000))
    head = (on.folder / "rx.ini").read_text()
    for name, more in (("very many keys", "".join(f"key{i} = 1\n" for i in range(200000))),
                       ("very many sections", "".join(f"[file {i}]\ncpu_khz = a [kHz]\n" for i in range(50000))),
                       ("a large file", "\n" * 30000000),
                       ("a deep formula", "power_w = " + "(" * 300000 + "a" + ")" * 300000 + " [W]\n")):
        path = on.made("many.ini", head + more)
        on.refused(name, "import", "--mapping", path, "--out", on.out, on.folder / "rx")


def _hostile(bin_dir, folder, tmp):
    on = Hostile(bin_dir, folder, tmp)
    for kind in (_settings, _objects, _bytes, _grids, _conf, _patterns, _tables):
        kind(on)
    assert not on.wrong, f"{len(on.wrong)} of {on.tried} went wrong:\n  " + "\n  ".join(on.wrong)


CASES = {"hostile": _hostile}
