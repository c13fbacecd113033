# METADATA
# title: A rate class for each request
# description: |
#   Chancery says to which class a request belongs and whose budget it uses; Envoy's rate limit filter, after it, does
#   the counting. It reads either the header `x-rate-class` (`actions: [{request_headers: …}]`) or the dynamic metadata
#   (`actions: [{metadata: {metadata_key: {key: envoy.filters.http.ext_authz, path: [{key: rate}, {key: class}]}}}]`).
#   The header is set, not added: what a client has sent under this name does not count.
package envoy.authz

default allow := {
	"allowed": false,
	"http_status": 403,
	"body": "Forbidden: this client is suspended.\n",
}

# METADATA
# description: Everybody may pass, in the class of their plan, but a client that is suspended.
allow := {
	"allowed": true,
	"headers": {"x-rate-class": class, "x-rate-key": client},
	"dynamic_metadata": {"rate": {"class": class, "key": client}},
} if {
	not client in data.suspended
}

# METADATA
# description: |
#   Who has proven to be a workload is known by that; a user by issuer and subject; everybody else shares the budget of
#   the address that they come from.
client := input.identity.workload.spiffe if {
	input.identity.workload
} else := concat("#", [user.issuer, user.subject]) if {
	user
} else := input.attributes.source.address.socketAddress.address

plan := data.plans[client] if {
	data.plans[client]
} else := user.claims.plan if {
	user.claims.plan in {"free", "team", "business"}
} else := "free" if {
	user
} else := "anonymous"

# METADATA
# description: What costs the service much is counted apart, so that it does not use up the budget for the rest.
class := concat("-", [plan, "heavy"]) if {
	is_heavy
} else := plan

is_heavy if "exports" in input.parsed_path

is_heavy if {
	input.attributes.request.http.method == "POST"
	input.parsed_path[count(input.parsed_path) - 1] == "search"
}

user := input.identity.user
