#!/usr/bin/env python3
"""live_test.py BIN: --live of profile, govern and meta-train, from outside and in a headless Chromium.

Events must be what `fewwatt view` shows of the log that the same run leaves. FEWWATT_CHROMIUM names the browser; chromium if not set.
"""
import http.client
import json
import math
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
from page_test import Browser  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
SIMULATED = ["--device", "simulated:orin-agx-64", "--grid", "coarse", "--workload", "resnet18", "--simulated-speed", "50", "--live"]
TOY = ["--", str(ROOT / "scripts/toy_workload")]


class Program:
    """A program with --live that has said where its page is. `with` kills it where a test fails before it has ended."""

    def __init__(self, bin_dir, folder, verb, *arguments):
        self.process = subprocess.Popen([bin_dir / f"fewwatt-{verb}", *map(str, arguments)], cwd=folder, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.said, self.url = "", ""
        for line in self.process.stderr:
            self.said += line
            found = re.fullmatch(r"watch at (http://\S+)\n", line)
            if found:
                self.url = found[1]
                break
        assert self.url, f"{verb} does not say where its page is: {self.said}"
        # Else it would wait when the pipe is full.
        self.reader = threading.Thread(target=self.process.stderr.read)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.end()

    def get(self, path, **headers):
        at = urlsplit(self.url)
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=60)
        connection.request("GET", path, headers=headers)
        return connection.getresponse()

    def page(self):
        return self.get("/").read().decode()

    def events(self):
        """All rows until the program says that it has ended."""
        answer, rows, kind = self.get("/events"), [], ""
        assert answer.status == 200 and answer.getheader("Content-Type") == "text/event-stream", answer.headers
        for line in answer:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data" and kind == "":
                rows.append(json.loads(value))
        assert kind == "end", "the program did not say that it has ended"
        return rows

    def end(self):
        self.reader.join()
        return self.process.wait(60)


def part_of(html):
    """The first part that a page holds."""
    return json.loads(re.search(r'<script[^>]*id="part-0"[^>]*>(.*?)</script>', html, re.S)[1])


def run(bin_dir, folder, verb, *arguments):
    return subprocess.run([bin_dir / f"fewwatt-{verb}", *map(str, arguments)], cwd=folder, capture_output=True, text=True)


def viewed(bin_dir, folder, log):
    done = run(bin_dir, folder, "view", log, "--out", "log.html")
    assert done.returncode == 0, done.stderr
    return part_of((folder / "log.html").read_text(encoding="utf-8"))


def profiles(bin_dir, folder):
    with Program(bin_dir, folder, "profile", *SIMULATED, "--goal", "fastest", "--max-power-w", 30, "--measurements", 5, "--out", "p.h5", *TOY) as program:
        assert "connect-src 'self'" in program.page()
        rows = program.events()
        assert program.end() == 0
    steps = viewed(bin_dir, folder, "p.h5.log.done")["steps"]
    assert len(steps) >= 5
    for row, step in zip(rows, steps, strict=True):
        del row["mode"], step["row"]
        assert row == step


def governs(bin_dir, folder):
    with Program(bin_dir, folder, "govern", *SIMULATED, "--max-power-w", 30, "--minutes", 2, "--log", "g.csv", *TOY) as program:
        rows = program.events()
        assert program.end() == 0
    log = viewed(bin_dir, folder, "g.csv")
    assert len(rows) >= 5
    for name in ("reason", "event"):
        assert [row[name] for row in rows] == log[name], name
    for name in ("t_s", "time_ms", "power_w", "budget_w"):  # of which the log has nine digits
        for row, logged in zip(rows, log[name], strict=True):
            assert math.isclose(row[name], logged, rel_tol=1e-8), (name, row, logged)
    assert [list(column) for column in zip(*(row["mode"] for row in rows))] == log["settings"]


