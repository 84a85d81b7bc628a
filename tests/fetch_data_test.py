#!/usr/bin/env python3
"""scripts/fetch-data, with a server of this machine that cuts, corrupts, renames and redirects."""
import contextlib
import functools
import hashlib
import http.server
import io
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
SOURCE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE / "scripts"))
from data_recipes import RECIPES  # noqa: E402

FETCH = SOURCE / "scripts/fetch-data"
TABLE = b"".join(b"%d,%d\n" % (i, i * i) for i in range(40_000))
LICENCE = b"Anybody may use this.\n"
RAW = b"add\n810,595,2.5,60.25,150.625\n3505,595,1.5,90,135\nmul,0,7\n810,595,9,61,549\nadd\n810,595,7,7,49\n"
MADE = b"workload,core_mhz,mem_mhz,time_ms,power_w\r\nadd,595,810,2.5,60.25\r\nadd,595,3505,1.5,90\r\nmul,595,810,9,61\r\n"


def archive_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"repository-abc/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


ARCHIVE = archive_of({"data/raw.csv": RAW, "README": b"not this one", "../../outside.csv": RAW})


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves server.files; server.misbehave(handler, data) may do something else, and then returns True."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.close_connection = True
        self.server.asked.append((self.path, self.headers.get("Range")))
        data = self.server.files.get(self.path)
        if self.server.misbehave and self.server.misbehave(self, data):
            return
        if data is None:
            self.send_error(404)
            return
        begin = int(re.match(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        if begin >= len(data):
            self.send_error(416)
            return
        self.answer(data, begin, 206 if begin else 200)

    def answer(self, data, begin, code, sent=None):
        """Says that it sends all from `begin`, and sends no more than `sent` bytes."""
        self.send_response(code)
        if code == 206:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        with contextlib.suppress(OSError):  # the client may have gone
            self.wfile.write(data[begin:][:sent])

    def redirect(self, address):
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def cut(handler, data, most=150_000):
    """Sends at most so many bytes of a large file for each request."""
    begin = int(re.match(r"bytes=(\d+)-", handler.headers.get("Range", "bytes=0-"))[1])
    if len(data) - begin <= most:
        return False
    handler.answer(data, begin, 206 if begin else 200, most)
    return True


class FetchData(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.to = self.folder / "data"
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.files = {"/r/abc/table.csv": TABLE, "/r/abc/LICENSE": LICENCE, "/a/abc.tar.gz": ARCHIVE}
        self.server.asked, self.server.misbehave = [], None
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.describe("squares", ["LICENSE", "table.csv"])

    def describe(self, name, files, port=None, **head):
        """Writes a set whose files are published as they are."""
        keys = {"source": "a test", "commit": "abc", "licence": "MIT",
                "files_at": f"http://127.0.0.1:{port or self.port}/r/{{commit}}/", **head}
        text = "[set]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
        for file in files:
            data = self.server.files[f"/r/abc/{file}"]
            text += f"[file {file}]\npath = {file}\nbytes = {len(data)}\nsha256 = {hashlib.sha256(data).hexdigest()}\n"
        return self.write_set(name, text)

    def describe_made(self, made=MADE, pattern="data/*.csv"):
        return self.write_set("made", "[set]\nsource = a test\nlicence = MIT\n"
                              f"archive_at = http://127.0.0.1:{self.port}/a/abc.tar.gz\n"
                              f"[file made.csv]\nrecipe = titanx-table\nmade_from = {pattern}\n"
                              f"bytes = {len(made)}\nsha256 = {hashlib.sha256(made).hexdigest()}\n")

    def write_set(self, name, text):
        (self.folder / "sets").mkdir(exist_ok=True)
        (self.folder / f"sets/{name}.ini").write_text(text)

    def command(self, *arguments):
        return [sys.executable, FETCH, "--sets", self.folder / "sets", "--to", self.to, *arguments]

    def environment(self):
        return {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy") and key != "FEWWATT_DATA"}

    def fetch(self, *arguments, before=()):
        return subprocess.run([*before, *self.command(*arguments)], env=self.environment(), capture_output=True, text=True,
                              timeout=60, check=False)

    def fetched(self, *arguments):
        result = self.fetch(*arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def refused(self, *words, arguments=(), before=()):
        """One line for what is wrong, with these words; no traceback."""
        result = self.fetch(*arguments, before=before)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        lines = result.stderr.splitlines()
        self.assertTrue(all(line.startswith("fetch-data: ") for line in lines), result.stderr)
        for word in words:
            self.assertIn(word, lines[0])
        return result.stdout

    def left(self):
        """Names of all files that are there, hidden ones too."""
        return sorted(path.name for path in self.to.rglob("*")) if self.to.exists() else []

    def ranges(self, path="/r/abc/table.csv"):
        return [asked for name, asked in self.server.asked if name == path]

    def check_table(self):
        self.assertEqual((self.to / "squares/table.csv").read_bytes(), TABLE)
        self.assertEqual(self.left(), ["LICENSE", "SOURCE.txt", "squares", "table.csv"])

    def test_fetches_checks_and_keeps_the_licence(self):
        said = self.fetched()
        self.check_table()
        self.assertIn("licence: MIT", said)
        self.assertEqual((self.to / "squares/LICENSE").read_bytes(), LICENCE)
        self.assertEqual((self.to / "squares/SOURCE.txt").read_text(), "a test\ncommit abc\nlicence: MIT\n")
        self.assertIn(f"export FEWWATT_DATA={self.to.resolve()}", said)

    def test_asks_for_nothing_that_is_there(self):
        self.fetched("squares")
        self.server.asked.clear()
        self.fetched("squares")
        self.assertEqual(self.server.asked, [])

    def test_a_wrong_sum_is_refused_and_leaves_nothing(self):
        self.server.files["/r/abc/table.csv"] = TABLE.replace(b"7,49\n", b"7,94\n", 1)
        self.refused("squares/table.csv", "SHA-256", hashlib.sha256(TABLE).hexdigest(), "nothing was kept")
        self.assertEqual(self.left(), ["LICENSE", "SOURCE.txt", "squares"])

    def test_a_file_of_another_size_is_refused_before_it_comes(self):
        self.server.files["/r/abc/table.csv"] = TABLE + b"1,1\n"
        self.refused("squares/table.csv", str(len(TABLE)), str(len(TABLE) + 4))
        self.server.files["/r/abc/table.csv"] = TABLE[:-4]
        self.refused("squares/table.csv", str(len(TABLE)), str(len(TABLE) - 4))
        self.assertEqual(self.left(), ["LICENSE", "SOURCE.txt", "squares"])

    def test_a_file_without_a_stated_length_is_cut_off_where_it_is_too_long(self):
        def endless(handler, data):
            handler.send_response(200)
            handler.end_headers()
            with contextlib.suppress(OSError):
                handler.wfile.write(data * 3)
            return True
        self.server.misbehave = endless
        self.refused("squares/LICENSE", "at most", "more")
        self.assertEqual(self.left(), [])

    def test_a_cut_transfer_goes_on_where_it_ended(self):
        self.server.misbehave = cut
        self.fetched()
        self.check_table()
        steps = range(0, len(TABLE), 150_000)
        self.assertEqual(self.ranges(), [None, *(f"bytes={begin}-" for begin in steps[1:])])

    def test_a_transfer_that_is_cut_too_often_goes_on_in_the_next_run(self):
        self.server.misbehave = functools.partial(cut, most=10_000)
        self.refused("squares/table.csv", "cut 5 times", f"50000 of {len(TABLE)} bytes")
        self.assertIn(".table.csv.part", self.left())
        self.server.misbehave = None
        self.fetched()
        self.check_table()
        self.assertEqual(self.ranges()[-1], "bytes=50000-")

    def test_a_killed_run_is_resumed(self):
        def stall(handler, data):
            if len(data) < 1000:
                return False
            handler.answer(data, 0, 200, 200_000)
            time.sleep(20)
            return True
        self.server.misbehave = stall
        process = subprocess.Popen(self.command(), env=self.environment(), stdout=subprocess.DEVNULL)
        part = self.to / "squares/.table.csv.part"
        deadline = time.monotonic() + 20
        while not (part.exists() and part.stat().st_size >= 200_000) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.refused("squares/table.csv", "another process writes")
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.server.misbehave = None
        self.fetched()
        self.check_table()
        self.assertEqual(self.ranges()[-1], "bytes=200000-")

    def test_a_server_that_knows_no_ranges_sends_all_of_it_again(self):
        def ignore_range(handler, data):
            handler.answer(data, 0, 200, None if len(data) < 1000 or self.ranges()[-1] else 30_000)
            return True
        self.server.misbehave = ignore_range
        self.fetched()
        self.check_table()
        self.assertEqual(self.ranges(), [None, "bytes=30000-"])

    def test_another_part_of_the_file_than_asked_for_is_not_appended(self):
        def another_part(handler, data):
            if len(data) < 1000:
                return False
            if handler.headers.get("Range"):
                handler.answer(data, 5, 206)
            else:
                handler.answer(data, 0, 200, 30_000)
            return True
        self.server.misbehave = another_part
        self.refused("squares/table.csv")
        self.assertNotIn("table.csv", self.left())

    def test_what_is_left_of_another_file_is_begun_anew(self):
        (self.to / "squares").mkdir(parents=True)
        (self.to / "squares/.table.csv.part").write_bytes(b"x" * (len(TABLE) + 5))
        self.fetched()
        self.check_table()
        (self.to / "squares/table.csv").unlink()
        (self.to / "squares/.table.csv.part").write_bytes(b"x" * 100)
        self.refused("squares/table.csv", "SHA-256", "nothing was kept")
        self.fetched()
        self.check_table()

    def test_a_file_that_was_renamed_is_named(self):
        self.server.files["/r/abc/new.csv"] = self.server.files.pop("/r/abc/table.csv")
        self.refused("squares/table.csv", "404", "/r/abc/table.csv")
        self.assertEqual(self.left(), ["LICENSE", "SOURCE.txt", "squares"])

    def test_a_redirect_to_another_host_is_refused_and_named(self):
        self.server.misbehave = lambda handler, data: handler.redirect("http://elsewhere.invalid/table.csv") or True
        self.refused("squares/LICENSE", f"127.0.0.1:{self.port} redirects to http://elsewhere.invalid")
        self.server.misbehave = lambda handler, data: handler.redirect("file:///etc/passwd") or True
        self.refused("squares/LICENSE", "not allowed", "file:///etc/passwd")
        self.assertEqual(self.left(), [])

    def test_a_redirect_to_a_named_host_or_the_same_one_is_followed(self):
        other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        other.files, other.asked, other.misbehave = {"/moved": TABLE}, [], None
        threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.addCleanup(other.server_close)
        self.addCleanup(other.shutdown)
        self.server.files["/there"] = LICENCE

        def move(handler, _):
            if handler.path == "/there":
                return False
            handler.redirect(f"http://127.0.0.1:{other.server_port}/moved" if "table" in handler.path else "/there")
            return True
        self.server.misbehave = move
        self.refused("squares/table.csv", f"redirects to http://127.0.0.1:{other.server_port}")
        self.describe("squares", ["LICENSE", "table.csv"], hosts=f"127.0.0.1:{other.server_port}")
        self.fetched()
        self.check_table()

    def test_what_a_server_says_is_shown_without_control_characters(self):
        self.server.misbehave = lambda handler, data: handler.send_error(503, "busy \x1b[31m") or True
        self.refused("squares/LICENSE", "503", r"busy \x1b[31m")
        self.server.misbehave = lambda handler, data: handler.redirect("http://[") or True
        self.refused("squares/LICENSE", "makes no sense")

    def test_no_link_is_written_through(self):
        (self.to / "squares").mkdir(parents=True)
        (self.folder / "theirs").write_text("theirs")
        (self.to / "squares/.table.csv.part").symlink_to(self.folder / "theirs")
        self.refused("squares/table.csv", "cannot write", ".table.csv.part")
        self.assertEqual((self.folder / "theirs").read_text(), "theirs")

    def test_a_redirect_in_a_circle_ends(self):
        self.server.misbehave = lambda handler, data: handler.redirect(handler.path) or True
        self.refused("squares/LICENSE", "302")

    def test_without_a_network_one_line_says_so(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # it does not listen
            port = closed.getsockname()[1]
            self.describe("squares", ["LICENSE", "table.csv"], port)
            result = self.fetch()
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, f"fetch-data: cannot reach 127.0.0.1:{port}: [Errno 111] Connection refused\n")
        self.assertEqual(self.left(), [])

    def test_a_full_disk_leaves_a_line_and_no_file(self):
        part = self.to.resolve() / "squares/.table.csv.part"
        full = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", part, "-e", "inject=write:error=ENOSPC:when=3+"]
        self.refused("squares/table.csv", "cannot write to", "No space left on device", before=full)
        self.assertEqual(self.left(), ["LICENSE", "SOURCE.txt", "squares"])

    def test_a_folder_that_cannot_be_written_is_named(self):
        self.to.write_text("a file")
        self.refused("squares/LICENSE", "cannot write", str(self.to))

    def test_a_file_of_the_user_is_left_alone(self):
        (self.to / "squares").mkdir(parents=True)
        (self.to / "squares/table.csv").write_text("mine")
        self.refused("squares/table.csv", "left alone", "expected", "found 4")
        self.assertEqual((self.to / "squares/table.csv").read_text(), "mine")

    def test_a_mirror_takes_the_place_of_the_network(self):
        self.fetched()
        mirror, self.to = self.to, self.folder / "copy"
        self.server.asked.clear()
        self.fetched("--mirror", str(mirror))
        self.check_table()
        self.assertEqual(self.server.asked, [])

    def test_a_mirror_is_not_trusted(self):
        mirror = self.folder / "mirror"
        (mirror / "squares").mkdir(parents=True)
        (mirror / "squares/LICENSE").write_bytes(LICENCE)
        self.refused("squares/table.csv", "the mirror has no file", arguments=["--mirror", mirror])
        (mirror / "squares/table.csv").write_bytes(TABLE[::-1])
        self.refused("squares/table.csv", "refused", "SHA-256", arguments=["--mirror", mirror])
        self.assertEqual(self.left(), ["LICENSE", "SOURCE.txt", "squares"])
        self.refused("is no folder", arguments=["--mirror", self.folder / "none"])

    def test_a_file_without_a_public_place_needs_a_mirror(self):
        self.write_set("private", "[set]\nsource = a paper\nlicence = none stated\n"
                       f"[file table.csv]\nbytes = {len(TABLE)}\nsha256 = {hashlib.sha256(TABLE).hexdigest()}\n")
        self.assertIn("private: left out", self.fetched())
        self.refused("private/table.csv", "no public place", "--mirror", arguments=["private"])

    def test_files_are_made_of_an_archive(self):
        self.describe_made()
        self.server.misbehave = functools.partial(cut, most=len(ARCHIVE) // 2)
        self.fetched("made")
        self.assertEqual((self.to / "made/made.csv").read_bytes(), MADE)
        self.assertEqual(self.left(), ["SOURCE.txt", "made", "made.csv"])
        self.assertEqual(sorted(path.name for path in self.folder.rglob("outside*")), [])

    def test_a_damaged_archive_leaves_nothing(self):
        self.describe_made()
        for damaged in (ARCHIVE[:len(ARCHIVE) // 2], ARCHIVE[:60] + b"?????" + ARCHIVE[65:], b"<html>", archive_of({})):
            self.server.files["/a/abc.tar.gz"] = damaged
            self.refused("made", "made.csv", "archive", arguments=["made"])
            self.assertEqual(self.left(), [])

    def test_what_is_made_of_other_files_is_refused(self):
        self.describe_made()
        self.server.files["/a/abc.tar.gz"] = archive_of({"data/raw.csv": RAW.replace(b"2.5", b"2.6")})
        self.refused("made/made.csv", "SHA-256", "nothing was kept", arguments=["made"])
        self.server.files["/a/abc.tar.gz"] = archive_of({"data/raw.csv": b"\xff\xff\n"})
        self.refused("made/made.csv", "recipe titanx-table", arguments=["made"])
        self.assertEqual(self.left(), [])

    def test_an_unknown_set_lists_those_that_are_known(self):
        self.refused("no set is called cubes", "squares", arguments=["cubes"])

    def test_a_bad_description_is_refused(self):
        good = f"[set]\nsource = a\nlicence = b\n[file a.csv]\nbytes = 1\nsha256 = {'0' * 64}\n"
        for bad, word in ((good.replace("a.csv", "../a.csv"), "file name"), (good.replace("bytes = 1", "bytes = -1"), "bytes"),
                          (good.replace("0000", "zero"), "sha256"), (good.replace("licence", "license"), "unknown key license"),
                          (good + "recipe = magic\n", "unknown recipe 'magic'"), (good + "colour = red\n", "unknown key colour"),
                          (good + "path = a\n", "path needs files_at"), ("text", "[set]"),
                          (good.replace("source = a", "files_at = ftp://a/\nsource = a"), "https://")):
            self.write_set("bad", bad)
            self.refused("bad.ini", word, arguments=["squares"])

    def test_the_list_says_what_is_there(self):
        self.assertRegex(self.fetched("--list"), r"squares +0/2 +0\.[0-9] +MIT +a test\n")
        self.fetched()
        self.assertRegex(self.fetched("--list"), r"squares +2/2 ")


class Recipes(unittest.TestCase):
    """Each on made-up files of the published form."""

    def made(self, recipe, files):
        return RECIPES[recipe]({path: text.encode() for path, text in files.items()}).decode()

    def test_tegrastats_means_are_one_row_per_log_by_clock(self):
        line = ("RAM 1/2MB CPU [0%@345,off] EMC_FREQ {}%@40 GR3D_FREQ {}%@114 VDD_SYS_GPU 156/1 VDD_SYS_SOC 392/1 "
                "VDD_4V0_WIFI 0/1 VDD_IN {}/1 VDD_SYS_CPU 470/1 VDD_SYS_DDR 287/1\n")
        logs = {"a/Tegra_X_C_1000_G_5_M_6": line.format(1, 2, 2000),
                "a/Tegra_X_C_200_G_5_M_6": line.format(0, 3, 2000) + "RAM\n" + line.format(1, 4, 2001)}
        self.assertEqual(self.made("tegrastats-means", logs).splitlines()[1:],
                         ["200,5,6,2,2000.5,156,470,392,287,0,0.5,3.5,114,40", "1000,5,6,1,2000,156,470,392,287,0,1,2,114,40"])

    def test_mixbench_times_are_summed(self):
        line = "{:>13}, 0.25, {}, 1, 1, 0.125, {}, 1, 1, 0.5, {}, 1, 1, 0.25, {}, 1, 1\n"
        lines = [line.format(n, n + 0.25, n + 1.5, 3.0, 4.01) for n in (0, 8, 64, 1024)]
        text = "Compute iters, Flops/byte\n" + "".join(lines) + "---\n"
        made = self.made("mixbench-times", {"b/GPUData_C_1_G_2_M_3": text})
        self.assertEqual(made.splitlines()[1], "1,2,3,4,1097.0,1102.0,12.0,16.04,0.25,1.5,3.0,4.01,64.25,65.5,3.0,4.01,"
                         "1024.25,1025.5,3.0,4.01,2227.04")

    def test_freqbench_runs_are_named_after_their_folders(self):
        text = ('{"cpus": {"1": {"freqs": {"300000": {"active": {"elapsed_sec": 2.5, "power_mean": 0, "energy_joules": 1.25, '
                '"coremark_score": 9.5, "coremarks_per_mhz": 4.5}}}}}}')
        made = self.made("freqbench-table", {"results/soc/results.json": text, "results/soc/main/results.json": text})
        self.assertEqual(made.splitlines()[1:],
                         ["soc,soc-main,1,300000,2.5,0,1.25,9.5,4.5", "soc,soc,1,300000,2.5,0,1.25,9.5,4.5"])

    def test_an_archive_has_the_same_bytes_whenever_it_is_made(self):
        files = {"a/b/two": b"2\n", "a/b/one": b"1\n"}
        data = RECIPES["tar"](files)
        self.assertEqual(data, RECIPES["tar"](dict(reversed(files.items()))))
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            self.assertEqual(archive.getnames(), ["b/one", "b/two"])
            self.assertEqual(archive.extractfile("b/two").read(), b"2\n")


class PublishedSets(unittest.TestCase):
    """datasets/sets/ and what speaks of it."""

    def names(self):
        return sorted(path.stem for path in (SOURCE / "datasets/sets").glob("*.ini"))

    def test_each_mapping_names_a_set(self):
        for path in sorted((SOURCE / "datasets/mappings").glob("*.ini")):
            named = re.search(r"^set = (\S+)$", path.read_text(), re.M)
            self.assertTrue(named, f"{path.name} has no key set")
            self.assertIn(named[1], self.names(), path.name)

    def test_each_suite_reads_the_set_of_its_mapping(self):
        for path in sorted((SOURCE / "benchmarks/suites").glob("*.ini")):
            keys = dict(re.findall(r"^(mapping|inputs) = (\S+)$", path.read_text(), re.M))
            if keys:
                mapping = (SOURCE / f"datasets/mappings/{keys['mapping']}.ini").read_text()
                self.assertIn(f"\nset = {keys['inputs']}\n", mapping, path.name)

    def test_each_set_has_a_card(self):
        headings = re.findall(r"^## ([\w-]+)$", (SOURCE / "docs/data.md").read_text(), re.M)
        self.assertEqual([name for name in headings if name in self.names()], self.names())


def measured_profiles():
    folder = Path(os.environ.get("FEWWATT_DATA") or SOURCE / "../shared/data").resolve()
    return folder if folder.is_dir() else None


@unittest.skipUnless(measured_profiles(), "needs measured profiles: set FEWWATT_DATA to their folder")
class MeasuredSets(unittest.TestCase):
    def test_the_files_are_those_of_the_sets(self):
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run([FETCH, "--mirror", measured_profiles(), "--to", folder], capture_output=True, text=True,
                                    check=False)
        wrong = [line for line in result.stderr.splitlines() if "refused" in line or "Traceback" in line]
        self.assertEqual(wrong, [])
        self.assertIn("tx2-osldvfs/TegraHSTO_agg.csv: 103067 bytes, SHA-256 is right", result.stdout)

    def test_kernels_of_the_titan_x_are_made_as_published(self):
        for name in ("micro", "real"):
            made = (measured_profiles() / f"titanx-ulisboa/{name}benchmarks.csv").read_bytes()
            raw, workload = [], ""
            for line in made.decode().splitlines()[1:]:
                called, core_mhz, mem_mhz, time_ms, power_w = line.split(",")
                if called != workload:
                    raw.append(called)
                workload = called
                raw.append(f"{mem_mhz},{core_mhz},{time_ms},{power_w},0")
            self.assertEqual(RECIPES["titanx-table"]({"": "\n".join(raw).encode()}), made)

    def test_means_of_the_tx2s_logs_are_made_as_kept(self):
        folder = measured_profiles() / "tx2-osldvfs"
        logs = {}
        with tarfile.open(next(folder.glob("tegrastats-logs.tar*"))) as archive:
            for member in archive:
                if member.isfile():
                    logs[f"JetsonTX2/{member.name}"] = archive.extractfile(member).read()
        for name in ("TegraHSTO", "TegraDataSSSP"):
            made = RECIPES["tegrastats-means"]({path: data for path, data in logs.items() if f"/{name}/" in path})
            self.assertEqual(made, (folder / f"{name}_agg.csv").read_bytes())
        self.assertIn(hashlib.sha256(RECIPES["tar"](logs)).hexdigest(), (SOURCE / "datasets/sets/tx2-osldvfs.ini").read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
