// How meta-training goes: what it minimises, and how good it was on workloads that were kept out.
import { rangeOf } from './data.js';
import { make } from './dom.js';
import { percent, significant } from './format.js';
import { lineOf, makeFigure, widened } from './plot.js';

// What can be drawn of a row: its key, title, and whether its axis is logarithmic where all values are above 0.
const DRAWN = [
  ['loss', 'Loss', true], ['validation_error', 'Validation error', true], ['mean_return', 'Mean return of the last episodes', false],
  ['validation_return', 'Mean return in validation', false], ['regret', 'Regret in validation, %', true],
];

// The column of a key, null where a row does not have it. A row's number that JSON has none for is a text, "inf".
export const numbersOf = (rows, key) => rows.map((row) => (Number.isFinite(row[key]) ? row[key] : null));

// "training: 40 %, 12 s; loss 0.25"
export function stateText(rows) {
  const { phase, done, seconds, loss } = rows[rows.length - 1];
  return `${phase}: ${percent(done, 3)}, ${significant(seconds, 3)} s${Number.isFinite(loss) ? `; loss ${significant(loss)}` : ''}`;
}

export function showTraining(part, rows) {
  const xs = rows.map((row) => row.seconds), xRange = widened(rangeOf(xs), false);
  const figures = DRAWN.flatMap(([key, title, mayBeLog]) => {
    const values = numbersOf(rows, key), range = rangeOf(values);
    if (range === null) return [];
    const isLog = mayBeLog && range[0] > 0, isRare = values.includes(null);
    const points = isRare ? { spanGaps: true, points: { show: true, size: 5 } } : {};
    return [make('h2', {}, title), makeFigure({
      title: `${title} over time`,
      x: { label: 'seconds', range: () => xRange },
      y: { label: title, range: () => widened(range, isLog), isLog },
      data: [xs, values],
      series: [lineOf('chosen', title, points)],
    }).element];
  });
  return make('div', {}, make('p', {}, `${part.learner}, from ${part.profiles} ${part.profiles === 1 ? 'profile' : 'profiles'}.`),
    make('p', { id: 'training-text' }, stateText(rows)), ...figures);
}
