#!/bin/bash
# check_readme runs the commands of made-up pages, finds each kind of fault in them, and leaves the checkout as it is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
temporary=$(mktemp -d)
trap 'rm -rf "$tree" "$temporary"' EXIT

mkdir -p "$tree/scripts" "$tree/docs" "$tree/benchmarks/suites" "$tree/bin"
cp "$here/check_readme" "$here/fewwatt" "$here/fewwatt_steps.py" "$tree/scripts"
export FEWWATT_BIN=$tree/bin FEWWATT_DATA=$tree/none
for verb in meta-train bench; do
  printf '#!/bin/sh\necho "%s $*" >>said\n' "$verb" >"$tree/bin/fewwatt-$verb"
done
printf '#!/bin/sh\ncat "$2" >>said\n' >"$tree/bin/fewwatt-bench"
chmod +x "$tree"/bin/*
cat >"$tree/README.md" <<'END'
```
export PATH="$PWD/scripts:$PATH"
```
END

page() { cat >"$tree/page.md"; }
check() { said=$("$tree/scripts/check_readme" "$@" 2>&1); }
says() { grep -qF -- "$1" <<<"$said" || { echo "expected '$1', got: $said"; exit 1; }; }
passes() { check "$tree/page.md" || { echo "refused a good page: $said"; exit 1; }; }
fails() { if check "$tree/page.md"; then echo "accepted: $1"; exit 1; fi; says "$1"; }

# What a page may hold: comments, here-documents, loops, continued lines, sh, Python, other languages; files last till the end.
printf '[suite]\nseeds = 20\n[split a]\ntest = a\n[split b]\ntest = b\n' >"$tree/benchmarks/suites/demo.ini"
page <<'END'
```text
 no command ──> (at all)
```
```
# A comment.
cat > rows.csv <<CSV
a,b

1,2
CSV
for w in a b; do
  echo "$w" >> names
done   # a comment

count=$(wc -l \
  < rows.csv)
scripts/test
```
Text between.
```sh
[ "$count" = 3 ]
[ "$(cat names)" = "a
b" ]
sudo fewwatt meta-train --profiles p.h5 --out out/m.h5   # a comment
grep -qx 'meta-train --steps 1 --shots 5 --profiles p.h5 --out out/m.h5' said
fewwatt bench --suite benchmarks/suites/demo.ini
grep -qx 'seeds = 1' said
[ "$(grep -c split said)" = 1 ]
```
```python
step()
```
```
cat names
echo last >&2
```
```output
last
```
END
passes
says 'page.md:6 '
says 'for w in a b; do'
says 'not run  scripts/test'
says 'meta-train --steps 1 --shots 5 --profiles p.h5'
[ "$(cd "$tree" && find . -newer page.md -type f)" = "" ] || { echo 'the checkout was changed'; exit 1; }

# Without measured profiles.
page <<'END'
```
fewwatt bench --data-root $FEWWATT_DATA --out out/a   # a comment
cat out/a/table.md
touch out.h5
```
END
passes
says 'not run  fewwatt bench --data-root $FEWWATT_DATA --out out/a  (needs measured profiles'
says 'not run  cat out/a/table.md  (needs out/a,'

# Faults.
printf '```\ntrue\n\necho first\necho oops >&2; (exit 7)\n' | { cat; printf '```\n'; } | page
fails 'page.md:5: the command failed with exit code 7'
says '  oops'
printf '```\necho $unset\n```\n' | page;              fails 'page.md:2: the command failed with exit code 1'
printf '```\nfalse | true\n```\n' | page;              fails 'page.md:2: '
printf '```\nhw      power modes\n```\n' | page;       fails 'page.md:2: '
printf '```\n a ──> b (c)\n```\n' | page;              fails 'page.md:2: bash cannot read this'
printf '```\ncat <<END\ntext\n```\n' | page;           fails 'page.md:2: bash cannot read this'
printf '```\ntrue\n' | page;                           fails 'page.md:1: this block has no end'
printf '```console\n$ true\n```\n' | page;             fails "page.md:1: unknown language 'console'"
printf '```output\na\n```\n' | page;                  fails 'page.md:1: no command before this output'
printf '```\nseq 9\n```\n```output\n2\n4\n```\n' | page; passes
printf '```\nseq 9\n```\n```output\n2\n1\n```\n' | page; fails 'page.md:6: the command of line 2 did not write this line here'
printf '```\nseq 9\n```\n```output\n12\n```\n' | page;  fails 'page.md:5: the command of line 2'
printf 'a\n\n```python\nif x\n```\n' | page;           fails 'page.md:4: Python cannot read this'
printf '```\ntrue\nexit 0\nfalse\n```\n' | page;      fails 'page.md:3: the command ends the shell'
printf '```\nexec true\nfalse\n```\n' | page;         fails 'what follows is not run: exec true'
printf '```\nexit 0\n```\n' | page;                  fails 'page.md:2: the command ends the shell'
printf '```\nfalse && true\ntrue\n```\n' | page;      fails 'page.md:2: the command failed with exit code 1'
printf '```\nset +e\nfalse\ntrue\n```\n' | page;      fails 'expected that set -euo pipefail is still on'
printf '~~~\nfalse\n~~~\n' | page;                   fails 'page.md:1: expected blocks between ``` at the beginning of a line'
printf 'a\n> ```\n> false\n> ```\n' | page;          fails 'page.md:2: expected blocks between ```'
printf '````\nfalse\n````\n' | page;                 fails 'page.md:1: expected blocks between ```'
printf '```\ntrue\n````\n' | page;                   fails 'page.md:3: expected blocks between ```'
printf -- '- a\n  ```\n  false\n  ```\n' | page;      fails 'page.md:2: expected blocks between ```'
printf '\xe4\n' | page;                             fails 'page.md: expected UTF-8'

# Commands that take too long, jobs that outlive their page, and SIGTERM: nothing stays, neither processes nor folders.
export TMPDIR=$temporary
nothing_stays() {
  [ "$(ls "$TMPDIR")" = "" ] || { echo 'the temporary folder stays'; exit 1; }
  for pid in $(cat "$tree/pids"); do
    ! grep -qs '^State:.[^Z]' "/proc/$pid/status" || { echo "process $pid stays"; exit 1; }
  done
}
printf '```\n(sleep 100; true) & echo $! > %s\n```\n' "$tree/pids" | page
passes
nothing_stays
printf '```\ntrue\necho $$ > %s; sleep 100; true\n```\n' "$tree/pids" | page
"$tree/scripts/check_readme" "$tree/page.md" >"$tree/log" 2>&1 &
for _ in {1..500}; do ! grep -q 'sleep 100' "$tree/log" || [ ! -s "$tree/pids" ] || break; sleep 0.01; done
kill $!
wait $! && { echo 'SIGTERM is success'; exit 1; }
grep -q 'page.md:3 .*sleep 100' "$tree/log" || { echo 'expected the command before it runs'; exit 1; }
nothing_stays
sed -i 's/^LIMIT_S = 600 /LIMIT_S = 0.5 /' "$tree/scripts/check_readme"
fails 'page.md:3: the command takes more than 0.5 s: echo $$'
nothing_stays
cp "$here/check_readme" "$tree/scripts"

rm "$tree/page.md"
if check; then echo 'accepted tables whose entries match nothing'; exit 1; fi
says 'stale, no command on the pages matches'
echo 'check_readme: finds what it should'
