/** Where a string or bytes value stands in the request. */
export interface Span {
  readonly start: number;
  readonly end: number;
}
