import { writeFile } from 'node:fs/promises';
import { messageOf, UsageError } from '../../../core/errors.ts';
import { type Doc, launchPadSettings } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { printLine } from '../../output.ts';
import { ask, askSecret } from '../../prompt.ts';

/** What is asked for, with its default. */
type Question = [key: string, standard: string | number | null, help: string];

const AUTHSOURCE: Question = [
  'authsource',
  null,
  'Database that knows the user, if it is another one (MongoDB Atlas: admin)',
];

// FireWorks 2.1.4 asks, and then forgets the answer.
const CA_FILE: Question = [
  'ssl_ca_file',
  null,
  "Certificates of the authority that signed the server's, if it is no public one",
];

/** As FireWorks asks them, in its order: answers are piped in. */
const QUESTIONS: Question[] = [
  ['host', 'localhost', 'Name or address of the MongoDB server'],
  ['port', 27017, ''],
  ['name', 'fireworks', 'Database to keep the workflows in'],
  ['username', null, 'MongoDB user'],
  ['password', null, 'and its password'],
  CA_FILE,
  AUTHSOURCE,
];

const URI_QUESTIONS: Question[] = [
  ['host', null, 'Connection string: mongodb+srv://USER:PASSWORD@CLUSTER.mongodb.net/fireworks'],
  CA_FILE,
  AUTHSOURCE,
];

const command: LpadCommand = {
  summary: 'make a LaunchPad file by answering questions',
  examples: ['lpad init', 'lpad init -u --config-file ~/.fireworks/my_launchpad.yaml'],
  flags: [
    { names: ['-u', '--uri_mode'], key: 'uri_mode', kind: 'switch', help: 'give a connection string' },
    {
      names: ['--config-file'],
      key: 'config_file',
      kind: 'text',
      standard: 'my_launchpad.yaml',
      help: 'the file to write',
    },
  ],
  async run(args) {
    const file = args.text('config_file') as string;
    const uriMode = args.on('uri_mode');
    if (uriMode) {
      printLine('Everything (user, password, host, port, database) is in the connection string; see');
      printLine('https://www.mongodb.com/docs/manual/reference/connection-string/');
    }
    printLine('Please supply the following values (Enter takes the default)\n');
    const answers: Doc = { uri_mode: uriMode };
    for (const [key, standard, help] of uriMode ? URI_QUESTIONS : QUESTIONS) {
      const shown = standard === null ? '' : ` [${standard}]`;
      const question = `${key}${shown}${help ? ` (${help})` : ''}: `;
      const answer = (key === 'password' ? await askSecret(question) : await ask(question)).trim();
      answers[key] = answer === '' ? standard : key === 'port' ? portOf(answer) : answer;
    }
    const { ssl_ca_file: caFile, ...keys } = answers;
    const settings = launchPadSettings(keys, 'lpad init');
    const { stringify } = await import('yaml');
    // The keys that FireWorks' own `init` writes: its LaunchPad.from_file wants them.
    const content = stringify({
      authsource: answers.authsource ?? (uriMode ? null : settings.name),
      host: settings.host,
      logdir: null,
      mongoclient_kwargs: caFile ? { tls: true, tlsCAFile: caFile } : {},
      name: settings.name,
      password: answers.password ?? null,
      port: uriMode ? null : settings.port,
      strm_lvl: 'INFO',
      uri_mode: uriMode,
      user_indices: [],
      username: answers.username ?? null,
      wf_user_indices: [],
    });
    // There is a password in it.
    await writeFile(file, content, { mode: 0o600 }).catch((thrown) => {
      throw new UsageError(`${file} cannot be written: ${messageOf(thrown)}`);
    });
    printLine(`\nConfiguration written to ${file}!`);
    return 0;
  },
};
export default command;

function portOf(answer: string): number {
  if (/^\d+$/.test(answer)) return Number(answer);
  throw new UsageError(`port ${answer}: it must be a whole number. Nothing was written`);
}
