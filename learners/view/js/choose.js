// Which mode is best within limits: the rule of learners/optimize/choose.cpp, with the same order of its sums and the same ties, so that
// the page and `fewwatt optimize` name the same mode.
//
// A table is { size, logTime, logPower, varTime, varPower }: Float64Arrays [size] of logs of ms and W, and of the variances of the logs of
// new measurements; null where a column is not known. Unknown single values are NaN.
// Limits are { powerW, timeMs, energyJ, confidence }; a limit that is left out does not hold.
// An objective is { timeExponent, powerExponent, eta, maxPowerW }: score = time^a (eta power + (1 - eta) P)^b.
import { normalCdf, normalQuantile } from './normal.js';

// Logs of sums that are equal differ in the last digits.
const ROUNDING = 1e-12;
const LOG_1000 = Math.log(1000);

export const OBJECTIVES = {
  time: { timeExponent: 1, powerExponent: 0, eta: 1 },
  energy: { timeExponent: 1, powerExponent: 1, eta: 1 },
  edp: { timeExponent: 2, powerExponent: 1, eta: 1 },
  ed2p: { timeExponent: 3, powerExponent: 1, eta: 1 },
  power: { timeExponent: 0, powerExponent: 1, eta: 1 },
};

// Away from zero at one half, as std::round: Math.round goes up there.
function rounded(log) {
  const units = log / ROUNDING;
  return units < 0 ? -Math.round(-units) : Math.round(units);
}

export const isUncertain = (table) => table.varTime !== null || table.varPower !== null;

const needsTime = (objective) => objective.timeExponent > 0;
const needsPower = (objective) => objective.powerExponent > 0 && objective.eta > 0;

// The log of what is minimised. One of both that is not needed may be NaN.
export function logScore(objective, logTime, logPower) {
  let score = needsTime(objective) ? objective.timeExponent * logTime : 0;
  if (objective.powerExponent > 0) {
    const { eta, maxPowerW } = objective;
    if (eta === 1) score += logPower;
    else if (eta === 0) score += Math.log(maxPowerW);
    else score += Math.log(eta * Math.exp(logPower) + (1 - eta) * maxPowerW);
  }
  return score;
}

// The column of a cost: the log of its median and the variance of its log at a row.
function columnOf(table, cost) {
  const { logTime, logPower, varTime, varPower } = table;
  if (cost === 'time') return { name: 'time', logs: (i) => logTime[i], variances: varTime && ((i) => varTime[i]), known: logTime !== null };
  if (cost === 'power') {
    return { name: 'power', logs: (i) => logPower[i], variances: varPower && ((i) => varPower[i]), known: logPower !== null };
  }
  return {
    name: 'energy',
    logs: (i) => logTime[i] + logPower[i] - LOG_1000,
    variances: varTime && varPower && ((i) => varTime[i] + varPower[i]),
    known: logTime !== null && logPower !== null,
  };
}

const isLimit = (limit) => limit !== undefined && Number.isFinite(limit);

function limitsOf(limits) {
  const list = [['time', limits.timeMs], ['power', limits.powerW], ['energy', limits.energyJ]];
  return list.filter(([, limit]) => isLimit(limit));
}

// The largest log(bound / limit) of each row: at most 0 within the limits; -Infinity without a limit, NaN where a value is not known.
export function logExcesses(table, limits) {
  const confidence = limits.confidence ?? 0.5;
  if (!(confidence >= 0.5 && confidence < 1)) {
    throw new RangeError(`the confidence must be at least 0.5 and below 1, found ${confidence}`);
  }
  const excess = new Float64Array(table.size).fill(-Infinity);
  for (const [cost, limit] of limitsOf(limits)) {
    if (!(limit > 0)) throw new RangeError(`a limit of ${cost} must be above 0, found ${limit}`);
    const column = columnOf(table, cost);
    if (!column.known) throw new RangeError(`there is no ${cost} here, which this limit needs`);
    if (confidence !== 0.5 && column.variances === null) {
      throw new RangeError(`a confidence needs the uncertainty of ${cost}, which is not known here`);
    }
    const z = confidence === 0.5 ? 0 : normalQuantile(confidence);
    const logLimit = Math.log(limit);
    for (let i = 0; i < table.size; ++i) {
      const bound = confidence === 0.5 ? column.logs(i) : column.logs(i) + z * Math.sqrt(column.variances(i));
      const over = bound - logLimit;
      if (!(over <= excess[i]) && !Number.isNaN(excess[i])) excess[i] = over;
    }
  }
  return excess;
}

