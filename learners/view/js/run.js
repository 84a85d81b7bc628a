// A log of fewwatt profile: what was measured step by step, and the best so far within the limits that are asked for.
import { OBJECTIVES, fits, logExcesses, logScore } from './choose.js';
import { rangeOf, tableOfMeasured } from './data.js';
import { make, makeTable } from './dom.js';
import { modeText, significant, timeText } from './format.js';
import { SCORE_UNITS, scoreOf } from './answer.js';
import { makeExplore } from './explore.js';
import { lineOf, makeFigure, widened } from './plot.js';

// Means of each row's measurements over the steps, [size] each, null where nothing was measured.
export function meansOf(steps, size) {
  const sums = { time_ms: new Float64Array(size), power_w: new Float64Array(size) }, counts = { time_ms: new Int32Array(size), power_w: new Int32Array(size) };
  for (const step of steps) {
    for (const key of ['time_ms', 'power_w']) {
      if (step[key] === null) continue;
      sums[key][step.row] += step[key];
      ++counts[key][step.row];
    }
  }
  return ['time_ms', 'power_w'].map((key) => Array.from(sums[key], (sum, row) => (counts[key][row] > 0 ? sum / counts[key][row] : null)));
}

// For each step the score of what it measured, and the best score so far of what keeps the limits: null where there is none.
export function progressOf(steps, goal, limits) {
  const table = tableOfMeasured(steps.map((step) => step.time_ms), steps.map((step) => step.power_w));
  const measured = steps.map(() => null), bestSoFar = steps.map(() => null);
  if (!table.logTime && !table.logPower) return { measured, bestSoFar };
  const excess = logExcesses(table, limits);
  let least = Infinity;
  steps.forEach((_, i) => {
    const score = logScore(OBJECTIVES[goal], table.logTime ? table.logTime[i] : NaN, table.logPower ? table.logPower[i] : NaN);
    if (!Number.isNaN(score)) measured[i] = scoreOf(goal, table, i);
    if (fits(excess[i]) && score < least) {
      least = score;
      bestSoFar[i] = measured[i];
    } else {
      bestSoFar[i] = i > 0 ? bestSoFar[i - 1] : null;
    }
  });
  return { measured, bestSoFar };
}

export function showRun(part, space) {
  const steps = part.steps, count = steps.length;
  const slider = make('input', { type: 'range', id: 'step', min: 1, max: count, step: 1, value: count, 'aria-label': 'step', input: () => moved() });
  const now = make('p', { id: 'step-text', 'aria-live': 'polite' });
  const place = make('div');
  let at = count, figure = null, goal = '';
  const table = tableOfMeasured(...meansOf(steps, space.size));
  if (!table.logTime && !table.logPower) {
    return make('div', {}, make('p', {}, 'No attempt gave a measurement.'), attemptTable(steps, space));
  }
  const first = new Int32Array(space.size).fill(count + 1);
  steps.forEach((step, i) => {
    if (step.status === 'ok') first[step.row] = Math.min(first[step.row], i + 1);
  });
  const chosen = Object.entries(part.chosen_by).map(([name, value]) => `${name} ${value}`).join(', ');
  const explore = makeExplore({ time_of: part.time_of }, space, {
    table,
    isHidden: (row) => first[row] > at,
    marks: () => {
      const step = steps[at - 1];
      return step.status === 'ok' ? [{ row: step.row, shape: 'circle', colour: 'front', size: 9 }] : [];
    },
    controls: [make('div', { class: 'limit' }, make('span'), make('label', { for: 'step' }, `step, of ${count}`), slider), now],
    updated: (question) => showProgress(question),
  });

  function showProgress({ objective, effective }) {
    let progress;
    try {
      progress = progressOf(steps, objective, effective);
    } catch {
      return;  // the answer says what is wrong with the question
    }
    const xs = steps.map((_, i) => i + 1);
    const hide = (values) => values.map((value, i) => (i < at ? value : null));
    const data = [xs, hide(progress.measured), hide(progress.bestSoFar)];
    const range = rangeOf(progress.measured) ?? [1, 2];
    if (figure !== null && goal === objective) {
      figure.setData(data);
      return;
    }
    figure?.close();
    goal = objective;
    figure = makeFigure({
      title: 'what each step measured, and the best so far within the limits',
      x: { label: 'step', range: () => [0, count + 1] },
      y: { label: SCORE_UNITS[goal], range: () => widened(range, true), isLog: true },
      data,
      series: [lineOf('point', 'measured', { width: 0, points: { show: true, size: 7, fill: () => 'transparent' }, paths: () => null }),
        lineOf('chosen', 'best so far', { width: 3 })],
    });
    place.replaceChildren(figure.element);
  }

  function moved() {
    at = Number(slider.value);
    const { status, detail, row, time_ms, power_w } = steps[at - 1];
    const values = status === 'ok' ? [time_ms === null ? null : timeText(time_ms), power_w === null ? null : `${significant(power_w)} W`].filter(Boolean).join(', ')
      : `does not count: ${status}${detail ? `, ${detail}` : ''}`;
    now.textContent = `Step ${at}: ${modeText(space.knobs, space.mode(row))}: ${values}`;
    explore.changed();
  }

  moved();
  return make('div', {}, chosen ? make('p', { class: 'quiet' }, `Modes chosen by ${chosen}.`) : null, explore.element,
    make('h2', {}, 'The best so far'), place, make('h2', {}, 'Attempts'), attemptTable(steps, space));
}

function attemptTable(steps, space) {
  return makeTable(['step', 'mode', 'time', 'power', 'took', 'status'], steps.map((step, i) => [String(i + 1), modeText(space.knobs, space.mode(step.row)),
    step.time_ms === null ? '' : timeText(step.time_ms), step.power_w === null ? '' : `${significant(step.power_w)} W`,
    step.took_s === null ? '' : `${significant(step.took_s, 3)} s`, step.detail ? `${step.status}: ${step.detail}` : step.status]));
}
