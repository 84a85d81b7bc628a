#!/usr/bin/env python3
"""tests/terminal_test.py [--emulator COMMAND] BIN: completion and pages for man, as scripts/terminal_files makes them of programs."""
import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN, EMULATOR = None, ""

# Texts that a shell, man or JSON would take for something else.
ODD = r"""it's "odd": [a] $(touch made) `touch made` \n 100 % of a-b <c> & more; .TH '"""


def output(*command, **how):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **how).stdout


def make(folder, programs, emulator=""):
    subprocess.run([ROOT / "scripts/terminal_files", "--emulator", emulator, programs, folder], check=True)


def completed(folder, line, cwd=None):
    """What bash offers for a line that is typed so far; FILES for its own completion of files."""
    script = 'source "$1"; compopt() { [[ $* != "-o default" ]] || COMPREPLY=(FILES); }; COMP_LINE=$2 COMP_POINT=${#2}; _fewwatt; printf "%s\\n" "${COMPREPLY[@]}"'
    return output("bash", "-c", script, "bash", folder / "fewwatt.bash", line, cwd=cwd).split()


def help_of(verb):
    return output(*shlex.split(EMULATOR), BIN / f"fewwatt-{verb}", "--help")


def options_in(text):
    return set(re.findall(r"^  (?:-\w \[ )?(--[\w-]+)", text, re.MULTILINE))


def shown_page(path):
    """A page as man shows it, on one line. Throws for one that groff warns of."""
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=999n", path], check=True, text=True, capture_output=True)
    if done.stderr:
        raise ValueError(done.stderr)
    return " ".join(done.stdout.replace("‐", "-").replace("’", "'").replace("‘", "`").split())


