#!/usr/bin/env bash
# A Ceph of one monitor and one disk in memory, with a configuration for an S3 gateway. Runs until it is killed.
#   radosgw.sh DIRECTORY PORT TLS_PORT MONITOR_V2_PORT MONITOR_V1_PORT      the directory holds server.pem and server.key
set -euo pipefail
dir=$1 port=$2 tls_port=$3
monitors="[v2:127.0.0.1:$4,v1:127.0.0.1:$5]"
cd "$dir"
mkdir -p mon osd rgw run
fsid=$(cat /proc/sys/kernel/random/uuid)

# Without cephx the gateway hangs; with the usual paxos intervals each of its pools takes a second; without tcp_nodelay
# each answer waits 45 ms. There is one place for each object, and nobody looks after that.
cat >ceph.conf <<END
[global]
fsid = $fsid
mon host = $monitors
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
run dir = $dir/run
pid file = $dir/run/\$name.pid
admin socket = $dir/run/\$name.\$pid.asok
log file = $dir/\$name.log
keyring = $dir/keyring
ms bind ipv6 = false
[mon]
paxos propose interval = 0.05
paxos min wait = 0.01
mon tick interval = 1
mon data = $dir/mon
mon data avail crit = 1
mon data avail warn = 2
[osd]
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = 2147483648
osd memory target = 939524096
osd class load list = *
osd class default list = *
osd scrub load threshold = 0.01
osd op num shards = 2
osd op num threads per shard = 1
[client.rgw]
rgw data = $dir/rgw
rgw frontends = beast endpoint=127.0.0.1:$port ssl_endpoint=127.0.0.1:$tls_port ssl_certificate=$dir/server.pem ssl_private_key=$dir/server.key tcp_nodelay=1
rgw enable ops log = false
rgw enable usage log = false
rgw thread pool size = 32
rgw dynamic resharding = false
rgw override bucket index max shards = 1
rgw gc max objs = 1
rgw lc max objs = 1
rgw num rados handles = 1
rgw run sync thread = false
rgw bucket quota ttl = 0
rgw user quota bucket sync interval = 0
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = testkey-1=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=
END

key() { ceph-authtool keyring --gen-key -n "$1" "${@:2}" >/dev/null; }
ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *' >/dev/null
key client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
key osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' --cap mgr 'allow profile osd'
key client.rgw --cap mon 'allow rw' --cap osd 'allow rwx' --cap mgr 'allow rw'
monmaptool --create --addv a "$monitors" --fsid "$fsid" monmap >/dev/null

daemon() { setpriv --pdeathsig KILL -- "$1" --conf "$dir/ceph.conf" "${@:2}" -f & }
admin() { ceph --conf "$dir/ceph.conf" --connect-timeout 20 "$@"; }

ceph-mon --conf "$dir/ceph.conf" --mkfs -i a --monmap monmap --keyring keyring
daemon ceph-mon -i a
uuid=$(cat /proc/sys/kernel/random/uuid)
admin osd new "$uuid" >/dev/null
ceph-osd --conf "$dir/ceph.conf" -i 0 --mkfs --osd-uuid "$uuid"
admin osd crush add osd.0 1.0 root=default
daemon ceph-osd -i 0
wait
