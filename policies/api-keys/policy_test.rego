package envoy.authz_test

import data.envoy.authz

# The digests of these keys are in data.json.
free_key := "free-key-of-ann-0123456789abcdef"

team_key := "team-key-of-ben-0123456789abcdef"

full_key := "full-key-of-eve-0123456789abcdef"

withdrawn_key := "lost-key-of-bob-0123456789abcdef"

request(method, path, key) := {
	"attributes": {"request": {"http": {"method": method, "headers": {"x-api-key": key}}}},
	"parsed_path": path,
	"identity": {},
}

unauthorized := {
	"allowed": false,
	"http_status": 401,
	"headers": {"www-authenticate": "ApiKey header=\"x-api-key\""},
	"body": "Unauthorized: send a valid key in x-api-key.\n",
}

test_the_service_learns_the_client_and_not_the_key if {
	result := authz.allow with input as request("GET", ["catalogue", "7"], free_key)
	result == {
		"allowed": true,
		"headers": {"x-client": "ann", "x-tier": "free"},
		"request_headers_to_remove": ["x-api-key"],
		"response_headers_to_add": {"x-tier": "free"},
	}
}

test_what_each_tier_includes[note] if {
	some note, case in {
		"free reads the catalogue": [free_key, "GET", ["catalogue"], true],
		"free writes nothing": [free_key, "POST", ["catalogue"], false],
		"free has no orders": [free_key, "GET", ["orders"], false],
		"team reads the catalogue": [team_key, "HEAD", ["catalogue", "7"], true],
		"team orders": [team_key, "POST", ["orders"], true],
		"team deletes no order": [team_key, "DELETE", ["orders", "7"], false],
		"full deletes an order": [full_key, "DELETE", ["orders", "7"], true],
		"full has all there is": [full_key, "PUT", ["settings"], true],
		"full has the root": [full_key, "GET", [], true],
		"a name that only begins alike is another": [free_key, "GET", ["catalogues"], false],
	}
	[key, method, path, allowed] := case
	result := authz.allow with input as request(method, path, key)
	result.allowed == allowed
}

test_what_a_tier_does_not_include_is_forbidden_and_not_unauthorized if {
	result := authz.allow with input as request("GET", ["orders"], free_key)
	result == {
		"allowed": false,
		"http_status": 403,
		"headers": {"x-tier": "free"},
		"body": "Forbidden: your tier does not include this.\n",
	}
}

test_an_unknown_key_is_unauthorized if {
	authz.allow == unauthorized with input as request("GET", ["catalogue"], "guessed")
}

test_a_digest_is_no_key if {
	authz.allow == unauthorized with input as request("GET", ["catalogue"], crypto.sha256(free_key))
}

test_a_withdrawn_key_is_unauthorized if {
	authz.allow == unauthorized with input as request("GET", ["catalogue"], withdrawn_key)
}

test_no_key_is_unauthorized if {
	given := json.remove(request("GET", ["catalogue"], ""), ["attributes/request/http/headers/x-api-key"])
	authz.allow == unauthorized with input as given
}

test_an_input_that_says_nothing_is_not_allowed if {
	authz.allow == unauthorized with input as {}
}
