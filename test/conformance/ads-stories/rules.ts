/**
 * The rules that the stories are about: section of the xDS protocol's documentation, and the rule in our words.
 * A story names one of them; the table of the run counts stories per rule.
 */
export const RULES = {
  'wildcard.legacy':
    'How the client specifies what resources to return: a first request without names is all clusters or listeners, until a name is given',
  'wildcard.explicit': 'How the client specifies what resources to return: "*" is all, for any type',
  'wildcard.end': 'Unsubscribing from resources: "*" may be dropped, names that were given stay',
  'names.subscribe':
    'How the client specifies what resources to return: what is named is sent, and nothing else',
  'names.missing':
    'Knowing when a requested resource does not exist: delta says so, and the name is remembered',
  'names.appear': 'Subscribing to resources: a name that did not exist is sent when it appears',
  'names.removed': 'Deleting resources: delta says so; full state leaves it out; the subscription stays',
  'names.unsubscribe': 'Unsubscribing from resources: what was dropped is not told any more',
  'names.again': 'Subscribing to resources: who subscribes again is answered with the resource',
  'names.odd': 'Resource names: duplicates count once, an empty name is a name that does not exist',
  ack: 'ACK: silence after it, and only what changes is sent',
  'nack.memory': 'NACK: error_detail refuses, and what was refused is not sent again before it changes',
  'nack.recovery': 'NACK: the next version, or a request for the name, ends it',
  'nack.others': 'NACK: what was not refused goes on',
  'nonce.stale': 'ACK and NACK: a nonce that is not the last one accepts and refuses nothing',
  'nonce.scope': 'Resource type instance: a nonce belongs to one stream and one type',
  'version.initial': 'initial_resource_versions: only what differs from what the client says it has is sent',
  'version.first': 'initial_resource_versions: they count in the first request of a type only',
  'version.digest': 'Resource type instance version: the same content has the same version, on any stream',
  'order.push':
    'Eventual consistency considerations: clusters, endpoints, listeners, routes, each after the ACK',
  'order.removal': 'Eventual consistency considerations: make before break, users go before what they used',
  'order.bound': 'Eventual consistency considerations: an ACK that does not come is waited for up to a bound',
  'order.warm': 'Resource warming: a changed cluster is sent its endpoints again',
  'flow.outstanding':
    'When to send an update: one response of a type is outstanding, and the next is of the newest state',
  'flow.slow': 'When to send an update: a client that does not read costs a bounded number of responses',
  ttl: 'Time to live: no heartbeats and no TTL where none is configured, whatever the client supports',
  identity: 'Node identification: the first request says who it is, proven by the peer, and it stays so',
  scope: 'Node identification: a node is sent its own resources only',
  'types.unknown': 'Resource types: what is not served is no error, and does not disturb other types',
  'types.served':
    'Resource types: clusters, secrets, endpoints, filters, runtime, listeners, routes over one stream',
  'control-plane': 'DiscoveryResponse.control_plane: each response says who answers',
} as const;

export type Rule = keyof typeof RULES;
