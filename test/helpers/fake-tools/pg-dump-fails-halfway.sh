#!/bin/sh
# Half of a real dump, then an error, as when the server goes away. REAL_PG_DUMP is the real one.
[ "$1" = --version ] && exec "$REAL_PG_DUMP" --version
"$REAL_PG_DUMP" "$@" | head -c "${FAKE_BYTES:-20000}"
echo "pg_dump: error: connection to server was lost" >&2
exit 1
