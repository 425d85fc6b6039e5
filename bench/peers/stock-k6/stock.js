// The same queries, mix and parameter ranges as Crucible's session, as a k6 user would write them with xk6-sql.
import sql from 'k6/x/sql';

const plan = JSON.parse(open(__ENV.PEER_ENGINE));
const queries = plan.queries;
const total = queries.reduce((sum, q) => sum + q.weight, 0);
const nanos = plan.stages.reduce((sum, s) => sum + s.durationNanos, 0);

export const options = {
  scenarios: {
    load: { executor: 'constant-vus', vus: plan.stages[plan.stages.length - 1].vus, duration: `${nanos / 1e6}ms` },
  },
};

const name = __ENV.PEER_DRIVER;
const module = require(name === 'cql' ? 'k6/x/cql' : `k6/x/sql/driver/${name}`);
const db = name === 'cql' ? module.open(__ENV.PEER_SOURCE) : sql.open(module.default || module, __ENV.PEER_SOURCE);

export function setup() {
  console.log('LOAD BEGINS');
}

export function teardown() {
  console.log('LOAD ENDS');
}

function pick() {
  let at = Math.random() * total;
  for (const q of queries) {
    if (at < q.weight) return q;
    at -= q.weight;
  }
  return queries[0];
}

function draw(b) {
  if (b.kind === 'choice') return b.values[Math.floor(Math.random() * b.values.length)];
  return b.min + Math.floor(Math.random() * (b.max - b.min + 1));
}

export default function () {
  const q = pick();
  db.query(q.sql, ...q.bindings.map(draw));
}

export function handleSummary(data) {
  return { [__ENV.PEER_COUNTS]: String(data.metrics.iterations.values.count) };
}
