// The one script of every run. It never changes: what to run comes from engine.json through the extension.
import crucible from 'k6/x/crucible';

export const options = crucible.options();

const session = crucible.session();

export default function () {
  // One call runs a slice of queries natively; it returns false when this VU's part of the plan is over. With raw
  // samples on it runs one query and returns false, so that one query is one k6 iteration.
  while (session.run()) {}
}
