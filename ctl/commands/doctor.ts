import { defineCommand } from 'citty';
import { CHECKS } from '../doctor/checks.ts';
import type { Finding } from '../doctor/finding.ts';
import { color, printJson, printLine } from '../output.ts';

export const examples = [
  'borealisctl doctor',
  'borealisctl doctor -l my_launchpad.yaml --bucket my-results --json',
];

const PAINT = { OK: color.green, FAIL: color.red, SKIP: color.dim };

export default defineCommand({
  meta: {
    name: 'doctor',
    description:
      'checks credentials, project, API, permission, image, clock, bucket, LaunchPad, versions and Docker, and says how to mend each',
  },
  args: {
    l: {
      type: 'string',
      alias: 'launchpad_file',
      valueHint: 'FILE',
      description: 'LaunchPad file (as lpad finds it)',
    },
    bucket: { type: 'string', valueHint: 'NAME', description: 'bucket that your workflows use' },
    family: { type: 'string', alias: 'f', default: 'fireworker', description: 'the image family of the VMs' },
    project: { type: 'string', valueHint: 'P', description: 'project, instead of the configured one' },
    zone: { type: 'string', valueHint: 'Z', description: 'zone, instead of the configured one' },
    json: { type: 'boolean', description: 'the findings as JSON' },
  },
  async run({ args }) {
    const options = {
      env: process.env,
      cwd: process.cwd(),
      launchPadFile: args.l,
      project: args.project,
      zone: args.zone,
      bucket: args.bucket,
      family: args.family,
    };
    const findings: Finding[] = [];
    for (const check of CHECKS) {
      const finding = await check(options);
      findings.push(finding);
      if (!args.json) tell(finding);
    }
    if (args.json) printJson(findings);
    return findings.some(({ result }) => result === 'FAIL') ? 1 : 0;
  },
});

function tell({ check, result, text, mend }: Finding): void {
  printLine(`${PAINT[result](result.padEnd(4))}  ${check.padEnd(11)}  ${text}`);
  if (mend) printLine(`${' '.repeat(19)}to mend: ${mend}`);
}
