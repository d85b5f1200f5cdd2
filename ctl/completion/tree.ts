/** What can follow which words of a command line, read from the definitions of the commands themselves. */
import type { ArgDef, ArgsDef, CommandDef } from 'citty';
import { aliasesOf, type Commands, kebab } from '../command_line.ts';
import type { LpadFlag } from '../lpad/arguments.ts';
import { LPAD_COMMANDS } from '../lpad/commands.ts';
import { globalFlags } from '../lpad/flags.ts';

/** After these words these commands and flags can come. */
export interface Place {
  /** `/sandbox/up`; '' after the name of the program. */
  path: string;
  commands: { name: string; about: string }[];
  flags: Flag[];
}

export interface Flag {
  /** With their dashes, the longest first. */
  names: string[];
  about: string;
  /** What its value is called; null when it takes none. */
  value: string | null;
  /** The values that it takes, when they are known. */
  values: readonly string[];
}

/** True for a flag whose value is the name of a file or folder. */
export const takesFile = ({ value }: Flag) =>
  value !== null && /^(FILE|D|DIR|launchpad_file|config_dir)$/i.test(value);

/** Every place of `commands`, below `path`. */
export async function placesOf(commands: Commands, path = ''): Promise<Place[]> {
  const places: Place[] = [];
  const here: Place = { path, commands: [], flags: [] };
  places.push(here);
  for (const [name, load] of Object.entries(commands)) {
    const module = await load();
    const command = module.default as CommandDef;
    const meta = (typeof command.meta === 'function' ? await command.meta() : await command.meta) ?? {};
    here.commands.push({ name, about: meta.description ?? '' });
    const below = `${path}/${name}`;
    if (name === 'lpad') places.push(...(await lpadPlaces(below)));
    else if (module.subcommands) places.push(...(await placesOf(module.subcommands, below)));
    else places.push({ path: below, commands: [], flags: flagsOf((command.args ?? {}) as ArgsDef) });
  }
  return places;
}

const HELP: Flag = { names: ['--help'], about: 'what it does, with examples', value: null, values: [] };

function flagsOf(args: ArgsDef): Flag[] {
  const flags = Object.entries(args).filter(([, def]) => def.type !== 'positional');
  return [...flags.map(([name, def]) => flagOf(name, def)), HELP];
}

function flagOf(name: string, def: ArgDef): Flag {
  const names = [name, ...aliasesOf(def)].map((one) => (one.length === 1 ? `-${one}` : `--${kebab(one)}`));
  const values = def.type === 'enum' ? (def.options ?? []) : [];
  const value = def.type === 'string' || def.type === 'enum' ? (def.valueHint ?? name.toUpperCase()) : null;
  return { names: names.sort(longestFirst), about: def.description ?? '', value, values };
}

async function lpadPlaces(path: string): Promise<Place[]> {
  const here: Place = { path, commands: [], flags: [...globalFlags.map(lpadFlag), HELP] };
  const below: Place[] = [];
  for (const [name, load] of Object.entries(LPAD_COMMANDS)) {
    const { default: command } = await load();
    here.commands.push({ name, about: command.summary });
    below.push({ path: `${path}/${name}`, commands: [], flags: [...command.flags.map(lpadFlag), HELP] });
  }
  return [here, ...below];
}

function lpadFlag({ names, key, kind, help, choices = [] }: LpadFlag): Flag {
  return {
    names: [...names].sort(longestFirst),
    about: help,
    value: kind === 'switch' ? null : key,
    values: choices,
  };
}

const longestFirst = (a: string, b: string) => b.length - a.length;
