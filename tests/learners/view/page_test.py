#!/usr/bin/env python3
"""page_test.py BIN [--budgets N] [--timed] [--screenshots FOLDER]: the pages of fewwatt view in a headless Chromium.

Makes a model of all modes of a board, a search, a governed run and rows of bench with the programs in BIN, opens the page, moves limits
and confidences, and compares what it names with `fewwatt optimize`. Also: nothing is fetched, no script fails, names stay text, keys, a
phone's width, the dark. With --timed, for which nothing else may run: the page opens within 2 s, and draws 30 frames a second while a
limit moves. FEWWATT_CHROMIUM names the browser; chromium if not set.
"""
import argparse
import base64
import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OPENS_S = 2
FRAMES_A_SECOND = 30
LARGEST = 3_000_000  # bytes of a page of a model of 18 096 modes
NASTY = "</script><img src=x onerror=\"window.broken=1\">'\u2028&amp;"


class Browser:
    """A page in a headless Chromium, driven by its protocol (CDP) through pipes: JSON objects that end with a zero byte."""

    def __init__(self, folder):
        program = os.environ.get("FEWWATT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
        if not program:
            sys.exit("page_test: needs Chromium, which scripts/install-deps installs")
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4; high numbers do not collide with these.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs_in, theirs_out)]
        os.close(theirs_in)
        os.close(theirs_out)
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
                   "--disable-background-networking", "--disable-dev-shm-usage", "--window-size=1280,900",
                   f"--user-data-dir={folder}/chromium", "--remote-debugging-pipe", "about:blank"]
        self.log = open(f"{folder}/chromium.log", "wb")
        self.process = subprocess.Popen(["bash", "-c", f'exec "$@" 3<&{high[0]} 4>&{high[1]}', "bash", *command], pass_fds=high,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env={**os.environ, "HOME": str(folder)})
        for fd in high:
            os.close(fd)
        self.reads, self.writes = os.fdopen(ours_in, "rb", 0), os.fdopen(ours_out, "wb", 0)
        self.buffer, self.number, self.session = b"", 0, None
        self.problems, self.requests, self.pressed = [], [], 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.bringToFront")  # others draw no frames

    def message(self):
        while b"\0" not in self.buffer:
            got = self.reads.read(1 << 16)
            if not got:
                sys.exit("page_test: the browser ended: " + Path(self.log.name).read_text(errors="replace")[-2000:])
            self.buffer += got
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def note(self, event):
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"][:200])

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.writes.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.note(answer)

    def value(self, expression):
        """Of JavaScript; promises are waited for."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, expression, limit_s=20):
        start = time.monotonic()
        while not self.value(expression):
            if time.monotonic() - start > limit_s:
                raise RuntimeError(f"waited {limit_s} s for {expression}; {self.problems}")
            time.sleep(0.01)
        return time.monotonic() - start

    def open(self, path):
        """Of a file, or an address that begins with http. Returns the seconds until its first part is shown."""
        start = time.monotonic()
        self.call("Page.navigate", url=path if str(path).startswith("http") else Path(path).absolute().as_uri())
        self.until("document.documentElement?.dataset.shown !== undefined")
        self.frames()
        return time.monotonic() - start

    def frames(self):
        """Until what was asked for is drawn."""
        self.value("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(1))))")

    def show(self, part):
        self.value(f"location.hash = '{part}'")
        self.until(f"document.documentElement.dataset.shown === '{part}'")
        self.frames()

    def mouse(self, kind, x, y):
        if kind != "mouseMoved":
            self.pressed = int(kind == "mousePressed")
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="none" if kind == "mouseMoved" else "left",
                  buttons=self.pressed, clickCount=0 if kind == "mouseMoved" else 1)

    def key(self, key, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path):
        Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]))

    def close(self):
        self.session = None
        self.call("Browser.close")
        self.process.wait(20)
        self.log.close()


class Test:
    def __init__(self, bin_dir, folder, screenshots, timed):
        self.bin, self.folder, self.screenshots, self.timed = Path(bin_dir), Path(folder), screenshots, timed
        self.failures = 0

    def check(self, holds, what):
        if not holds:
            self.failures += 1
            print(f"FAILED: {what}", flush=True)

    def run(self, verb, *arguments, codes=(0,)):
        done = subprocess.run([self.bin / f"fewwatt-{verb}", *map(str, arguments)], cwd=self.folder, capture_output=True, text=True)
        if done.returncode not in codes:
            sys.exit(f"page_test: fewwatt {verb} {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def shot(self, browser, name):
        if self.screenshots:
            browser.screenshot(Path(self.screenshots) / f"{name}.png")

    def make_files(self):
        self.run("simulate", "--device", "orin-agx-64", "--grid", "400", "--workloads", "resnet18", "--out", "p.h5")
        self.run("adapt", "--profiles", "p.h5", "--device", "orin-agx-64", "--workload", "resnet18", "--shots", "15", "--learner", "gp", "--out", "model.h5")
        self.run("profile", "--device", "simulated:orin-agx-64", "--grid", "coarse", "--workload", "resnet18", "--goal", "fastest", "--max-power-w", "30",
                 "--measurements", "6", "--out", "goal.h5", codes=(0, 3, 4))
        self.run("govern", "--device", "simulated:orin-agx-64", "--grid", "coarse", "--workload", "resnet18", "--max-power-w", "30", "--minutes", "2",
                 "--log", "govern.csv")
        rows = [{"suite": "s", "device": "d", "workload": workload, "learner": learner, "sampler": "random", "shots": shots, "seed": seed,
                 "metric": "time_mape", "value": 50 / shots + seed, "unit": "%"}
                for workload in ("a", NASTY) for learner in ("gp", NASTY) for shots in (5, 10, 20) for seed in range(4)]
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        self.run("view", "model.h5", "--out", "model.html")
        self.run("view", "model.h5", "p.h5", "goal.h5.log.done", "govern.csv", "rows.jsonl", "--out", "all.html")

    def opens(self, browser):
        size = (self.folder / "model.html").stat().st_size
        self.check(size <= LARGEST, f"a page of 18 096 modes has {size} bytes")
        seconds = min(browser.open(self.folder / "model.html") for _ in range(2))
        self.check(seconds <= OPENS_S or not self.timed, f"a page of 18 096 modes opened in {seconds:.2f} s")
        print(f"opened in {seconds:.2f} s, {size} bytes")

    def compare(self, browser, objective):
        """What the page shows, with what optimize says of the limits that the page shows."""
        browser.frames()
        shown = browser.value("""(() => {
          const limit = (name) => document.getElementById(name + '-on')?.checked ? document.getElementById(name + '-value').value : '';
          const { mode, runnerUp, nearest } = document.getElementById('answer').dataset;
          return { power: limit('power'), time: limit('time'), energy: limit('energy'), confidence: document.getElementById('confidence-value').value,
                   mode, runnerUp, nearest };
        })()""")
        options = ["--model", "model.h5", "--json", "--objective", objective, "--confidence", shown["confidence"]]
        for name, option in (("power", "--max-power-w"), ("time", "--max-time-ms"), ("energy", "--max-energy-j")):
            if shown[name]:
                options += [option, shown[name]]
        said = json.loads(self.run("optimize", *options, codes=(0, 3)))
        text = lambda of: ",".join(f"{knob}={setting}" for knob, setting in of["mode"].items()) if of else ""
        expected = {"mode": text(said if "mode" in said else None), "runnerUp": text(said.get("runner_up")), "nearest": text(said.get("least_violation"))}
        self.check({key: shown[key] for key in expected} == expected, f"{options}: the page shows {shown}, optimize says {expected}")
        return shown

    def agrees(self, browser, budgets):
        rng = random.Random(1)
        goals = ["time", "time", "energy", "edp", "time", "power"]
        for i in range(budgets):
            goal = goals[i % len(goals)]
            values = {"power": rng.uniform(9, 52), "time": rng.uniform(60, 900) if i % 3 == 1 or goal == "power" else None,
                      "energy": rng.uniform(1.5, 9) if i % 5 == 2 else None}
            confidence = 0.5 if i % 7 == 0 else rng.uniform(0.5, 0.995)
            browser.value(f"""(() => {{
              const set = (id, value) => {{ const e = document.getElementById(id); e.value = value; e.dispatchEvent(new Event('input')); }};
              set('goal', {json.dumps(goal)}); set('confidence-value', {json.dumps(f"{confidence:.4g}")});
              for (const [name, value] of Object.entries({json.dumps({key: value and f"{value:.5g}" for key, value in values.items()})})) {{
                if (value !== null) set(name + '-value', value);
                else {{ const on = document.getElementById(name + '-on'); on.checked = false; on.dispatchEvent(new Event('input')); }}
              }}
            }})()""")
            self.compare(browser, goal)
        browser.value("""(() => { for (const id of ['time-on', 'energy-on']) { const e = document.getElementById(id); e.checked = false; e.dispatchEvent(new Event('input')); }
          for (const [id, value] of [['goal', 'time'], ['confidence-value', 0.9]]) { const e = document.getElementById(id); e.value = value; e.dispatchEvent(new Event('input')); } })()""")

    def drags(self, browser):
        box = browser.value("(() => { const { left, top, width, height } = document.querySelector('.u-over').getBoundingClientRect(); return [left, top, width, height]; })()")
        x, y = box[0] + 0.2 * box[2], box[1] + 0.5 * box[3]
        browser.mouse("mousePressed", x, y)
        before = None
        for share in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.35):
            browser.mouse("mouseMoved", box[0] + share * box[2], y)
            shown = self.compare(browser, "time")
            self.check(shown["power"] != before, f"dragging to {share} of the figure left the limit at {before} W")
            before = shown["power"]
        browser.mouse("mouseReleased", box[0] + 0.35 * box[2], y)
        browser.mouse("mouseMoved", box[0] + 0.9 * box[2], y)
        self.check(self.compare(browser, "time")["power"] == before, "the limit follows a pointer that was let go")
        # The slider by keys: Tab leads there for everybody who has no pointer.
        browser.value("document.getElementById('power-slider').focus()")
        browser.key("ArrowRight", 39)
        self.check(float(self.compare(browser, "time")["power"]) != float(before), "the slider does not follow an arrow key")
        browser.value("document.querySelector('.chart').focus()")
        was = self.compare(browser, "time")
        browser.key("ArrowRight", 39)
        browser.key("ArrowUp", 38)
        now = self.compare(browser, "time")
        self.check(float(now["power"]) > float(was["power"]), "the figure does not follow the right arrow")
        self.check(float(now["confidence"]) > float(was["confidence"]), "the figure does not follow the upper arrow")

    def moves_without_stutter(self, browser):
        rate = max(browser.value("""new Promise((done) => {
          const slider = document.getElementById('power-slider'), start = performance.now();
          let frame = 0;
          const next = () => {
            if (frame === 90) return done(90000 / (performance.now() - start));
            slider.value = 100 + 8 * frame++;
            slider.dispatchEvent(new Event('input'));
            requestAnimationFrame(next);
          };
          requestAnimationFrame(next);
        })""") for _ in range(3))
        self.check(rate >= FRAMES_A_SECOND or not self.timed, f"{rate:.0f} frames a second while the limit moves")
        print(f"{rate:.0f} frames a second")

    def looks(self, browser):
        for name, width, height, scheme in (("wide", 1280, 900, "light"), ("dark", 1280, 900, "dark"), ("phone", 390, 844, "light")):
            browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=name == "phone")
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            for part in range(browser.value("document.getElementById('part').options.length")):
                browser.show(part)
                time.sleep(0.1)  # for the observer of sizes
                browser.frames()
                over = browser.value("document.documentElement.scrollWidth - innerWidth")
                self.check(over <= 0, f"{name}: part {part} is {over} pixels wider than the page")
                self.check(browser.value("document.querySelectorAll('#main canvas').length") > 0, f"{name}: part {part} has no figure")
                self.shot(browser, f"{part}-{name}")
        browser.call("Emulation.clearDeviceMetricsOverride")

    def parts(self, browser):
        browser.open(self.folder / "all.html")
        kinds = [text.split(" ")[0] for text in browser.value("[...document.getElementById('part').options].map(o => o.textContent)")]
        self.check(kinds == ["model", "profile", "run", "govern", "bench"], f"the parts are {kinds}")
        self.looks(browser)
        browser.show(2)
        for step in (1, 3, 6):
            browser.value(f"(() => {{ const e = document.getElementById('step'); e.value = {step}; e.dispatchEvent(new Event('input')); }})()")
            browser.frames()
            self.check(browser.value("document.getElementById('step-text').textContent").startswith(f"Step {step}: "), f"step {step} is not shown")
        browser.show(4)
        self.check(browser.value("document.getElementById('main').textContent").count("onerror") > 0, "a learner's name is not shown")
        self.check(browser.value("document.images.length === 0 && window.broken === undefined"), "a name became markup")
        browser.key("]", 221)
        browser.until("document.documentElement.dataset.shown === '0'")

    def reports(self, browser):
        self.run("bench", "--suite", Path(__file__).resolve().parents[3] / "benchmarks/suites/demo.ini", "--learners", "gp", "--shots", "10", "--seeds", "2",
                 "--out", "bench", "--quiet")
        browser.open(self.folder / "bench/report.html")
        for part in (0, 1):
            browser.show(part)
            self.check(browser.value("document.querySelectorAll('#main canvas').length") > 0, f"part {part} of a report has no figure")
            self.shot(browser, f"report-{part}")

    def many(self, browser):
        (self.folder / "mine.csv").write_text("cpu_cores,cpu_khz,gpu_khz,mem_khz,time_ms,power_w\n4,729600,318750,665600,412,11.2\n"
                                              "12,2201600,1300500,3199000,58,41.0\n")
        self.run("adapt", "--measurements", "mine.csv", "--space", "orin-agx-64:coarse", "--learner", "gp", "--out", "small.h5")
        self.run("view", *["small.h5"] * 200, "--out", "many.html")
        browser.open(self.folder / "many.html")
        browser.show(199)
        self.check(browser.value("document.getElementById('answer').dataset.mode") != "", "the last of 200 models has no answer")

    def all(self, budgets):
        self.make_files()
        browser = Browser(self.folder)
        try:
            self.opens(browser)
            self.agrees(browser, budgets)
            self.drags(browser)
            self.moves_without_stutter(browser)
            self.parts(browser)
            self.reports(browser)
            self.many(browser)
            self.check(not browser.problems, f"scripts failed: {browser.problems[:5]}")
            outside = [url for url in browser.requests if not url.startswith(("file:", "data:", "about:"))]
            self.check(not outside, f"the page asked for {outside[:5]}")
        finally:
            browser.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("--budgets", type=int, default=200)
    parser.add_argument("--timed", action="store_true", help="judge seconds and frames too")
    parser.add_argument("--screenshots", help="folder for a picture of each part: wide, dark, on a phone")
    arguments = parser.parse_args()
    if arguments.screenshots:
        Path(arguments.screenshots).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        test = Test(Path(arguments.bin).absolute(), folder, arguments.screenshots, arguments.timed)
        test.all(arguments.budgets)
    print("page_test: all right" if test.failures == 0 else f"page_test: {test.failures} failed")
    return 0 if test.failures == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
