#!/bin/sh
# Writes its arguments and environment to FAKE_RECORD, then does the real dump. REAL_PG_DUMP is the real one.
[ "$1" = --version ] && exec "$REAL_PG_DUMP" --version
{ printf '%s\n' "$@"; env; } > "$FAKE_RECORD"
exec "$REAL_PG_DUMP" "$@"
