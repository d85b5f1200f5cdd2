import { version as released } from '../package.json';

/** The release that these sources are, as in package.json: `0.1.0`. */
export const version: string = released;
