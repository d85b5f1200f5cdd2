/**
 * Compiles one binary: a process of its own, which `scripts/build.ts` starts in the folder where the bundler may write.
 *
 *     bun scripts/compile_binary.ts '{"entry": "daemon/main.ts", "outfile": "/tmp/fireworker"}'
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { BunPlugin } from 'bun';
import * as z from 'zod';

const Asked = z.strictObject({
  entry: z.string(),
  outfile: z.string(),
  /** Bun's name of the platform, as in `bun-linux-arm64`. Left out: this machine's. */
  target: z.string().optional(),
  /** A file for what the bundler tells of the build. */
  metafile: z.string().optional(),
});
export type Asked = z.infer<typeof Asked>;

/**
 * What the mongodb driver loads as it starts, and needs seldom or never: the tables of SASLprep, for passwords, which take
 * 11 ms to unpack, and Node's HTTP, for credentials of AWS and Azure, which takes 4. A command of `lpad` takes 150.
 */
const SELDOM: { file: RegExp; load: string; whenUsed: string }[] = [
  {
    file: /[/\\]mongodb[/\\]lib[/\\]cmap[/\\]auth[/\\]scram\.js$/,
    load: 'const saslprep_1 = require("@mongodb-js/saslprep");',
    whenUsed: 'const saslprep_1 = { get saslprep() { return require("@mongodb-js/saslprep").saslprep; } };',
  },
  {
    file: /[/\\]mongodb[/\\]lib[/\\]utils\.js$/,
    load: 'const http = require("http");',
    whenUsed: 'const http = { get get() { return require("http").get; } };',
  },
];

const whenUsed: BunPlugin = {
  name: 'loaded when it is used',
  setup(build) {
    for (const { file, load, whenUsed } of SELDOM) {
      build.onLoad({ filter: file }, ({ path }) => {
        const text = readFileSync(path, 'utf8');
        if (!text.includes(load)) throw new Error(`${path} has no line '${load}' any more`);
        return { contents: text.replace(load, whenUsed), loader: 'js' };
      });
    }
  },
};

async function compile({ entry, outfile, target, metafile }: Asked): Promise<void> {
  const built = await Bun.build({
    entrypoints: [entry],
    // Without these two a binary would obey a .env or bunfig.toml of the folder that it is started in.
    compile: {
      outfile,
      ...(target && { target: target as Bun.Build.CompileTarget }),
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
    target: 'bun',
    format: 'esm',
    // Parsed once, here: a binary starts in 0.02 s instead of 0.5 s.
    bytecode: true,
    // What is loaded on first use is apart, and no part of what an idle worker has read: 76 MB instead of 79.
    splitting: true,
    // Names stay: Google's clients ask a number of 64 bits for that of its class.
    minify: { syntax: true, whitespace: true, identifiers: false },
    plugins: [whenUsed],
    metafile: metafile !== undefined,
  });
  for (const log of built.logs) console.error(String(log));
  if (metafile) await writeFile(metafile, JSON.stringify(built.metafile));
}

if (import.meta.main) {
  const asked = Asked.safeParse(askedIn(process.argv[2]));
  if (!asked.success) {
    const [{ path, message }] = asked.error.issues as [z.core.$ZodIssue];
    console.error(
      `error: ${path.join('.') || 'the argument'}: ${message}. Say what to compile, as npm run build does`,
    );
    process.exit(2);
  }
  try {
    await compile(asked.data);
  } catch (thrown) {
    console.error(thrown instanceof AggregateError ? thrown.errors.map(String).join('\n') : thrown);
    process.exit(1);
  }
}

function askedIn(text = ''): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
