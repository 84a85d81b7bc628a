// The rule that names the best mode, in the page: learners/view/js/choose.js and normal.js. Their agreement with `fewwatt optimize` on models
// is tested by page_test.py.
import assert from 'node:assert/strict';
import test from 'node:test';
import { OBJECTIVES, best, fits, leastViolation, logExcesses, logScore, pareto, probabilityWithin, quantile } from '../../../learners/view/js/choose.js';
import { normalCdf, normalQuantile } from '../../../learners/view/js/normal.js';

// From times in ms, powers in W, and standard deviations of their logs.
function tableOf(times, powers, timeSd, powerSd) {
  const column = (values, of) => (values ? Float64Array.from(values, of) : null);
  return {
    size: (times ?? powers).length,
    logTime: column(times, Math.log),
    logPower: column(powers, Math.log),
    varTime: column(timeSd, (sd) => sd * sd),
    varPower: column(powerSd, (sd) => sd * sd),
  };
}
const near = (a, b, most = 1e-14) => assert.ok(Math.abs(a - b) <= most * Math.max(1, Math.abs(b)), `${a} is not ${b}`);

test('quantiles of the normal distribution are those of tables', () => {
  const table = [[0.5, 0], [0.9, 1.2815515655446004], [0.95, 1.6448536269514722], [0.999, 3.090232306167813], [0.001, -3.090232306167813],
    [1e-10, -6.361340902404056], [1 - 1e-12, 7.0344869100478356]];
  for (const [p, z] of table) near(normalQuantile(p), z);
  for (const p of [0, 1, -1, 2, NaN]) assert.throws(() => normalQuantile(p), /above 0 and below 1/);
});

test('probabilities undo quantiles, and have no step where their formula changes', () => {
  for (let p = 0.0005; p < 1; p += 0.0005) near(normalCdf(normalQuantile(p)), p, 1e-12);
  near(normalCdf(-4), 3.1671241833119921e-5, 1e-13);
  near(normalCdf(-3.9999999999), normalCdf(-4.0000000001), 1e-12);
  assert.equal(normalCdf(0), 0.5);
  assert.equal(normalCdf(40), 1);
  assert.ok(Number.isNaN(normalCdf(NaN)));
});

test('the fastest mode within a limit of power is named, and the runner-up', () => {
  const table = tableOf([10, 20, 30, 40], [40, 30, 20, 10]);
  assert.deepEqual(best(table, OBJECTIVES.time, { powerW: 30 }, 2), [1, 2]);
  assert.deepEqual(best(table, OBJECTIVES.time, { powerW: 10 }, 2), [3]);
  assert.deepEqual(best(table, OBJECTIVES.time, { powerW: 5 }, 2), []);
  assert.deepEqual(best(table, OBJECTIVES.time, {}, 2), [0, 1]);
  assert.deepEqual(best(table, OBJECTIVES.power, { timeMs: 25 }, 1), [1]);
  assert.deepEqual(best(table, OBJECTIVES.energy, {}, 4), [3, 0, 2, 1]);  // 0.4 J twice and 0.6 J twice
});

test('a limit that is met exactly holds', () => {
  const table = tableOf([7], [0.1 + 0.2]);
  assert.deepEqual(best(table, OBJECTIVES.time, { powerW: 0.3, timeMs: 7, energyJ: 0.0021 }, 1), [0]);
});

test('equal scores go by power, then by row; without a power by row', () => {
  assert.deepEqual(best(tableOf([5, 5, 5], [3, 2, 2]), OBJECTIVES.time, {}, 3), [1, 2, 0]);
  assert.deepEqual(best(tableOf([5, 5, 4], null), OBJECTIVES.time, {}, 3), [2, 0, 1]);
});

