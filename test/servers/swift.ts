import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { NetworkServer } from "./network-server.ts";
import type { S3Login } from "./radosgw.ts";
import { SYSTEM_PYTHON } from "./requirements.ts";

export interface Swift {
  readonly endpoint: string;
  readonly owner: S3Login;
  /** Ends it and removes everything. May be called twice. */
  stop(): Promise<void>;
}

const SERVICES = ["account", "container", "object"] as const;

/** One partition pair on one folder: what the services need to find each other. */
const MAKE_RINGS = `
import json, sys
from swift.common.ring import RingBuilder
folder, ports = sys.argv[1], json.loads(sys.argv[2])
for name, port in ports.items():
    builder = RingBuilder(1, 1, 1)
    builder.add_dev(dict(region=1, zone=1, weight=1, device="disk", meta="",
                         ip="127.0.0.1", port=port, replication_ip="127.0.0.1", replication_port=port))
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{name}.ring.gz")
`;

/** OpenStack's Swift through its S3 interface, which knows no conditional writes and no object lock. Ask `requireOrSkip("swift")` first. */
export async function startSwift(): Promise<Swift> {
  const dir = fastFolder();
  mkdirSync(join(dir, "devices", "disk"), { recursive: true });
  const ports = { account: await freePort(), container: await freePort(), object: await freePort() };
  const [port, cachePort] = [await freePort(), await freePort()];
  writeFileSync(join(dir, "swift.conf"), "[swift-hash]\nswift_hash_path_suffix = test\n");
  execFileSync(SYSTEM_PYTHON, ["-c", MAKE_RINGS, dir, JSON.stringify(ports)]);
  for (const name of SERVICES) writeFileSync(join(dir, `${name}.conf`), backendConfig(dir, name, ports[name]));
  writeFileSync(join(dir, "proxy.conf"), proxyConfig(dir, port, cachePort));

  const start = (command: readonly string[], at: number) =>
    NetworkServer.start(command, { port: at, log: join(dir, "output.log") });
  const service = (name: string, at: number) =>
    start([`/usr/bin/swift-${name}-server`, join(dir, `${name}.conf`), "--verbose"], at);
  const started = await Promise.allSettled([
    start(["/usr/bin/memcached", "-l", "127.0.0.1", "-p", String(cachePort), "-u", userInfo().username], cachePort),
    ...SERVICES.map((name) => service(name, ports[name])),
    service("proxy", port),
  ]);
  const stop = async (): Promise<void> => {
    for (const server of started) if (server.status === "fulfilled") await server.value.kill();
    rmSync(dir, { recursive: true, force: true });
  };
  const failed = started.find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") {
    await stop();
    throw failed.reason;
  }
  return {
    endpoint: `http://127.0.0.1:${port}`,
    owner: { access_key_id: "test:tester", secret_access_key: "testing" },
    stop,
  };
}

/** On a disk each small object takes five times as long. Not every kernel has the attributes that Swift needs in memory. */
function fastFolder(): string {
  const inMemory = mkdtempSync("/dev/shm/backupctl-swift-");
  if (spawnSync("setfattr", ["-n", "user.swift", "-v", "x", inMemory]).status === 0) return inMemory;
  rmSync(inMemory, { recursive: true });
  return mkdtempSync(join(tmpdir(), "backupctl-swift-"));
}

function common(dir: string, port: number): string {
  return `
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = ${userInfo().username}
swift_dir = ${dir}
log_level = ERROR
`;
}

function backendConfig(dir: string, name: string, port: number): string {
  return `${common(dir, port)}
devices = ${dir}/devices
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = ${name}-server
[app:${name}-server]
use = egg:swift#${name}
`;
}

function proxyConfig(dir: string, port: number, cachePort: number): string {
  return `${common(dir, port)}
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth slo versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${cachePort}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:slo]
use = egg:swift#slo
[filter:versioned_writes]
use = egg:swift#versioned_writes
`;
}