class OfPrograms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.made = Path(cls.folder.name)
        make(cls.made, BIN, EMULATOR)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def offers(self, line, *expected):
        self.assertEqual(completed(self.made, line, cwd=self.made), list(expected), line)

    def test_verbs_are_completed(self):
        self.offers("fewwatt dev", "device")
        self.assertIn("adapt", completed(self.made, "fewwatt "))

    def test_every_option_of_help_is_completed_and_in_the_page(self):
        for verb in "device", "simulate", "import", "inspect", "adapt", "predict", "optimize", "profile", "govern":
            options = options_in(help_of(verb)) - {"--action", "--board", "--input", "--file", "--command"}
            self.assertGreater(len(options), 7, verb)
            self.assertEqual(set(completed(self.made, f"fewwatt {verb} --")), options)
            page = (self.made / f"fewwatt-{verb}.1").read_text().replace("\\-", "-")
            for option in options:
                self.assertIn(rf"\fB{option}\fR", page)
                self.assertIn(f"{option}", (self.made / "_fewwatt").read_text())
                self.assertIn(f"-l {option[2:]} ", (self.made / "fewwatt.fish").read_text())

    def test_every_value_has_a_name_that_says_what_it_is(self):
        for program in sorted(BIN.glob("fewwatt-*")):
            verb = program.name.removeprefix("fewwatt-")
            if verb == "reader":  # which nobody types
                continue
            manual = json.loads(output(*shlex.split(EMULATOR), program, "--manual-json"))
            unnamed = [option["name"] for group in manual["groups"] for option in group["options"] if option.get("value") == "arg"]
            self.assertEqual(unnamed, [], verb)
            self.assertNotRegex(help_of(verb), r"(?m)^  .*--[\w-]+ (\[=)?arg\b")
            self.assertNotIn(r"\fIarg", (self.made / f"fewwatt-{verb}.1").read_text())

    def test_values_of_a_closed_set_are_completed(self):
        self.offers("fewwatt adapt --sampler max", "maximin")
        self.offers("fewwatt adapt --sampler=max", "maximin")  # bash replaces what is behind the =
        self.offers("fewwatt adapt --decimal ", "point", "comma")
        self.offers("fewwatt profile --search predic", "predict")
        self.offers("fewwatt adapt --learner phy", "physics")
        self.offers("fewwatt device exp", "export-nvpmodel")
        self.offers("fewwatt device show tx", "tx2")
        self.offers("fewwatt profile --device simulated:tx", "tx2")  # ... and what is behind the :
        self.offers("fewwatt adapt --space orin-agx-64:power", "powertrain")

    def test_pieces_of_a_list_are_completed(self):
        self.offers("fewwatt simulate --workloads bert", "bert-base")
        self.offers("fewwatt simulate --workloads lstm,bert", "lstm,bert-base")
        self.offers("fewwatt simulate --workloads=lstm,bert", "lstm,bert-base")

    def test_anything_else_is_a_file(self):
        self.offers("fewwatt adapt --init fewwatt.fi", "FILES")
        self.offers("fewwatt adapt --init=fewwatt.fi", "FILES")
        self.offers("fewwatt inspect fewwatt.fi", "FILES")
        self.offers("fewwatt predict --json --model fewwatt.fi", "FILES")
        self.offers("fewwatt optimize --model fewwatt.fi", "fewwatt.fish")  # a list, whose pieces bash does not know
        self.offers("fewwatt optimize --model _fewwatt,fewwatt.fi", "_fewwatt,fewwatt.fish")
        self.offers("fewwatt optimize --model no-such-file")

    def test_an_option_behind_the_last_argument(self):
        self.assertIn("--json", completed(self.made, "fewwatt device show tx2 "))

    def test_a_program_after_two_hyphens_is_its_own_affair(self):
        self.offers("fewwatt govern --max-power-w 30 -- --js", "FILES")

    def test_shells_take_their_files(self):
        subprocess.run(["bash", "-n", self.made / "fewwatt.bash"], check=True)
        subprocess.run(["zsh", "-n", self.made / "_fewwatt"], check=True)
        subprocess.run(["fish", "--no-execute", self.made / "fewwatt.fish"], check=True)

    def test_fish_completes(self):
        def offered(line):
            said = output("fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", self.made / "fewwatt.fish", line)
            return [one.split("\t")[0] for one in said.splitlines()]
        self.assertEqual(offered("fewwatt dev"), ["device"])
        self.assertEqual(offered("fewwatt adapt --samp"), ["--sampler"])
        self.assertEqual(offered("fewwatt adapt --sampler maxi"), ["maximin"])

    def test_pages_are_without_a_warning_and_say_how_a_verb_is_called(self):
        pages = sorted(self.made.glob("*.1"))
        self.assertIn(self.made / "fewwatt.1", pages)
        for page in pages:
            text = shown_page(page)
            self.assertIn(f"{page.stem} - ", text)
            self.assertIn("SYNOPSIS fewwatt ", text)


class OfOddTexts(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)
        option = {"name": "odd", "about": ODD, "value": "W", "default": ODD, "choices": ["a:b", "c"]}
        manual = {"verb": "device", "version": "1", "synopsis": ODD, "about": ODD, "arguments": [],
                  "groups": [{"title": "Options", "options": [option, {"name": "plain", "about": ODD}]}]}
        (self.path / "bin").mkdir()
        (self.path / "bin/manual.json").write_text(json.dumps(manual))
        program = self.path / "bin/fewwatt-device"
        program.write_text(f"#!/bin/sh\ncat {self.path}/bin/manual.json\n")
        program.chmod(0o755)
        make(self.path, self.path / "bin")

    def test_shells_and_pages_show_them_as_they_are(self):
        for shell in ["bash", "-n", "fewwatt.bash"], ["zsh", "-n", "_fewwatt"], ["fish", "--no-execute", "fewwatt.fish"]:
            subprocess.run(shell, cwd=self.path, check=True)
        self.assertEqual(completed(self.path, "fewwatt device --odd a:", cwd=self.path), ["b"])
        self.assertEqual(shown_page(self.path / "fewwatt-device.1").count(" ".join(ODD.split())), 5)
        self.assertFalse((self.path / "made").exists())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--emulator", default="")
    parser.add_argument("bin", type=Path)
    given = parser.parse_args()
    BIN, EMULATOR = given.bin.resolve(), given.emulator
    unittest.main(argv=sys.argv[:1])
