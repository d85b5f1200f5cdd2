/** Every `lpad` command, under FireWorks' names. Each is loaded when it is called. */
import type { LpadCommand } from './command.ts';

type Load = () => Promise<{ default: LpadCommand }>;

export const LPAD_COMMANDS: Record<string, Load> = {
  init: () => import('../commands/lpad/init.ts'),
  reset: () => import('../commands/lpad/reset.ts'),
  add: () => import('../commands/lpad/add.ts'),
  add_scripts: () => import('../commands/lpad/add_scripts.ts'),
  append_wflow: () => import('../commands/lpad/append_wflow.ts'),
  dump_wflow: () => import('../commands/lpad/dump_wflow.ts'),
  check_wflow: () => import('../commands/lpad/check_wflow.ts'),
  get_wflows: () => import('../commands/lpad/get_wflows.ts'),
  get_fws: () => import('../commands/lpad/get_fws.ts'),
  get_fws_in_wflows: () => import('../commands/lpad/get_fws_in_wflows.ts'),
  get_launchdir: () => import('../commands/lpad/get_launchdir.ts'),
  track_fws: () => import('../commands/lpad/track_fws.ts'),
  rerun_fws: () => import('../commands/lpad/rerun_fws.ts'),
  pause_fws: () => import('../commands/lpad/pause_fws.ts'),
  resume_fws: () => import('../commands/lpad/resume_fws.ts'),
  defuse_fws: () => import('../commands/lpad/defuse_fws.ts'),
  reignite_fws: () => import('../commands/lpad/reignite_fws.ts'),
  update_fws: () => import('../commands/lpad/update_fws.ts'),
  set_priority: () => import('../commands/lpad/set_priority.ts'),
  pause_wflows: () => import('../commands/lpad/pause_wflows.ts'),
  resume_wflows: () => import('../commands/lpad/resume_wflows.ts'),
  defuse_wflows: () => import('../commands/lpad/defuse_wflows.ts'),
  reignite_wflows: () => import('../commands/lpad/reignite_wflows.ts'),
  archive_wflows: () => import('../commands/lpad/archive_wflows.ts'),
  delete_wflows: () => import('../commands/lpad/delete_wflows.ts'),
  detect_lostruns: () => import('../commands/lpad/detect_lostruns.ts'),
  detect_unreserved: () => import('../commands/lpad/detect_unreserved.ts'),
  get_qids: () => import('../commands/lpad/get_qids.ts'),
  cancel_qid: () => import('../commands/lpad/cancel_qid.ts'),
  recover_offline: () => import('../commands/lpad/recover_offline.ts'),
  forget_offline: () => import('../commands/lpad/forget_offline.ts'),
  report: () => import('../commands/lpad/report.ts'),
  introspect: () => import('../commands/lpad/introspect.ts'),
  maintain: () => import('../commands/lpad/maintain.ts'),
  orphaned: () => import('../commands/lpad/orphaned.ts'),
  tuneup: () => import('../commands/lpad/tuneup.ts'),
  refresh: () => import('../commands/lpad/refresh.ts'),
  unlock: () => import('../commands/lpad/unlock.ts'),
  webgui: () => import('../commands/lpad/webgui.ts'),
  version: () => import('../commands/lpad/version.ts'),
};

/** FireWorks' second names, and words that people look for. */
export const LPAD_ALIASES: Record<string, string> = {
  ...Object.fromEntries(
    Object.keys(LPAD_COMMANDS)
      .filter((name) => name.endsWith('_wflows'))
      .map((name) => [name.replace('_wflows', '_wfs'), name]),
  ),
  trackers: 'track_fws',
  reservations: 'get_qids',
  unreserve: 'cancel_qid',
  cancel_reservation: 'cancel_qid',
};

/** Also reached as `lpad admin COMMAND`, which is how FireWorks 2 has them. */
export const LPAD_ADMIN: readonly string[] = ['maintain', 'orphaned', 'tuneup', 'refresh', 'unlock'];
