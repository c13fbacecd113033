package envoy.authz_test

import data.envoy.authz

# A request as Envoy describes it, from the bearer of a token with these claims.
request(method, path, claims) := object.union(
	anonymous(method, path),
	{"identity": {"user": {
		"issuer": "https://issuer.example",
		"subject": "alice",
		"claims": claims,
	}}},
)

anonymous(method, path) := {
	"attributes": {"request": {"http": {"method": method}}},
	"parsed_path": path,
	"identity": {},
}

claims(roles) := {"tenant": "acme", "roles": roles}

test_nobody_is_asked_for_a_token if {
	result := authz.allow with input as anonymous("GET", ["tenants", "acme", "orders"])
	not result.allowed
	result.http_status == 401
	result.headers["www-authenticate"] == "Bearer"
}

test_a_viewer_reads_and_the_service_learns_who_it_is if {
	result := authz.allow with input as request("GET", ["tenants", "acme", "orders", "7"], claims(["viewer"]))
	result == {"allowed": true, "headers": {"x-user": "alice", "x-roles": "viewer"}}
}

test_head_is_a_read if {
	authz.allow.allowed with input as request("HEAD", ["tenants", "acme", "invoices"], claims(["viewer"]))
}

test_a_viewer_writes_nothing if {
	result := authz.allow with input as request("POST", ["tenants", "acme", "orders"], claims(["viewer"]))
	result == {"allowed": false, "http_status": 403, "body": "Forbidden: none of your roles allows this.\n"}
}

test_what_each_role_may_write[note] if {
	some note, case in {
		"a clerk writes orders": {"role": "clerk", "resource": "orders", "allowed": true},
		"a clerk writes no invoices": {"role": "clerk", "resource": "invoices", "allowed": false},
		"an accountant writes invoices": {"role": "accountant", "resource": "invoices", "allowed": true},
		"an accountant writes no orders": {"role": "accountant", "resource": "orders", "allowed": false},
		"an operator writes whatever there is": {"role": "operator", "resource": "settings", "allowed": true},
		"an unknown role writes nothing": {"role": "stranger", "resource": "orders", "allowed": false},
	}
	result := authz.allow with input as request("PUT", ["tenants", "acme", case.resource, "7"], claims([case.role]))
	result.allowed == case.allowed
}

test_only_the_roles_that_permit_it_are_told if {
	given := claims(["viewer", "clerk", "accountant"])
	result := authz.allow with input as request("GET", ["tenants", "acme", "invoices"], given)
	result.headers["x-roles"] == "accountant,viewer"
}

test_another_tenant_is_closed if {
	result := authz.allow with input as request("GET", ["tenants", "globex", "orders"], claims(["viewer", "clerk"]))
	not result.allowed
}

test_an_operator_works_for_every_tenant if {
	authz.allow.allowed with input as request("DELETE", ["tenants", "globex", "orders", "7"], claims(["operator"]))
}

test_an_operator_has_no_tenant_outside_of_tenants if {
	not authz.allow.allowed with input as request("GET", ["admin", "acme", "orders"], claims(["operator"]))
}

test_a_token_without_roles_allows_nothing if {
	not authz.allow.allowed with input as request("GET", ["tenants", "acme", "orders"], {"tenant": "acme"})
}

test_a_tenant_alone_is_no_resource if {
	not authz.allow.allowed with input as request("GET", ["tenants", "acme"], claims(["operator"]))
}

test_an_input_that_says_nothing_is_not_allowed if {
	not authz.allow.allowed with input as {}
}
