/** Settings as `KEY=VALUE` lines. @param prefix of the keys */
export function settingsText(prefix: string, settings: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(settings).map(([key, value]) => `${prefix}${key}=${text(value)}`);
}

/** As the configuration's parser reads it: floats keep their point. */
function text(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(text).join(', ')}]`;
  return typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value);
}
