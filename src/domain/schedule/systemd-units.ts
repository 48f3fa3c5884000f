import { onCalendar } from "./on-calendar.ts";
import { nextRun, type Timing } from "./times.ts";

/** A file of a systemd unit. */
export interface UnitFile {
  readonly name: string;
  readonly text: string;
}

export interface UnitRequest {
  /** The configuration's path. */
  readonly owner: string;
  readonly site: string;
  readonly schedule: string;
  readonly timing: Timing;
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** For a user's own manager, which may confine less. */
  readonly user: boolean;
  readonly now: Date;
}

const LONGEST_DELAY_MS = 5 * 60_000;
const RUNS_MEASURED = 30;

/** Which configuration's unit a file is. */
export function ownerLine(owner: string): string {
  return `# Made by \`backupctl schedule install\` from ${owner}; what you change here is overwritten.`;
}

/** The name of a schedule's units without `.service` and `.timer`. */
function unitName(site: string, schedule: string): string {
  const slug = site
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
  return `backupctl-${slug === "" ? "site" : slug}-${schedule}`;
}

export function unitFiles(request: UnitRequest): readonly UnitFile[] {
  const name = unitName(request.site, request.schedule);
  return [
    { name: `${name}.service`, text: serviceText(request) },
    { name: `${name}.timer`, text: timerText(request) },
  ];
}

function serviceText({ owner, site, schedule, command, environment, user }: UnitRequest): string {
  return `${ownerLine(owner)}
[Unit]
Description=backupctl: schedule ${schedule} of ${unitText(site)}
${user ? "" : "Wants=network-online.target\nAfter=network-online.target\n"}
[Service]
Type=oneshot
ExecStart=${command.map((word) => unitWord(word).replaceAll("$", "$$$$")).join(" ")}
${Object.entries(environment)
  .map(([name, value]) => `Environment=${unitWord(`${name}=${value}`)}\n`)
  .join("")}# Variables that the configuration takes as \${NAME}.
EnvironmentFile=-${user ? "%E/backupctl/environment" : "/etc/backupctl/environment"}
KillSignal=SIGTERM
TimeoutStopSec=2min
Nice=10
IOSchedulingClass=idle
UMask=0077

NoNewPrivileges=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
${user ? "" : SYSTEM_CONFINEMENT}`;
}

/** Sources and storages may lie anywhere but among the system's own files. */
const SYSTEM_CONFINEMENT = `CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER
ProtectSystem=full
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
`;

function timerText({ owner, site, schedule, timing, now }: UnitRequest): string {
  return `${ownerLine(owner)}
[Unit]
Description=backupctl: when schedule ${schedule} of ${unitText(site)} is due

[Timer]
${onCalendar(timing, now)
  .map((times) => `OnCalendar=${times}\n`)
  .join("")}# Was the machine off, it is made up for when it is on again.
Persistent=yes
AccuracySec=1s
RandomizedDelaySec=${Math.floor(delayMs(timing, now) / 1000)}

[Install]
WantedBy=timers.target
`;
}

/** Many hosts must not meet at one storage; and one run not the next. */
function delayMs(timing: Timing, now: Date): number {
  let shortest = Number.POSITIVE_INFINITY;
  let at = nextRun(timing, now);
  for (let run = 0; run < RUNS_MEASURED; run += 1) {
    const next = nextRun(timing, at);
    shortest = Math.min(shortest, next.getTime() - at.getTime());
    at = next;
  }
  return Math.min(LONGEST_DELAY_MS, shortest / 4);
}

/** systemd takes % for the beginning of a specifier. */
function unitText(text: string): string {
  return text.replaceAll("%", "%%").replaceAll(/[\r\n]/g, " ");
}

function unitWord(word: string): string {
  const escaped = unitText(word).replaceAll(/["\\]/g, "\\$&");
  return /^[\w@%+=:,./$-]+$/.test(word) ? escaped : `"${escaped}"`;
}
