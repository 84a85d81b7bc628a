// A page that is watched while a program works: rows arrive as server-sent events, and what they belong to is shown anew.
import { make } from './dom.js';
import { showGovern } from './govern.js';
import { showRun } from './run.js';
import { showTraining } from './training.js';

const BETWEEN_MS = 500;  // at least, from one time that the part is shown to the next

// Parts that grow, by kind: add(row) takes what an event holds, element() shows the rows so far, of which there is one at least.
export const GROWING = {
  run(part) {
    const rowOf = new Map(), modes = [], steps = [];
    return {
      add({ mode, ...step }) {
        const name = mode.join();
        if (!rowOf.has(name)) rowOf.set(name, modes.push(mode) - 1);
        steps.push({ ...step, row: rowOf.get(name) });
      },
      shown: () => [{ ...part, steps }, { knobs: part.knobs, size: modes.length, setting: (row, k) => modes[row][k], mode: (row) => modes[row] }],
      element() { return showRun(...this.shown()); },
    };
  },
  govern(part) {
    const columns = { t_s: [], time_ms: [], power_w: [], budget_w: [], reason: [], event: [] }, settings = part.knobs.map(() => []);
    return {
      add({ mode, ...row }) {
        for (const [name, values] of Object.entries(columns)) values.push(row[name]);
        settings.forEach((values, k) => values.push(mode[k]));
      },
      shown: () => [{ ...part, ...columns, settings }],
      element() { return showGovern(...this.shown()); },
    };
  },
  training(part) {
    const rows = [];
    return { add: (row) => rows.push(row), shown: () => [part, rows], element() { return showTraining(...this.shown()); } };
  },
};

// Where events come from: the server of the page. Its token is in the page's address.
export function eventsAddress(run, search) {
  const asked = new URLSearchParams({ run });
  const token = new URLSearchParams(search).get('token');
  if (token !== null) asked.set('token', token);
  return `events?${asked}`;
}

// Listens for events, and calls changed() when there is something new to show. Returns { element }, which shows the present state.
// Source: EventSource, or what takes its place in a test.
export function watch({ run, kind, part, changed, search, Source }) {
  const growing = GROWING[kind](part), source = new Source(eventsAddress(run, search));
  const status = make('p', { id: 'live', class: 'quiet', role: 'status' }, 'Connecting.');
  let count = 0, last = 0, missed = 0, timer = null;
  const say = (text) => { status.textContent = missed > 0 ? `${text} ${missed} rows are not here: the program keeps the last 20 000 for pages that come late.` : text; };
  const later = () => {
    timer ??= setTimeout(() => {
      timer = null;
      changed();
    }, BETWEEN_MS);
  };
  source.onopen = () => say('Connected: what is measured appears here.');
  source.onerror = () => say(source.readyState === Source.CLOSED
    ? 'The program does not answer: it has ended, or too many pages watch it. Open the page again to try once more.' : 'The connection is lost, or the program has ended. Trying again.');
  source.onmessage = ({ data, lastEventId }) => {
    missed += Number(lastEventId) - last - 1;
    last = Number(lastEventId);
    ++count;
    growing.add(JSON.parse(data));
    say('Connected: what is measured appears here.');
    later();
  };
  const finish = (text) => {
    source.close();
    say(text);
    later();
  };
  source.addEventListener('end', () => finish('The run has ended. Nothing is lost while this page stays open.'));
  source.addEventListener('other', () => finish('Another run is served at this address now. Open the page again to see it.'));
  return {
    element: () => make('div', {}, status, count === 0 ? make('p', {}, 'Nothing has been measured yet.') : growing.element()),
  };
}

// Calls show(), which replaces what is in an element, and puts controls back to what they were. A slider that stood at its end is left there.
export function keepingControls(root, show) {
  // A slider's steps are coarser than the number beside it, and both switch a limit on.
  const turn = (control) => (control.type === 'checkbox' ? 2 : control.type === 'range' ? 0 : 1);
  const before = [...root.querySelectorAll('input[id], select[id]')].sort((a, b) => turn(a) - turn(b)).map((control) => ({
    id: control.id, value: control.value, checked: control.checked, isAtEnd: control.type === 'range' && control.value === control.max,
  }));
  const focused = root.contains(document.activeElement) ? document.activeElement.id : '', top = scrollY;
  show();
  for (const { id, value, checked, isAtEnd } of before) {
    const control = document.getElementById(id);
    if (control === null || isAtEnd || (control.value === value && control.checked === checked)) continue;
    control.value = value;
    if (checked !== undefined) control.checked = checked;
    control.dispatchEvent(new Event('input'));
  }
  if (focused !== '') document.getElementById(focused)?.focus();
  scrollTo(0, top);
}
