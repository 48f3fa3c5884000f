#!/bin/sh
# Half of a real dump, then dies as the kernel kills when memory runs out. REAL_PG_DUMP is the real one.
[ "$1" = --version ] && exec "$REAL_PG_DUMP" --version
"$REAL_PG_DUMP" "$@" | head -c "${FAKE_BYTES:-20000}"
kill -KILL $$
