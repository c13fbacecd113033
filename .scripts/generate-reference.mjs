// Writes the reference of the configuration into README.md, between its two markers, from the schemas of the program.
// `--check` writes nothing, and fails when what is there is not what would be written. A path ending in .md: instead
// of README.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { configSchema } from '../src/config/schema.ts';

const BEGIN = '<!-- configuration: written by .scripts/generate-reference.mjs -->';
const END = '<!-- /configuration -->';
const file =
  process.argv.find((argument) => argument.endsWith('.md')) ?? new URL('../README.md', import.meta.url);

const readme = readFileSync(file, 'utf8');
const [before, rest] = splitOnce(readme, BEGIN);
const [, after] = splitOnce(rest, END);
const wanted = `${before}${BEGIN}\n\n${reference()}\n\n${END}${after}`;
if (!process.argv.includes('--check')) writeFileSync(file, wanted);
else if (readme !== wanted) {
  process.stderr.write('README.md is not what the schemas say: run node .scripts/generate-reference.mjs\n');
  process.exitCode = 1;
}

function splitOnce(text, marker) {
  const parts = text.split(marker);
  if (parts.length !== 2) throw new Error(`README.md must have this line once: ${marker}`);
  return parts;
}

function reference() {
  const rows = rowsOf(configSchema, []);
  return ['| Key | Value | Default | What |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

// One row per setting; a section that may be left out, or has a description, has one of its own.
function rowsOf(section, path) {
  return Object.entries(section.properties).flatMap(([name, schema]) => {
    const place = [...path, name];
    const key = `\`${place.join('.')}\``;
    const needed = section.required?.includes(name) && schema.default === undefined;
    if (schema.properties === undefined) {
      return [row([key, valueOf(schema), defaultOf(schema, needed), schema.description ?? ''])];
    }
    const isOptional = !section.required?.includes(name);
    const { description = '' } = schema;
    const head =
      isOptional || description !== '' ? [row([key, 'section', isOptional ? 'none' : '', description])] : [];
    return [...head, ...rowsOf(schema, place)];
  });
}

function defaultOf(schema, needed) {
  if (needed) return '**needed**';
  return schema.default === undefined ? 'none' : code(JSON.stringify(schema.default));
}

function valueOf(schema) {
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  if (schema.enum) return schema.enum.map((value) => code(String(value))).join(', ');
  if (schema.anyOf) return schema.anyOf.map(valueOf).join(' or ');
  if (schema.type === 'array') return `list of ${valueOf(schema.items)}`;
  if (schema.patternProperties || schema.additionalProperties) return 'objects by name';
  const { type = 'any value', minimum, maximum } = schema;
  if (minimum !== undefined && maximum !== undefined) return `${type}, ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `${type}, ${minimum} or more`;
  return maximum === undefined ? type : `${type}, at most ${maximum}`;
}

function code(text) {
  return `\`${text}\``;
}

function row(cells) {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
}
