#!/bin/bash
# scripts/release in a made-up checkout with made-up packages and a key of a day: what it makes, and what it refuses.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
export GNUPGHOME=$work/gnupg HOME=$work GIT_CONFIG_NOSYSTEM=1  # no settings of whoever runs this
trap 'gpgconf --kill all; rm -rf "$work"' EXIT
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE XDG_CONFIG_HOME
mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-generate-key 'Release test <release@example.org>' ed25519 sign 1d 2>/dev/null

mkdir "$work/a checkout"
cd "$work/a checkout"
git init -q
git config user.name 'Release test'
git config user.email release@example.org
mkdir scripts
cp "$here/release" scripts
cat >scripts/package <<'END'
#!/bin/bash
set -euo pipefail
[ "$*" = all ]
[ ! -e fail ] || exit 9
mkdir -p build/packages
for name in fewwatt fewwatt-workstation; do
  mkdir -p build/tree/DEBIAN
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody\nDescription: none\n' $name "$(cat version)" >build/tree/DEBIAN/control
  dpkg-deb --root-owner-group -b build/tree "build/packages/${name}_$(cat version)_all.deb" >/dev/null
done
END
chmod +x scripts/package
echo /build/ >.gitignore
echo 1.2.3 >version
echo 'project(fewwatt VERSION 1.2.3 LANGUAGES CXX)' >CMakeLists.txt
printf '# Changelog\n\n## Unreleased\n\n## 1.2.3 (2026-01-31)\n\n## 1.2.30\n' >CHANGELOG.md
commit() { git add -A && git commit -q -m "$1"; }
commit first

fails() {  # <sentence> <argument>...: refused with it, and nothing is made
  local sentence=$1 said
  shift
  if said=$(scripts/release "$@" 2>&1); then echo "accepted: $*"; exit 1; fi
  grep -qF -- "$sentence" <<<"$said" || { echo "expected '$sentence', got: $said"; exit 1; }
  [ "$(ls -A build/releases 2>/dev/null)" = "$made" ] || { echo "made something: $*"; exit 1; }
}
made=''

fails 'usage: scripts/release VERSION [--key KEY]'
fails 'usage: ' 1.2.3 --key
fails 'usage: ' 1.2.3 --key ''
fails 'usage: ' 1.2.3 --sign release@example.org
fails "expected a version such as 0.2.0, got '../1.2.3'" ../1.2.3
fails "expected a version such as 0.2.0, got '1.2'" 1.2
fails 'CMakeLists.txt says version 1.2.3, not 1.2.30' 1.2.30
fails "gpg has no secret key 'nobody@example.org'" 1.2.3 --key nobody@example.org
echo more >>CHANGELOG.md
fails 'expected that everything is committed, found:  M CHANGELOG.md' 1.2.3
git checkout -q CHANGELOG.md
touch 'a new file'
fails 'expected that everything is committed, found: ?? "a new file"' 1.2.3
rm 'a new file'
sed -i 's/## 1.2.3 .*/## 1x2.3/' CHANGELOG.md
commit 'no heading'
fails "expected a heading '## 1.2.3'" 1.2.3
git revert --no-edit HEAD >/dev/null
echo 1.2.4 >version
commit 'packages of another version'
fails 'expected version 1.2.3, found 1.2.4' 1.2.3
git revert --no-edit HEAD >/dev/null
touch fail
commit 'packages that cannot be built'
fails '' 1.2.3
git revert --no-edit HEAD >/dev/null

# Not signed, then signed: the same sources.
scripts/release 1.2.3 >"$work/said" 2>&1 || { cat "$work/said"; exit 1; }
grep -qF 'not signed' "$work/said"
place=build/releases/1.2.3
[ "$(ls -A $place)" = "SHA256SUMS
fewwatt-1.2.3.tar.xz
fewwatt-workstation_1.2.3_all.deb
fewwatt_1.2.3_all.deb" ] || { echo "other files than expected: $(ls -A $place)"; exit 1; }
(cd $place && sha256sum --quiet --strict -c SHA256SUMS && [ "$(wc -l <SHA256SUMS)" = 3 ])
made=1.2.3
fails "$place is there already" 1.2.3
diff <(tar -tJf $place/fewwatt-1.2.3.tar.xz | grep -v '/$') <(git ls-files | sed 's#^#fewwatt-1.2.3/#' | sort)
mv $place "$work/before"
git config tar.umask user
umask 077
sleep 1.1  # the clock is no part of it
scripts/release 1.2.3 --key release@example.org >"$work/said" 2>&1 || { cat "$work/said"; exit 1; }
cmp "$work/before/fewwatt-1.2.3.tar.xz" $place/fewwatt-1.2.3.tar.xz
gpg --batch --verify $place/SHA256SUMS.asc $place/SHA256SUMS 2>/dev/null
[ "$(stat -c %a $place $place/SHA256SUMS.asc | tr '\n' ' ')" = '755 644 ' ] || { echo 'others cannot read the release'; exit 1; }
echo x >>$place/SHA256SUMS
if gpg --batch --verify $place/SHA256SUMS.asc $place/SHA256SUMS 2>/dev/null; then echo 'changed sums are accepted'; exit 1; fi
echo 'release: makes and refuses what it should'
