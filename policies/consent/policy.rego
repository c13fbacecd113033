# METADATA
# title: Records under consent, with break-glass
# description: |
#   A person's records are read by that person, by whoever treats them, by an organisation that they have consented to
#   for a purpose, and in an emergency by a doctor who says why. What is allowed out of the ordinary is an obligation
#   as well: the service gets `x-audit: high` and the reason, and both are in the proxy's dynamic metadata.
#
#   GET /people/{person}/records; the purpose is the header `x-purpose`, the emergency's reason `x-break-glass`
#
#   The organisation is the workload (`authenticate: either` or `mtls`), people are users. Consents end with a day,
#   since a day is what people agree to; the day is that of the request, as the proxy tells it.
package envoy.authz

default allow := {
	"allowed": false,
	"http_status": 403,
	"body": "Forbidden: there is no consent for this.\n",
	"dynamic_metadata": {"access": {"basis": "none"}},
}

# METADATA
# description: The ordinary ways; the first that holds is named.
allow := {
	"allowed": true,
	"headers": {"x-basis": basis, "x-audit": "normal"},
	"request_headers_to_remove": ["x-break-glass"],
	"dynamic_metadata": {"access": {"basis": basis, "person": person}},
}

# METADATA
# description: Break-glass, where no ordinary way is open.
allow := {
	"allowed": true,
	"headers": {"x-basis": "break-glass", "x-audit": "high", "x-audit-reason": reason},
	"request_headers_to_remove": ["x-break-glass"],
	"response_headers_to_add": {"x-break-glass": "recorded"},
	"dynamic_metadata": {"access": {"basis": "break-glass", "person": person, "reason": reason, "by": user.subject}},
} if {
	not basis
	person
	workload in data.emergency_departments
	"doctor" in user.claims.roles
}

basis := "own" if {
	user.subject == person
} else := "treatment" if {
	workload in data.treatments[person]
	"doctor" in user.claims.roles
} else := "consent" if {
	some consent in data.consents[person]
	consent.to == workload
	consent.purpose == request.headers["x-purpose"]
	today <= consent.until
}

# METADATA
# description: A reason is a sentence, and not a dot that somebody has typed to get on.
reason := trim_space(request.headers["x-break-glass"]) if {
	count(trim_space(request.headers["x-break-glass"])) >= 10
}

# METADATA
# description: Only reading, and only this path: everything else has no person, and is closed.
person := input.parsed_path[1] if {
	request.method == "GET"
	input.parsed_path[0] == "people"
	input.parsed_path[2] == "records"
	count(input.parsed_path) == 3
}

# METADATA
# description: A day in UTC, `2026-11-29`; days in this form are ordered as their texts are.
today := substring(input.attributes.request.time, 0, 10)

user := input.identity.user

workload := input.identity.workload.spiffe

request := input.attributes.request.http
