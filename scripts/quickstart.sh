#!/bin/sh
# A tour of backupctl: makes a small site in a temporary folder, backs it up while it is used, restores it elsewhere, and proves
# that nothing differs. Needs no network and no server, and touches nothing outside of that folder.
set -eu

root=$(CDPATH= cd -P "$(dirname "$0")/.." && pwd -P)
tour=$(mktemp -d "${TMPDIR:-/tmp}/backupctl-tour.XXXXXX")
tour=$(CDPATH= cd -P "$tour" && pwd -P)
PATH=$root/bin:$root/node_modules/.bin:$PATH
export PATH
# Nothing of the user's own configuration may take part.
unset BACKUPCTL_CONFIG BACKUP_STORAGE_PATH
export XDG_CONFIG_HOME="$tour" BACKUPCTL_STATE_DIR="$tour/state"
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold= plain=; fi

shop_program=
typed=
finish() {
  status=$?
  if [ -n "$shop_program" ]; then kill "$shop_program" 2>/dev/null || true; fi
  if [ "$status" -ne 0 ]; then
    echo >&2
    echo "The tour ended early, with status $status${typed:+, at: $typed}" >&2
    echo "What it made is in $tour" >&2
  fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n%s\n' "$*"; }
chapter() { printf '\n\n%s%s%s\n' "$bold" "$*" "$plain"; }
# Shows a command as a user types it, and runs it.
run() {
  typed=$*
  printf '\n%s$ %s%s\n' "$bold" "$typed" "$plain"
  "$@"
  typed=
}
# node:sqlite calls itself experimental on every start.
site() { node --disable-warning=ExperimentalWarning "$root/scripts/quickstart/site.mjs" "$@"; }
# Times to the nanosecond where backupctl can set them, which takes python3.
if command -v python3 >/dev/null 2>&1; then unit=ns; else unit=s; fi
listing() { site listing "$1" "${2:-$unit}"; }

if ! node -e 'import("node:sqlite").catch(() => process.exit(1))' 2>/dev/null; then
  echo "The tour needs Node 22.15 or newer; this is $(node --version 2>&1). Run: npm ci && npm run quickstart" >&2
  exit 2
fi

cd "$tour"
chapter "1. A site"
site build site
export SHOP_CURRENCY=EUR SHOP_MAIL_PASSWORD="it's a secret"
# Not by the function: $! would be a shell around it.
node --disable-warning=ExperimentalWarning "$root/scripts/quickstart/site.mjs" serve site > shop.log 2>&1 &
shop_program=$!
say "A small shop has opened in $tour/site: an SQLite database, uploads and
configuration. Its program is running and writes 50 orders a second, all through this tour."
run ls site site/uploads/2026

chapter "2. Set-up"
say "init writes a commented configuration and a key, and prepares a folder for the backups."
run backupctl init --storage-path backups
say "In the configuration we say what to back up:"
cat > sources.yaml <<'YAML'
  shop:
    engine: sqlite
    path: site/data/shop.db
  uploads:
    engine: files
    paths: [site/uploads]
  config:
    engine: files
    component: configuration
    paths: [site/config]
  environment:
    engine: environment
    component: configuration
    variables: [SHOP_*]
YAML
# `sources:` of the template is followed by examples in comments; ours go right below it.
sed "/^sources:/r sources.yaml" backup.config.yaml > edited.yaml
mv edited.yaml backup.config.yaml
rm sources.yaml
run sed -n '/^sources:/,/SHOP_/p' backup.config.yaml
run backupctl config validate

chapter "3. A full backup, while the shop sells"
run backupctl create --type full

chapter "4. Life goes on"
say "A photo is uploaded, one is deleted, one renamed; a price list grows; a setting changes; orders come in.
The next backup stores what is new, not the whole."
site change site
before=$(site orders site/data/shop.db)
run backupctl create --type full --mode incremental
after=$(site orders site/data/shop.db)
run backupctl list

chapter "5. Is it any good?"
say "verify reads every byte that a restore would need, and checks each against its hash."
run backupctl verify latest
run backupctl show latest

chapter "6. The way back"
say "A restore shows its plan, then goes beside everything: here into a new folder."
run backupctl restore latest --to restored

chapter "7. Does anything differ?"
in_restored() { echo "restored/$1$tour/site/$1"; }
say "Files: type, permissions, owner, time, size, SHA-256, links. Odd names included."
listing site/uploads > uploads.original
listing "$(in_restored uploads)" > uploads.restored
run diff uploads.original uploads.restored
listing site/config > config.original
listing "$(in_restored config)" > config.restored
run diff config.original config.restored
echo "No difference in $(wc -l < uploads.original | tr -d ' ') uploads and $(wc -l < config.original | tr -d ' ') configuration entries, for example:"
grep -E 'Über|new.nline|cover|current|key' uploads.original config.original | sed 's/^[^:]*:/  /; s/\([0-9a-f]\{12\}\)[0-9a-f]\{52\}/\1…/'
say "Environment: one file, that a shell or systemd reads back."
run cat restored/environment/environment.env
say "Database: the shop went on selling meanwhile, so we ask what must be true of one moment in it."
site compare site/data/shop.db restored/shop/shop.db "$before" "$after"

chapter "8. The worst night"
say "The server is gone, and backupctl with it. What is left: the backups, the key, and any Node.
The program that reads them lies beside the backups."
mkdir empty-machine
cp -R backups empty-machine/backups
cp backupctl.key empty-machine/backupctl.key
cd empty-machine
run ls backups backups/recovery
run node backups/recovery/recover.mjs restore backups latest uploads --key-file backupctl.key --to uploads
run node backups/recovery/recover.mjs restore backups latest shop --key-file backupctl.key --to shop.db
cd ..
say "It sets times as exactly as plain Node can, so this listing has them in seconds."
listing site/uploads s > uploads.original
listing "empty-machine/uploads$tour/site/uploads" s > uploads.recovered
run diff uploads.original uploads.recovered
site compare site/data/shop.db empty-machine/shop.db "$before" "$after"

kill "$shop_program"
wait "$shop_program" || true
shop_program=
chapter "Nothing differs."
say "Everything is left in $tour for you to look at. To remove it:
  rm -r '$tour'
Next: README.md, and \`backupctl help\`."
