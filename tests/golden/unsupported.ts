/** Thrown by an adapter for what the project or the backend cannot run; printed as `unsupported` with this reason. */
export class Unsupported extends Error {}

export const NOT_YET = 'not in the project yet';
