// Reads what the page holds. Numbers that a choice depends on are stored as the bytes of doubles, so that none is rounded.

// A loop is some ten times as fast as Uint8Array.from() here.
function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// Little-endian numbers in base64; null stays null.
export const doubles = (base64) => (base64 === null || base64 === undefined ? null : new Float64Array(bytesOf(base64).buffer));
export const integers = (base64) => new Int32Array(bytesOf(base64).buffer);

// A space { knobs, modes } with modes [size, knobs] row by row.
export function readSpace(stored) {
  const modes = integers(stored.modes), width = stored.knobs.length;
  return {
    knobs: stored.knobs,
    size: modes.length / width,
    setting: (row, k) => modes[row * width + k],
    mode: (row) => modes.subarray(row * width, (row + 1) * width),
  };
}

// The table that choose.js works on.
export function readTable(stored) {
  const table = {
    logTime: doubles(stored.log_time),
    logPower: doubles(stored.log_power),
    varTime: doubles(stored.var_time),
    varPower: doubles(stored.var_power),
  };
  table.size = (table.logTime ?? table.logPower).length;
  return table;
}

// A table of measured rows, from times in ms and powers in W with null where one is not known.
export function tableOfMeasured(times, powers) {
  const logs = (values) => {
    const column = Float64Array.from(values, (value) => (value === null ? NaN : Math.log(value)));
    return column.every(Number.isNaN) ? null : column;
  };
  return { size: times.length, logTime: logs(times), logPower: logs(powers), varTime: null, varPower: null };
}

// The least and the largest finite value of a column; null where there is none.
export function rangeOf(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values ?? []) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : null;
}
