// The standard normal distribution, to the precision of a double, as learners/log_gaussian.hpp has it.

// Coefficients of Wichura 1988, algorithm AS 241 (PPND16): numerator and denominator, the highest power first.
const CENTRE = [
  [2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125,
    1971.5909503065514427, 133.14166789178437745, 3.387132872796366608],
  [5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867, 5394.1960214247511077,
    687.1870074920579083, 42.313330701600911252, 1],
];
const MIDDLE = [
  [7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
    3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734],
  [1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
    0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1],
];
const TAIL = [
  [2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
    0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772],
  [2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
    0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1],
];

const polynomial = (coefficients, x) => coefficients.reduce((sum, c) => sum * x + c, 0);
const ratio = ([above, below], x) => polynomial(above, x) / polynomial(below, x);

// The z with P(Z <= z) = probability, which must be above 0 and below 1.
export function normalQuantile(probability) {
  if (!(probability > 0 && probability < 1)) {
    throw new RangeError(`a probability must be above 0 and below 1, found ${probability}`);
  }
  const q = probability - 0.5;
  if (Math.abs(q) <= 0.425) return q * ratio(CENTRE, 0.180625 - q * q);
  const r = Math.sqrt(-Math.log(q < 0 ? probability : 1 - probability));
  const z = r <= 5 ? ratio(MIDDLE, r - 1.6) : ratio(TAIL, r - 5);
  return q < 0 ? -z : z;
}

// P(Z <= z). Near 0 by the series of Abramowitz & Stegun 26.2.11, whose terms have one sign; further out by their continued fraction
// 26.2.14.
export function normalCdf(z) {
  if (Number.isNaN(z)) return NaN;
  const x = Math.abs(z);
  const density = Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
  let above;
  if (x < 4) {
    let term = x, sum = x;
    for (let n = 3; term > 1e-17 * sum; n += 2) {
      term *= (x * x) / n;
      sum += term;
    }
    above = 0.5 - density * sum;
  } else {
    let fraction = x;
    for (let n = 60; n > 0; --n) fraction = x + n / fraction;
    above = density / fraction;
  }
  return z > 0 ? 1 - above : above;
}
