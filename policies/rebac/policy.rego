# METADATA
# title: Relations between people and documents
# description: |
#   Somebody may do with a document what a relation to it allows. Relations are facts in `data`: of a document itself
#   or of a folder above it, for a person or for a group that the person belongs to, directly or through other groups.
#
#   data.relations   "document:plan": {"viewer": ["group:staff"]}
#   data.parents     "document:plan": ["folder:projects"]
#   data.member_of   "user:ann": ["group:staff"]
#
#   /documents/{id}   GET and HEAD need `viewer`, PUT and PATCH `editor`, DELETE `owner`; an owner is an editor, too,
#   and an editor a viewer
package envoy.authz

default allow := {
	"allowed": false,
	"http_status": 404,
	"body": "Not found.\n",
}

# METADATA
# description: |
#   Whoever has no relation to a document does not learn that it exists: the answer is that of a document that does not.
allow := {
	"allowed": true,
	"headers": {"x-user": input.identity.user.subject},
} if {
	has_relation(sufficient[input.attributes.request.http.method])
}

# METADATA
# description: Who may read a document, but not do this with it, is told so.
allow := {
	"allowed": false,
	"http_status": 403,
	"body": "Forbidden: you may read this document only.\n",
} if {
	has_relation(sufficient.GET)
	not has_relation(sufficient[input.attributes.request.http.method])
}

# METADATA
# description: Each method with the relations of which one is enough.
sufficient := {
	"GET": {"viewer", "editor", "owner"},
	"HEAD": {"viewer", "editor", "owner"},
	"PUT": {"editor", "owner"},
	"PATCH": {"editor", "owner"},
	"DELETE": {"owner"},
}

has_relation(relations) if {
	some object in objects
	some relation in relations
	some subject in data.relations[object][relation]
	subject in subjects
}

# METADATA
# description: The document, and every folder above it.
objects := with_all_above(data.parents, document)

# METADATA
# description: The person, and every group that they belong to.
subjects := with_all_above(data.member_of, person)

# METADATA
# description: |
#   `graph.reachable` tells of the nodes that have edges of their own only, and the topmost have none.
with_all_above(edges, node) := {node} | {above |
	some at in graph.reachable(edges, {node})
	some above in edges[at]
}

document := concat(":", ["document", input.parsed_path[1]]) if {
	input.parsed_path[0] == "documents"
	count(input.parsed_path) == 2
}

person := concat(":", ["user", input.identity.user.subject])
