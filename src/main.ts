#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// a start takes half the time; beside what is installed, since whoever could write there could change the program itself
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/chancery', import.meta.url)));
const { run } = await import('./cli/main.ts');

process.exitCode = await run(process.argv.slice(2));
