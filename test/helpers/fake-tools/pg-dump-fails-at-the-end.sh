#!/bin/sh
# A whole dump, then an error all the same. REAL_PG_DUMP is the real one.
[ "$1" = --version ] && exec "$REAL_PG_DUMP" --version
"$REAL_PG_DUMP" "$@"
exit 1
