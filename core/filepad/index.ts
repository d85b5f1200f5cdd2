/** The FilePad: files in the database. */
export { type FileDescription, FilePad } from './filepad.ts';
export { type FilePadSettings, filePadIn, readFilePadFile } from './settings.ts';
