// The best mode within the limits, its margin, and the runner-up, in words.
import { OBJECTIVES, isUncertain, logScore, probabilityWithin, quantile } from './choose.js';
import { modeOption, modeText, optimizeCommand, percent, probabilityText, significant, timeText } from './format.js';
import { make } from './dom.js';

const COSTS = [['time', 'timeMs', timeText], ['power', 'powerW', (w) => `${significant(w)} W`], ['energy', 'energyJ', (j) => `${significant(j)} J`]];

// "77.2 ms a minibatch (74 ms to 80.1 ms), 28.1 W (26.9 W to 29.4 W), 2.17 J"
export function valuesText(table, row, timeOf) {
  const texts = COSTS.map(([cost, , text]) => {
    const value = quantile(table, row, cost, 0.5);
    if (Number.isNaN(value)) return null;
    const [low, high] = [quantile(table, row, cost, 0.05), quantile(table, row, cost, 0.95)];
    const unit = cost === 'time' && timeOf ? ` a ${timeOf}` : '';
    const interval = cost !== 'energy' && !Number.isNaN(low) ? ` (${text(low)} to ${text(high)})` : '';
    return text(value) + unit + interval;
  });
  return texts.filter((text) => text !== null).join(', ');
}

// "6.3 % below the 30 W allowed, kept with 92.1 %", for each limit.
export function marginTexts(table, row, limits) {
  return COSTS.filter(([, key]) => Number.isFinite(limits[key])).map(([cost, key, text]) => {
    const value = quantile(table, row, cost, 0.5), limit = limits[key];
    const side = value > limit ? 'above' : 'below';
    const kept = probabilityWithin(table, row, cost, limit);
    return `${cost} ${percent(Math.abs(1 - value / limit))} ${side} the ${text(limit)} allowed`
      + (Number.isNaN(kept) ? '' : `, kept with a probability of ${probabilityText(kept)}`);
  });
}

// "4.1 % more time, 2 % less power"
export function differenceText(table, row, other) {
  return COSTS.slice(0, 2).map(([cost]) => {
    const share = quantile(table, other, cost, 0.5) / quantile(table, row, cost, 0.5) - 1;
    if (Number.isNaN(share)) return null;
    return Math.abs(share) < 5e-5 ? `the same ${cost}` : `${percent(Math.abs(share))} ${share > 0 ? 'more' : 'less'} ${cost}`;
  }).filter((text) => text !== null).join(', ');
}

// What choosing found: { rows, nearest, problem }, shown in `element`, with the same as attributes for whoever reads the page by program.
export function showAnswer(element, { space, table, timeOf, measured, file, question, found }) {
  const { rows, nearest, problem } = found;
  const lines = [];
  const line = (name, ...words) => lines.push(make('p', { class: name }, ...words));
  const strong = (row) => make('strong', {}, modeText(space.knobs, space.mode(row)));
  const known = (row) => {
    const is = measured?.get(row);
    if (measured === null) return '';
    return is === undefined ? 'Not measured yet: predicted.' : is.length > 0 ? `Measured; the learner left out its ${is.join(' and ')}.` : 'Measured.';
  };
  element.dataset.mode = rows.length > 0 ? modeOption(space.knobs, space.mode(rows[0])) : '';
  element.dataset.runnerUp = rows.length > 1 ? modeOption(space.knobs, space.mode(rows[1])) : '';
  element.dataset.nearest = nearest ? modeOption(space.knobs, space.mode(nearest.row)) : '';
  if (problem) {
    line('fails', problem);
  } else if (rows.length > 0) {
    line('best', 'Best: ', strong(rows[0]));
    line('', `${valuesText(table, rows[0], timeOf)}. ${known(rows[0])}`);
    for (const text of marginTexts(table, rows[0], question.effective)) line('', `${text[0].toUpperCase()}${text.slice(1)}.`);
    if (rows.length > 1) {
      line('runner-up', 'Runner-up: ', strong(rows[1]), ` – ${differenceText(table, rows[0], rows[1])}.`);
    } else {
      line('runner-up', 'No other mode keeps these limits.');
    }
  } else if (nearest) {
    line('fails', 'No mode keeps these limits.');
    line('', 'Nearest: ', strong(nearest.row), ` – ${percent(nearest.excess - 1)} over`
      + (question.limits.confidence === 0.5 ? '.' : ' at this confidence.'));
  }
  if (file && !problem) {
    const hasLimit = ['powerW', 'timeMs', 'energyJ'].some((key) => Number.isFinite(question.effective[key]));
    const asked = { ...question.limits, confidence: hasLimit && isUncertain(table) ? question.limits.confidence : undefined };
    lines.push(make('p', { class: 'quiet' }, 'The same by'), make('code', {}, optimizeCommand(file, question.objective, asked, question.epochS)));
  }
  element.replaceChildren(...lines);
}

// A score in the unit that its goal has, for figures.
export function scoreOf(goal, table, row) {
  const log = logScore(OBJECTIVES[goal], table.logTime ? table.logTime[row] : NaN, table.logPower ? table.logPower[row] : NaN);
  return goal === 'time' || goal === 'power' ? Math.exp(log) : Math.exp(log) / 1000;
}
export const SCORE_UNITS = { time: 'time, ms', power: 'power, W', energy: 'energy, J', edp: 'energy × time, J ms', ed2p: 'energy × time², J ms²' };