def trains(bin_dir, folder):
    assert run(bin_dir, folder, "simulate", "--device", "orin-agx-64", "--grid", "50", "--workloads", "resnet18,lstm,bert-base", "--out", "t.h5").returncode == 0
    with Program(bin_dir, folder, "meta-train", "--learner", "reptile", "--steps", 30, "--profiles", "t.h5", "--log", "t.jsonl", "--out", "init.h5",
                 "--live") as program:
        rows = program.events()
        assert program.end() == 0
    logged = [json.loads(line) for line in (folder / "t.jsonl").read_text().splitlines()]
    assert rows and all(row in logged for row in rows) and rows[-1] == logged[-1], (rows[-1:], logged[-1:])


def refuses(bin_dir, folder):
    training = ["meta-train", "--learner", "reptile", "--steps", 1, "--profiles", "t.h5", "--out", "none.h5", "--live"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(bin_dir, folder, "profile", *SIMULATED, address, "--modes", 2, "--out", "none.h5", *TOY)
        assert (done.returncode, done.stderr) == (1, f"fewwatt profile: --live: {address} is in use\n"), done
        done = run(bin_dir, folder, *training, address)
        assert (done.returncode, done.stderr) == (1, f"fewwatt meta-train: --live: {address} is in use\n"), done
    assert not list(folder.glob("none.h5*"))
    for address in ("127.0.0.1:70000", "300.0.0.1:80", "8000"):
        for arguments in (["govern", *SIMULATED, address, "--max-power-w", 30, *TOY], [*training, address]):
            done = run(bin_dir, folder, *arguments)
            assert done.returncode == 2 and "--live: expected" in done.stderr, (address, done)


def comes_back(browser, bin_dir, folder):
    """A program that is killed, and another run at its address."""
    says = "document.getElementById('live').textContent.startsWith('{}')".format
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    for before, after in (("Connected", "The connection is lost, or the program has ended."), ("Another run", "Another run")):
        with Program(bin_dir, folder, "profile", *SIMULATED, address, "--modes", 200, "--out", f"{before[0]}.h5", *TOY) as program:
            if before == "Connected":
                browser.open(program.url)
            browser.until(says(before), limit_s=60)
        browser.until(says(after), limit_s=60)
    # To the browser, a server that is away is an error.
    browser.problems = [text for text in browser.problems if "net::ERR_" not in text]


def is_watched(bin_dir, folder, screenshots):
    browser = Browser(folder)
    try:
        comes_back(browser, bin_dir, folder)
        with Program(bin_dir, folder, "profile", *SIMULATED, "--modes", 30, "--out", "w.h5", *TOY) as program:
            browser.open(program.url)
            steps = "Number(document.getElementById('step')?.max ?? 0)"
            browser.until(f"{steps} >= 2")
            first = browser.value(steps)
            # What a person has set stays.
            browser.value("""(() => {
              const on = document.getElementById('power-on');
              on.checked = true;
              on.dispatchEvent(new Event('input'));
              const box = document.getElementById('power-value');
              box.value = '25';
              box.dispatchEvent(new Event('input'));
            })()""")
            browser.until(f"{steps} > {first}")
            browser.until("document.getElementById('live').textContent.startsWith('The run has ended.')", limit_s=60)
            browser.until(f"{steps} >= 30")
            assert browser.value("""(() => {
              const [power, time] = ['power', 'time'].map((name) => document.getElementById(name + '-on').checked);
              return power && !time && document.getElementById('power-value').value === '25';
            })()"""), "a limit that was set is another one"
            assert program.end() == 0
            if screenshots:
                browser.screenshot(Path(screenshots) / "live-run.png")
        with Program(bin_dir, folder, "meta-train", "--learner", "reptile", "--steps", 60, "--profiles", "t.h5", "--out", "init2.h5", "--live") as program:
            browser.open(program.url)
            browser.until("document.querySelectorAll('#main canvas').length > 0")
            browser.until("document.getElementById('live').textContent.startsWith('The run has ended.')", limit_s=60)
            assert program.end() == 0
            if screenshots:
                browser.screenshot(Path(screenshots) / "live-training.png")
        assert not browser.problems, browser.problems[:5]
    finally:
        browser.close()


def main():
    bin_dir, screenshots = Path(sys.argv[1]).absolute(), sys.argv[2] if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for test in (profiles, governs, trains, refuses):
            test(bin_dir, folder)
        is_watched(bin_dir, folder, screenshots)
    print("live_test: all right")


if __name__ == "__main__":
    main()
