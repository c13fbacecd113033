/** Cases of OPA that fail here, and why; a wrong value is no reason. */
export interface KnownFailure {
  readonly note: string;
  readonly reason: 'network' | 'host information' | 'wording of an OPA error';
  /** what the judge says of it */
  readonly wrong: string;
}

/** The error of a built-in does not say where it was called. */
function withoutPlace(builtin: string, test: string, error: string): KnownFailure {
  const text = `eval_type_error: strings.${builtin}: ${error}`;
  return {
    note: `strings/${builtin}/${test}`,
    reason: 'wording of an OPA error',
    wrong: `wording: wants error text "test-0.rego:4: ${text}", got ${text}`,
  };
}

function ofStrings(builtin: string): readonly KnownFailure[] {
  return [1, 2].flatMap((operand) => {
    const members = `operand ${operand} must be array of strings but got array containing number`;
    const type = `operand ${operand} must be one of {string, set, array} but got number`;
    return [
      withoutPlace(builtin, 'type_error_strict', members),
      withoutPlace(builtin, 'type_error_strict', type),
      ...(operand === 2
        ? [withoutPlace(builtin, 'single string type_error_strict after match', members)]
        : []),
    ];
  });
}

export const KNOWN_FAILURES: readonly KnownFailure[] = [
  ...ofStrings('any_prefix_match'),
  ...ofStrings('any_suffix_match'),
];