export const fits = (excess) => excess <= ROUNDING;

// At most `count` rows of those within the limits, by objective, then power, then row. `excess`: logExcesses(), where it is at hand.
export function best(table, objective, limits, count, excess = logExcesses(table, limits)) {
  if (needsTime(objective) && table.logTime === null) throw new RangeError('there is no time here, which this goal needs');
  if (needsPower(objective) && table.logPower === null) throw new RangeError('there is no power here, which this goal needs');
  const ranked = [];
  const isBefore = (a, b) => a.score - b.score || a.power - b.power || a.row - b.row;
  for (let row = 0; row < table.size; ++row) {
    if (!fits(excess[row])) continue;
    const logPower = table.logPower === null ? NaN : table.logPower[row];
    const score = rounded(logScore(objective, table.logTime === null ? NaN : table.logTime[row], logPower));
    if (Number.isNaN(score)) continue;
    if (ranked.length === count && score > ranked[count - 1].score) continue;
    const power = Number.isNaN(logPower) ? Number.MAX_VALUE : rounded(logPower);
    ranked.push({ score, power, row });
    ranked.sort(isBefore);
    if (ranked.length > count) ranked.pop();
  }
  return ranked.map((one) => one.row);
}

// The row that breaks the limits least, { row, excess }: the largest of (upper bound at the confidence) / limit. null without rows.
export function leastViolation(excess) {
  if (excess.length === 0) return null;
  let nearest = 0;
  for (let row = 1; row < excess.length; ++row) {
    if (excess[row] < excess[nearest] || Number.isNaN(excess[nearest])) nearest = row;
  }
  return { row: nearest, excess: Math.exp(excess[nearest]) };
}

// Rows within the limits that no other such row beats in both time and power, ascending by power; of equal ones the first. None where
// time or power is not known.
export function pareto(table, limits = {}) {
  if (table.logTime === null || table.logPower === null) return [];
  const excess = logExcesses(table, limits);
  const rows = [];
  for (let row = 0; row < table.size; ++row) {
    if (!fits(excess[row]) || Number.isNaN(table.logTime[row] + table.logPower[row])) continue;
    rows.push({ power: rounded(table.logPower[row]), time: rounded(table.logTime[row]), row });
  }
  rows.sort((a, b) => a.power - b.power || a.time - b.time || a.row - b.row);
  const front = [];
  let bestTime = Infinity;
  for (const { time, row } of rows) {
    if (time < bestTime) front.push(row);
    bestTime = Math.min(bestTime, time);
  }
  return front;
}

// The probability that a new measurement of `cost` ("time", "power", "energy") in this row keeps the limit; NaN where it is not known.
export function probabilityWithin(table, row, cost, limit) {
  const column = columnOf(table, cost);
  if (!column.known || column.variances === null || !isLimit(limit)) return NaN;
  const variance = column.variances(row), log = column.logs(row);
  if (variance === 0) return log <= Math.log(limit) ? 1 : 0;
  return normalCdf((Math.log(limit) - log) / Math.sqrt(variance));
}

// What a new measurement stays below with that probability; at 0.5 the median. NaN where it is not known.
export function quantile(table, row, cost, probability) {
  const column = columnOf(table, cost);
  if (!column.known) return NaN;
  if (probability === 0.5) return Math.exp(column.logs(row));
  if (column.variances === null) return NaN;
  return Math.exp(column.logs(row) + normalQuantile(probability) * Math.sqrt(column.variances(row)));
}
