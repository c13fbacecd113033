/**
 * What evaluations of one policy may cost while failing ones have taken too much time: several times what those need that
 * are answered. Whoever can make evaluations fail must not be able to have the good ones refused, too.
 */
export interface UsualCost {
  answered(units: number): void;
  /** in units */
  budget(): number;
}

/** About as much time as the rest of a Check takes; before anything is known. */
const LEAST_UNITS = 1_000_000;
const HEADROOM = 4;
/** With each answer; half of the highest is forgotten after some 700. */
const KEPT = 0.999;

export function createUsualCost(): UsualCost {
  let highest = 0;
  return {
    answered: (units) => (highest = Math.max(units, highest * KEPT)),
    budget: () => Math.max(LEAST_UNITS, Math.ceil(highest * HEADROOM)),
  };
}
