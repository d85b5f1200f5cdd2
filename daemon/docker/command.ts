import { words } from '../firetasks/script.ts';

/** What an image says of how its commands run. */
export interface ImageConfig {
  entrypoint: string[];
  /** The SHELL of its Dockerfile; empty: the usual one. */
  shell: string[];
}

const SHELL = ['/bin/sh', '-c'];

/**
 * The words that a container is started with. A list is taken as it is. A text is a command line for the image's shell, as in
 * a Dockerfile; with an entrypoint (of the task or of the image) it is the entrypoint's arguments, in words as a shell splits
 * them, for an entrypoint is a program that knows of no shell.
 */
export function commandOf(command: string | string[], { entrypoint, shell }: ImageConfig): string[] {
  if (Array.isArray(command)) return command;
  if (entrypoint.length > 0) return words(command);
  return [...(shell.length > 0 ? shell : SHELL), command];
}
