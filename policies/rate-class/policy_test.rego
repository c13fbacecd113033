package envoy.authz_test

import data.envoy.authz

request(method, path, identity) := {
	"attributes": {
		"request": {"http": {"method": method}},
		"source": {"address": {"socketAddress": {"address": "192.0.2.1", "portValue": 4711}}},
	},
	"parsed_path": path,
	"identity": identity,
}

workload(name) := {"workload": {"spiffe": concat("/", ["spiffe://shop.test", name])}}

user(name, claims) := {"user": {"issuer": "https://id.test", "subject": name, "claims": claims}}

test_class_and_key_are_a_header_and_metadata if {
	result := authz.allow with input as request("GET", ["articles"], user("ann", {"plan": "team"}))
	result == {
		"allowed": true,
		"headers": {"x-rate-class": "team", "x-rate-key": "https://id.test#ann"},
		"dynamic_metadata": {"rate": {"class": "team", "key": "https://id.test#ann"}},
	}
}

test_the_class_follows_from_who_it_is[note] if {
	some note, case in {
		"a workload with a plan": [workload("checkout"), "internal"],
		"a workload without one": [workload("reports"), "anonymous"],
		"a user whose plan is agreed on": [user("partner-7", {"plan": "free"}), "business"],
		"a user with a plan in the token": [user("ann", {"plan": "business"}), "business"],
		"a user with a plan that there is not": [user("ann", {"plan": "internal"}), "free"],
		"a user without a plan": [user("ann", {}), "free"],
		"a workload with a user": [object.union(workload("checkout"), user("ann", {"plan": "team"})), "internal"],
		"nobody": [{}, "anonymous"],
	}
	[identity, class] := case
	result := authz.allow with input as request("GET", ["articles"], identity)
	result.headers["x-rate-class"] == class
}

test_what_costs_much_has_a_class_of_its_own[note] if {
	some note, case in {
		"an export": ["GET", ["articles", "exports", "7"], "free-heavy"],
		"a search": ["POST", ["articles", "search"], "free-heavy"],
		"a search that is only read": ["GET", ["articles", "search"], "free"],
		"a path below a search": ["POST", ["search", "7"], "free"],
	}
	[method, path, class] := case
	result := authz.allow with input as request(method, path, user("ann", {}))
	result.headers["x-rate-class"] == class
}

test_nobody_shares_the_budget_of_their_address if {
	result := authz.allow with input as request("GET", ["articles"], {})
	result.dynamic_metadata.rate.key == "192.0.2.1"
}

test_a_suspended_user_is_refused if {
	result := authz.allow with input as request("GET", ["articles"], user("mallory", {"plan": "business"}))
	result == {"allowed": false, "http_status": 403, "body": "Forbidden: this client is suspended.\n"}
}

test_a_suspended_address_is_refused if {
	given := request("GET", ["articles"], {})
	address := "198.51.100.66"
	not authz.allow.allowed with input as given with input.attributes.source.address.socketAddress.address as address
}

test_an_input_that_says_nothing_is_not_allowed if {
	not authz.allow.allowed with input as {}
}
