export const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';

/** CheckResponse with `status` and nothing in it: OK. */
export const CONSTANT_ANSWER = Buffer.from([0x0a, 0x00]);
