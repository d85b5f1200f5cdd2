/**
 * For tests: a worker as a VM boots it. The VM's attribute `mode` says how it behaves: `obedient` (ends at SIGTERM),
 * `stubborn` (does not), `parent` (stubborn, with a child), `last` (deletes its VM by Compute's API), or nothing: it idles.
 */
import { appendFileSync } from 'node:fs';

const { GCE_METADATA_HOST, CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: compute, HOSTNAME } = process.env;
const flavor = { headers: { 'Metadata-Flavor': 'Google' } };
const attributes = `http://${GCE_METADATA_HOST}/computeMetadata/v1/instance/attributes`;
const answer = await fetch(`${attributes}/mode`, flavor);
const mode = answer.ok ? await answer.text() : 'obedient';
/** What the test reads. */
const say = (line: string) => appendFileSync('said', `${line}\n`);

process.on('SIGTERM', () => {
  say('SIGTERM');
  if (mode === 'obedient' || mode === 'last') process.exit(0);
});
if (mode === 'parent') {
  const child = Bun.spawn(['sh', '-c', "trap '' TERM; sleep 600 & wait"], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  say(`child ${child.pid}`);
}
say('ready');
if (mode === 'last')
  await fetch(`${compute}projects/sandbox/zones/us-west1-b/instances/${HOSTNAME}`, { method: 'DELETE' });
setInterval(() => {}, 60_000);
