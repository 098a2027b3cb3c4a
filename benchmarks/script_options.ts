/** The value after an option on the command line of a script. */
export function option(name: string, otherwise: string): string {
  const at = process.argv.indexOf(name);
  return at > 0 ? process.argv[at + 1] : otherwise;
}
