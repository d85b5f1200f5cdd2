import { type Flag, type Place, takesFile } from './tree.ts';

/** A completion script for bash, for programs of these names; those in `own` are a command of the first one. */
export function bashScript(program: string, own: readonly string[], places: readonly Place[]): string {
  const list = (words: readonly string[]) => `'${words.join(' ').replaceAll("'", "'\\''")}'`;
  const cases = places.map(({ path, commands, flags }) => {
    const names = flags.flatMap(({ names }) => names);
    return `    '${path}') commands=${list(commands.map(({ name }) => name))} flags=${list(names)} ;;`;
  });
  const values = places.flatMap(({ path, flags }) =>
    flags
      .filter(({ value }) => value !== null)
      .map((flag) => `    ${patterns(path, flag)}) ${proposal(flag)} ;;`),
  );
  const known = places.map(({ path }) => `'${path}'`).filter((path) => path !== "''");
  return `# bash completion for ${[program, ...own].join(', ')}. Made by: ${program} completion bash
_${program}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at='' i commands='' flags=''
  case "\${COMP_WORDS[0]##*/}" in ${own.join(' | ')}) at="/\${COMP_WORDS[0]##*/}" ;; esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at/\${COMP_WORDS[i]}" in
      ${known.join(' | ')}) at="$at/\${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$at $prev" in
${values.join('\n')}
  esac
  case "$at" in
${cases.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ -n $commands ]]; then
    COMPREPLY=($(compgen -W "$commands" -- "$cur"))
  fi
}
complete -o bashdefault -o default -F _${program} ${[program, ...own].join(' ')}
`;
}

const patterns = (path: string, { names }: Flag) => names.map((name) => `'${path} ${name}'`).join(' | ');

/** What stands for a flag's value: its values, names of files, or nothing. */
function proposal(flag: Flag): string {
  if (flag.values.length > 0) return `COMPREPLY=($(compgen -W '${flag.values.join(' ')}' -- "$cur")); return`;
  // Left to bash, which proposes files where a function has nothing.
  return takesFile(flag) ? 'return' : 'compopt +o bashdefault +o default 2>/dev/null; return';
}
