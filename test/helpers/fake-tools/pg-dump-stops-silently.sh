#!/bin/sh
# Half of a real dump, and then says that all went well. REAL_PG_DUMP is the real one.
[ "$1" = --version ] && exec "$REAL_PG_DUMP" --version
"$REAL_PG_DUMP" "$@" | head -c "${FAKE_BYTES:-20000}"
exit 0
