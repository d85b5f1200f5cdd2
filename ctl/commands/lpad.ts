import { defineCommand } from 'citty';
import { runLpad } from '../lpad/run.ts';

/** The flags are FireWorks', which citty cannot read. */
export const passThrough = true;

export default defineCommand({
  meta: {
    name: 'lpad',
    description: "FireWorks' lpad: adds, shows and changes the workflows of a LaunchPad",
  },
  run: ({ rawArgs }) => runLpad(rawArgs),
});
