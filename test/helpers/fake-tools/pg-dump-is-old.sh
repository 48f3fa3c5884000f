#!/bin/sh
# One that is older than any server here.
echo "pg_dump (PostgreSQL) 9.6.24"
