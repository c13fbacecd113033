// Checks the direction of imports between rooms, the confinement of libraries, and that there is no cycle.
import { cruise } from 'dependency-cruiser';
import { libraries, MODULE_FLOOR, optionsFiles, rooms } from './rooms.mjs';

const names = Object.keys(rooms);
const roomRules = names.map((room) => ({
  name: `${room}-imports`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: {
    path: '^src/',
    pathNot: [
      `^src/(${[room, ...rooms[room]].join('|')})/`,
      ...(room === 'config' ? [optionsFiles] : []),
      // the command line starts the application, and what it does without one
      ...(room === 'cli' ? ['^src/app\\.ts$', '^src/roles/adoption\\.ts$'] : []),
    ],
  },
}));
const libraryRules = Object.entries(libraries).map(([library, owners]) => ({
  name: `only-in-${owners.join('-and-')}`,
  severity: 'error',
  from: { path: '^src/', pathNot: `^src/(${owners.join('|')})/` },
  to: { path: `(${library.replaceAll('^', '(^|node_modules/)').replaceAll('$', '($|/)')})` },
}));

const result = await cruise(['src'], {
  parser: 'swc',
  tsPreCompilationDeps: true,
  doNotFollow: { path: 'node_modules' },
  enhancedResolveOptions: {
    exportsFields: ['exports'],
    conditionNames: ['import', 'node', 'default', 'types'],
    extensions: ['.ts', '.js', '.mjs', '.json'],
  },
  validate: true,
  ruleSet: {
    forbidden: [
      { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
      { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
      {
        name: 'app-is-the-top',
        severity: 'error',
        from: { path: '^src/', pathNot: '^src/(cli/|main\\.ts$)' },
        to: { path: '^src/app\\.ts$' },
      },
      {
        name: 'roles-are-the-apps',
        severity: 'error',
        from: { path: '^src/', pathNot: '^src/(app\\.ts$|roles/)' },
        // of the rooms, only `cli` may import that one
        to: { path: '^src/roles/', pathNot: '^src/roles/adoption\\.ts$' },
      },
      ...roomRules,
      ...libraryRules,
    ],
  },
});

const { summary, modules } = result.output;
const seen = modules.filter((module) => module.source.startsWith('src/'));
for (const violation of summary.violations) {
  process.stderr.write(`${violation.rule.name}: ${violation.from} → ${violation.to}\n`);
}
const unknown = new Set(
  seen
    .map((module) => module.source.split('/')[1])
    .filter((room) => !room.endsWith('.ts') && room !== 'roles' && !(room in rooms)),
);
for (const room of unknown) process.stderr.write(`room ${room} is not in .scripts/rooms.mjs\n`);
if (seen.length < MODULE_FLOOR)
  process.stderr.write(`only ${seen.length} modules seen, expected at least ${MODULE_FLOOR}\n`);
const imports = seen.reduce((sum, module) => sum + module.dependencies.length, 0);
if (imports < MODULE_FLOOR) process.stderr.write(`only ${imports} imports seen\n`);
if (summary.violations.length > 0 || unknown.size > 0 || seen.length < MODULE_FLOOR || imports < MODULE_FLOOR)
  process.exit(1);
process.stdout.write(`imports: ${seen.length} modules, ${imports} imports, no violation\n`);
