import type { Command } from "../command.ts";
import { catalogRebuild } from "./catalog.ts";
import { cleanup } from "./cleanup.ts";
import { completion } from "./completion.ts";
import { configSchema, configShow, configValidate } from "./config.ts";
import { create } from "./create.ts";
import { deleteBackup } from "./delete.ts";
import { download } from "./download.ts";
import { help } from "./help.ts";
import { hold, unhold } from "./hold.ts";
import { init } from "./init.ts";
import { list } from "./list.ts";
import { replicate } from "./replicate.ts";
import { restore } from "./restore.ts";
import { scheduleCheck, scheduleList, scheduleRun } from "./schedule.ts";
import { scheduleDaemon } from "./schedule-daemon.ts";
import { scheduleInstall, scheduleUninstall } from "./schedule-install.ts";
import { show } from "./show.ts";
import { status } from "./status.ts";
import { storageCheck, storageList } from "./storage.ts";
import { verify } from "./verify.ts";

/** Every command, in the order that help shows. */
export const COMMANDS: readonly Command[] = [
  ...[create, list, show, status, verify],
  ...[restore, download],
  ...[replicate, deleteBackup, cleanup, hold, unhold, storageList, catalogRebuild],
  ...[scheduleList, scheduleCheck, scheduleRun, scheduleDaemon],
  ...[init, scheduleInstall, scheduleUninstall, storageCheck],
  ...[configValidate, configShow, configSchema, completion, help],
];
