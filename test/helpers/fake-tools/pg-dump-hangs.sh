#!/bin/sh
# Never ends by itself; its pid is in FAKE_PID_FILE. REAL_PG_DUMP is the real one.
[ "$1" = --version ] && exec "$REAL_PG_DUMP" --version
echo $$ > "$FAKE_PID_FILE.new" && mv "$FAKE_PID_FILE.new" "$FAKE_PID_FILE"
exec sleep 600
