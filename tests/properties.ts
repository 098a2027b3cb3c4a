/** fast-check with a seed that is the same in every run, so that a failure can be seen again; `npm run fuzz` draws a new one. */
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env.FUZZ_SEED ?? 1) });

export default fc;
