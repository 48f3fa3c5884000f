#!/bin/sh
# Makes a backup, checks it, and only then runs the deploy that follows on the command line:
#
#   backup-then-deploy.sh ./deploy.sh production
#
# BACKUPCTL_CONFIG names the configuration, RELEASE what is deployed. Any failure before the deploy ends the script with its
# status: nothing is deployed without a way back. Status 3 is such a failure, because that backup lacks something.
set -eu

if [ $# -eq 0 ]; then
  echo "usage: backup-then-deploy.sh COMMAND [ARGUMENT...]" >&2
  exit 2
fi

backupctl create --type full --lock-wait 15m --tag before-deploy --retention-days 30 \
  --description "before the deploy of ${RELEASE:-an unnamed release}"
backupctl verify latest

"$@"
