// Shows one part of the page at a time.
import { readSpace } from './data.js';
import { make } from './dom.js';
import { showBench } from './bench.js';
import { makeExplore } from './explore.js';
import { showGovern } from './govern.js';
import { keepingControls, watch } from './live.js';
import { closeFigures, followTheme } from './plot.js';
import { showReport } from './report.js';
import { showRun } from './run.js';

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const index = read('index');
const select = document.getElementById('part');
const main = document.getElementById('main');

// Of a program that is at work: its only part grows.
const watched = index.live === undefined ? null : watch({
  run: index.live, kind: index.entries[0].kind, part: read('part-0'), search: location.search, Source: EventSource,
  changed: () => keepingControls(main, () => show(0)),
});

// Reads a part when it is shown: a page may hold hundreds.
function elementOf(position) {
  if (watched !== null) return watched.element();
  const { kind, file } = index.entries[position], part = read(`part-${position}`);
  if (kind === 'govern') return showGovern(part);
  if (kind === 'bench') return showBench(part);
  if (kind === 'report') return showReport(part);
  const space = readSpace(read(`space-${part.space}`));
  if (kind === 'run') return showRun(part, space);
  part.commandFile = kind === 'model' ? file : null;
  return makeExplore(part, space).element;
}

function show(position) {
  closeFigures();
  const { title, file } = index.entries[position];
  select.value = position;
  document.title = `${title} – fewwatt`;
  main.replaceChildren(make('p', { class: 'quiet' }, file), elementOf(position));
  document.documentElement.dataset.shown = position;  // for whoever drives the page by program
}

// The part that the address names, "#2"; the first for any other.
function asked() {
  const position = Number(location.hash.slice(1));
  return Number.isInteger(position) && position >= 0 && position < index.entries.length ? position : 0;
}

index.entries.forEach(({ kind, title, file }, i) => select.append(make('option', { value: i }, `${kind} ${title}, ${file}`)));
select.addEventListener('input', () => (location.hash = select.value));
addEventListener('hashchange', () => show(asked()));
addEventListener('keydown', (event) => {
  if (!['[', ']'].includes(event.key) || event.target.matches?.('input, select') || event.ctrlKey || event.metaKey || event.altKey) return;
  const count = index.entries.length;
  location.hash = (asked() + (event.key === ']' ? 1 : count - 1)) % count;
});
document.getElementById('footer').textContent = `Made by fewwatt view ${index.version}. [ and ] go to the part before and after; in the figure of all modes `
  + 'the arrow keys move the limit of power and the confidence.';
followTheme();
show(asked());
