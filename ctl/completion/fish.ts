import { type Flag, type Place, takesFile } from './tree.ts';

/** A completion script for fish, for programs of these names; those in `own` are a command of the first one. */
export function fishScript(program: string, own: readonly string[], places: readonly Place[]): string {
  const at = `__${program}_at`;
  const known = places.map(({ path }) => path).filter(Boolean);
  const lines = [program, ...own].flatMap((name) => [
    `complete -c ${name} -f`,
    ...places
      .filter(({ path }) => name === program || path === `/${name}` || path.startsWith(`/${name}/`))
      .flatMap(({ path, commands, flags }) => [
        ...commands.map(
          (one) => `complete -c ${name} -n '${at} "${path}"' -a ${quote(one.name)} -d ${quote(one.about)}`,
        ),
        ...(commands.length === 0 ? [`complete -c ${name} -n '${at} "${path}"' -F`] : []),
        ...flags.map((flag) => `complete -c ${name} -n '${at} "${path}"' ${flagWords(flag)}`),
      ]),
  ]);
  return `# fish completion for ${[program, ...own].join(', ')}. Made by: ${program} completion fish
function ${at}
  set -l words (commandline -opc)
  set -l here ''
  set -l name (string replace -r '.*/' '' -- $words[1])
  contains -- $name ${own.join(' ')}; and set here "/$name"
  for word in $words[2..-1]
    contains -- "$here/$word" ${known.join(' ')}; and set here "$here/$word"
  end
  test "$here" = "$argv[1]"
end
${lines.join('\n')}
`;
}

const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

function flagWords(flag: Flag): string {
  const names = flag.names.map((name) => {
    if (name.startsWith('--')) return `-l ${quote(name.slice(2))}`;
    return name.length === 2 ? `-s ${name.slice(1)}` : `-o ${quote(name.slice(1))}`;
  });
  const values =
    flag.values.length > 0 ? `-x -a ${quote(flag.values.join(' '))}` : takesFile(flag) ? '-r -F' : '-x';
  return [...names, ...(flag.value === null ? [] : [values]), `-d ${quote(flag.about)}`].join(' ');
}
