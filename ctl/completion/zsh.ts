import { type Flag, type Place, takesFile } from './tree.ts';

/** A completion script for zsh, for programs of these names; those in `own` are a command of the first one. */
export function zshScript(program: string, own: readonly string[], places: readonly Place[]): string {
  const cases = places.map(({ path, commands, flags }) => {
    const lines = [
      ...(commands.length > 0 ? [`      commands=(${commands.map(command).join(' ')})`] : []),
      ...(flags.length > 0 ? [`      flags=(\n${flags.flatMap(specs).join('\n')}\n      )`] : []),
    ];
    return `    ${quote(path)})\n${lines.join('\n')}\n      ;;`;
  });
  const known = places.map(({ path }) => quote(path)).filter((path) => path !== "''");
  return `#compdef ${[program, ...own].join(' ')}
# zsh completion for ${[program, ...own].join(', ')}. Made by: ${program} completion zsh
_${program}() {
  local at='' i
  local -a commands flags
  case "\${words[1]:t}" in ${own.join('|')}) at="/\${words[1]:t}" ;; esac
  for ((i = 2; i < CURRENT; i++)); do
    case "$at/\${words[i]}" in
      ${known.join('|')}) at="$at/\${words[i]}" ;;
    esac
  done
  case "$at" in
${cases.join('\n')}
  esac
  if (( $#commands )) && [[ $PREFIX != -* ]]; then
    _describe -t commands command commands
  else
    _arguments $flags '*:file:_files'
  fi
}
compdef _${program} ${[program, ...own].join(' ')}
`;
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const command = ({ name, about }: { name: string; about: string }) =>
  quote(`${name}:${about.replaceAll(':', '\\:')}`);

/** What _arguments calls a spec: one for each name. */
function specs(flag: Flag): string[] {
  const about = flag.about.replace(/[[\]\\:]/g, '\\$&').replaceAll('\n', ' ');
  const values = flag.values.length > 0 ? `(${flag.values.join(' ')})` : takesFile(flag) ? '_files' : ' ';
  const value = flag.value === null ? '' : `:${flag.value}:${values}`;
  return flag.names.map((name) => `        ${quote(`*${name}[${about}]${value}`)}`);
}
