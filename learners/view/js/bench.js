// Rows of fewwatt bench: a metric against the number of measured modes, a line for each learner with its quartiles.
import { rangeOf } from './data.js';
import { labelled, make, makeSelect, makeTable } from './dom.js';
import { significant } from './format.js';
import { lineOf, makeFigure, seriesColourName, widened } from './plot.js';
import { colour } from './theme.js';

// As in benchmarks/metrics.cpp: linear between sorted values; infinite where one of both is.
export function quantileOf(sorted, p) {
  const position = p * (sorted.length - 1), below = Math.floor(position), weight = position - below;
  if (weight === 0) return sorted[below];
  if (sorted[below + 1] === Infinity) return Infinity;
  return sorted[below] + weight * (sorted[below + 1] - sorted[below]);
}

const nameOf = (column, i) => column.names[column.of[i]];

// The rows of one metric, and of one sampler or without one: { shots, learners, workloads, cells } with cells.get("workload\nlearner\nshots") =
// [lower, median, upper] over the draws.
export function cellsOf(part, metric, sampler) {
  const draws = new Map(), shots = new Set(), learners = new Set(), workloads = new Set(), anywhere = new Set();
  for (let i = 0; i < part.value.length; ++i) {
    if (nameOf(part.metric, i) !== metric) continue;
    const by = nameOf(part.sampler, i);
    if (by !== sampler && by !== 'none') continue;
    const workload = `${nameOf(part.device, i)}/${nameOf(part.workload, i)}`, learner = nameOf(part.learner, i);
    const isAnywhere = by === 'none';
    if (isAnywhere) anywhere.add(learner);
    else shots.add(part.shots[i]);
    learners.add(learner);
    workloads.add(workload);
    const key = [workload, learner, isAnywhere ? 0 : part.shots[i]].join('\n');
    if (!draws.has(key)) draws.set(key, []);
    draws.get(key).push(part.value[i] === 'inf' ? Infinity : part.value[i]);
  }
  if (shots.size === 0) shots.add(0);
  const sorted = [...shots].sort((a, b) => a - b), cells = new Map();
  for (const workload of workloads) {
    for (const learner of learners) {
      for (const k of sorted) {
        const values = draws.get([workload, learner, anywhere.has(learner) ? 0 : k].join('\n'));
        if (!values) continue;
        values.sort((a, b) => a - b);
        cells.set([workload, learner, k].join('\n'), [0.25, 0.5, 0.75].map((p) => quantileOf(values, p)));
      }
    }
  }
  return { shots: sorted, learners: [...learners], workloads: [...workloads], anywhere, cells };
}

// [lower, median, upper] of a learner: of one workload, or with workload "all" the mean over workloads, as table.csv has it: of those in
// which some learner has a figure from measured modes, and null where this one lacks one of them.
export function figureOf({ learners, workloads, anywhere, cells }, workload, learner, shots) {
  if (workload !== 'all') return cells.get([workload, learner, shots].join('\n')) ?? null;
  const measuring = learners.filter((one) => !anywhere.has(one));
  const counted = workloads.filter((one) => measuring.length === 0 || measuring.some((by) => cells.has([one, by, shots].join('\n'))));
  const all = counted.map((one) => cells.get([one, learner, shots].join('\n')));
  if (all.length === 0 || all.includes(undefined)) return null;
  return [0, 1, 2].map((q) => all.reduce((sum, cell) => sum + cell[q], 0) / all.length);
}

const finite = (value) => (value === undefined || !Number.isFinite(value) ? null : value);

export function showBench(part) {
  const samplers = part.sampler.names.filter((name) => name !== 'none');
  const metric = makeSelect(part.metric.names.map((name) => [name, name]), { id: 'metric', input: () => choose() });
  const sampler = makeSelect((samplers.length > 0 ? samplers : ['none']).map((name) => [name, name]), { id: 'sampler', input: () => choose() });
  const workload = make('select', { id: 'workload', input: () => draw() });
  const learnerPlace = make('div', { class: 'row' }), place = make('div'), tablePlace = make('div');
  const hidden = new Set();
  let data = null, figure = null;

  function choose() {
    data = cellsOf(part, metric.value, sampler.value);
    const before = workload.value;
    workload.replaceChildren(...['all', ...data.workloads].map((name) => make('option', { value: name }, name === 'all' ? 'mean over workloads' : name)));
    workload.value = data.workloads.includes(before) ? before : 'all';
    draw();
  }

  function draw() {
    figure?.close();
    figure = null;
    const { shots, learners } = data;
    const i = part.metric.of.indexOf(part.metric.names.indexOf(metric.value));
    const unit = nameOf(part.unit, i);
    const position = (learner) => part.learner.names.indexOf(learner);
    const shown = learners.filter((learner) => !hidden.has(learner));
    learnerPlace.replaceChildren(...learners.map((learner) => {
      const box = make('input', { type: 'checkbox', input: () => (box.checked ? hidden.delete(learner) : hidden.add(learner)) && draw() });
      box.checked = !hidden.has(learner);
      return make('label', {}, box, ' ', make('span', { class: 'key', style: `background: var(--${seriesColourName(position(learner))})` }), learner);
    }));
    const figures = new Map(learners.map((learner) => [learner, shots.map((k) => figureOf(data, workload.value, learner, k))]));
    const columns = shown.flatMap((learner) => [2, 0, 1].map((q) => figures.get(learner).map((cell) => finite(cell?.[q]))));
    const range = rangeOf(columns.flat());
    if (range === null) {
      place.replaceChildren(make('p', {}, 'No finite figure here.'));
    } else {
      const isLog = range[0] > 0 && range[1] / range[0] > 5;
      const xs = widened(rangeOf(shots), false);
      const faint = { width: 0, stroke: () => 'transparent' };
      figure = makeFigure({
        title: `${metric.value} against the number of measured modes`,
        x: { label: 'measured modes', range: () => xs, ticks: shots, tickText: String },
        y: { label: unit ? `${metric.value}, ${unit}` : metric.value, range: () => widened(range, isLog), isLog },
        data: [shots, ...columns],
        series: shown.flatMap((learner) => [lineOf('out', '', faint), lineOf('out', '', faint), lineOf(seriesColourName(position(learner)), learner, {
          points: { show: true, size: 6 },
          dash: position(learner) >= 16 ? [2, 4] : position(learner) >= 8 ? [8, 4] : [],
        })]),
        bands: shown.map((learner, s) => ({ series: [3 * s + 1, 3 * s + 2], fill: () => `${colour(seriesColourName(position(learner)))}26` })),
      });
      place.replaceChildren(figure.element);
    }
    const text = (cell) => (cell === null ? '' : `${significant(cell[1], 3)} (${significant(cell[0], 3)} to ${significant(cell[2], 3)})`);
    tablePlace.replaceChildren(makeTable(['learner', ...shots.map((k) => `${k} modes`)], learners.map((learner) => [learner, ...figures.get(learner).map(text)])));
  }

  choose();
  return make('div', {}, make('div', { class: 'row' }, labelled('metric', metric), labelled('workload', workload), labelled('sampler', sampler)), learnerPlace, place,
    make('p', { class: 'quiet' }, 'Lines are medians over draws, bands their quartiles. Learners that need no measured mode are level.'), tablePlace);
}
