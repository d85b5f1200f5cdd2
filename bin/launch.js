/**
 * Starts a program of this package on Node's behalf: `borealisctl`, `lpad`, `gce` or `fireworker`. They need Bun, which npm
 * installs with the package for the machine it is on.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** As the binaries: no .env, no bunfig.toml and no package that the folder it is started in would bring. */
const FLAGS = ['--no-env-file', '--config=/dev/null', '--no-install'];

/**
 * Runs `main`, a path in this package, with this process's arguments and under `name`, and ends as it ends.
 * @param {string} name
 * @param {string} main
 */
export function launch(name, main) {
  const path = resolve(dirname(fileURLToPath(import.meta.url)), '..', main);
  const argv = [...FLAGS, path, ...process.argv.slice(2)];
  const child = spawn(bun(), argv, { argv0: name, stdio: 'inherit' });
  // A Ctrl-C at the terminal reaches it too, and it decides what comes of it.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`error: ${name} needs Bun, which cannot be started: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal) {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    } else process.exit(code);
  });
}

/** Bun's own binary: that of the platform, or where Bun's install script, which npm may have left out, has put it. */
function bun() {
  const home = dirname(createRequire(import.meta.url).resolve('bun/package.json'));
  const beside = createRequire(join(home, 'package.json'));
  const arch = process.arch === 'arm64' ? 'aarch64' : process.arch;
  for (const libc of ['', '-musl']) {
    try {
      const platform = beside.resolve(`@oven/bun-${process.platform}-${arch}${libc}/package.json`);
      const binary = join(dirname(platform), 'bin', 'bun');
      if (existsSync(binary)) return binary;
    } catch {
      // npm did not install this one: it is not for this machine.
    }
  }
  return join(home, 'bin', 'bun.exe');
}
