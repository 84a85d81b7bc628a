// A slice through the modes: one knob across, a line for each level of another, all others as in the mode that was chosen.
import { isUncertain, quantile } from './choose.js';
import { knobTitle, settingText } from './format.js';
import { rangeOf } from './data.js';
import { labelled, make, makeSelect } from './dom.js';
import { lineOf, makeFigure, widened } from './plot.js';
import { colour } from './theme.js';

const LINES = 5;

// Positions of at most `count` levels, spread evenly.
export function spreadLevels(size, count) {
  if (size <= count) return [...Array(size).keys()];
  return [...Array(count).keys()].map((i) => Math.round((i * (size - 1)) / (count - 1)));
}

// rows[a][b]: the row with level a of knob `across` and level b of knob `lines`, and everything else as in `row`; -1 where there is none.
export function sliceRows(space, row, across, lines) {
  const positions = (k) => new Map(space.knobs[k].levels.map((level, i) => [level, i]));
  const [a, b] = [positions(across), positions(lines)];
  const rows = space.knobs[across].levels.map(() => new Int32Array(space.knobs[lines].levels.length).fill(-1));
  const others = space.knobs.map((_, k) => k).filter((k) => k !== across && k !== lines);
  for (let other = 0; other < space.size; ++other) {
    if (others.some((k) => space.setting(other, k) !== space.setting(row, k))) continue;
    rows[a.get(space.setting(other, across))][b.get(space.setting(other, lines))] = other;
  }
  return rows;
}

const scaled = (role, level) => (role.endsWith('_khz') || role.endsWith('_mw') ? level / 1000 : level);
const unitOf = (role) => (role.endsWith('_khz') ? ', MHz' : role.endsWith('_mw') ? ', W' : '');

// Returns { element, show(row) }; null for a space of one knob with several levels.
export function makeSlice(space, table) {
  const knobs = space.knobs.map((knob, k) => [k, knob]).filter(([, knob]) => knob.levels.length > 1);
  if (knobs.length < 2) return null;
  const byLevels = [...knobs].sort((a, b) => b[1].levels.length - a[1].levels.length);
  const choices = knobs.map(([k, knob]) => [k, knobTitle(knob.role)]);
  const across = makeSelect(choices, { id: 'slice-across', input: () => build() });
  const lines = makeSelect(choices, { id: 'slice-lines', input: () => build() });
  [across.value, lines.value] = [byLevels[0][0], byLevels[1][0]];
  const known = [['time', 'time, ms'], ['power', 'power, W'], ['energy', 'energy, J']]
    .filter(([cost]) => (cost === 'power' || table.logTime) && (cost === 'time' || table.logPower));
  const cost = makeSelect(known, { id: 'slice-cost', input: () => build() });
  const place = make('div'), key = make('p', { class: 'quiet' });
  const element = make('section', {}, make('h2', {}, 'A slice through two knobs'),
    make('div', { class: 'row' }, labelled('value', cost), labelled('across', across), labelled('lines', lines)), place, key);
  const hasBand = isUncertain(table);
  let figure = null, range = [0, 1], shown = 0;

  function columns() {
    const [a, b] = [Number(across.value), Number(lines.value)];
    const rows = sliceRows(space, shown, a, b), own = space.knobs[b].levels.indexOf(space.setting(shown, b));
    const at = (level, probability) => rows.map((line) => {
      const value = line[level] < 0 ? NaN : quantile(table, line[level], cost.value, probability);
      return Number.isNaN(value) ? null : value;
    });
    const levels = spreadLevels(space.knobs[b].levels.length, LINES);
    return [space.knobs[a].levels.map((level) => scaled(space.knobs[a].role, level)), ...(hasBand ? [at(own, 0.95), at(own, 0.05)] : []),
      ...levels.map((level) => at(level, 0.5)), at(own, 0.5)];
  }

  function build() {
    figure?.close();
    if (across.value === lines.value) lines.value = knobs.find(([k]) => String(k) !== across.value)[0];
    const [a, b] = [space.knobs[Number(across.value)], space.knobs[Number(lines.value)]];
    const levels = spreadLevels(b.levels.length, LINES);
    const xs = widened(rangeOf(a.levels.map((level) => scaled(a.role, level))), false);
    const faint = { width: 0, stroke: () => 'transparent', spanGaps: true };
    const data = columns();
    range = rangeOf(data.slice(1).flat()) ?? [0, 1];
    figure = makeFigure({
      title: `${cost.value} against ${knobTitle(a.role)}, a line for each ${knobTitle(b.role)}`,
      x: { label: knobTitle(a.role) + unitOf(a.role), range: () => xs },
      y: { label: known.find(([name]) => name === cost.value)[1], range: () => widened(range, false) },
      data,
      series: [...(hasBand ? [lineOf('out', 'high', faint), lineOf('out', 'low', faint)] : []),
        ...levels.map((level, i) => lineOf(`s${i}`, settingText(b.role, b.levels[level]), { width: 1, spanGaps: true, dash: [[], [8, 3], [3, 3], [10, 3, 2, 3], [2, 5]][i] })),
        lineOf('chosen', 'chosen', { width: 3, spanGaps: true })],
      bands: hasBand ? [{ series: [1, 2], fill: () => `${colour('chosen')}30` }] : [],
    });
    key.replaceChildren(...levels.map((level, i) => make('span', {}, make('span', { class: 'key line', style: `background: var(--s${i})` }),
      settingText(b.role, b.levels[level]))), make('span', {}, make('span', { class: 'key line', style: 'background: var(--chosen)' }), 'as chosen'));
    place.replaceChildren(figure.element);
  }

  build();
  return {
    element,
    show(row) {
      if (row === shown) return;
      shown = row;
      const data = columns();
      range = rangeOf(data.slice(1).flat()) ?? range;
      figure.setData(data);
    },
  };
}
