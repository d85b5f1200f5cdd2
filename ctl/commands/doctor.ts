import { defineCommand } from 'citty';
import { CHECKS, type Finding } from '../doctor/checks.ts';
import { color, printJson, printLine } from '../output.ts';

export const examples = [
  'borealisctl doctor',
  'borealisctl doctor -l my_launchpad.yaml --bucket my-results --json',
];

const PAINT = { OK: color.green, FAIL: color.red, SKIP: color.dim };

export default defineCommand({
  meta: {
    name: 'doctor',
    description: 'checks project, credentials, bucket, LaunchPad and Docker, and says how to mend each',
  },
  args: {
    l: {
      type: 'string',
      alias: 'launchpad_file',
      valueHint: 'FILE',
      description: 'LaunchPad file (as lpad finds it)',
    },
    bucket: { type: 'string', valueHint: 'NAME', description: 'bucket that your workflows use' },
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
