/**
 * Who calls: members of the instance, their apps, and groups of apps. A member is `<class>/<code>`, an app
 * `<class>/<member>/<app>`; its SPIFFE ID is derived from that, so no two apps can claim one.
 */
import { type Static, Type } from 'typebox';

const CODE = '[A-Za-z0-9][A-Za-z0-9._-]{0,62}';
const SPIFFE_PATH = new RegExp(`^/app/(${CODE}/${CODE})/(${CODE})$`);

/** One part of the name of a member or app; also one path segment of a SPIFFE ID. */
export const codeSchema = Type.String({
  pattern: `^${CODE}$`,
  description: 'letters, digits, ".", "_" and "-"; 1 to 63 characters',
});
export const memberNameSchema = Type.String({
  pattern: `^${CODE}/${CODE}$`,
  maxLength: 127,
  description: '`<class>/<code>` of a member',
});
export const appNameSchema = Type.String({
  pattern: `^${CODE}/${CODE}/${CODE}$`,
  maxLength: 191,
  description: '`<class>/<member>/<app>`',
});
export const groupNameSchema = Type.String({
  pattern: '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$',
  description: 'name of a group',
});

export const PARTY_STATES = ['pending', 'approved', 'registered', 'suspended', 'disabled'] as const;
export type PartyState = (typeof PARTY_STATES)[number];

const stateSchema = Type.Enum([...PARTY_STATES], {
  description:
    'only a registered app of a registered member counts; the others are as if they were not there',
});
export const noticeSchema = Type.String({
  minLength: 1,
  maxLength: 1000,
  description: 'with `disabled`, and only then: why, and until when',
});
const titleSchema = Type.String({ minLength: 1, maxLength: 200, description: 'for people' });

export const memberSchema = Type.Object(
  {
    state: stateSchema,
    notice: Type.Optional(noticeSchema),
    name: Type.Optional(titleSchema),
  },
  { additionalProperties: false },
);
export type Member = Static<typeof memberSchema>;

export const appSchema = Type.Object(
  {
    state: stateSchema,
    notice: Type.Optional(noticeSchema),
    name: Type.Optional(titleSchema),
  },
  { additionalProperties: false },
);
export type App = Static<typeof appSchema>;

/** Of one group, its groups included. */
export const MAX_GROUP_APPS = 10_000;
/** Groups in groups, the outermost counted. */
export const MAX_GROUP_DEPTH = 8;

export const groupSchema = Type.Object(
  {
    owner: Type.Optional(appNameSchema),
    members: Type.Array(
      Type.Union([
        Type.Object({ app: appNameSchema }, { additionalProperties: false }),
        Type.Object({ group: groupNameSchema }, { additionalProperties: false }),
      ]),
      { maxItems: MAX_GROUP_APPS, description: 'apps and groups, each once' },
    ),
    name: Type.Optional(titleSchema),
  },
  {
    additionalProperties: false,
    description: 'with an `owner` it is local: only services of this app may be granted to it',
  },
);
export type Group = Static<typeof groupSchema>;

/** `spiffe://<instance>/app/<class>/<member>/<app>` */
export function spiffeOfApp(instance: string, app: string): string {
  return `spiffe://${instance}/app/${app}`;
}

/** @returns undefined  when the ID is none that an app of this instance could have */
export function appOfSpiffe(
  instance: string,
  spiffe: string,
): { readonly app: string; readonly member: string } | undefined {
  const domain = `spiffe://${instance}`;
  if (instance === '' || !spiffe.startsWith(`${domain}/`)) return undefined;
  const [, member, code] = SPIFFE_PATH.exec(spiffe.slice(domain.length)) ?? [];
  return member === undefined || code === undefined ? undefined : { app: `${member}/${code}`, member };
}

/** Whatever the trust domain: for an index, not for a decision. */
export function memberInSpiffe(spiffe: string): string | undefined {
  return SPIFFE_PATH.exec(spiffe.replace(/^spiffe:\/\/[^/]*/, ''))?.[1];
}

export function memberOfApp(app: string): string {
  return app.slice(0, app.lastIndexOf('/'));
}
