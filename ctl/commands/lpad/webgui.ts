import { BorealisError } from '../../../core/errors.ts';
import type { LpadCommand } from '../../lpad/command.ts';

const command: LpadCommand = {
  summary: "FireWorks' web page of workflows: not part of this lpad",
  examples: ['lpad webgui', 'lpad webgui --port 5001'],
  flags: [
    { names: ['--port'], key: 'port', kind: 'integer', standard: 5000, help: 'port of the page' },
    { names: ['--host'], key: 'host', kind: 'text', standard: '127.0.0.1', help: 'address of the page' },
    { names: ['--debug'], key: 'debug', kind: 'switch', help: 'more messages' },
    { names: ['-s', '--server_mode'], key: 'server_mode', kind: 'switch', help: 'open no browser' },
    { names: ['--nworkers'], key: 'nworkers', kind: 'integer', standard: 1, help: 'processes that serve it' },
    { names: ['--fwquery'], key: 'fwquery', kind: 'text', help: 'only Fireworks that match' },
    { names: ['--wflowquery'], key: 'wflowquery', kind: 'text', help: 'only workflows that match' },
    { names: ['--webgui_username'], key: 'webgui_username', kind: 'text', help: 'who may see it' },
    { names: ['--webgui_password'], key: 'webgui_password', kind: 'text', help: 'with which password' },
  ],
  async run() {
    throw new BorealisError(
      "This lpad has no web page. FireWorks' own shows the same LaunchPad: pip install 'fireworks[flask]', then its lpad webgui",
    );
  },
};
export default command;