test('a confidence moves what is compared by quantiles of the log', () => {
  const table = tableOf([10, 20], [29, 25], [0.1, 0.1], [0.05, 0.05]);
  assert.deepEqual(best(table, OBJECTIVES.time, { powerW: 30, confidence: 0.5 }, 1), [0]);
  assert.deepEqual(best(table, OBJECTIVES.time, { powerW: 30, confidence: 0.9 }, 1), [1]);
  const bound = quantile(table, 0, 'power', 0.9);
  assert.deepEqual(best(table, OBJECTIVES.time, { powerW: bound * (1 + 1e-9), confidence: 0.9 }, 1), [0]);
  near(probabilityWithin(table, 0, 'power', bound), 0.9, 1e-12);
  // The variance of an energy is the sum of both.
  near(quantile(table, 0, 'energy', 0.9), 0.29 * Math.exp(normalQuantile(0.9) * Math.sqrt(0.1 ** 2 + 0.05 ** 2)), 1e-12);
});

test('without a variance a limit is kept or not', () => {
  const table = tableOf([10], [30], [0], [0]);
  assert.equal(probabilityWithin(table, 0, 'power', 31), 1);
  assert.equal(probabilityWithin(table, 0, 'power', 29), 0);
  assert.ok(Number.isNaN(probabilityWithin(table, 0, 'power', undefined)));
});

test('a single unknown value is never chosen', () => {
  const table = tableOf([1, 10, NaN], [NaN, 20, 10]);
  assert.deepEqual(best(table, OBJECTIVES.time, { powerW: 30 }, 3), [1]);
  assert.deepEqual(best(table, OBJECTIVES.time, {}, 3), [0, 1]);
  assert.deepEqual(best(table, OBJECTIVES.energy, {}, 3), [1]);
  assert.deepEqual(pareto(table), [1]);
});

test('what is missing, or makes no sense, is said', () => {
  const known = tableOf([10], [20]), timed = tableOf([10], null);
  assert.throws(() => logExcesses(timed, { powerW: 30 }), /no power here/);
  assert.throws(() => logExcesses(known, { powerW: 30, confidence: 0.9 }), /uncertainty of power/);
  assert.throws(() => logExcesses(known, { powerW: -1 }), /must be above 0/);
  for (const confidence of [0.4, 1, NaN]) assert.throws(() => logExcesses(known, { confidence }), /at least 0.5 and below 1/);
  assert.throws(() => best(timed, OBJECTIVES.energy, {}, 1), /no power here/);
  assert.throws(() => best(tableOf(null, [20]), OBJECTIVES.time, {}, 1), /no time here/);
});

test('where nothing fits, the least violation is named', () => {
  const table = tableOf([10, 20, NaN], [40, 33, 1]);
  const excess = logExcesses(table, { powerW: 30, timeMs: 15 });
  const { row, excess: times } = leastViolation(excess);
  assert.equal(row, 0);  // 40 of 30 W; the other one 20 of 15 ms is as much, and comes later
  near(times, 4 / 3, 1e-12);
  assert.equal(fits(excess[row]), false);
  assert.equal(leastViolation(new Float64Array(0)), null);
});

test('the front leaves out what another mode beats in both', () => {
  const table = tableOf([10, 20, 30, 25, 10], [40, 30, 20, 35, 40]);
  assert.deepEqual(pareto(table), [2, 1, 0]);
  assert.deepEqual(pareto(table, { powerW: 30 }), [2, 1]);
  assert.deepEqual(pareto(tableOf([1], null)), []);
});

test('scores are those of the goals', () => {
  const [t, p] = [Math.log(8), Math.log(5)];
  near(logScore(OBJECTIVES.edp, t, p), Math.log(8 * 8 * 5));
  near(logScore(OBJECTIVES.ed2p, t, p), Math.log(8 ** 3 * 5));
  near(logScore({ timeExponent: 1, powerExponent: 1, eta: 0.3, maxPowerW: 50 }, t, p), Math.log(8 * (0.3 * 5 + 0.7 * 50)));
  near(logScore({ timeExponent: 1, powerExponent: 1, eta: 0, maxPowerW: 50 }, t, NaN), Math.log(8 * 50));
  near(logScore(OBJECTIVES.time, t, NaN), t);
});
