/** What gcloud understands, as its own list of commands has it (recorded by tests/python/record_gcloud.py). */
import { words } from '../daemon/firetasks/script.ts';
import recorded from './gcloud_commands.json' with { type: 'json' };

const commands = new Map(Object.entries(recorded.commands));

/** What is wrong with a command line of gcloud; null when nothing is. */
export function gcloudFault(line: string): string | null {
  const argv = words(line).slice(1);
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const plain = own.filter((word) => !word.startsWith('-'));
  const lengths = plain.map((_, i) => plain.length - i);
  const length = lengths.find((n) => commands.has(plain.slice(0, n).join(' ')));
  if (length === undefined)
    return `gcloud ${recorded.version} has no such command, or it is not recorded: tests/python/record_gcloud.py`;
  const known = [...recorded.everywhere, ...(commands.get(plain.slice(0, length).join(' ')) ?? [])];
  const unknown = own.filter((word) => word.startsWith('--') && !known.includes(word.replace(/=.*/s, '')));
  return unknown.length > 0 ? `unknown: ${unknown.join(', ')}` : null;
}
