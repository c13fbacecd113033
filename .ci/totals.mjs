// Adds up the first minutes, the checks and the suites. A skipped case fails CI: everything is required here.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [work, first, check, test] = process.argv.slice(2);
let passed = 0;
let failed = 0;
let skipped = 0;

const steps = readFileSync(join(work, 'first-minutes.log'), 'utf8').split('\n');
passed += steps.filter((line) => line.startsWith('ok - ')).length;
failed += steps.filter((line) => line.startsWith('not ok - ')).length;
if (Number(first) !== 0 && failed === 0) failed += 1;

if (Number(check) === 0) passed += 1;
else failed += 1;

try {
  const report = JSON.parse(readFileSync(join(work, 'tests.json'), 'utf8'));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests + report.numTodoTests;
  if (report.numTotalTests === 0) failed += 1;
  if (!report.success && report.numFailedTests === 0) failed += 1;
} catch (error) {
  console.error(`no test report: ${error.message}`);
  failed += 1;
}
if (Number(test) !== 0 && failed === 0) failed += 1;

console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed === 0 && skipped === 0 ? 0 : 1);
