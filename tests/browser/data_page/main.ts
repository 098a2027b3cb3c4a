import * as data from '../../../src/data/portable.js';
import * as evaluation from '../../../src/evaluation/index.js';

/** What the test calls in the page. */
const api = { data, evaluation };
declare global {
  interface Window {
    dataApi: typeof api;
  }
}
window.dataApi = api;
