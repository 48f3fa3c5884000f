#!/bin/sh
# A whole dump beside more words than a pipe holds. REAL_PG_DUMP is the real one.
[ "$1" = --version ] && exec "$REAL_PG_DUMP" --version
yes "pg_dump: warning: there are circular foreign-key constraints" | head -n 20000 >&2
exec "$REAL_PG_DUMP" "$@"
